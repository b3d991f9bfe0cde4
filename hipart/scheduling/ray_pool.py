"""The executor on Ray: long-lived worker actors, each with its share of a device.

A Ray task would start a process anew for every GPU job; an actor imports torch and builds the
corpus once. Progress is asked for by the driver, so a worker never waits for it.
"""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hipart.jobs import StageJob
from hipart.runtime import Runtime
from hipart.scheduling.events import Event, JobFailed, JobProgress, JobStarted
from hipart.scheduling.executor import STAGES, Failure, Result, Workplace, ended
from hipart.scheduling.ray_start import start_ray
from hipart.scheduling.ray_worker import PoolWorker

#: How often jobs are tried again after their worker died.
RETRIES = 2
#: How often a worker may end before it has started.
FALSE_STARTS = 5
#: How long workers are left alone before they are asked again where their jobs stand: a question
#: costs a busy worker 3 ms.
PROGRESS_S = 1.0


@dataclass
class _Array:
    """Jobs that train together, and how often they were tried."""

    jobs: list[StageJob]
    attempts: int = 0


@dataclass
class _Slot:
    number: int
    actor: Any
    #: The answer that says that the actor has started; None once it has.
    starting: Any
    array: _Array | None = None
    result: Any = None
    progress: Any = None
    #: When its jobs were given, or last moved on; and why it was ended, where the watchdog did.
    moved_at: float = 0.0
    hung: str = ""
    #: How often in a row it ended before it had started; and why it is not tried again.
    false_starts: int = 0
    broken: str = ""

    @property
    def jobs(self) -> list[StageJob]:
        """What it works on."""
        return self.array.jobs if self.array else []


class RayPool:
    """Executor over a local Ray or the cluster at ``runtime.address``.

    ``expected`` are jobs that will come: workers load what these need while they start. Jobs go to
    whichever worker has started and is free, so one whose node is lost, or has not come yet, holds
    up nothing. Raises ``ValueError`` at once if the share asked for fits on no node: Ray itself
    would wait for ever. With ``runtime.autoscale`` nodes come when they are asked for, and there
    are as many workers as ``runtime.workers`` says.
    """

    def __init__(
        self,
        runtime: Runtime,
        max_workers: int,
        expected: Sequence[StageJob] = (),
        stages: str = STAGES,
    ) -> None:
        import ray

        _check_fraction(runtime)
        self._runtime = runtime
        self._ray = ray
        self._owns_ray = not ray.is_initialized()
        if self._owns_ray:
            start_ray(runtime)
        self._workplace = Workplace.of(runtime, stages)
        # One job of each stage tells what to load; the first one's data are the likeliest.
        self._expected = list({job.stage: job for job in reversed(expected)}.values())[::-1]
        try:
            room = runtime.workers if runtime.autoscale else self._capacity()
        except ValueError:
            self._leave_ray()
            raise
        wanted = min(room or 1, runtime.workers or max_workers, max_workers)
        self._slots = [self._slot(number) for number in range(max(1, wanted))]
        self._waiting: deque[_Array] = deque()
        self._events: list[Event] = []
        self._asked_at = 0.0

    @property
    def slots(self) -> int:
        """Number of workers."""
        return len(self._slots)

    def start(self, jobs: Sequence[StageJob]) -> None:
        """Give the jobs to a free worker, as one array; or to the next that is."""
        self._waiting.append(_Array(list(jobs)))
        self._events += self._assign()

    def poll(self, timeout_s: float) -> list[Event]:
        """Wait for an array to end; hand over what happened, progress included."""
        events, self._events = self._events, []
        awaited = {slot.result: slot for slot in self._slots if slot.array is not None}
        awaited |= {slot.starting: slot for slot in self._slots if slot.starting is not None}
        if awaited:
            ready, _ = self._ray.wait(list(awaited), timeout=0 if events else timeout_s)
            for reference in ready:
                slot = awaited[reference]
                if reference == slot.starting:
                    self._started(slot)
                else:
                    events += self._end(slot)
        events += self._assign()
        events += self._gather_progress()
        self._watch()
        return events

    def close(self) -> None:
        """Stop the workers, and Ray if this pool started it."""
        for slot in self._slots:
            self._ray.kill(slot.actor)
        self._leave_ray()

    def _leave_ray(self) -> None:
        if self._owns_ray:
            self._ray.shutdown()

    def _started(self, slot: _Slot) -> None:
        try:
            self._ray.get(slot.starting)
            slot.starting, slot.false_starts = None, 0
        except self._ray.exceptions.RayActorError as error:
            slot.false_starts += 1
            slot.broken = str(error).splitlines()[0] if slot.false_starts > FALSE_STARTS else ""
            if slot.broken:
                slot.starting = None
            else:  # its node is gone: it is placed elsewhere
                self._renew(slot)

    def _renew(self, slot: _Slot) -> None:
        """Another process for a slot, wherever there is room, once there is."""
        new = self._slot(slot.number)
        slot.actor, slot.starting = new.actor, new.starting
        slot.array = slot.result = slot.progress = None

    def _assign(self) -> list[Event]:
        """Give what waits to workers that have started and are free."""
        events: list[Event] = []
        for slot in self._slots:
            if self._waiting and slot.array is None and slot.starting is None and not slot.broken:
                events += self._give(slot, self._waiting.popleft())
        if all(slot.broken for slot in self._slots):
            why = f"no worker could be started: {self._slots[0].broken}"
            while self._waiting:
                events += [JobFailed(job, why) for job in self._waiting.popleft().jobs]
        return events

    def _give(self, slot: _Slot, array: _Array) -> list[Event]:
        slot.array, slot.moved_at, slot.hung = array, time.monotonic(), ""
        slot.result = slot.actor.run.remote(array.jobs)
        again = f", try {array.attempts + 1}" if array.attempts else ""
        worker = f"worker {slot.number}{again}"
        return [JobStarted(job, worker, len(array.jobs)) for job in array.jobs]

    def _end(self, slot: _Slot) -> list[Event]:
        array = slot.array
        assert array is not None
        results: list[Result]
        try:
            results = self._ray.get(slot.result)
        except self._ray.exceptions.RayActorError as error:
            why = slot.hung or type(error).__name__
            self._renew(slot)
            array.attempts += 1
            if array.attempts <= RETRIES:
                self._waiting.appendleft(array)
                return []
            died = f"its worker died {array.attempts} times ({why})"
            results = [Failure(died) for _ in array.jobs]
        if any(isinstance(one, Failure) and one.interrupted for one in results):
            # Its machine is taken away: another goes on from the checkpoint, as often as it takes.
            self._ray.kill(slot.actor)
            self._renew(slot)
            self._waiting.appendleft(array)
            return []
        slot.array = slot.result = None
        return ended(array.jobs, results)

    def _gather_progress(self) -> list[Event]:
        """Answers to the last question; a new one if it was long ago."""
        now = time.monotonic()
        if now - self._asked_at > PROGRESS_S:
            self._asked_at = now
            for slot in self._slots:
                if slot.progress is None and slot.array is not None:
                    slot.progress = slot.actor.progress.remote()
        asked = {slot.progress: slot for slot in self._slots if slot.progress is not None}
        if not asked:
            return []
        events: list[Event] = []
        ready, _ = self._ray.wait(list(asked), num_returns=len(asked), timeout=0)
        for reference in ready:
            slot = asked[reference]
            slot.progress = None
            try:
                latest = self._ray.get(reference)
            except self._ray.exceptions.RayActorError:
                continue
            slot.moved_at = time.monotonic() if latest else slot.moved_at
            events += [JobProgress(job, *latest[job.key]) for job in slot.jobs if job.key in latest]
        return events

    def _watch(self) -> None:
        """End workers whose jobs stand still, as if they had died: foreign code may hang."""
        limit = self._runtime.watchdog_s
        for slot in self._slots:
            stands = time.monotonic() - slot.moved_at
            if slot.array is not None and not slot.hung and stands > limit:
                slot.hung = f"no progress for {stands:.0f} s"
                self._ray.kill(slot.actor)

    def _slot(self, number: int) -> _Slot:
        actor = self._actor()
        return _Slot(number, actor, starting=actor.progress.remote())

    def _actor(self) -> Any:
        runtime = self._runtime
        return (
            self._ray.remote(PoolWorker)
            .options(
                num_cpus=runtime.cpus,
                num_gpus=runtime.gpus_per_job,
                max_concurrency=2,
            )
            .remote(self._workplace, self._expected)
        )

    def _capacity(self) -> int:
        """Workers that fit on the cluster, node by node."""
        total = 0
        largest = {"CPU": 0.0, "GPU": 0.0}
        for node in self._ray.nodes():
            resources = node.get("Resources", {})
            shares = [resources.get("CPU", 0.0) / self._runtime.cpus]
            if self._runtime.gpus_per_job:
                shares.append(resources.get("GPU", 0.0) / self._runtime.gpus_per_job)
            total += int(min(shares))
            largest = {kind: max(largest[kind], resources.get(kind, 0.0)) for kind in largest}
        if total == 0:
            raise ValueError(
                f"a job asks for {self._runtime.cpus:g} CPU and "
                f"{self._runtime.gpus_per_job:g} GPU, but the largest node has "
                f"{largest['CPU']:g} CPU and {largest['GPU']:g} GPU: lower --cpus-per-job or "
                "--gpus-per-job"
            )
        return total


def _check_fraction(runtime: Runtime) -> None:
    for option, share in (
        ("--cpus-per-job", runtime.cpus),
        ("--gpus-per-job", runtime.gpus_per_job),
    ):
        lowest_allowed = share > 0 or (option == "--gpus-per-job" and share == 0)
        if not lowest_allowed or (share > 1 and share != int(share)):
            raise ValueError(f"{option} {share:g}: a share is between 0 and 1, or a whole number")
