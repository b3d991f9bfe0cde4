"""The error function in double precision for ONNX Runtime, which has it in single only."""

import math
from typing import Any

import numpy as np
from numpy.polynomial import Chebyshev, chebyshev
from numpy.typing import NDArray

try:
    from onnx import TensorProto, helper
except ImportError:
    raise ValueError("ONNX files need onnx: pip install 'hipart-search[onnx]'") from None

DOMAIN = "hipart"
#: From here on 1 - erf is below 1e-22.
FARTHEST = 7.0
DEGREE = 19
_NEAREST = 2 / (2 + FARTHEST)


def define_erf(model: Any) -> None:
    """Give an ONNX model of doubles its own ``Erf``: a function of elementary operators."""
    for node in model.graph.node:
        if node.op_type == "Erf":
            node.domain = DOMAIN
    opset = next(one for one in model.opset_import if not one.domain)
    lines = [helper.make_node(name, ins, [out], **more) for name, ins, out, more in _body()]
    model.functions.append(helper.make_function(DOMAIN, "Erf", ["x"], ["y"], lines, [opset]))
    model.opset_import.append(helper.make_opsetid(DOMAIN, 1))


def coefficients() -> list[float]:
    """Of P, highest power first, for u = (t - a) 2 / (1 - a) - 1, with t from a = 2 / 9 to 1.

    With t = 2 / (2 + z), 1 - erf(z) is t exp(P(u) - z^2) for z >= 0 (after Press et al., Numerical
    Recipes 2007, Sec. 6.2.2); with degree 19, to 1e-14.
    """

    def logarithm(t: NDArray[Any]) -> NDArray[Any]:
        z = 2 / t - 2
        return np.asarray(np.log([math.erfc(one) for one in z] / t) + z * z)

    fitted = Chebyshev.interpolate(logarithm, DEGREE, [_NEAREST, 1.0])
    powers: list[float] = chebyshev.cheb2poly(fitted.coef).tolist()
    return powers[::-1]


def _body() -> list[tuple[str, list[str], str, dict[str, Any]]]:
    """Operator, inputs, output and attributes, line by line."""
    lines: list[tuple[str, list[str], str, dict[str, Any]]] = []

    def number(value: float) -> str:
        name = f"c{len(lines)}"
        held = helper.make_tensor(name, TensorProto.DOUBLE, [], [value])
        lines.append(("Constant", [], name, {"value": held}))
        return name

    def put(name: str, *inputs: str, out: str = "") -> str:
        lines.append((name, [*inputs], out or f"v{len(lines)}", {}))
        return lines[-1][2]

    z = put("Min", put("Abs", "x"), number(FARTHEST))
    t = put("Div", number(2.0), put("Add", z, number(2.0)))
    scale = 2 / (1 - _NEAREST)
    u = put("Add", put("Mul", t, number(scale)), number(-_NEAREST * scale - 1))
    first, *others = coefficients()
    power = number(first)
    for coefficient in others:
        power = put("Add", put("Mul", power, u), number(coefficient))
    tail = put("Mul", t, put("Exp", put("Sub", power, put("Mul", z, z))))
    put("Mul", put("Sign", "x"), put("Sub", number(1.0), tail), out="y")
    return lines
