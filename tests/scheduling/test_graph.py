"""The stage graph on an executor that does as it is told: order, sharing, failure."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from hipart.config import LifterConfig, PipelineConfig, PriorConfig
from hipart.jobs import StageJob, jobs
from hipart.scheduling.events import (
    Event,
    JobFailed,
    JobFinished,
    JobReused,
    JobWaiting,
)
from hipart.scheduling.graph import StageGraph
from hipart.store import ArtifactStore

BASE = PipelineConfig()
RASTER = BASE.model_copy(update={"prior": PriorConfig(order="raster")})
OTHER_LIFTER = BASE.model_copy(update={"lifter": LifterConfig(seed=1)})


class Scripted:
    """Finishes what it was given, oldest first, one job a poll; fails the stages named."""

    def __init__(self, store: ArtifactStore, slots: int = 2, fails: tuple[str, ...] = ()) -> None:
        self.slots, self.fails, self.store = slots, fails, store
        self.given: list[StageJob] = []
        self.open: list[StageJob] = []

    def start(self, jobs: Sequence[StageJob]) -> None:
        (job,) = jobs
        assert len(self.open) < self.slots
        assert all(self.store.find(stage, key) for stage, key in job.needs.items())
        self.given.append(job)
        self.open.append(job)

    def poll(self, timeout_s: float) -> list[Event]:
        job = self.open.pop(0)
        if job.stage in self.fails:
            return [JobFailed(job, "as told")]
        with self.store.claim(job) as work:
            self.store.publish(job, work, {}, {})
        return [JobFinished(job, {}, 1.0)]

    def close(self) -> None:
        pass


def build(
    tmp_path: Path, slots: int = 2, fails: tuple[str, ...] = ()
) -> tuple[StageGraph, Scripted, list[Event]]:
    store = ArtifactStore(tmp_path / "store")
    store.prepare()
    executor, events = Scripted(store, slots, fails), list[Event]()
    return StageGraph(store, executor, events.append), executor, events


def test_shared_jobs_run_once(tmp_path: Path) -> None:
    graph, executor, events = build(tmp_path)
    for config in (BASE, RASTER, OTHER_LIFTER):
        graph.ensure(jobs(config, "d"))
    graph.run()
    stages = [job.stage for job in executor.given]
    assert {stage: stages.count(stage) for stage in stages} == {
        "tokenizer": 1,
        "prior": 2,
        "densify": 2,
        "lifter": 3,
        "evaluate": 3,
    }
    assert sum(isinstance(event, JobWaiting) for event in events) == 11


def test_everything_is_reused_the_second_time(tmp_path: Path) -> None:
    graph, _, _ = build(tmp_path)
    graph.ensure(jobs(BASE, "d"))
    graph.run()
    again, executor, events = build(tmp_path)
    again.ensure(jobs(BASE, "d"))
    again.run()
    assert executor.given == []
    assert [type(event) for event in events] == [JobReused] * 5


def test_one_slot_finishes_rows_early(tmp_path: Path) -> None:
    graph, executor, _ = build(tmp_path, slots=1)
    for config in (BASE, RASTER):
        graph.ensure(jobs(config, "d"))
    graph.run()
    stages = [job.stage for job in executor.given]
    assert stages[:5] == ["tokenizer", "prior", "densify", "lifter", "evaluate"]


def test_a_finished_end_does_not_ask_for_its_lost_beginnings(tmp_path: Path) -> None:
    graph, _, _ = build(tmp_path)
    graph.ensure(jobs(BASE, "d"))
    graph.run()
    found = graph._store.find("prior", jobs(BASE, "d")["prior"].key)
    assert found is not None
    found.path.rename(tmp_path / "elsewhere")
    again, executor, _ = build(tmp_path)
    again.ensure(jobs(BASE, "d"))
    again.run()
    assert executor.given == []


@pytest.mark.parametrize(("stage", "finished"), [("tokenizer", 0), ("prior", 1), ("lifter", 3)])
def test_a_failure_stops_only_what_needs_it(tmp_path: Path, stage: str, finished: int) -> None:
    graph, _, events = build(tmp_path, fails=(stage,))
    graph.ensure(jobs(BASE, "d"))
    sparse = BASE.model_copy(update={"lifter": LifterConfig(dense_input="none")})
    if stage != "lifter":
        graph.ensure(jobs(sparse, "d"))
    graph.run()
    done = [event.job for event in events if isinstance(event, JobFinished)]
    own = {job.key for job in jobs(BASE, "d").values()}
    assert sum(job.key in own for job in done) == finished
    blocked = [event for event in events if isinstance(event, JobFailed)]
    assert len(blocked) == 5 - finished
    assert blocked[0].error == "as told"
    assert all("which failed" in event.error for event in blocked[1:])
    if stage != "lifter":
        assert sum(job.key not in own for job in done) == 2


def test_asking_again_for_a_failed_job_fails_what_needs_it(tmp_path: Path) -> None:
    graph, _, events = build(tmp_path, fails=("tokenizer",))
    graph.ensure(jobs(BASE, "d"))
    graph.run()
    graph.ensure(jobs(RASTER, "d"))
    graph.run()
    assert graph.open_jobs == 0
    assert len([event for event in events if isinstance(event, JobFailed)]) == 9


class Prompted(Scripted):
    """Says of the jobs that run what it is told to, and nothing else."""

    def __init__(self, store: ArtifactStore, slots: int = 2, fails: tuple[str, ...] = ()) -> None:
        super().__init__(store, slots, fails)
        self.told: list[Event] = []

    def poll(self, timeout_s: float) -> list[Event]:
        for event in self.told:
            self.open.remove(event.job)
        told, self.told = self.told, []
        return told or super().poll(timeout_s)


def lifters_at_work(
    tmp_path: Path, others: int = 1
) -> tuple[StageGraph, Prompted, list[Event], StageJob, list[StageJob]]:
    """Lifters that run, all on one densify that was damaged meanwhile, as the first one says."""
    store = ArtifactStore(tmp_path / "store")
    store.prepare()
    executor, events = Prompted(store, slots=1 + others), list[Event]()
    trials = [
        jobs(BASE.model_copy(update={"lifter": LifterConfig(seed=seed)}), "d")
        for seed in range(1 + others)
    ]
    for stage in ("tokenizer", "prior", "densify"):
        with store.claim(trials[0][stage]) as work:
            store.publish(trials[0][stage], work, {}, {})
    graph = StageGraph(store, executor, events.append)
    for trial in trials:
        graph.ensure(trial)
    graph._start()
    densify, lifters = trials[0]["densify"], [trial["lifter"] for trial in trials]
    assert executor.open == lifters
    found = store.find("densify", densify.key)
    assert found is not None
    store.set_aside(found, "for the test")
    executor.told = [JobFailed(lifters[0], "densify is damaged", lacks=densify.key)]
    graph.pump(0)
    assert executor.open == [*lifters[1:], densify]
    return graph, executor, events, densify, lifters


def test_what_runs_while_that_which_it_needs_is_done_again_begins_anew(tmp_path: Path) -> None:
    """More of them than there are repeats: nothing is gone any more when they say so."""
    graph, executor, events, densify, lifters = lifters_at_work(tmp_path, others=4)
    executor.open.sort(key=lambda job: job is not densify)
    graph.pump(0)
    for job in lifters[1:]:
        executor.told = [JobFailed(job, "densify changed meanwhile", lacks=densify.key)]
        graph.pump(0)
    graph.run()
    assert graph.open_jobs == 0
    assert [event for event in events if isinstance(event, JobFailed)] == []
    done = [event.job.stage for event in events if isinstance(event, JobFinished)]
    assert {stage: done.count(stage) for stage in done} == {
        "densify": 1, "lifter": 5, "evaluate": 5,
    }  # fmt: skip
    assert [executor.given.count(job) for job in lifters] == [2] * 5


def test_what_runs_fails_where_that_which_it_needs_cannot_be_done_again(tmp_path: Path) -> None:
    graph, executor, events, densify, lifters = lifters_at_work(tmp_path)
    executor.told = [JobFailed(densify, "no space left")]
    graph.pump(0)
    executor.told = [JobFailed(lifters[1], "densify is not in the store", lacks=densify.key)]
    graph.run()
    assert graph.open_jobs == 0
    failed = [event for event in events if isinstance(event, JobFailed)]
    assert [event.job.stage for event in failed].count("lifter") == 2
    assert failed[0].error == "no space left"
    needs = f"needs densify/{densify.key}, which failed"
    assert {event.error for event in failed if event.job in lifters} == {needs}
