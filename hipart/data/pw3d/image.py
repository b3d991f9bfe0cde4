"""The virtual image that 3DPW's pixels are given in (docs/decisions/0035)."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Width and height, pixels: a corpus has images of one size, 3DPW has two.
SIZE = (1000, 1000)


def into(pixels: Floats, size: tuple[int, int]) -> Floats:
    """Pixels (..., 2) of an image of ``size`` (width, height) in the virtual one.

    ``normalise_screen`` gives for them in ``SIZE`` what it gives for ``pixels`` in ``size``:
    ``x / w * 2 - [1, h / w]``.
    """
    scale, shift = _change(size)
    return np.asarray(pixels * scale + shift)


def out_of(pixels: Floats, size: tuple[int, int]) -> Floats:
    """Inverse of ``into``: pixels (..., 2) of the real image."""
    scale, shift = _change(size)
    return np.asarray((pixels - shift) / scale)


def _change(size: tuple[int, int]) -> tuple[float, Floats]:
    scale = SIZE[0] / size[0]
    return scale, np.array([0.0, (SIZE[1] - scale * size[1]) / 2])
