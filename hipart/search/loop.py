"""The search itself: trials are drawn when a worker would be idle, and go from rung to rung.

A trial is a generator. It asks for stage jobs and holds nothing while it waits for them: workers
and devices belong to jobs. Which jobs run is the stage graph's business, as in an ablation, so what
trials have in common is trained once. The loop knows no clock and no executor but those it is
given; with a virtual one it is a simulation.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Protocol

from hipart.experiment.errors import ExperimentError
from hipart.experiment.metrics import MetricChoice
from hipart.experiment.search import Search
from hipart.jobs import StageJob
from hipart.pipeline import PROFILE, TOKENIZER
from hipart.scheduling.graph import StageGraph
from hipart.search.budget import Account, Ended
from hipart.search.candidates import Candidate, Candidates, Chain, Finished, mean_over_seeds
from hipart.search.memory import recall
from hipart.search.record import Record
from hipart.search.rules import Rules
from hipart.search.stopping import goes_on, tokenizer_is_worth_it
from hipart.search.study import Study

#: Live trials for each job that could run: enough to find work that waits for nothing.
TRIALS_A_SLOT = 4
#: The same of a grid, whose neighbours wait for the same tokenizer, and which learns nothing.
POINTS_A_SLOT = 8
#: Why nothing more can be drawn.
ALL_KNOWN = "every point of the space is known"


class Watcher(Protocol):
    """Whoever wants to know what becomes of trials: the mirror, a view."""

    def trial(self, record: Record, candidate: Candidate, reached: Sequence[Chain]) -> None:
        """A trial asks for jobs, ``reached``; or it has ended, and these are its last."""
        ...


@dataclass
class _Live:
    """A trial that has begun, what it asks for now, and what it will do then."""

    record: Record
    candidate: Candidate
    course: "Course"
    asked: tuple[Chain, ...] = ()
    #: The last jobs that it was judged by.
    reached: tuple[Chain, ...] = ()

    @property
    def wanted(self) -> list[StageJob]:
        """The jobs that it waits for."""
        return [job for chain in self.asked for job in chain.final]


#: Asks for jobs; continues when they are there.
Course = Generator[tuple[Chain, ...], None, None]


@dataclass
class SearchLoop:
    """Draws trials from a study, and moves them on until the budget is spent.

    ``slots`` are the jobs that may run at once.
    """

    search: Search
    study: Study
    candidates: Candidates
    store: Finished
    account: Account
    slots: int
    rules: Rules = field(default_factory=lambda: Rules(()))
    watchers: list[Watcher] = field(default_factory=list)
    #: Whether the first failing job ends the search.
    fail_fast: bool = False

    def __post_init__(self) -> None:
        self._live: list[_Live] = []
        #: Why nothing more can be drawn.
        self._dry = ""
        self._in_vain = 0
        #: Distinct tokenizers of the first so many records, by key.
        self._tokenizers: dict[str, Sequence[Chain]] = {}
        self._looked_at = 0
        #: Drawn first and measured in full: what is found is compared with it.
        self._base = self.search.space.point_of(self.search.base_config)

    def run(self, graph: StageGraph) -> Ended:
        """Search until the budget is spent, nothing is left to draw, or nothing gets better."""
        try:
            return self._search(graph)
        finally:
            self.account.write()

    def _search(self, graph: StageGraph) -> Ended:
        if self.rules.broken_at_once(self.search.base_config) is None:
            for chain in self.candidates.controls:
                graph.ensure(chain)
        for record in self.study.running:  # of a command that was killed
            self._begin(record, graph, again=True)
        while True:
            over = self.account.over(len(self._live))
            if over is None:
                self._draw(graph)
            elif over.open_trials:
                return over
            if not self._live and (over or self._dry or not graph.open_jobs):
                return over or self._ended_dry()
            graph.pump(timeout_s=0.5)
            for live in list(self._live):
                self._move(live, graph)
            if self.fail_fast and graph.errors:
                return Ended("a job failed", len(self._live))

    def _draw(self, graph: StageGraph) -> None:
        """Begin trials as long as a worker would have nothing to do."""
        grid = self.search.sampler.kind == "grid"
        most = (POINTS_A_SLOT if grid else TRIALS_A_SLOT) * self.slots
        while not self._dry and graph.spare and len(self._live) < most:
            if self.account.over(len(self._live)):
                return
            record = self.study.draw(self._base)
            if record is None:
                self._dry = ALL_KNOWN
                return
            self._begin(record, graph)

    def _ended_dry(self) -> Ended:
        refused = sum(one.state == "refused" for one in self.study.records.values())
        if self._dry == ALL_KNOWN and refused:
            return Ended(f"{ALL_KNOWN}, {refused} of them refused")
        return Ended(self._dry or "nothing is left to begin")

    def _refuse(self, record: Record, reason: str) -> None:
        """End a trial that breaks a rule, and the search where nothing else is drawn."""
        self.study.refused(record, reason)
        self._in_vain += 1
        most = self.account.limits.refused
        if self._in_vain >= most:
            self._dry = f"{most} points in a row were refused, the last one for {reason}"

    def _begin(self, record: Record, graph: StageGraph, again: bool = False) -> None:
        """Have a trial ask for its first jobs, unless it is refused or measured already."""
        try:
            candidate = self.candidates.of(record.point)
        except ExperimentError as error:
            self._refuse(record, str(error))
            return
        broken = self.rules.broken_at_once(candidate.config)
        if broken is not None:
            self._refuse(record, broken)
            return
        if not again:
            memory = recall(self.search, self.candidates, candidate, self.store)
            if memory.values is not None:
                self._in_vain = 0
                self.study.answered(record, memory.values)
                return
        live = _Live(record, candidate, self._course(record, candidate))
        self._live.append(live)
        self._continue(live, graph)

    def _course(self, record: Record, candidate: Candidate) -> Course:
        """What a trial asks for, step by step. The base is never stopped."""
        study, search, is_base = self.study, self.search, record.point == self._base
        if self.rules.need_profile:
            (chain, *_) = chains = self.candidates.chains(candidate.config, (PROFILE.name,))
            yield chains
            profile = self.store.find(PROFILE.name, chain[PROFILE.name].key)
            broken = self.rules.broken_by(profile.metrics) if profile else None
            if broken is not None:
                self._refuse(record, broken)
                return
        self._in_vain = 0
        if search.proxy is not None:
            chains = self.candidates.chains(candidate.config, (TOKENIZER.name,))
            yield chains
            if not self._worth_it(chains) and not is_base:
                study.stopped(record, f"its tokenizer, by {search.proxy.metric}")
                return
        for number, epochs in enumerate(search.rungs):
            chains = self.candidates.up_to(candidate, number)
            yield chains
            last = number == len(search.rungs) - 1
            if search.stopping is None or epochs in record.rungs:  # it went on before a kill
                continue
            value = self._value(chains, search.objectives[0])
            others = study.at_rung(epochs)
            study.report(record, epochs, value)
            up = search.objectives[0].goal == "max"
            if not (last or is_base or goes_on(search.stopping, value, others, up)):
                study.stopped(record, f"after {epochs} of {search.rungs[-1]} epochs")
                return
        study.completed(record, [self._value(candidate.chains, one) for one in search.objectives])

    def _worth_it(self, chains: Sequence[Chain]) -> bool:
        """Whether a tokenizer is good enough beside those of all other trials."""
        assert self.search.proxy is not None
        for record in islice(self.study.records.values(), self._looked_at, None):
            candidate = self.candidates.of(record.point) if record.state != "refused" else None
            if candidate is not None and TOKENIZER.name in candidate.chains[0]:
                key = candidate.chains[0][TOKENIZER.name].key
                self._tokenizers.setdefault(key, candidate.chains)
        self._looked_at = len(self.study.records)
        mine = chains[0][TOKENIZER.name].key
        others = [
            mean_over_seeds(self.store, other, self._proxy)
            for key, other in self._tokenizers.items()
            if key != mine
        ]
        known = [one for one in others if one is not None]
        up = self._proxy.goal == "max"
        value = self._value(chains, self._proxy)
        return tokenizer_is_worth_it(self.search.proxy, value, known, up)

    @cached_property
    def _proxy(self) -> MetricChoice:
        assert self.search.proxy is not None
        (metric,) = (one for one in TOKENIZER.metrics if one.name == self.search.proxy.metric)
        return MetricChoice(stage=TOKENIZER.name, name=metric.name, goal=metric.goal)

    def _value(self, chains: Sequence[Chain], metric: MetricChoice) -> float:
        value = mean_over_seeds(self.store, chains, metric)
        if value is None:
            raise LookupError(f"stage {metric.stage} gave no {metric.name}")
        return value

    def _move(self, live: _Live, graph: StageGraph) -> None:
        """Let a trial go on if what it waits for is there; end it if that failed."""
        states = {graph.nodes[job.key].state for job in live.wanted}
        if "failed" in states:
            broken = [job.key for job in live.wanted if job.key in graph.errors]
            self._fail(live, _first_error(broken[0], graph), graph)
        elif states <= {"finished", "reused"}:
            self._continue(live, graph)

    def _continue(self, live: _Live, graph: StageGraph) -> None:
        """Hear what a trial wants next, as often as that is there already."""
        while True:
            live.reached = live.asked or live.reached
            try:
                live.asked = next(live.course)
            except StopIteration:
                self._end(live)
                return
            except LookupError as error:
                self._fail(live, str(error), graph)
                return
            for watcher in self.watchers:
                watcher.trial(live.record, live.candidate, live.asked)
            for chain in live.asked:
                graph.ensure(chain)
            states = {graph.nodes[job.key].state for job in live.wanted}
            if not states <= {"finished", "reused"}:
                return

    def _fail(self, live: _Live, error: str, graph: StageGraph) -> None:
        self.study.failed(live.record, error)
        self._end(live)
        wanted = [*self.candidates.controls, *(chain for one in self._live for chain in one.asked)]
        graph.drop_all_but({job.key for chain in wanted for job in chain.values()})

    def _end(self, live: _Live) -> None:
        live.course.close()
        self._live.remove(live)
        for watcher in self.watchers:
            watcher.trial(live.record, live.candidate, live.reached)
        self.account.write()


def _first_error(key: str, graph: StageGraph) -> str:
    """Why a job failed: the error of the one that it stands on, if that failed first."""
    below = [one for one in graph.nodes[key].job.needs.values() if one in graph.errors]
    return _first_error(below[0], graph) if below else graph.errors[key]
