"""The actor of the Ray pool: one process that keeps torch, the stages and the data between jobs."""

import logging
import signal
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

from hipart.jobs import StageJob
from hipart.scheduling.executor import Failure, Result, Workplace, reason
from hipart.scheduling.metrics import WorkerMetrics

_log = logging.getLogger(__name__)


class Report(NamedTuple):
    """Where a job stands."""

    step: int
    total: int
    metrics: dict[str, float]


class PoolWorker:
    """Runs one array of jobs in one thread and answers ``progress`` in the other.

    It loads what ``expected`` jobs will need while it starts, and the driver goes on meanwhile.
    """

    def __init__(self, workplace: Workplace, expected: Sequence[StageJob]) -> None:
        began = time.perf_counter()
        _heed_notice()
        self._workplace = workplace
        self._lock = threading.Lock()
        self._latest: dict[str, Report] = {}
        self._metrics = WorkerMetrics()
        try:
            from hipart.scheduling.worker import warm

            warm(workplace, expected, began)
        except Exception:
            _log.exception("the first job that needs this will fail")

    def run(self, jobs: Sequence[StageJob]) -> list[Result]:
        """Do the jobs; how each of them ended, in their order."""

        def report(job: StageJob, step: int, total: int, metrics: dict[str, float]) -> None:
            with self._lock:
                self._latest[job.key] = Report(step, total, metrics)
            self._metrics.moved(job, step)

        try:
            from hipart.scheduling.worker import run_jobs

            return run_jobs(jobs, self._workplace, report)
        except Exception as error:
            return [Failure(reason(error)) for _ in jobs]
        finally:
            self._metrics.ended()

    def progress(self) -> dict[str, Report]:
        """The newest report of each job that was not yet asked for."""
        with self._lock:
            latest, self._latest = self._latest, {}
        return latest


def _heed_notice() -> None:
    """On SIGTERM, as a spot machine gets before it is taken away, have trainings leave checkpoints.

    They do within a step; then the process ends by itself, and the driver gives the job to another.
    """

    def notice(*_: object) -> None:
        from hipart.stages.fit import NOTICE

        NOTICE.set()

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, notice)
