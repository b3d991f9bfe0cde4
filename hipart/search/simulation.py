"""A search without training: stage jobs take made-up seconds of a virtual clock, trials get
made-up values. What draws, judges, schedules and shares is the code that really searches.
"""

import hashlib
import heapq
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hipart.config import PipelineConfig
from hipart.experiment.search import Search
from hipart.jobs import StageJob
from hipart.pipeline import PROFILE, TOKENIZER
from hipart.scheduling.events import Event, JobFailed, JobFinished, JobStarted
from hipart.scheduling.graph import StageGraph
from hipart.search.budget import Account, Ended, Limits
from hipart.search.candidates import Candidates
from hipart.search.landscape import Landscape, Values
from hipart.search.loop import SearchLoop
from hipart.search.memory import remembered
from hipart.search.rules import Count, Rules
from hipart.search.study import Study

#: Seconds of a stage job where nothing was measured and no file says.
SECONDS = 60.0


@dataclass(frozen=True)
class MadeUp:
    """A finished job that never was."""

    stage: str
    key: str
    identity: dict[str, Any]
    metrics: dict[str, float]
    #: Epochs of a lifter that a longer one may go on from.
    resumable: bool = False


class MemoryStore:
    """Artifacts that are not on any disk."""

    def __init__(self) -> None:
        self._held: dict[str, MadeUp] = {}

    def find(self, stage: str, key: str) -> MadeUp | None:
        """The artifact of a job, or None if it is not finished."""
        return self._held.get(key)

    def artifacts(self) -> Iterator[MadeUp]:
        """Every finished artifact."""
        return iter(list(self._held.values()))

    def add(self, artifact: MadeUp) -> None:
        """Keep an artifact."""
        self._held[artifact.key] = artifact

    def __contains__(self, job: StageJob) -> bool:
        return job.key in self._held


#: Final numbers of a stage job.
Metrics = Callable[[StageJob], dict[str, float]]


class VirtualExecutor:
    """Runs stage jobs in no time at all: ``poll`` moves a clock of its own to the next end.

    ``seconds`` gives what a job takes, ``metrics`` what it finds, ``failures`` how probably it
    fails; a job that fails does so whenever it is tried.
    """

    def __init__(
        self,
        store: MemoryStore,
        slots: int,
        seconds: Callable[[StageJob], float],
        metrics: Metrics,
        failures: float = 0.0,
    ) -> None:
        self._store, self._seconds, self._metrics = store, seconds, metrics
        self._failures = failures
        self._slots = slots
        self._ends: list[tuple[float, int, StageJob, float]] = []
        self._told: list[Event] = []
        self._started = 0
        #: The time, in seconds since the beginning.
        self.now = 0.0
        #: Seconds in which slots worked, by the moment at which each job ended.
        self.spans: list[tuple[float, float]] = []
        #: Jobs trained, by stage, and epochs of lifters.
        self.trained: dict[str, int] = {}
        self.epochs = 0.0

    @property
    def slots(self) -> int:
        """How many jobs can run at once."""
        return self._slots

    def clock(self) -> float:
        """The virtual time."""
        return self.now

    def start(self, jobs: Sequence[StageJob]) -> None:
        """Take jobs, one after the other on one slot."""
        at = self.now
        for job in jobs:
            seconds = self._seconds(job) * self._left(job)
            at += seconds
            self._started += 1
            heapq.heappush(self._ends, (at, self._started, job, seconds))
            self.spans.append((at - seconds, at))
            self._told.append(JobStarted(job, "simulated", len(jobs)))

    def poll(self, timeout_s: float) -> list[Event]:
        """Move to the next end of a job. A job's events are handed over at its own moment."""
        told, self._told = self._told, []
        if not self._ends:
            return told
        at, _, job, seconds = heapq.heappop(self._ends)
        self.now = max(self.now, at)
        if _luck(job.key).random() < self._failures:
            return [*told, JobFailed(job, "simulated failure")]
        self.trained[job.stage] = self.trained.get(job.stage, 0) + 1
        if job.stage == "lifter":
            # Of whole epochs a whole number.
            self.epochs += round(self._left(job) * job.config.lifter.counted_epochs, 6)
        metrics = self._metrics(job)
        self._store.add(MadeUp(job.stage, job.key, job.identity, metrics, job.resumable))
        return [*told, JobFinished(job, metrics, seconds)]

    def close(self) -> None:
        """Nothing to stop."""

    def _left(self, job: StageJob) -> float:
        """The share of a job that is left where it goes on from another one's end."""
        before = job.continues and self._store.find(job.stage, job.continues)
        if not before or not before.resumable:
            return 1.0
        unit, length = job.config.lifter.length
        return 1.0 - float(before.identity["config"]["lifter"][unit]) / length


def metrics_of(search: Search, values: Values) -> Metrics:
    """What stage jobs report in a landscape: every metric that the search asks for.

    A proxy has the value that the point would have with the base behind its tokenizer.
    """
    first, *others = search.objectives

    def metrics(job: StageJob) -> dict[str, float]:
        point = search.space.part_of(_completed(job, search))
        found = {
            one.name: values.exact(point, one.name)
            for one in (*others, *search.also)
            if one.stage == job.stage
        }
        if job.stage == first.stage:
            epochs = job.config.lifter.counted_epochs if "lifter" in job.sections else 1
            found[first.name] = values.seen(point, epochs, _luck(job.key))
        if job.stage == TOKENIZER.name and search.proxy:
            found[search.proxy.metric] = values.exact(point)
        if job.stage == PROFILE.name:
            for bound in search.constraints:
                found.setdefault(bound.metric, values.exact(point, bound.metric))
        return found

    return metrics


def _completed(job: StageJob, search: Search) -> PipelineConfig:
    """The base with what a job and the jobs before it read."""
    return search.base_config.model_copy(update=dict(job.sections))


def _luck(key: str) -> random.Random:
    return random.Random(int(hashlib.sha256(key.encode()).hexdigest()[:12], 16))


@dataclass
class Simulated:
    """A simulated search: its study, and the executor that knows what was done when."""

    study: Study
    executor: VirtualExecutor
    graph: StageGraph
    loop: SearchLoop
    ended: Ended
    #: Stages whose jobs nothing was known of, so that each was taken to last ``SECONDS``.
    assumed: set[str]


def simulate(
    search: Search,
    landscape: Landscape,
    slots: int,
    limits: Limits | None = None,
    *,
    store: MemoryStore | None = None,
    estimate: Callable[[StageJob], float | None] = lambda _: None,
    count: Count | None = None,
) -> Simulated:
    """Run a search on ``slots`` pretended devices to its end, in a moment.

    ``store`` has what was measured before; ``estimate`` gives seconds where the landscape does not.
    """
    values = Values(search, landscape)
    store = MemoryStore() if store is None else store
    assumed: set[str] = set()

    def seconds(job: StageJob) -> float:
        known = landscape.seconds.get(job.stage) or estimate(job)
        if known is None:
            assumed.add(job.stage)
        return SECONDS if known is None else known

    executor = VirtualExecutor(
        store, slots, seconds, metrics_of(search, values), landscape.failures
    )
    candidates = Candidates(search, "simulated")
    study = Study(search, "simulated")
    for memory in remembered(search, candidates, store):
        study.remember(*memory)
    loop = SearchLoop(
        search=search,
        study=study,
        candidates=candidates,
        store=store,
        account=Account(search, study, limits or Limits.of(search.budget), executor.clock),
        slots=slots,
        rules=Rules(search.constraints, count),
    )
    graph = StageGraph(store, executor, loop.account.hear, seconds)
    return Simulated(study, executor, graph, loop, loop.run(graph), assumed)
