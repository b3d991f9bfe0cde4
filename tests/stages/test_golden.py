"""One golden number per stage at smoke scale: a refactoring shows that it changed nothing.

Tolerance: 1 % of the value, far above what another CPU's rounding does in so few steps and below
what a change of the computation does. Raise the stage's version when a number has to change.
"""

import pytest

from hipart.data.corpus import fingerprint
from hipart.experiment.file import base_at_scale
from hipart.jobs import jobs
from hipart.pipeline import FINAL_STAGE, PIPELINE, SIDE_STAGES
from hipart.scheduling.executor import Workplace
from hipart.scheduling.worker import run_job
from hipart.store import ArtifactStore

GOLDEN = {
    "tokenizer": ("fine_reconstruction_px", 309.923),
    "prior": ("cross_entropy", 21.5544),
    "densify": ("fine_error_px", 424.341),
    "regressor": ("fine_error_px", 290.2717),
    "lifter": ("train_mpjpe_mm", 803.026),
    "evaluate": ("mpjpe_mm", 492.874),
    "probe": ("sparse_sparse_cosine", 0.672883),
    "profile": ("gflops", 0.001299712),
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    config = base_at_scale("smoke")
    workplace = Workplace(tmp_path_factory.mktemp("store"), None, threads=1, use_gpu=False)
    ArtifactStore(workplace.store).prepare()
    found = jobs(config, fingerprint(config.data), (FINAL_STAGE, "regressor", *SIDE_STAGES))
    return {name: run_job(job, workplace, lambda *_: None).metrics for name, job in found.items()}


@pytest.mark.parametrize("stage", PIPELINE)
def test_golden_number(stage: str, measured: dict[str, dict[str, float]]) -> None:
    name, value = GOLDEN[stage]
    assert measured[stage][name] == pytest.approx(value, rel=0.01)


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_reports_what_the_pipeline_says(
    stage: str, measured: dict[str, dict[str, float]]
) -> None:
    stated = {metric.name for metric in PIPELINE[stage].metrics}
    found = {name for name in measured[stage] if "/" not in name}
    finest = {"finest_reconstruction_px", "finest_error_px", "finest_2d_px"}
    sound = {name for name in stated if "_sound_" in name}
    assert stated - found <= finest | sound | {"mpjve_mm"}, "of 192 points, damage, sequences"
    assert found <= stated


def test_per_action_numbers_average_to_the_reported_one(
    measured: dict[str, dict[str, float]],
) -> None:
    metrics = measured["evaluate"]
    actions = [value for name, value in metrics.items() if name.startswith("mpjpe_mm/")]
    assert len(actions) > 5
    assert sum(actions) / len(actions) == pytest.approx(metrics["mpjpe_mm"])
