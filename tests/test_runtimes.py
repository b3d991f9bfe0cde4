"""ONNX Runtime and torch.export answer what the bundle answers."""

import math
import os
import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from hipart.experiment.paths import with_changes
from hipart.export import export_bundle, runtimes
from hipart.predictor import Predictor
from tests.test_export import ABLATION, DATA, SIZE, TINY, train, trial
from tests.test_export import store as store  # noqa: PLC0414

#: All of the paper's other readings at once; and what its models are by default.
OTHERWISE_READ = with_changes(
    TINY,
    {
        "prior.head": "one_pass_prev",
        "tokenizer.action_input": "dense_and_upsampled",
        "tokenizer.alignment": "symmetric",
    },
)
CONFIGS = {"tiny": TINY, "otherwise read": OTHERWISE_READ}
MADE = {"onnx": ("model.onnx", "onnx_runner"), "torch": ("model.pt2", "torch_runner")}


def test_the_error_function():
    onnxruntime = pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper

    from hipart.export.erf import define_erf

    ends = [helper.make_tensor_value_info(n, TensorProto.DOUBLE, [None]) for n in "xy"]
    graph = helper.make_graph([helper.make_node("Erf", ["x"], ["y"])], "g", ends[:1], ends[1:])
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=10)
    define_erf(model)
    x = np.linspace(-9, 9, 20_001)
    (found,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    assert np.abs(found - [math.erf(one) for one in x]).max() < 1e-14


@pytest.mark.slow
@pytest.mark.parametrize(("name", "read"), list(product(MADE, CONFIGS)))
def test_outputs_are_the_bundles(store, tmp_path, name, read, monkeypatch):
    pytest.importorskip("onnxruntime")
    config = CONFIGS[read]
    train(store, config, 50.0)

    def finish(folder):
        assert "at most" in runtimes.add_runtimes(folder, [name])[0]

    args = (store, ABLATION, [trial(config)], DATA, "mpjpe_mm", tmp_path / "best", finish)
    bundle = export_bundle(*args)
    file, runner = MADE[name]
    run = getattr(runtimes, runner)(bundle / file)
    poses = np.random.default_rng(7).uniform(0, 1000, (1000, 17, 2)).astype(np.float32)
    predictor = Predictor.load(bundle)
    for batch in (1, 7, 256):
        monkeypatch.setattr(runtimes, "BATCHES", (batch,))
        worst = runtimes.differences(predictor, run, poses, SIZE)
        assert max(worst.values()) <= 1e-3, (batch, worst)
    wrong = lambda *inputs: [found + 0.002 for found in run(*inputs)]  # noqa: E731
    assert max(runtimes.differences(predictor, wrong, poses[:9], SIZE).values()) > 1e-3
    if name == "onnx" and config is TINY:
        follow_the_documentation(tmp_path, poses)


def follow_the_documentation(folder: Path, poses):
    text = (Path(__file__).parents[1] / "docs/export.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    np.savez(folder / "poses.npz", poses=poses)
    before = os.getcwd()
    os.chdir(folder)
    try:
        held: dict[str, object] = {}
        exec(example, held)
    finally:
        os.chdir(before)
    assert held["pose_3d_mm"].shape == (1000, 17, 3)


def test_without_the_extra(monkeypatch):
    monkeypatch.setattr(runtimes.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'hipart-search\[onnx\]'"):
        runtimes.check_installed(["onnx"])
    runtimes.check_installed(["torch"])
