"""A worker that dies costs its job a new start from the last checkpoint, and no more."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from hipart.data.corpus import fingerprint
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.jobs import StageJob, jobs
from hipart.runtime import Runtime
from hipart.scheduling.events import Event, JobFailed, JobFinished, JobProgress, JobStarted
from hipart.scheduling.ray_pool import RETRIES, RayPool
from hipart.store import ArtifactStore

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RayPool, ArtifactStore]]:
    runtime = Runtime(tmp_path_factory.mktemp("workspace"), workers=1)
    store = ArtifactStore(runtime.store)
    store.prepare()
    pool = RayPool(runtime, 1, expected=[long_job(seed=1)])
    yield pool, store
    pool.close()


def long_job(seed: int, epochs: int = 150) -> StageJob:
    """A job of some seconds."""
    changes = {"tokenizer.epochs": epochs, "tokenizer.seed": seed}
    config = with_changes(base_at_scale("smoke"), changes)
    return jobs(config, fingerprint(config.data))["tokenizer"]


def kill_worker(pool: RayPool) -> None:
    """Kill the process that does the job."""
    import ray

    pid = ray.get(pool._slots[0].actor.__ray_call__.remote(lambda _: os.getpid()))
    os.kill(pid, signal.SIGKILL)


def run(pool: RayPool, *jobs: StageJob, kills: int) -> list[Event]:
    """Do an array, killing its worker whenever it has got somewhere, at most so many times."""
    pool.start(jobs)
    events: list[Event] = []
    end = time.monotonic() + 120
    while sum(isinstance(event, JobFinished | JobFailed) for event in events) < len(jobs):
        assert time.monotonic() < end
        new = pool.poll(0.1)
        events += new
        if kills and any(isinstance(event, JobProgress) for event in new):
            kill_worker(pool)
            kills -= 1
    return events


def test_a_job_goes_on_in_a_new_worker(pool: tuple[RayPool, ArtifactStore]) -> None:
    executor, store = pool
    job = long_job(seed=1)
    events = run(executor, job, kills=1)
    starts = [event.worker for event in events if isinstance(event, JobStarted)]
    assert starts == ["worker 0", "worker 0, try 2"]
    assert isinstance(events[-1], JobFinished)
    found = store.find(job.stage, job.key)
    assert found is not None
    # It was loaded while the worker started: the job waited for nothing.
    startup = found.provenance["startup"]
    assert startup["worker_s"] > 0
    assert startup["data_s"] + startup["import_s"] < 0.1


def test_retries_are_bounded(pool: tuple[RayPool, ArtifactStore]) -> None:
    executor, store = pool
    job = long_job(seed=2)
    events = run(executor, job, kills=RETRIES + 1)
    last = events[-1]
    assert isinstance(last, JobFailed)
    assert f"its worker died {RETRIES + 1} times" in last.error
    assert job not in store
    assert isinstance(run(executor, long_job(seed=3), kills=0)[-1], JobFinished)


def test_an_array_goes_on_whole_in_a_new_worker(pool: tuple[RayPool, ArtifactStore]) -> None:
    executor, store = pool
    members = [long_job(seed, epochs=40) for seed in (4, 5)]
    events = run(executor, *members, kills=1)
    starts = [(event.worker, event.members) for event in events if isinstance(event, JobStarted)]
    assert starts == [("worker 0", 2)] * 2 + [("worker 0, try 2", 2)] * 2
    assert all(job in store for job in members)
