"""Training points of poses that the prior has not seen: who trains on what, who generates what."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from hipart.config import PipelineConfig
from hipart.data.corpus import Corpus, fingerprint, load_corpus
from hipart.data.folds import parts_of
from hipart.experiment.design import Arm, Trial
from hipart.experiment.file import base_at_scale, load
from hipart.experiment.paths import with_changes
from hipart.export import export_bundle
from hipart.jobs import StageJob, jobs
from hipart.models.densifier import densified
from hipart.predictor import POSE, Predictor
from hipart.report.description import difference
from hipart.scheduling.executor import Workplace
from hipart.scheduling.upstream import upstream
from hipart.scheduling.worker import run_job
from hipart.stages import prior
from hipart.stages.context import StageContext
from hipart.stages.densify import POSES
from hipart.stages.tensors import split_tensors
from hipart.stages.tokenizer import WEIGHTS, load_tokenizer
from hipart.store import Artifact, ArtifactStore
from hipart.tracking.specs import Subject, trial_outcome

CPU = torch.device("cpu")
BASE = with_changes(base_at_scale("smoke"), {"prior.steps": 12, "prior.learning_rate": 3e-3})
FOLDS = 2


class Ran(NamedTuple):
    """What the trials without parts and with two left in one store."""

    store: ArtifactStore
    corpus: Corpus
    #: Jobs and artifacts by name, of the trial without and of the one with parts.
    chains: dict[str, dict[str, StageJob]]
    artifacts: dict[str, dict[str, Artifact]]

    def points(self, trial: str) -> dict[str, Tensor]:
        return load_file(self.artifacts[trial]["densify"].file(POSES))

    def context(self, trial: str, name: str, work: Path) -> StageContext:
        """As a worker would make it for a job."""
        job = self.chains[trial][name]
        work.mkdir(parents=True)
        found = upstream(job, self.store)
        return StageContext(job.config, self.corpus, found, work, CPU, lambda *_: None)


def folded(count: int | None) -> PipelineConfig:
    return with_changes(BASE, {"densify.folds": count})


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    workplace = Workplace(tmp_path_factory.mktemp("folds"), None, threads=1, use_gpu=False)
    store = ArtifactStore(workplace.store)
    store.prepare()
    chains = {
        name: jobs(folded(count), fingerprint(BASE.data))
        for name, count in (("one", None), ("parts", FOLDS))
    }
    artifacts: dict[str, dict[str, Artifact]] = {}
    for trial, chain in chains.items():
        artifacts[trial] = {}
        for name, job in chain.items():
            run_job(job, workplace, lambda *_: None)
            found = store.find(job.stage, job.key)
            assert found is not None
            artifacts[trial][name] = found
    return Ran(store, load_corpus(BASE.data, BASE.detector), chains, artifacts)


def test_a_trial_with_parts_has_a_prior_for_each_beside_its_own(ran: Ran) -> None:
    one, parts = ran.chains["one"], ran.chains["parts"]
    variants = [f"prior {part} of {FOLDS}" for part in (1, 2)]
    assert list(parts) == ["tokenizer", "prior", *variants, "densify", "lifter", "evaluate"]
    assert [parts[name].stage for name in variants] == ["prior", "prior"]
    assert all(one[name] == parts[name] for name in ("tokenizer", "prior"))
    assert len({job.key for job in parts.values()}) == len(parts)
    assert set(parts["densify"].needs) == {"tokenizer", "prior", *variants}
    assert parts["densify"].config.prior == BASE.prior, "a trial's prior is the one that saw all"


def test_a_prior_of_a_part_is_the_one_that_is_trained_without_its_clips(
    ran: Ran, tmp_path: Path
) -> None:
    """Bit for bit as if there were no such clips."""
    once = {"detector.training_draws": "once"}
    config = with_changes(BASE, once)
    train = ran.corpus.train
    found: dict[str, Mapping[str, Tensor]] = {}
    for part in (1, 2):
        rows = np.flatnonzero(parts_of(train.clip, FOLDS) != part)
        rest = replace(ran.corpus, train=train.take(rows))
        assert 0.4 < len(rows) / len(train) < 0.6
        without = with_changes(config, {"prior.fold": [part, FOLDS]})
        for name, corpus, one in (("part", ran.corpus, without), ("rest", rest, config)):
            work = tmp_path / f"{name}{part}"
            work.mkdir()
            folders = {"tokenizer": ran.artifacts["one"]["tokenizer"].path}
            prior.train(StageContext(one, corpus, folders, work, CPU, lambda *_: None))
            found[name] = load_file(work / WEIGHTS)
        assert all(torch.equal(found["rest"][name], w) for name, w in found["part"].items())


def test_it_sees_new_detections_of_them_in_every_epoch(ran: Ran, tmp_path: Path) -> None:
    """The same as the prior that sees all, of its own samples; the same object where none are."""
    whole = prior.prepare(ran.context("parts", "prior", tmp_path / "all")).objective
    rows = torch.as_tensor(np.flatnonzero(parts_of(ran.corpus.train.clip, FOLDS) != 1))
    part = prior.prepare(ran.context("parts", "prior 1 of 2", tmp_path / "part")).objective
    seen = []
    for epoch in (0, 1, 1):
        for objective in (whole, part):
            objective.begin_epoch(epoch)
        for name in ("detected", "sparse", "dense"):
            assert torch.equal(part.get_buffer(name), whole.get_buffer(name)[rows])
        seen.append(part.get_buffer("detected").clone())
    assert not torch.equal(seen[0], seen[1]) and torch.equal(seen[1], seen[2])


def test_each_part_is_generated_by_the_prior_that_did_not_see_it(ran: Ran, tmp_path: Path) -> None:
    context = ran.context("parts", "densify", tmp_path / "work")
    tokenizer = load_tokenizer(context)
    points, parts = ran.points("parts"), parts_of(ran.corpus.train.clip, FOLDS)
    detected = split_tensors(ran.corpus, "train", CPU).detected
    others: dict[int, Tensor] = {}
    for part in (1, 2):
        model = prior.load_prior(context, tokenizer, f"prior {part} of {FOLDS}")
        rows = torch.as_tensor(np.flatnonzero(parts == part))
        with torch.inference_mode():
            found = densified(model, tokenizer, detected[rows], "body", "mean")
            others[part] = densified(model, tokenizer, detected, "body", "mean")[96]
        for level in (48, 96):
            assert torch.allclose(points[f"train/{level}"][rows], found[level], atol=1e-5)
    assert (others[1] - others[2]).abs().max() > 1e-3, "else nothing is told by it"
    assert not torch.allclose(points["train/96"], ran.points("one")["train/96"], atol=1e-3)


def test_what_no_prior_has_seen_is_generated_by_the_one_that_saw_all(ran: Ran) -> None:
    one, parts = ran.points("one"), ran.points("parts")
    assert one.keys() == parts.keys()
    for name in one:
        assert torch.equal(one[name], parts[name]) == (not name.startswith("train/")), name


def test_its_errors_are_told_of_training_points_as_generated(ran: Ran) -> None:
    exact, (width, height) = ran.corpus.train.fine_2d, ran.corpus.image_size
    for trial, artifacts in ran.artifacts.items():
        pixels = (ran.points(trial)["train/96"].numpy() + [1, height / width]) * width / 2
        error = np.linalg.norm(pixels - exact, axis=-1).mean()
        metrics = artifacts["densify"].metrics
        assert metrics["fine_train_error_px"] == pytest.approx(error, rel=1e-4)
    first, second = (ran.artifacts[trial]["densify"].metrics for trial in ("one", "parts"))
    assert first["fine_error_px"] == second["fine_error_px"]
    assert first["fine_train_error_px"] != second["fine_train_error_px"]


def test_oracles_are_given_the_same_priors(ran: Ran) -> None:
    """Where points are moved to exact part means, what is left is the part's own prior's."""
    workplace = Workplace(ran.store.root, None, threads=1, use_gpu=False)
    config = with_changes(folded(FOLDS), {"densify.exact": "part_means"})
    job = jobs(config, fingerprint(BASE.data))["densify"]
    run_job(job, workplace, lambda *_: None)
    artifact = ran.store.find("densify", job.key)
    assert artifact is not None
    moved, plain = load_file(artifact.file(POSES)), ran.points("parts")
    for side in ("train", "test"):
        kept = [points[f"{side}/96"].unflatten(1, (16, 6)) for points in (moved, plain)]
        first, second = (one - one.mean(dim=2, keepdim=True) for one in kept)
        assert torch.allclose(first, second, atol=1e-5)


def test_a_bundle_predicts_with_the_prior_that_saw_all(ran: Ran, tmp_path: Path) -> None:
    trial = Trial(Arm("parts", {}, None, folded(FOLDS)), 0, folded(FOLDS))
    ablation: Any = load("exposure", "smoke")
    data = fingerprint(BASE.data)
    bundle = export_bundle(ran.store, ablation, [trial], data, "mpjpe_mm", tmp_path / "best")
    predictor = Predictor.load(bundle)
    own = load_file(ran.artifacts["one"]["prior"].file(WEIGHTS))
    assert predictor.prior is not None
    held = predictor.prior.state_dict()
    assert all(torch.equal(held[name].float(), weight) for name, weight in own.items())
    test = ran.corpus.test
    lifted = predictor.predict(test.detected_2d, ran.corpus.image_size)[POSE]
    error = np.linalg.norm(lifted - test.target_3d, axis=-1).mean()
    told = ran.artifacts["parts"]["evaluate"].metrics["mpjpe_frames_mm"]
    assert error == pytest.approx(told, abs=1e-3)


def test_a_trials_run_has_the_numbers_of_its_own_prior_and_the_seconds_of_all(ran: Ran) -> None:
    ablation = load("exposure", "smoke")
    trial = Trial(Arm("parts", {}, None, folded(FOLDS)), 0, folded(FOLDS))
    done = ran.artifacts["parts"]
    points = list(trial_outcome(Subject(ablation, "d"), trial, done).points())
    names = [point.name for point in points]
    assert names.count("prior/cross_entropy") == 1
    values = {point.name: point.value for point in points}
    assert values["prior/cross_entropy"] == done["prior"].metrics["cross_entropy"]
    seconds = sum(float(one.provenance["seconds"]) for one in done.values())
    assert values["seconds"] == pytest.approx(seconds)


def test_what_explains_the_difference_is_the_number_of_parts(ran: Ran) -> None:
    first, second = (ran.artifacts[trial]["densify"] for trial in ("one", "parts"))
    assert difference(first, second, ran.store) == {"densify.folds": (None, FOLDS)}


def test_a_part_of_more_than_there_are_clips_fails_with_the_reason(
    ran: Ran, tmp_path: Path
) -> None:
    """Where nobody looked before: a job by itself."""
    config = with_changes(BASE, {"prior.fold": [1, 60]})
    folders = {"tokenizer": ran.artifacts["one"]["tokenizer"].path}
    context = StageContext(config, ran.corpus, folders, tmp_path, CPU, lambda *_: None)
    with pytest.raises(ValueError, match="60 parts of whole clips, .* take at most 16"):
        prior.train(context)
