"""The executor without Ray: one array of jobs at a time, in this process."""

from collections import deque
from collections.abc import Sequence

from hipart.jobs import StageJob
from hipart.scheduling.events import Event, JobProgress, JobStarted, Listener
from hipart.scheduling.executor import Failure, Result, Workplace, ended, reason


class InlineExecutor:
    """Runs jobs inside ``poll``; progress goes to ``listener`` while they run."""

    slots = 1

    def __init__(self, workplace: Workplace, listener: Listener) -> None:
        self._workplace = workplace
        self._listener = listener
        self._waiting: deque[list[StageJob]] = deque()

    def start(self, jobs: Sequence[StageJob]) -> None:
        """Take an array; it runs at the next ``poll``."""
        self._waiting.append(list(jobs))

    def poll(self, timeout_s: float) -> list[Event]:
        """Run the array that waits, if one does."""
        if not self._waiting:
            return []
        from hipart.scheduling.worker import run_jobs

        jobs = self._waiting.popleft()
        for job in jobs:
            self._listener(JobStarted(job, "inline", len(jobs)))

        def report(job: StageJob, step: int, total: int, metrics: dict[str, float]) -> None:
            self._listener(JobProgress(job, step, total, metrics))

        try:
            results: list[Result] = run_jobs(jobs, self._workplace, report)
        except Exception as error:
            results = [Failure(reason(error))] * len(jobs)
        return ended(jobs, results)

    def close(self) -> None:
        """Nothing runs between polls."""
        self._waiting.clear()
