"""The executor on Ray: long-lived worker actors, each with its share of a device.

A Ray task would start a process anew for every GPU job; an actor imports torch and builds the
corpus once. Progress is asked for by the driver, so a worker never waits for it.
"""

import logging
import os
import threading
import warnings
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hipart.pipeline import StageJob
from hipart.provenance import code_version
from hipart.runtime import Runtime
from hipart.scheduling.events import Event, JobFailed, JobFinished, JobProgress, JobStarted
from hipart.scheduling.executor import Outcome, Workplace, reason

#: How often a job is tried again after its worker died.
RETRIES = 2


class Report(NamedTuple):
    """Where a job stands."""

    key: str
    step: int
    total: int
    metrics: dict[str, float]


class PoolWorker:
    """The actor: runs one job in one thread and answers ``progress`` in the other."""

    def __init__(self, workplace: Any) -> None:
        code_version()  # as of now: the checkout may change while jobs run
        self._workplace = workplace
        self._lock = threading.Lock()
        self._latest: Report | None = None

    def run(self, job: StageJob) -> Any:
        """Do the job; returns its outcome, or the reason why it failed."""
        from hipart.scheduling.worker import run_job

        def report(step: int, total: int, metrics: dict[str, float]) -> None:
            with self._lock:
                self._latest = Report(job.key, step, total, metrics)

        try:
            return run_job(job, self._workplace, report)
        except Exception as error:
            return reason(error)

    def progress(self) -> Report | None:
        """The newest report that was not yet asked for."""
        with self._lock:
            latest, self._latest = self._latest, None
        return latest


@dataclass
class _Slot:
    number: int
    actor: Any
    job: StageJob | None = None
    result: Any = None
    progress: Any = None
    attempts: int = field(default=0)


class RayPool:
    """Executor over a local Ray or the cluster at ``runtime.address``.

    Raises ``ValueError`` at once if the share asked for fits on no node: Ray itself would wait
    for ever.
    """

    def __init__(self, runtime: Runtime, max_workers: int) -> None:
        import ray

        _check_fraction(runtime)
        self._runtime = runtime
        self._ray = ray
        self._owns_ray = not ray.is_initialized()
        if self._owns_ray:
            _start_ray(runtime)
        wanted = min(self._capacity(), runtime.workers or max_workers, max_workers)
        self._slots = [_Slot(number, self._actor()) for number in range(max(1, wanted))]
        self._events: list[Event] = []

    @property
    def slots(self) -> int:
        """Number of workers."""
        return len(self._slots)

    def start(self, job: StageJob) -> None:
        """Give the job to a free worker."""
        slot = next(slot for slot in self._slots if slot.job is None)
        slot.job, slot.attempts = job, 0
        slot.result = slot.actor.run.remote(job)
        self._events.append(JobStarted(job, f"worker {slot.number}"))

    def poll(self, timeout_s: float) -> list[Event]:
        """Wait for a job to end; hand over what happened, progress included."""
        events, self._events = self._events, []
        busy = {slot.result: slot for slot in self._slots if slot.job is not None}
        if busy:
            ended, _ = self._ray.wait(list(busy), timeout=0 if events else timeout_s)
            for reference in ended:
                events += self._end(busy[reference])
        return events + self._gather_progress()

    def close(self) -> None:
        """Stop the workers, and Ray if this pool started it."""
        for slot in self._slots:
            self._ray.kill(slot.actor)
        if self._owns_ray:
            self._ray.shutdown()

    def _end(self, slot: _Slot) -> list[Event]:
        job = slot.job
        assert job is not None
        try:
            result = self._ray.get(slot.result)
        except self._ray.exceptions.RayActorError as error:
            slot.actor, slot.progress = self._actor(), None
            slot.attempts += 1
            if slot.attempts <= RETRIES:
                slot.result = slot.actor.run.remote(job)
                return [JobStarted(job, f"worker {slot.number}, try {slot.attempts + 1}")]
            result = f"its worker died {slot.attempts} times ({type(error).__name__})"
        slot.job = slot.result = None
        if isinstance(result, Outcome):
            return [JobFinished(job, result.metrics, result.seconds)]
        return [JobFailed(job, str(result))]

    def _gather_progress(self) -> list[Event]:
        events: list[Event] = []
        for slot in self._slots:
            if slot.progress is None and slot.job is not None:
                slot.progress = slot.actor.progress.remote()
        asked = {slot.progress: slot for slot in self._slots if slot.progress is not None}
        ready, _ = (
            self._ray.wait(list(asked), num_returns=len(asked), timeout=0) if asked else ([], [])
        )
        for reference in ready:
            slot = asked[reference]
            slot.progress = None
            try:
                latest = self._ray.get(reference)
            except self._ray.exceptions.RayActorError:
                continue
            if latest is not None and slot.job is not None and latest.key == slot.job.key:
                events.append(JobProgress(slot.job, *latest[1:]))
        return events

    def _actor(self) -> Any:
        runtime = self._runtime
        workplace = Workplace(
            store=runtime.store.absolute(),
            motion=runtime.motion.absolute() if runtime.motion else None,
            threads=max(1, int(runtime.cpus_per_job)),
            use_gpu=runtime.gpus_per_job > 0,
        )
        return (
            self._ray.remote(PoolWorker)
            .options(
                num_cpus=runtime.cpus_per_job,
                num_gpus=runtime.gpus_per_job,
                max_concurrency=2,
            )
            .remote(workplace)
        )

    def _capacity(self) -> int:
        """Workers that fit on the cluster, node by node."""
        total = 0
        largest = {"CPU": 0.0, "GPU": 0.0}
        for node in self._ray.nodes():
            resources = node.get("Resources", {})
            shares = [resources.get("CPU", 0.0) / self._runtime.cpus_per_job]
            if self._runtime.gpus_per_job:
                shares.append(resources.get("GPU", 0.0) / self._runtime.gpus_per_job)
            total += int(min(shares))
            largest = {kind: max(largest[kind], resources.get(kind, 0.0)) for kind in largest}
        if total == 0:
            raise ValueError(
                f"a job asks for {self._runtime.cpus_per_job:g} CPU and "
                f"{self._runtime.gpus_per_job:g} GPU, but the largest node has "
                f"{largest['CPU']:g} CPU and {largest['GPU']:g} GPU: lower --cpus-per-job or "
                "--gpus-per-job"
            )
        return total


def _check_fraction(runtime: Runtime) -> None:
    for option, share in (
        ("--cpus-per-job", runtime.cpus_per_job),
        ("--gpus-per-job", runtime.gpus_per_job),
    ):
        lowest_allowed = share > 0 or (option == "--gpus-per-job" and share == 0)
        if not lowest_allowed or (share > 1 and share != int(share)):
            raise ValueError(f"{option} {share:g}: a share is between 0 and 1, or a whole number")


def _start_ray(runtime: Runtime) -> None:
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_DISABLE_IMPORT_WARNING", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if runtime.address:
            ray.init(address=runtime.address, log_to_driver=False, logging_level=logging.ERROR)
        else:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
