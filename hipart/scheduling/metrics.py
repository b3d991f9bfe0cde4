"""A run in numbers over time, told to Ray, whose nodes export them for Prometheus.

The driver tells what becomes of jobs and what sharing them saves, workers their steps and memory; a
process that is no part of a Ray tells nothing. The boards in ``dashboards/grafana`` draw these
numbers, and Ray's own beside them (docs/cluster.md).
"""

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from resource import RUSAGE_SELF, getrusage
from typing import Any, Literal, Protocol

from hipart.jobs import StageJob
from hipart.scheduling.events import (
    Event,
    JobDropped,
    JobFailed,
    JobFinished,
    JobRepeated,
    JobReused,
    JobStarted,
    JobWaiting,
)

#: Ray forgets a gauge that was not set for two of its report intervals, of ten seconds each.
TELL_S = 1.0
STATES = {
    JobWaiting: "waiting",
    JobStarted: "running",
    JobFinished: "finished",
    JobReused: "reused",
    JobFailed: "failed",
    JobRepeated: "waiting",
    JobDropped: "dropped",
}
#: The states that are counted; jobs that are dropped are no longer.
SHOWN = ("waiting", "running", "finished", "reused", "failed")
#: Seconds of a job, from nothing at all to a night.
BOUNDS_S = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4]


@dataclass(frozen=True)
class Measure:
    """A number that a process tells Ray, and what it is."""

    name: str
    kind: Literal["Counter", "Gauge", "Histogram"]
    labels: tuple[str, ...]
    what: str

    @property
    def series(self) -> tuple[str, ...]:
        """Its names in Prometheus. A histogram's sum is left out: Ray only guesses it."""
        endings = {"Counter": ("_total",), "Gauge": ("",), "Histogram": ("_bucket", "_count")}
        return tuple(f"ray_{self.name}{ending}" for ending in endings[self.kind])

    def made(self) -> Any:
        """Ray's own object for it."""
        from ray.util import metrics

        more = {"boundaries": BOUNDS_S} if self.kind == "Histogram" else {}
        return getattr(metrics, self.kind)(self.name, self.what, tag_keys=self.labels, **more)


JOBS = Measure(
    "hipart_jobs", "Gauge", ("stage", "state"), "Distinct stage jobs of the commands that run"
)
TRAINED = Measure(
    "hipart_trained_seconds", "Counter", ("stage",), "What the jobs that were done took"
)
SAVED = Measure(
    "hipart_saved_seconds",
    "Counter",
    ("stage",),
    "What trials would have taken more, had each of them done all of its jobs itself",
)
DURATION = Measure("hipart_job_seconds", "Histogram", ("stage",), "How long jobs take")
STEPS = Measure("hipart_steps", "Counter", ("stage",), "Training steps, of each job of an array")
MEMORY = Measure(
    "hipart_device_memory_bytes",
    "Gauge",
    ("device",),
    "The most that a worker has taken of a GPU's memory, or of its machine's if it has no GPU",
)
MEASURES = (JOBS, TRAINED, SAVED, DURATION, STEPS, MEMORY)


def connected() -> bool:
    """Whether this process is part of a Ray, which alone exports anything."""
    ray = sys.modules.get("ray")
    return ray is not None and ray.is_initialized()


class Known(Protocol):
    """What is asked of a store: artifacts that say what they took."""

    def find(self, stage: str, key: str, /) -> Any:
        """A finished job's artifact, if there is one."""
        ...


class RunMetrics:
    """A listener of the stage graph that counts, and a thread that tells Ray where jobs stand."""

    def __init__(self, store: Known) -> None:
        self._store = store
        self._on = connected()
        #: Jobs by stage and state; where each stands; which trials asked for it; what it took.
        self._counts: dict[tuple[str, str], int] = {}
        self._states: dict[str, str] = {}
        self._trials: defaultdict[str, set[Hashable]] = defaultdict(set)
        self._seconds: dict[str, float] = {}
        self._over = threading.Event()
        if self._on:
            self._jobs, self._trained = JOBS.made(), TRAINED.made()
            self._saved, self._duration = SAVED.made(), DURATION.made()
            self._thread = threading.Thread(target=self._keep, name="metrics", daemon=True)
            self._thread.start()

    def asked(self, trial: Hashable, jobs: Mapping[str, StageJob]) -> None:
        """A trial stands on these jobs: whichever it does not have to do itself are saved."""
        if not self._on:
            return
        for job in jobs.values():
            trials = self._trials[job.key]
            if trial not in trials:
                trials.add(trial)
                _add(self._saved, job, self._seconds.get(job.key, 0.0))

    def __call__(self, event: Event) -> None:
        """Count what happened to a job."""
        state = STATES.get(type(event))
        if not self._on or state is None:
            return
        job = event.job
        self._move(job, state)
        if isinstance(event, JobFinished):
            _add(self._trained, job, event.seconds)
            self._duration.observe(event.seconds, {"stage": job.stage})
            self._took(job, event.seconds, len(self._trials[job.key]) - 1)
        elif isinstance(event, JobReused):
            artifact = self._store.find(job.stage, job.key)
            if artifact is not None:
                self._took(job, artifact.provenance["seconds"], len(self._trials[job.key]))

    def close(self) -> None:
        """Tell where jobs stand for the last time."""
        if self._on:
            self._over.set()
            self._thread.join()
            self._tell()

    def _move(self, job: StageJob, state: str) -> None:
        if (job.stage, state) not in self._counts:
            for shown in SHOWN:
                self._counts.setdefault((job.stage, shown), 0)
        for moved, by in ((self._states.get(job.key), -1), (state, 1)):
            if moved in SHOWN:
                self._counts[job.stage, moved] += by
        self._states[job.key] = state

    def _took(self, job: StageJob, seconds: float, others: int) -> None:
        """It is known what a job took, and how many trials do not do it themselves."""
        if job.key not in self._seconds:
            self._seconds[job.key] = seconds
            _add(self._saved, job, seconds * others)

    def _keep(self) -> None:
        while not self._over.wait(TELL_S):
            self._tell()

    def _tell(self) -> None:
        if connected():  # a search may leave one Ray for another
            for (stage, state), count in list(self._counts.items()):
                self._jobs.set(count, {"stage": stage, "state": state})


class WorkerMetrics:
    """What a worker tells while it trains."""

    def __init__(self) -> None:
        self._on = connected()
        self._step: dict[str, int] = {}
        self._told_at = 0.0
        if self._on:
            self._steps, self._memory = STEPS.made(), MEMORY.made()

    def moved(self, job: StageJob, step: int) -> None:
        """A job reached a step. Its first report only says where it began: it may have resumed."""
        if not self._on:
            return
        _add(self._steps, job, step - self._step.get(job.key, step))
        self._step[job.key] = step
        if time.monotonic() - self._told_at > TELL_S:
            self._tell_memory()

    def ended(self) -> None:
        """The jobs given have ended."""
        if self._on:
            self._step.clear()
            self._tell_memory()

    def _tell_memory(self) -> None:
        device, taken = _memory()
        self._memory.set(taken, {"device": device})
        self._told_at = time.monotonic()


def _add(counter: Any, job: StageJob, value: float) -> None:
    """Ray refuses to add nothing."""
    if value > 0:
        counter.inc(value, {"stage": job.stage})


def _memory() -> tuple[str, float]:
    """The device that this process works on, and the most bytes of it that it has taken."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return "CPU", 1024.0 * getrusage(RUSAGE_SELF).ru_maxrss
    import ray

    numbers = ray.get_runtime_context().get_accelerator_ids()["GPU"]
    return f"GPU {', '.join(numbers)}", float(torch.cuda.max_memory_reserved())
