"""A bundle for ONNX Runtime and ``torch.export``, compared with the bundle before it is kept."""

import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hipart.data.corpus import load_corpus
from hipart.export.graph import PoseGraph
from hipart.predictor import POSE, Predictor

INPUTS = ("poses", "image_size")
#: Any output may differ by this, millimetres or pixels.
MOST = 1e-3
#: Poses that are compared: half of them from the corpus, half of them random.
COMPARED = 1000
BATCHES = (1, 7, 256)

Run = Callable[[NDArray[np.float32], NDArray[np.int64]], Sequence[NDArray[Any]]]


def check_installed(formats: Sequence[str]) -> None:
    """Raise ValueError if a format asks for a package that isn't there."""
    packages = ("onnx", "onnxscript", "onnxruntime") if "onnx" in formats else ()
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(f"--onnx needs {', '.join(missing)}: pip install 'hipart-search[onnx]'")


def add_runtimes(bundle: Path, formats: Sequence[str], data: Path | None = None) -> list[str]:
    """Write ``model.onnx`` (onnx) and ``model.pt2`` (torch) into a bundle; a line about each.

    Raises ValueError where one answers otherwise than the bundle.
    """
    predictor = Predictor.load(bundle)
    graph = PoseGraph(predictor).eval()
    program = _traced(graph)
    config = predictor.facts.config
    corpus = load_corpus(config.data, config.detector, data)
    width, height = corpus.image_size
    real = corpus.test.detected_2d
    real = real[np.linspace(0, len(real) - 1, COMPARED // 2).astype(int)]
    chance = np.random.default_rng(0).uniform(0, [width, height], (COMPARED // 2, 17, 2))
    poses = np.random.default_rng(1).permutation(np.concatenate([real, chance])).astype(np.float32)
    told = []
    for name in formats:
        file = bundle / {"onnx": "model.onnx", "torch": "model.pt2"}[name]
        {"onnx": _write_onnx, "torch": _write_torch}[name](program, graph.outputs, file)
        run = {"onnx": onnx_runner, "torch": torch_runner}[name](file)
        worst = differences(predictor, run, poses, (width, height))
        if not max(worst.values()) <= MOST:
            raise ValueError(f"{file.name}: differs from the bundle by {worst}, allowed {MOST}")
        told.append(
            f"{file.name}: {COMPARED} poses in batches of {', '.join(map(str, BATCHES))} differ "
            f"from the bundle by at most {worst[POSE]:.1e} mm"
        )
    return told


def differences(
    predictor: Predictor, run: Run, poses: NDArray[np.float32], size: tuple[int, int]
) -> dict[str, float]:
    """The largest difference of every output, in batches of all sizes in turn."""
    expected = predictor.predict(poses, size)
    worst = dict.fromkeys(expected, 0.0)
    for rows in _in_turn(len(poses)):
        found = run(poses[rows], np.array(size))
        for name, values in zip(expected, found, strict=True):
            # A NaN stays: numpy's maximum keeps it.
            difference = np.abs(values - expected[name][rows]).max()
            worst[name] = float(np.maximum(worst[name], difference))
    return worst


def onnx_runner(file: Path) -> Run:
    """ONNX Runtime on the CPU."""
    try:
        import onnxruntime
    except ImportError:
        raise ValueError("ONNX files need onnxruntime: pip install 'hipart-search[onnx]'") from None

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return lambda *inputs: session.run(None, dict(zip(INPUTS, inputs, strict=True)))


def torch_runner(file: Path) -> Run:
    """A program of ``torch.export``."""
    module = torch.export.load(file).module()

    def run(*inputs: NDArray[Any]) -> list[NDArray[Any]]:
        with torch.no_grad():
            return [found.numpy() for found in module(*map(torch.from_numpy, inputs))]

    return run


def _in_turn(count: int) -> Iterator[slice]:
    start = turn = 0
    while start < count:
        stop = start + BATCHES[turn % len(BATCHES)]
        yield slice(start, min(stop, count))
        start, turn = stop, turn + 1


def _traced(graph: PoseGraph) -> Any:
    example = (torch.zeros(3, 17, 2), torch.tensor([1000, 1000]))
    free = {"poses": {0: torch.export.Dim("N", min=1)}, "image_size": None}
    with torch.no_grad():
        return torch.export.export(graph, example, dynamic_shapes=free)


def _write_torch(program: Any, outputs: Sequence[str], file: Path) -> None:
    torch.export.save(program, file)


def _write_onnx(program: Any, outputs: Sequence[str], file: Path) -> None:
    from hipart.export.erf import define_erf

    talkative = logging.getLogger("torch.onnx")
    level = talkative.level
    talkative.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = torch.onnx.export(
                program, (), dynamo=True, verbose=False, optimize=False,
                opset_version=18, input_names=INPUTS, output_names=list(outputs),
            )  # fmt: skip
    finally:
        talkative.setLevel(level)
    assert made is not None
    model = made.model_proto
    define_erf(model)
    file.write_bytes(model.SerializeToString())
