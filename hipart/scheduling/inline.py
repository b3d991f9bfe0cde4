"""The executor without Ray: one job at a time, in this process."""

from collections import deque

from hipart.pipeline import StageJob
from hipart.scheduling.events import (
    Event,
    JobFailed,
    JobFinished,
    JobProgress,
    JobStarted,
    Listener,
)
from hipart.scheduling.executor import Workplace, reason


class InlineExecutor:
    """Runs a job inside ``poll``; progress goes to ``listener`` while it runs."""

    slots = 1

    def __init__(self, workplace: Workplace, listener: Listener) -> None:
        self._workplace = workplace
        self._listener = listener
        self._waiting: deque[StageJob] = deque()

    def start(self, job: StageJob) -> None:
        """Take a job; it runs at the next ``poll``."""
        self._waiting.append(job)

    def poll(self, timeout_s: float) -> list[Event]:
        """Run the job that waits, if one does."""
        if not self._waiting:
            return []
        from hipart.scheduling.worker import run_job

        job = self._waiting.popleft()
        self._listener(JobStarted(job, "inline"))

        def report(step: int, total: int, metrics: dict[str, float]) -> None:
            self._listener(JobProgress(job, step, total, metrics))

        try:
            outcome = run_job(job, self._workplace, report)
        except Exception as error:
            return [JobFailed(job, reason(error))]
        return [JobFinished(job, outcome.metrics, outcome.seconds)]

    def close(self) -> None:
        """Nothing runs between polls."""
        self._waiting.clear()
