"""A training that begins where a shorter one ended is, bit for bit, the one from the start."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from hipart.data.corpus import fingerprint
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.jobs import Jobs, StageJob, jobs
from hipart.scheduling.executor import Outcome, Workplace
from hipart.scheduling.worker import run_job, run_jobs
from hipart.stages import fit as fit_module
from hipart.stages.checkpoint import CHECKPOINT, STATE, checkpoint_step
from hipart.stages.tokenizer import WEIGHTS
from hipart.store import Artifact, ArtifactStore

BASE = with_changes(base_at_scale("smoke"), {"lifter.dense_input": "none"})
DATA = fingerprint(BASE.data)
#: Steps of an epoch.
EPOCH = 4
#: What every artifact of a lifter consists of.
FILES = {
    "checksums.json",
    "identity.json",
    "metrics.json",
    "history.jsonl",
    "provenance.json",
    WEIGHTS,
}


def lifter(epochs: int, **changes: Any) -> StageJob:
    """A lifter of so many epochs with ``field`` changed."""
    named = {f"lifter.{name.replace('__', '.')}": value for name, value in changes.items()}
    return jobs(with_changes(BASE, {"lifter.epochs": epochs, **named}), DATA)["lifter"]


class Bench:
    """A store with a worker, and the steps after which each job reported."""

    def __init__(self, root: Path) -> None:
        self.store = ArtifactStore(root)
        self.store.prepare()
        self.place = Workplace(root, None, threads=1, use_gpu=False)
        self.steps: dict[str, list[int]] = {}

    def run(self, job: StageJob, stop: int | None = None) -> Artifact:
        """The job's artifact; the process seems to end after step ``stop``."""
        told = self.steps[job.key] = []

        def report(step: int, total: int, metrics: dict[str, float]) -> None:
            told.append(step)
            if step == stop:
                raise KeyboardInterrupt

        run_job(job, self.place, report)
        return self.found(job)

    def array(self, *members: StageJob) -> list[Artifact]:
        results = run_jobs(members, self.place, lambda *_: None)
        assert all(isinstance(result, Outcome) for result in results), results
        return [self.found(job) for job in members]

    def found(self, job: StageJob) -> Artifact:
        artifact = self.store.find(job.stage, job.key)
        assert artifact is not None
        return artifact


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "bench")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Four epochs from the start."""
    return Bench(tmp_path_factory.mktemp("whole")).run(lifter(4))


def same(one: Artifact, other: Artifact) -> bool:
    """Whether two trainings left the same, byte for byte."""
    names = (WEIGHTS, "history.jsonl", "metrics.json", "identity.json")
    return all((one.path / name).read_bytes() == (other.path / name).read_bytes() for name in names)


def files(artifact: Artifact) -> set[str]:
    return {path.name for path in artifact.path.iterdir()}


def test_training_in_three_goes_is_training_in_one(bench: Bench, whole: Artifact) -> None:
    assert BASE.lifter.model.dropout == 0.1
    one, two, four = (lifter(epochs) for epochs in (1, 2, 4))
    first = bench.run(replace(one, resumable=True))
    second = bench.run(replace(two, continues=one.key, resumable=True))
    last = bench.run(replace(four, continues=two.key))
    assert bench.steps == {
        one.key: [1, 2, 3, 4],
        two.key: [5, 6, 7, 8],
        four.key: [9, 10, 11, 12, 13, 14, 15, 16],
    }
    assert last.key == whole.key
    assert same(last, whole)
    assert (first.path / WEIGHTS).read_bytes() != (last.path / WEIGHTS).read_bytes()

    assert [files(one) for one in (first, second, last)] == [
        FILES | {STATE},
        FILES | {STATE},
        FILES,
    ]
    assert [checkpoint_step(one.path / STATE) for one in (first, second)] == [4, 8]
    told = [
        (made.get("continued"), made.get("continued_step"), made["resumed"])
        for made in (one.provenance for one in (first, second, last))
    ]
    assert told == [(None, None, False), (one.key, 4, False), (two.key, 8, False)]


def test_a_killed_job_goes_on_from_its_own_checkpoint(
    bench: Bench, whole: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, long = lifter(1), replace(lifter(4), continues=lifter(1).key)
    bench.run(replace(short, resumable=True))
    with pytest.raises(KeyboardInterrupt):  # before it has a checkpoint of its own
        bench.run(long, stop=6)
    monkeypatch.setattr(fit_module, "CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        bench.run(long, stop=10)
    assert bench.steps[long.key][0] == EPOCH + 1
    last = bench.run(long)
    assert bench.steps[long.key][0] == 11
    assert same(last, whole)
    assert files(last) == FILES
    told = [last.provenance[name] for name in ("continued", "continued_step", "resumed")]
    assert told == [short.key, EPOCH, True]


@pytest.mark.parametrize("left", [b"", b"half"], ids=["emptied", "half"])
def test_a_checkpoint_that_a_power_failure_cut_off_costs_what_it_stood_for(
    bench: Bench, whole: Artifact, monkeypatch: pytest.MonkeyPatch, left: bytes
) -> None:
    long = lifter(4)
    monkeypatch.setattr(fit_module, "CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        bench.run(long, stop=6)
    (checkpoint,) = bench.store.root.glob(f".work/*/{CHECKPOINT}")
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: len(content) // 2] if left else left)
    last = bench.run(long)
    assert bench.steps[long.key][0] == 1
    assert same(last, whole)
    assert last.provenance["resumed"] is False


LEFT: dict[str, Callable[[], StageJob]] = {
    "nothing": lambda: lifter(1),
    "no state": lambda: lifter(1),
    "a longer training": lambda: lifter(5),
    "the state of another seed": lambda: lifter(1, seed=1),
}


@pytest.mark.parametrize("what", LEFT)
def test_without_a_state_to_go_on_from_a_job_begins_at_the_start(
    what: str, bench: Bench, whole: Artifact
) -> None:
    earlier = LEFT[what]()
    if what != "nothing":
        left = bench.run(replace(earlier, resumable=what != "no state"))
        assert (left.path / STATE).exists() == (what != "no state")
    last = bench.run(replace(lifter(4), continues=earlier.key))
    assert bench.steps[lifter(4).key][0] == 1
    assert same(last, whole)
    assert not {"continued", "continued_step"} & last.provenance.keys()


def test_members_of_an_array_go_on_each_from_its_own(bench: Bench, tmp_path: Path) -> None:
    """Those with a state, together; one without it, from the start."""
    plain = {"model__dropout": 0.0}  # which an array draws otherwise
    short, long = ([lifter(n, seed=s, **plain) for s in (0, 1, 2)] for n in (2, 4))
    bench.array(*(replace(job, resumable=job is not short[2]) for job in short))
    members = bench.array(
        *(replace(job, continues=one.key) for job, one in zip(long, short, strict=True))
    )
    steps = [one.provenance.get("continued_step") for one in members]
    assert steps == [2 * EPOCH, 2 * EPOCH, None]
    assert {one.provenance["array"] for one in members} == {3}
    alone = [Bench(tmp_path / "alone").run(job) for job in long]
    for one, other in zip(members, alone, strict=True):
        found, expected = load_file(one.path / WEIGHTS), load_file(other.path / WEIGHTS)
        for name, tensor in expected.items():
            torch.testing.assert_close(found[name], tensor, rtol=1e-3, atol=1e-5)


def test_hints_are_no_part_of_a_job() -> None:
    made = Jobs(DATA)
    job = made.of(BASE)["lifter"]
    hinted = replace(job, continues="0123456789abcdef", resumable=True)
    assert hinted == job
    assert (hinted.key, hinted.identity) == (job.key, job.identity)
    sent = pickle.loads(pickle.dumps(hinted))
    assert (sent.continues, sent.resumable) == ("0123456789abcdef", True)
    again = made.of(BASE)["lifter"]
    assert (again.continues, again.resumable) == (None, False)


def test_a_stage_whose_rates_depend_on_its_epochs_continues_nothing() -> None:
    job = jobs(base_at_scale("smoke"), DATA)["prior"]
    with pytest.raises(ValueError, match="prior/.* go on from fewer epochs"):
        replace(job, resumable=True)
