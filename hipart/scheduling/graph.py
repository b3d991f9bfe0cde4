"""The stage graph: trials in, finished artifacts out, each distinct job once."""

from collections.abc import Callable, Container, Iterator
from itertools import count
from statistics import fmean
from typing import Protocol

from hipart.jobs import StageJob, TrialJobs
from hipart.scheduling.events import (
    Event,
    JobDropped,
    JobFailed,
    JobFinished,
    JobRepeated,
    JobReused,
    JobWaiting,
    Listener,
)
from hipart.scheduling.executor import Executor
from hipart.scheduling.ready import Node, ReadyJobs, State

#: How often a job whose artifact is gone or damaged is done again.
REPEATS = 2
#: What a job is taken to cost as long as nothing is known: a chain then counts its jobs.
UNKNOWN_S = 1.0


class Held(Protocol):
    """What is asked of a store."""

    def __contains__(self, job: StageJob, /) -> bool:
        """Whether a job is finished."""
        ...


class StageGraph:
    """Jobs by key. ``ensure`` asks for a trial's jobs, ``pump`` moves the work on.

    A job in the store is reused; a job already asked for is shared; any other runs once what it
    needs is there, in the order of ``ReadyJobs``. ``estimate`` gives a job's seconds where they
    are known. Jobs of equal shapes that are ready start together, at most ``array`` at a time.
    """

    def __init__(
        self,
        store: Held,
        executor: Executor,
        listener: Listener,
        estimate: Callable[[StageJob], float | None] = lambda _: None,
        array: int = 1,
    ) -> None:
        self._store = store
        self._executor = executor
        self._array = array
        self._listener = listener
        self._estimate = estimate
        self._ready = ReadyJobs(executor.slots, array)
        self._running: list[list[Node]] = []
        self._numbers = count()
        self._turns = count(1)
        self._left_s = 0.0
        self._known: list[float] = []
        self.nodes: dict[str, Node] = {}
        #: Why jobs failed, by key.
        self.errors: dict[str, str] = {}
        #: Jobs that wait or run.
        self.open_jobs = 0

    @property
    def spare(self) -> int:
        """How many more jobs could start at once than there are to start."""
        running = sum(len(array) for array in self._running)
        return self._executor.slots * self._array - running - self._ready.count

    def ensure(self, jobs: TrialJobs) -> None:
        """Ask for a trial's final jobs, and for whatever they still need."""
        for job in jobs.final:
            self._ensure(job, jobs)
        for job in jobs.values():  # finished work that nothing here waits for
            if job.key not in self.nodes and job in self._store:
                self._add(job, "reused")

    def drop_all_but(self, wanted: Container[str]) -> None:
        """Forget the waiting jobs whose keys are not wanted, and that no wanted one needs."""
        kept: set[str] = set()
        reached = [node for key, node in self.nodes.items() if key in wanted]
        while reached:
            node = reached.pop()
            if node.job.key not in kept:
                kept.add(node.job.key)
                reached += [self.nodes[key] for key in node.job.needs.values() if key in self.nodes]
        for key, node in list(self.nodes.items()):
            if node.state == "waiting" and key not in kept:
                self._end(node, "dropped")
                self._ready.dropped(node)
                del self.nodes[key]
                self._listener(JobDropped(node.job))
        for node in self.nodes.values():
            node.needed_by = [one for one in node.needed_by if one.state != "dropped"]

    def run(self, fail_fast: bool = False) -> None:
        """Move on until every job has ended; or, with ``fail_fast``, one has failed."""
        while self.open_jobs and not (fail_fast and self.errors):
            self.pump(timeout_s=0.5)

    def pump(self, timeout_s: float) -> None:
        """One turn: start what is ready, hear what happened, start what that made ready.

        Only then is the listener told: a free worker does not wait for what listeners do.
        """
        self._start()
        told = [one for event in self._executor.poll(timeout_s) for one in self._hear(event)]
        self._start()
        for event in told:
            self._listener(event)

    def _ensure(self, job: StageJob, jobs: TrialJobs) -> None:
        if job.key in self.nodes:
            return
        if job in self._store:
            self._add(job, "reused")
            return
        above = jobs.above(job)
        for one in above:
            self._ensure(one, jobs)
        node = self._add(job, "waiting")
        self.open_jobs += 1
        self._left_s += node.seconds
        needs = [self.nodes[one.key] for one in above]
        for need in needs:
            need.needed_by.append(node)
            self._lengthen(need, node.chain_s)
        node.lacks = {need for need in needs if need.state in ("waiting", "running")}
        failed = [need for need in needs if need.state == "failed"]
        if failed:
            for event in self._block(node, failed[0]):
                self._listener(event)
        elif not node.lacks:
            self._ready.add(node)

    def _add(self, job: StageJob, state: State) -> Node:
        seconds = self._seconds(job) if state == "waiting" else 0.0
        node = self.nodes[job.key] = Node(job, state, next(self._numbers), seconds, seconds)
        self._listener(JobReused(job) if state == "reused" else JobWaiting(job))
        return node

    def _seconds(self, job: StageJob) -> float:
        known = self._estimate(job)
        if known is not None:
            self._known.append(known)
            return known
        return fmean(self._known[-100:]) if self._known else UNKNOWN_S

    def _lengthen(self, node: Node, after_s: float) -> None:
        """Let the chain through a job be at least its own seconds and these."""
        if node.seconds + after_s <= node.chain_s or node.state != "waiting":
            return
        node.chain_s = node.seconds + after_s
        if not node.lacks:
            self._ready.lengthened(node)
        for key in node.job.needs.values():
            self._lengthen(self.nodes[key], node.chain_s)

    def _start(self) -> None:
        while (free := self._executor.slots - len(self._running)) > 0:
            nodes = self._ready.take(free, self._left_s)
            if not nodes:
                return
            for node in nodes:
                node.state, node.started = "running", next(self._turns)
            self._running.append(nodes)
            self._executor.start([node.job for node in nodes])

    def _hear(self, event: Event) -> Iterator[Event]:
        """Bring the jobs' states up to date; what there is to tell, in order."""
        if isinstance(event, JobFailed) and event.lacks in self.nodes:
            lacking = self.nodes[event.lacks]
            if lacking.state == "failed":
                event = JobFailed(event.job, _needs(lacking))
            elif self._may_repeat(event.job, lacking):
                yield from self._repeat(event, lacking)
                self._settle()
                return
        yield event
        if not isinstance(event, JobFinished | JobFailed):
            return
        if isinstance(event, JobFailed):
            self.errors[event.job.key] = event.error
        node = self.nodes[event.job.key]
        self._end(node, "finished" if isinstance(event, JobFinished) else "failed")
        node.finished = next(self._turns)
        self._settle()
        for other in node.needed_by:
            if node.state == "failed":
                yield from self._block(other, node)
            elif node in other.lacks:
                other.lacks.remove(node)
                if other.could_start:
                    self._ready.add(other)

    def _settle(self) -> None:
        self._running = [
            array for array in self._running if any(one.state == "running" for one in array)
        ]

    def _may_repeat(self, job: StageJob, lacking: Node) -> bool:
        """Whether a job that lacks something may wait for it, or begin anew with what there is."""
        return not self._is_gone(job, lacking) or lacking.repeats < REPEATS

    def _is_gone(self, job: StageJob, lacking: Node) -> bool:
        """Whether it is what was there when the job started that is gone or damaged."""
        done = lacking.state in ("finished", "reused")
        return done and lacking.finished < self.nodes[job.key].started

    def _repeat(self, event: JobFailed, lacking: Node) -> Iterator[Event]:
        """Have a job wait for one that is done again, because its artifact is gone or damaged."""
        node = self.nodes[event.job.key]
        if node not in lacking.needed_by:
            lacking.needed_by.append(node)
        if self._is_gone(event.job, lacking):
            lacking.repeats += 1
            lacking.seconds = self._seconds(lacking.job)
            self.open_jobs += 1
            self._left_s += lacking.seconds
            for other in lacking.needed_by:
                if other.state == "waiting":
                    other.lacks.add(lacking)
                    self._ready.dropped(other)
            self._wait(lacking)
            yield JobRepeated(lacking.job, event.error)
        self._wait(node)
        yield JobRepeated(node.job, event.error)

    def _wait(self, node: Node) -> None:
        """Put a job back among those that wait."""
        node.state = "waiting"
        node.lacks = {
            one
            for one in self.nodes.values()
            if one.state in ("waiting", "running") and node in one.needed_by
        }
        if node.could_start:
            self._ready.add(node)

    def _block(self, node: Node, failed: Node) -> Iterator[Event]:
        """Fail a waiting job that needs a failed one, and what needs it; all else goes on."""
        if node.state != "waiting":
            return
        self._end(node, "failed")
        self._ready.dropped(node)
        error = self.errors[node.job.key] = _needs(failed)
        yield JobFailed(node.job, error)
        for other in node.needed_by:
            yield from self._block(other, node)

    def _end(self, node: Node, state: State) -> None:
        node.state = state
        self.open_jobs -= 1
        self._left_s -= node.seconds


def _needs(failed: Node) -> str:
    return f"needs {failed.job.name}, which failed"
