"""Every exported form repeats the table's error in all coordinates and decodings."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hipart.config import PipelineConfig
from hipart.data.corpus import Corpus, fingerprint, load_corpus
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.export import export_bundle, runtimes
from hipart.export.graph import PoseGraph
from hipart.jobs import jobs
from hipart.metrics import action_mean, mpjpe, per_action
from hipart.predictor import POSE, Predictor
from hipart.pyfunc import _load_pyfunc
from hipart.scheduling.executor import Workplace
from hipart.scheduling.worker import run_job
from hipart.store import ArtifactStore
from tests.test_export import ABLATION, trial

#: A prior of one pass, whose graph is small; and the paper's, with all that came later.
ONE_PASS = {"prior.framework": "classification"}
STEPWISE = {
    "pose at every step": {
        "prior.conditioning": "every_step",
        "tokenizer.part_weighting": 0.5,
    },
    # And a lifter that trained on points of priors that are not exported.
    "the paper's other readings": {
        "prior.head": "one_pass_prev",
        "tokenizer.action_input": "dense_and_upsampled",
        "tokenizer.alignment": "symmetric",
        "densify.folds": 2,
    },
}
SMALL = with_changes(
    base_at_scale("smoke"),
    {"data.train_samples": 128, "data.test_samples": 96, "data.validation_samples": 0},
)
CASES = {
    f"{coordinates}, {decode}": {"data.coordinates": coordinates, "densify.decode": decode}
    for coordinates, decode in product(("body", "hip", "screen"), ("argmax", "mean"))
}
#: Any runtime may differ by this, millimetres.
MOST = 1e-3


class Exported(NamedTuple):
    """A trained model's bundle, and what the table says of it."""

    bundle: Path
    corpus: Corpus
    mpjpe_mm: float

    def error_mm(self, lifted_mm: NDArray[Any]) -> float:
        """What the evaluation calls the error of predictions (N, 17, 3)."""
        test = self.corpus.test
        truth = torch.as_tensor(test.target_3d).double() / 1000
        errors = mpjpe(torch.as_tensor(lifted_mm).double() / 1000, truth)
        actions = torch.as_tensor(test.action).long()
        return action_mean(per_action(errors, actions, self.corpus.action_names))


def exported(config: PipelineConfig, folder: Path) -> Exported:
    """Train, evaluate and export."""
    store, data = ArtifactStore(folder / "store"), fingerprint(config.data)
    store.prepare()
    place = Workplace(folder / "store", None, threads=1, use_gpu=False)
    made = {
        name: run_job(job, place, lambda *_: None).metrics
        for name, job in jobs(config, data).items()
    }
    args = (store, ABLATION, [trial(config)], data, "mpjpe_mm", folder / "best")
    bundle = export_bundle(*args)
    corpus = load_corpus(config.data, config.detector)
    return Exported(bundle, corpus, made["evaluate"]["mpjpe_mm"])


@pytest.fixture(scope="module", params=CASES)
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Exported]:
    config = with_changes(SMALL, {**ONE_PASS, **CASES[request.param]})
    yield exported(config, tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="module", params=STEPWISE)
def stepwise(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    config = with_changes(SMALL, STEPWISE[request.param])
    return exported(config, tmp_path_factory.mktemp("stepwise"))


def test_a_bundle_and_its_pyfunc_repeat_the_tables_error(case: Exported) -> None:
    poses, size = case.corpus.test.detected_2d, case.corpus.image_size
    found = Predictor.load(case.bundle).predict(poses, size)[POSE]
    assert case.error_mm(found) == pytest.approx(case.mpjpe_mm, abs=MOST)
    arrays = {"poses": poses, "image_size": np.array(size)}
    assert np.array_equal(_load_pyfunc(str(case.bundle)).predict(arrays), found)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx", "torch"])
def test_a_runtime_repeats_the_tables_error(case: Exported, name: str) -> None:
    if name == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    assert "at most" in runtimes.add_runtimes(case.bundle, [name])[0]
    file, runner = {"onnx": ("model.onnx", "onnx_runner"), "torch": ("model.pt2", "torch_runner")}[
        name
    ]
    run = getattr(runtimes, runner)(case.bundle / file)
    size = np.array(case.corpus.image_size)
    lifted, *_ = run(case.corpus.test.detected_2d.astype(np.float32), size)
    assert case.error_mm(lifted) == pytest.approx(case.mpjpe_mm, abs=MOST)
    one_point = np.full((2, 17, 2), 300, np.float32)  # which a graph cannot refuse
    assert all(np.isfinite(found).all() for found in run(one_point, size))


def test_steps_are_the_same_as_a_graph(stepwise: Exported) -> None:
    predictor = Predictor.load(stepwise.bundle)
    poses, size = stepwise.corpus.test.detected_2d, stepwise.corpus.image_size
    expected = predictor.predict(poses, size)
    assert stepwise.error_mm(expected[POSE]) == pytest.approx(stepwise.mpjpe_mm, abs=MOST)
    graph = PoseGraph(predictor).eval()
    with torch.no_grad():
        found = graph(torch.as_tensor(poses), torch.tensor(size))
    for name, values in zip(expected, found, strict=True):
        assert np.abs(values.numpy() - expected[name]).max() < MOST


def test_a_pose_of_no_extent_is_refused_where_it_has_no_frame(stepwise: Exported) -> None:
    predictor = Predictor.load(stepwise.bundle)
    poses, size = stepwise.corpus.test.detected_2d[:3].copy(), stepwise.corpus.image_size
    poses[2] = [300.0, 400.0]
    rule = "all joints of pose 2 are one point; .* data.coordinates body, .*: leave it out"
    with pytest.raises(ValueError, match=rule):
        predictor.predict(poses, size)
    with torch.no_grad():
        found = PoseGraph(predictor).eval()(torch.as_tensor(poses), torch.tensor(size))
    assert all(values.isfinite().all() for values in found)
    poses[2, 3] += 1.0
    assert np.isfinite(predictor.predict(poses, size)[POSE]).all()


@pytest.mark.parametrize("coordinates", ["hip", "screen"])
def test_a_pose_of_no_extent_is_taken_elsewhere(coordinates: str, tmp_path: Path) -> None:
    changes = {"data.coordinates": coordinates, "tokenizer.epochs": 1, "prior.epochs": 1}
    found = exported(with_changes(SMALL, {**ONE_PASS, **changes}), tmp_path)
    one_point = np.full((1, 17, 2), 300.0)
    lifted = Predictor.load(found.bundle).predict(one_point, found.corpus.image_size)
    assert np.isfinite(lifted[POSE]).all()
