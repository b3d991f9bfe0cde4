"""The stage graph: trials in, finished artifacts out, each distinct job once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from hipart.pipeline import PIPELINE, StageJob, final_jobs
from hipart.scheduling.events import (
    Event,
    JobFailed,
    JobFinished,
    JobReused,
    JobWaiting,
    Listener,
)
from hipart.scheduling.executor import Executor
from hipart.store import ArtifactStore

State = Literal["waiting", "running", "finished", "reused", "failed"]
DEPTH = {name: depth for depth, name in enumerate(PIPELINE)}


@dataclass
class Node:
    """A distinct job and where it stands."""

    job: StageJob
    state: State
    number: int


class StageGraph:
    """Jobs by key. ``ensure`` asks for a trial's jobs, ``pump`` moves the work on.

    A job in the store is reused; a job already asked for is shared; any other runs once what it
    needs is there. Of the jobs that could start, the deepest stage of the earliest trial goes
    first, so that rows of the table finish early.
    """

    def __init__(self, store: ArtifactStore, executor: Executor, listener: Listener) -> None:
        self._store = store
        self._executor = executor
        self._listener = listener
        self.nodes: dict[str, Node] = {}
        self._running = 0

    def ensure(self, jobs: Mapping[str, StageJob]) -> None:
        """Ask for a trial's final job, and for whatever it still needs."""
        for job in final_jobs(jobs):
            self._ensure(job, jobs)
        for job in jobs.values():  # finished work that nothing here waits for
            if job.key not in self.nodes and job in self._store:
                self._add(job, "reused")

    def _ensure(self, job: StageJob, jobs: Mapping[str, StageJob]) -> None:
        if job.key in self.nodes:
            return
        if job in self._store:
            self._add(job, "reused")
            return
        for stage in job.needs:
            self._ensure(jobs[stage], jobs)
        self._add(job, "waiting")
        self._fail_if_blocked(job)

    def _add(self, job: StageJob, state: State) -> None:
        self.nodes[job.key] = Node(job, state, len(self.nodes))
        self._listener(JobReused(job) if state == "reused" else JobWaiting(job))

    @property
    def open_jobs(self) -> int:
        """Jobs that wait or run."""
        return sum(node.state in ("waiting", "running") for node in self.nodes.values())

    def run(self) -> None:
        """Move on until every job has ended."""
        while self.open_jobs:
            self.pump(timeout_s=0.5)

    def pump(self, timeout_s: float) -> None:
        """One turn: start what is ready, hear what happened."""
        for node in self._ready()[: self._executor.slots - self._running]:
            node.state = "running"
            self._running += 1
            self._executor.start(node.job)
        for event in self._executor.poll(timeout_s):
            self._hear(event)

    def _ready(self) -> list[Node]:
        ready = [
            node
            for node in self.nodes.values()
            if node.state == "waiting"
            and all(
                self.nodes[key].state in ("finished", "reused") for key in node.job.needs.values()
            )
        ]
        return sorted(ready, key=lambda node: (-DEPTH[node.job.stage], node.number))

    def _hear(self, event: Event) -> None:
        if isinstance(event, JobFinished | JobFailed):
            self._running -= 1
            self.nodes[event.job.key].state = (
                "finished" if isinstance(event, JobFinished) else "failed"
            )
        self._listener(event)
        if isinstance(event, JobFailed):
            for node in list(self.nodes.values()):
                self._fail_if_blocked(node.job)

    def _fail_if_blocked(self, job: StageJob) -> None:
        """Fail a waiting job that needs a failed one; everything else goes on."""
        node = self.nodes[job.key]
        failed = [key for key in job.needs.values() if self.nodes[key].state == "failed"]
        if node.state == "waiting" and failed:
            node.state = "failed"
            self._listener(JobFailed(job, f"needs {self.nodes[failed[0]].job.name}, which failed"))
