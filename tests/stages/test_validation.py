"""Samples held out of training: who is measured on them, and what never looks at the test split."""

from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hipart.config import DataConfig, EvaluationConfig, PipelineConfig
from hipart.data.corpus import fingerprint, load_corpus
from hipart.experiment.errors import ExperimentError
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.jobs import StageJob, jobs
from hipart.pipeline import PIPELINE
from hipart.scheduling.executor import Workplace
from hipart.scheduling.worker import run_job
from hipart.stages.densify import POSES
from hipart.stages.tensors import error_px, split_tensors
from hipart.store import Artifact, ArtifactStore

HELD = with_changes(base_at_scale("smoke"), {"data.validation_samples": 96})
TARGETS = ("evaluate", "regressor", "probe")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    place = Workplace(tmp_path_factory.mktemp("store"), None, threads=1, use_gpu=False)
    ArtifactStore(place.store).prepare()
    return place


def jobs_of(targets: tuple[str, ...], **changes: Any) -> dict[str, StageJob]:
    config = with_changes(HELD, {name.replace("__", "."): v for name, v in changes.items()})
    return jobs(config, fingerprint(config.data), targets)


def finished(
    workplace: Workplace, targets: tuple[str, ...] = ("evaluate",), **changes: Any
) -> dict[str, Artifact]:
    found = {}
    for name, job in jobs_of(targets, **changes).items():
        run_job(job, workplace, lambda *_: None)
        artifact = ArtifactStore(workplace.store).find(name, job.key)
        assert artifact is not None
        found[name] = artifact
    return found


@pytest.mark.parametrize("dense_input", ["generated", "regressed", "exact", "none"])
def test_the_same_models_are_measured_on_either_split(
    dense_input: str, workplace: Workplace
) -> None:
    corpus = load_corpus(HELD.data, HELD.detector)
    test, validation = (
        finished(workplace, lifter__dense_input=dense_input, evaluation__split=split)
        for split in ("test", "validation")
    )
    assert test["lifter"].key == validation["lifter"].key
    assert test["evaluate"].metrics["mpjpe_mm"] != validation["evaluate"].metrics["mpjpe_mm"]
    assert "split" not in test["evaluate"].provenance
    assert validation["evaluate"].provenance["split"] == "validation"
    for artifacts, samples in ((test, corpus.test), (validation, corpus.side("validation"))):
        errors = load_file(artifacts["evaluate"].path / "errors.safetensors")
        assert np.array_equal(errors["clip"].numpy(), samples.clip)
        assert np.array_equal(errors["action"].numpy(), samples.action)
        assert torch.isfinite(errors["mpjpe_mm"]).all()
        examples = load_file(artifacts["evaluate"].path / "examples.safetensors")
        assert np.allclose(examples["target"][0], samples.target_3d[0] / 1000)


def test_occlusion_and_the_mirrored_pose_are_those_of_validation(workplace: Workplace) -> None:
    plain, flipped, masked = (
        finished(workplace, evaluation__split="validation", **changes)["evaluate"]
        for changes in (
            {},
            {"evaluation__flip": True},
            {"occlusion__kind": "mask", "occlusion__ratio": 0.5},
        )
    )
    assert plain.metrics["hidden_joints_pct"] == 0
    assert masked.metrics["hidden_joints_pct"] == pytest.approx(50, abs=6)
    assert len({one.metrics["mpjpe_mm"] for one in (plain, flipped, masked)}) == 3
    for one in (plain, flipped, masked):
        errors = load_file(one.path / "errors.safetensors")
        assert len(errors["mpjpe_mm"]) == HELD.data.validation_samples


def test_an_unoccluded_evaluation_takes_the_poses_that_are_kept(workplace: Workplace) -> None:
    """Generated once for all, or anew from the same detections: the same error."""
    kept = finished(workplace, evaluation__split="validation")["evaluate"].metrics
    anew = finished(
        workplace, evaluation__split="validation", occlusion__kind="mask", occlusion__ratio=0.0
    )["evaluate"].metrics
    assert anew["mpjpe_mm"] == pytest.approx(kept["mpjpe_mm"], rel=1e-6)


@pytest.mark.parametrize("stage", ["densify", "regressor"])
def test_dense_poses_are_kept_for_every_split(stage: str, workplace: Workplace) -> None:
    artifact = finished(workplace, TARGETS)[stage]
    corpus = load_corpus(HELD.data, HELD.detector)
    poses = load_file(artifact.path / POSES)
    assert {name: len(points) for name, points in poses.items()} == {
        f"{side}/{level}": count
        for side, count in (("train", 256), ("test", 128), ("validation", 96))
        for level in (48, 96)
    }
    exact = split_tensors(corpus, "validation", CPU).levels[96]
    found = error_px(poses["validation/96"], exact, corpus.image_size)
    assert artifact.metrics["fine_error_px"] == pytest.approx(found, rel=1e-6)


def test_no_stage_before_the_evaluation_looks_at_the_test_split(workplace: Workplace) -> None:
    """Other test samples change nothing that they report; other validation samples do."""
    base, other_test, other_held = (
        finished(workplace, TARGETS, **changes)
        for changes in ({}, {"data__test_samples": 64}, {"data__validation_samples": 48})
    )
    for name in ("tokenizer", "prior", "densify", "regressor", "probe"):
        assert base[name].key != other_test[name].key
        assert base[name].metrics == other_test[name].metrics, name
        assert base[name].metrics != other_held[name].metrics, name
        assert base[name].provenance["split"] == "validation"
    assert base["lifter"].metrics == other_test["lifter"].metrics
    trained, seen = "train_mpjpe_mm", "validation_mpjpe_mm"
    one, other = base["lifter"].metrics, other_held["lifter"].metrics
    assert one[trained] == other[trained], "trained on the same samples"
    assert one[seen] != other[seen]
    assert "split" not in base["lifter"].provenance


def test_without_anything_held_out_all_is_of_the_test_split(workplace: Workplace) -> None:
    found = finished(workplace, TARGETS, data__validation_samples=0)
    assert not any("split" in artifact.provenance for artifact in found.values())
    poses = load_file(found["densify"].path / POSES)
    assert {name.partition("/")[0] for name in poses} == {"train", "test"}


def test_a_temporal_lifter_is_measured_on_whole_held_out_sequences(workplace: Workplace) -> None:
    found = finished(
        workplace,
        data__sampling="sequences",
        lifter__model__kind="mixste",
        lifter__model__frames=9,
        lifter__model__width=16,
        lifter__model__blocks=1,
        lifter__dense_input="none",
        evaluation__split="validation",
    )["evaluate"]
    assert np.isfinite(found.metrics["mpjpe_mm"])
    assert len(load_file(found.path / "errors.safetensors")["mpjpe_mm"]) == 96


def test_validation_without_held_out_samples_is_refused() -> None:
    said = "set data.validation_samples"
    with pytest.raises(ExperimentError, match=said):
        with_changes(PipelineConfig(), {"evaluation.split": "validation"})
    with pytest.raises(ValueError, match=said):
        PipelineConfig(evaluation=EvaluationConfig(split="validation"))
    with pytest.raises(ExperimentError, match="validation_samples"):
        with_changes(PipelineConfig(), {"data.validation_samples": -1})
    assert DataConfig().validation_samples == 0


def test_every_job_of_a_trial_has_a_config_that_stands() -> None:
    for job in jobs_of(tuple(PIPELINE), evaluation__split="validation").values():
        measured = job.config.evaluation.split
        assert measured == ("validation" if job.stage == "evaluate" else "test")
