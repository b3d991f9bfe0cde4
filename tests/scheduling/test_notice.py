"""A worker that is told to end leaves a checkpoint, and another goes on from it."""

import os
import signal
import time
from pathlib import Path

import pytest

from hipart.data.corpus import fingerprint
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.jobs import jobs
from hipart.runtime import Runtime
from hipart.scheduling.events import Event, JobFinished, JobProgress, JobStarted
from hipart.scheduling.graph import StageGraph
from hipart.scheduling.ray_pool import RETRIES, RayPool
from hipart.store import ArtifactStore

pytestmark = pytest.mark.slow

CONFIG = with_changes(base_at_scale("smoke"), {"tokenizer.epochs": 400})
TIMES = RETRIES + 1


def test_a_notice_costs_a_step_however_often_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More often than a worker may die: machines that are taken away do not count."""
    monkeypatch.setenv("HIPART_CHECKPOINT_SECONDS", "1000")
    runtime = Runtime(tmp_path)
    store = ArtifactStore(runtime.store)
    store.prepare()
    events: list[Event] = []
    found = jobs(CONFIG, fingerprint(CONFIG.data), ("tokenizer",))
    job = found["tokenizer"]
    pool = RayPool(runtime, 1, [job])
    told: list[tuple[int, float]] = []
    try:
        graph = StageGraph(store, pool, events.append)
        graph.ensure(found)
        while graph.open_jobs:
            graph.pump(0.1)
            started = [n for n, event in enumerate(events) if isinstance(event, JobStarted)]
            since = events[started[-1] :] if started else []
            moving = any(isinstance(event, JobProgress) for event in since)
            if moving and len(started) > len(told) and len(told) < TIMES:
                call = pool._slots[0].actor.__ray_call__.remote(lambda _: os.getpid())
                pid = pool._ray.get(call)
                told.append((pid, time.monotonic()))
                os.kill(pid, signal.SIGTERM)
                while _lives(pid):
                    graph.pump(0.1)
                assert time.monotonic() - told[-1][1] < 5
                while len([e for e in events if isinstance(e, JobStarted)]) == len(started):
                    graph.pump(0.1)  # another starts, which takes what starting takes
    finally:
        pool.close()
    assert len({pid for pid, _ in told}) == TIMES
    assert isinstance(events[-1], JobFinished)
    found = store.find("tokenizer", job.key)
    assert found is not None
    assert found.provenance["resumed"]
    firsts = []
    for place, event in enumerate(events):
        if isinstance(event, JobStarted):
            later = (one.step for one in events[place:] if isinstance(one, JobProgress))
            firsts.append(next(later))
    assert firsts == sorted(firsts), "each try goes on where the one before ended"
    assert len(firsts) == TIMES + 1


def _lives(pid: int) -> bool:
    """Whether a process still runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
