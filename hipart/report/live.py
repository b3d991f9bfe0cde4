"""What a person sees while a run goes on: a live view on a terminal, log lines elsewhere."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table as RichTable
from rich.text import Text

from hipart.jobs import StageJob
from hipart.pipeline import FINAL_STAGE, SIDE_STAGES
from hipart.scheduling.events import (
    Event,
    JobDropped,
    JobFailed,
    JobFinished,
    JobProgress,
    JobRepeated,
    JobReused,
    JobStarted,
    JobWaiting,
)

#: Steps of the run over which a job's pace is measured.
PACE_WINDOW = 20
LAST = (FINAL_STAGE, *SIDE_STAGES)
LINE_SECONDS = 5.0


@dataclass
class Running:
    """A job in progress."""

    job: StageJob
    worker: str
    started: float
    #: Jobs of its array, which end together.
    members: int = 1
    step: int = 0
    total: int = 0
    loss: float | None = None

    def __post_init__(self) -> None:
        self.points: deque[tuple[float, int]] = deque(maxlen=PACE_WINDOW)

    def move(self, event: JobProgress, now: float) -> None:
        """Take in a report."""
        self.step, self.total = event.step, event.total
        self.loss = event.metrics.get("loss", self.loss)
        self.points.append((now, event.step))

    def left_s(self) -> float | None:
        """Seconds to the job's end at its present pace."""
        if len(self.points) < 2 or self.points[-1][1] == self.points[0][1]:
            return None
        (t0, s0), (t1, s1) = self.points[0], self.points[-1]
        return (self.total - self.step) * (t1 - t0) / (s1 - s0)


class Progress:
    """The run's state as events tell it; the views only draw it."""

    def __init__(
        self,
        expected_s: Callable[[StageJob], float | None],
        workers: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._expected_s = expected_s
        self._clock = clock
        self.workers = workers
        self.waiting: dict[str, StageJob] = {}
        self.running: dict[str, Running] = {}
        self.reused = self.done = 0
        self.failures: dict[str, str] = {}
        self._spent: dict[str, list[float]] = {}
        #: By stage of the waiting jobs: their number, known seconds, and how many are unknown.
        self._asked: dict[str, list[float]] = {}
        self.started = self._clock()

    def hear(self, event: Event) -> None:
        """Take in one event."""
        key = event.job.key
        match event:
            case JobWaiting(job):
                self.waiting[key] = job
                self._count(job, 1)
            case JobRepeated(job):
                self.running.pop(key, None)
                self.waiting[key] = job
                self._count(job, 1)
            case JobReused():
                self.reused += 1
            case JobDropped():
                self._leave(key)
            case JobStarted(job, worker, members):
                self._leave(key)
                self.running[key] = Running(job, worker, self._clock(), members)
            case JobProgress():
                if key in self.running:
                    self.running[key].move(event, self._clock())
            case JobFinished(job, _, seconds):
                self.running.pop(key, None)
                self.done += 1
                self._spent.setdefault(job.stage, []).append(seconds)
            case JobFailed(_, error):
                self._leave(key)
                self.running.pop(key, None)
                self.failures[key] = error

    def left_s(self) -> float | None:
        """Seconds to the run's end: open work over the workers; None if nothing tells."""
        work = 0.0
        for stage, (count, seconds, unknown) in self._asked.items():
            typical = self._typical(stage)
            if typical is None and unknown:
                return None
            work += seconds if typical is None else count * typical
        for running in self.running.values():
            left = running.left_s()
            if left is not None:
                left /= running.members
            else:
                typical = self._typical(running.job.stage) or self._expected_s(running.job)
                if typical is None:
                    return None
                left = max(0.0, typical - (self._clock() - running.started) / running.members)
            work += left
        return work / max(1, self.workers)

    def _leave(self, key: str) -> None:
        job = self.waiting.pop(key, None)
        if job is not None:
            self._count(job, -1)

    def _count(self, job: StageJob, sign: int) -> None:
        expected = self._expected_s(job)
        asked = self._asked.setdefault(job.stage, [0, 0.0, 0])
        asked[0] += sign
        asked[1] += sign * (expected or 0.0)
        asked[2] += sign * (expected is None)

    def _typical(self, stage: str) -> float | None:
        """Seconds of the jobs of a stage that this run has finished, if it has any."""
        spent = self._spent.get(stage)
        return sum(spent) / len(spent) if spent else None

    def summary(self) -> str:
        """One line: how many jobs stand where, and how long the rest takes."""
        left = self.left_s()
        parts = [
            f"{len(self.waiting)} waiting",
            f"{len(self.running)} running",
            f"{self.reused} reused",
            f"{self.done} done",
        ]
        if self.failures:
            parts.append(f"{len(self.failures)} failed")
        parts.append(f"{duration(self._clock() - self.started)} elapsed")
        if self.waiting or self.running:
            parts.append(
                f"about {duration(left)} left" if left is not None else "time left unknown"
            )
        return " · ".join(parts)


class LiveView:
    """Jobs and finished rows, redrawn in place."""

    def __init__(self, console: Console, progress: Progress, table: Callable[[], RenderableType]):
        self._progress = progress
        self._table = table
        self._rows: RenderableType = table()
        self._stale, self._due = False, 0.0
        self._live = Live(
            console=console, get_renderable=self._draw, refresh_per_second=4, transient=True
        )

    def __enter__(self) -> "LiveView":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take in an event; a finished trial has the table's rows drawn anew.

        Never for more than a tenth of the time: many trials may finish, and the table is long.
        """
        self._progress.hear(event)
        if isinstance(event, JobFinished | JobFailed) and event.job.stage in LAST:
            self._stale = True
        now = time.monotonic()
        if self._stale and now >= self._due:
            self._rows, self._stale = self._table(), False
            self._due = now + 10 * (time.monotonic() - now)

    def _draw(self) -> RenderableType:
        jobs = RichTable(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for name in ("job", "worker", "step", "loss", "left"):
            jobs.add_column(name, justify="left" if name in ("job", "worker") else "right")
        for running in self._progress.running.values():
            step = f"{running.step}/{running.total}" if running.total else "starting"
            left = running.left_s()
            jobs.add_row(
                f"{running.job.stage} {running.job.key[:8]}",
                running.worker,
                step,
                "" if running.loss is None else f"{running.loss:.4g}",
                "" if left is None else duration(left),
            )
        return Group(self._rows, Text(""), jobs, Text(self._progress.summary(), style="bold"))


class PlainView:
    """Log lines for a pipe or a file: no colours, no cursor movement."""

    def __init__(self, console: Console, progress: Progress) -> None:
        self._console = console
        self._progress = progress
        self._said: dict[str, float] = {}

    def __enter__(self) -> "PlainView":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __call__(self, event: Event) -> None:
        """Say what is worth a line."""
        self._progress.hear(event)
        name = f"{event.job.stage} {event.job.key[:8]}"
        match event:
            case JobStarted(_, worker):
                self._say(f"{name} started on {worker}")
            case JobFinished(_, _, seconds):
                self._say(f"{name} done in {duration(seconds)} | {self._progress.summary()}")
            case JobFailed(_, error):
                self._say(f"{name} FAILED: {error}")
            case JobRepeated(_, reason):
                self._say(f"{name} waits to be done again: {reason}")
            case JobProgress(_, step, total, metrics):
                now = time.monotonic()
                if now - self._said.get(event.job.key, 0.0) > LINE_SECONDS:
                    self._said[event.job.key] = now
                    loss = f" loss {metrics['loss']:.4g}" if "loss" in metrics else ""
                    self._say(f"{name} step {step}/{total}{loss}")
            case _:
                pass

    def _say(self, text: str) -> None:
        stamp = time.strftime("%H:%M:%S")
        self._console.print(f"{stamp} {text}", highlight=False, markup=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """A time span as a person says it: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
