"""A job that does not fit into memory: smaller micro-batches, or a failure that says what to do."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hipart.data.corpus import fingerprint
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.jobs import StageJob, TrialJobs, jobs
from hipart.runtime import Runtime
from hipart.scheduling.events import Event, JobFailed, JobFinished
from hipart.scheduling.executor import Failure, Outcome, Workplace
from hipart.scheduling.graph import StageGraph
from hipart.scheduling.inline import InlineExecutor
from hipart.scheduling.worker import run_jobs
from hipart.stages import fit as fit_module
from hipart.stages.lifter import LifterObjective
from hipart.stages.tokenizer import TokenizerObjective
from hipart.stages.training import Losses, Objective
from hipart.store import ArtifactStore

BASE = base_at_scale("smoke")
STEPS = BASE.tokenizer.epochs * BASE.data.train_samples // BASE.tokenizer.batch_size


def job(stage: str, **changes: Any) -> StageJob:
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return jobs(with_changes(BASE, named), fingerprint(BASE.data), (stage,))[stage]


class Bench:
    """A store with a worker, whose memory holds few samples."""

    def __init__(self, folder: Path) -> None:
        self.store = ArtifactStore(folder)
        self.store.prepare()
        self.place = Workplace(folder, None, threads=1, use_gpu=False)
        self.steps: list[int] = []

    def run(self, *wanted: StageJob) -> list[Outcome | Failure]:
        return run_jobs(wanted, self.place, lambda _, step, *__: self.steps.append(step))

    def provenance(self, of: StageJob) -> dict[str, Any]:
        found = self.store.find(of.stage, of.key)
        assert found is not None
        return found.provenance


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "store")


def limit(
    monkeypatch: pytest.MonkeyPatch, kind: type[Objective], most: int, free: int = 0, of: str = ""
) -> list[int]:
    """Let memory hold ``most`` samples in a forward pass, after ``free`` passes that hold any.

    ``of`` spares objectives with another reduction. Returns the sizes that are asked for.
    """
    seen: list[int] = []
    forward = kind.forward

    def limited(objective: Objective, index: Tensor) -> Losses:
        seen.append(len(index))
        spared = of and getattr(objective, "reduction", "") != of
        if len(index) > most and len(seen) > free and not spared:
            raise torch.OutOfMemoryError("as told")
        return forward(objective, index)

    monkeypatch.setattr(kind, "forward", limited)
    return seen


def test_micro_batches_become_smaller_until_they_fit(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an array first the halves, then single jobs; the results are those of whole batches."""
    pair = [job("tokenizer", tokenizer__seed=seed) for seed in (0, 1)]
    whole = Bench(tmp_path / "whole")
    expected = [*whole.run(pair[0]), *whole.run(pair[1])]
    seen = limit(monkeypatch, TokenizerObjective, most=20)
    found = bench.run(*pair)
    assert seen == [64, *[64, 32, *[16] * 4 * STEPS] * 2]
    for one, ended, before in zip(pair, found, expected, strict=True):
        assert isinstance(ended, Outcome) and isinstance(before, Outcome)
        assert ended.metrics == pytest.approx(before.metrics, rel=1e-3)
        assert bench.provenance(one)["micro_batches"] == 4
        assert "micro_batches" not in whole.provenance(one)


def test_the_retry_goes_on_from_the_last_checkpoint(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory that others take while a job runs."""
    monkeypatch.setattr(fit_module, "CHECKPOINT_SECONDS", 0.0)
    limit(monkeypatch, TokenizerObjective, most=32, free=3)
    (ended,) = bench.run(job("tokenizer"))
    assert isinstance(ended, Outcome)
    assert bench.steps == [*range(1, STEPS + 1)]
    made = bench.provenance(job("tokenizer"))
    assert made["resumed"] and made["micro_batches"] == 2


def test_a_job_that_fits_at_no_size_fails_alone_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = limit(monkeypatch, TokenizerObjective, most=0, of="mean")
    runtime, events = Runtime(tmp_path), list[Event]()
    executor = InlineExecutor(Workplace.of(runtime), events.append)
    store = ArtifactStore(runtime.store)
    store.prepare()
    graph = StageGraph(store, executor, events.append)
    for reduction in ("mean", "sum"):
        one = job("tokenizer", tokenizer__loss_reduction=reduction)
        graph.ensure(TrialJobs(["tokenizer"], {"tokenizer": one}))
    graph.run()
    (failed,) = (event for event in events if isinstance(event, JobFailed))
    assert "not even with micro-batches of one sample" in failed.error
    assert "use a larger device or a smaller model; OutOfMemoryError: as told" in failed.error
    (ended,) = (event for event in events if isinstance(event, JobFinished))
    assert ended.job == job("tokenizer")
    assert [size for size in seen if size != 64] == [32, 16, 8, 4, 2, 1]
    found = store.find("tokenizer", ended.job.key)
    assert found is not None and "micro_batches" not in found.provenance


def test_batch_normalisation_keeps_its_batch_whole(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch, LifterObjective, most=20)
    (failed,) = bench.run(job("lifter", lifter__dense_input="none"))
    assert isinstance(failed, Failure)
    assert "lower lifter.batch_size or use a larger device" in failed.error
    assert "batch normalisation in MlpLifter needs the whole batch" in failed.error
