"""Regressors that are fitted in closed form, from the stage to the evaluation behind it."""

from pathlib import Path
from typing import get_args

import pytest
import torch
from safetensors.torch import load_file

from hipart.config import FittedRegressorConfig, PipelineConfig
from hipart.data.corpus import Corpus, fingerprint, load_corpus
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.jobs import StageJob, jobs
from hipart.scheduling.executor import Outcome, Workplace
from hipart.scheduling.worker import run_job, run_jobs
from hipart.stages import regressor
from hipart.stages.baselines import baselines
from hipart.stages.context import StageContext
from hipart.stages.densify import POSES
from hipart.store import Artifact, ArtifactStore

KINDS = [config.model_fields["kind"].default for config in get_args(FittedRegressorConfig)]
#: Enough poses for 35 numbers to be fitted well.
BASE = with_changes(
    base_at_scale("smoke"),
    {
        "data.train_samples": 1024,
        "data.validation_samples": 0,
        "lifter.dense_input": "regressed",
    },
)
DATA = fingerprint(BASE.data)


def config_of(kind: str, **changes: object) -> PipelineConfig:
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return with_changes(BASE, {"regressor.model.kind": kind, **named})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    place = Workplace(tmp_path_factory.mktemp("store"), None, threads=1, use_gpu=False)
    ArtifactStore(place.store).prepare()
    return place


def run(found: dict[str, StageJob], place: Workplace) -> dict[str, Outcome]:
    return {name: run_job(job, place, lambda *_: None) for name, job in found.items()}


def artifact(job: StageJob, place: Workplace) -> Artifact:
    found = ArtifactStore(place.store).find(job.stage, job.key)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load_corpus(BASE.data, BASE.detector)


def fitted(kind: str, corpus: Corpus, work: Path) -> dict[str, float]:
    work.mkdir()
    nothing: dict[str, Path] = {}
    return regressor.train(
        StageContext(config_of(kind), corpus, nothing, work, torch.device("cpu"), lambda *_: None)
    )


def test_the_more_a_baseline_knows_the_nearer_its_points(corpus: Corpus, tmp_path: Path) -> None:
    errors = [fitted(kind, corpus, tmp_path / kind)["fine_error_px"] for kind in KINDS]
    assert KINDS == ["mean_pose", "joint_offset", "linear"]
    assert errors[0] > 2 * errors[1] > 3 * errors[2]
    assert errors == pytest.approx([48, 19, 9], rel=0.1)


def test_data_info_tells_what_the_stage_measures(corpus: Corpus, tmp_path: Path) -> None:
    told = baselines(corpus.train, corpus.test, "body")
    assert list(told) == KINDS
    for kind, errors in told.items():
        measured = fitted(kind, corpus, tmp_path / kind)
        assert errors["fine_error_px"] == pytest.approx(measured["fine_error_px"], abs=0.01)
        assert errors["within_part_px"] < errors["fine_error_px"]
    assert told["linear"]["within_part_px"] < told["joint_offset"]["within_part_px"] / 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_trial_goes_from_it_to_an_evaluation(kind: str, place: Workplace) -> None:
    """With occlusion, which loads it once more, and profiled."""
    occluded = config_of(kind, occlusion__kind="mask", occlusion__ratio=0.2)
    found = jobs(occluded, DATA, ("evaluate", "profile"))
    assert list(found) == ["regressor", "lifter", "evaluate", "profile"]
    outcomes = run(found, place)
    hidden = outcomes["evaluate"].metrics["fine_2d_px"]
    assert hidden > outcomes["regressor"].metrics["fine_error_px"]
    assert 0 < outcomes["profile"].metrics["parameters_m"] < 1
    plain = run(jobs(config_of(kind), DATA), place)
    seen = plain["evaluate"].metrics["fine_2d_px"]
    assert hidden > seen > 0
    assert "history.jsonl" not in {
        file.name for file in artifact(found["regressor"], place).path.iterdir()
    }


def test_all_seeds_give_equal_points_one_by_one(place: Workplace) -> None:
    some = [
        jobs(config_of("linear", regressor__seed=seed), DATA, ("regressor",))["regressor"]
        for seed in (3, 4)
    ]
    results = run_jobs(some, place, lambda *_: None)
    assert all(isinstance(result, Outcome) for result in results)
    one, other = (load_file(artifact(job, place).file(POSES)) for job in some)
    assert one.keys() == other.keys() == {f"{s}/{n}" for s in ("train", "test") for n in (48, 96)}
    assert all(torch.equal(one[name], other[name]) for name in one)
