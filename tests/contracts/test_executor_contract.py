"""What every executor promises, on real stages at smoke scale."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import ray

from hipart.data.corpus import fingerprint
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.jobs import StageJob, jobs
from hipart.runtime import Runtime
from hipart.scheduling.events import Event, JobFailed, JobFinished, JobProgress, JobStarted
from hipart.scheduling.executor import Executor, Workplace
from hipart.scheduling.inline import InlineExecutor
from hipart.scheduling.ray_pool import RayPool
from hipart.store import ArtifactStore

CONFIG = base_at_scale("smoke")
DATA = fingerprint(CONFIG.data)
JOBS = jobs(CONFIG, DATA)


class Heard(list[Event]):
    """Everything that an executor said, in order."""

    def until_ended(self, executor: Executor, count: int) -> None:
        end = time.monotonic() + 120
        while sum(isinstance(event, JobFinished | JobFailed) for event in self) < count:
            assert time.monotonic() < end, "an executor must end every job"
            self.extend(executor.poll(0.2))

    def of(self, job: StageJob) -> list[Event]:
        return [event for event in self if event.job.key == job.key]


def inline(runtime: Runtime, heard: Heard) -> Executor:
    return InlineExecutor(Workplace(runtime.store, None, 1, False), heard.append)


def ray_pool(runtime: Runtime, heard: Heard) -> Executor:
    return RayPool(runtime, 2)


EXECUTORS: list[Callable[[Runtime, Heard], Executor]] = [inline, ray_pool]


@pytest.mark.parametrize(
    ("share", "message"),
    [
        (
            {"cpus_per_job": 1.5},
            "--cpus-per-job 1.5: a share is between 0 and 1, or a whole number",
        ),
        ({"cpus_per_job": 0.0}, "--cpus-per-job 0: a share"),
        ({"gpus_per_job": -0.5}, "--gpus-per-job -0.5: a share"),
        ({"cpus_per_job": 4096.0}, "largest node has .* lower --cpus-per-job"),
    ],
)
def test_a_share_that_fits_nowhere_is_refused_at_once(
    share: dict[str, float], message: str, tmp_path: Path
) -> None:
    before = ray.is_initialized()
    with pytest.raises(ValueError, match=message):
        RayPool(Runtime(tmp_path, **share), 1)
    assert ray.is_initialized() == before


@pytest.fixture(params=EXECUTORS, ids=lambda build: build.__name__, scope="module")
def started(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Executor, ArtifactStore, Heard]]:
    runtime = Runtime(tmp_path_factory.mktemp("workspace").absolute())
    store = ArtifactStore(runtime.store)
    store.prepare()
    heard = Heard()
    executor = request.param(runtime, heard)
    yield executor, store, heard
    executor.close()


def test_every_stage_runs_and_says_so(started: tuple[Executor, ArtifactStore, Heard]) -> None:
    executor, store, heard = started
    for done, job in enumerate(JOBS.values(), start=1):
        executor.start([job])
        heard.until_ended(executor, done)
        assert job in store
        events = heard.of(job)
        assert isinstance(events[0], JobStarted)
        assert isinstance(events[-1], JobFinished)
        found = store.find(job.stage, job.key)
        assert found is not None
        assert events[-1].metrics == found.metrics
        assert events[-1].seconds > 0
        for event in events:
            if isinstance(event, JobProgress):
                assert 0 < event.step <= event.total


def test_a_job_that_fails_says_why_and_the_next_one_runs(
    started: tuple[Executor, ArtifactStore, Heard],
) -> None:
    executor, store, heard = started
    heard.clear()
    wrong = jobs(CONFIG, "0123456789abcdef")["tokenizer"]
    right = jobs(
        CONFIG.model_copy(update={"tokenizer": CONFIG.tokenizer.model_copy(update={"seed": 5})}),
        fingerprint(CONFIG.data),
    )["tokenizer"]
    executor.start([wrong])
    heard.until_ended(executor, 1)
    executor.start([right])
    heard.until_ended(executor, 2)
    last = heard.of(wrong)[-1]
    assert isinstance(last, JobFailed)
    assert "fingerprint" in last.error
    assert wrong not in store
    assert isinstance(heard.of(right)[-1], JobFinished)


def test_finished_work_is_taken_not_done_again(
    started: tuple[Executor, ArtifactStore, Heard],
) -> None:
    executor, store, heard = started
    heard.clear()
    job = JOBS["tokenizer"]
    before = store.find(job.stage, job.key)
    assert before is not None
    executor.start([job])
    heard.until_ended(executor, 1)
    after = store.find(job.stage, job.key)
    assert after is not None
    assert before.provenance == after.provenance


def test_a_job_begins_where_the_one_that_it_continues_ended(
    started: tuple[Executor, ArtifactStore, Heard],
) -> None:
    executor, store, heard = started
    heard.clear()
    short, long = (
        jobs(with_changes(CONFIG, {"lifter.dense_input": "none", "lifter.epochs": epochs}), DATA)[
            "lifter"
        ]
        for epochs in (1, 3)
    )
    executor.start([replace(short, resumable=True)])
    heard.until_ended(executor, 1)
    executor.start([replace(long, continues=short.key)])
    heard.until_ended(executor, 2)
    found = store.find(long.stage, long.key)
    assert found is not None
    assert found.provenance["continued"] == short.key
    assert found.identity == long.identity


def test_every_member_of_an_array_ends_by_itself(
    started: tuple[Executor, ArtifactStore, Heard],
) -> None:
    executor, store, heard = started
    heard.clear()
    members = []
    for seed in (7, 8):
        tokenizer = CONFIG.tokenizer.model_copy(update={"seed": seed})
        config = CONFIG.model_copy(update={"tokenizer": tokenizer})
        members.append(jobs(config, fingerprint(CONFIG.data))["tokenizer"])
    executor.start(members)
    heard.until_ended(executor, 2)
    for job in members:
        events = heard.of(job)
        assert isinstance(events[0], JobStarted)
        assert events[0].members == 2
        assert isinstance(events[-1], JobFinished)
        found = store.find(job.stage, job.key)
        assert found is not None
        assert found.metrics == events[-1].metrics
        assert found.provenance["array"] == 2
        assert found.identity == job.identity
    first, second = (store.find(job.stage, job.key) for job in members)
    assert first is not None and second is not None
    assert first.metrics != second.metrics
