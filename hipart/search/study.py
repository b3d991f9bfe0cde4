"""An Optuna study over a space: who proposes, what is known, and what was made of it.

The study is on disk, so a search that was killed goes on with its trials. Everything that a trial
is beside its parameters stands in its attributes, so Optuna's own tools can read it, too.
"""

import random
import warnings
from collections.abc import Mapping, Sequence

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from hipart.experiment.search import Search
from hipart.experiment.space import Point
from hipart.jobs import canonical_json
from hipart.search.drawing import at_random, distribution, suggested
from hipart.search.question import study_name
from hipart.search.record import Record, State
from hipart.search.samplers import sampler_of

#: How often a sampler may repeat itself before a point is drawn at random instead.
PATIENCE = 20
#: How many random points are looked at before all are counted, or a space is called exhausted.
LAST_RESORT = 1000
#: Why a trial failed whose command was killed before it had a point.
CUT_SHORT = "its drawing was cut short"

#: What became of a trial that does not say so itself.
_ENDED: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "stopped",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}


class Study:
    """The trials of a search. ``storage`` is where they are kept; None for nowhere."""

    def __init__(self, search: Search, question: str, storage: BaseStorage | None = None) -> None:
        self._search, self._space = search, search.space
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore", category=ExperimentalWarning)
        self.name = study_name(search, question)
        self._study = optuna.create_study(
            study_name=self.name,
            storage=storage or InMemoryStorage(),
            directions=[
                "maximize" if one.goal == "max" else "minimize" for one in search.objectives
            ],
            load_if_exists=True,
        )
        already = self._study.get_trials(deepcopy=False)
        # A search that goes on must not draw the same numbers again.
        self._study.sampler = sampler_of(search, search.sampler.seed + len(already))
        self._study.set_metric_names([f"{one.stage}/{one.name}" for one in search.objectives])
        self._random = random.Random(search.sampler.seed + len(already))
        self._grid = self._space.points() if search.sampler.kind == "grid" else None
        self.records: dict[int, Record] = {}
        #: Records by their points: what is here is not trained again.
        self._known: dict[str, Record] = {}
        #: All points of records. Of some the store has a few epochs only: these may be drawn yet.
        self._heard: set[str] = set()
        #: How many of them are not ``own``.
        self._others = 0
        self._open: dict[int, optuna.Trial] = {}
        for frozen in already:
            self._load(frozen)

    @property
    def spent_s(self) -> float:
        """Seconds of all commands on this search."""
        return float(self._study.user_attrs.get("spent_s", 0.0))

    @property
    def device_s(self) -> float:
        """Seconds of devices that its stage jobs took."""
        return float(self._study.user_attrs.get("device_s", 0.0))

    def account(self, spent_s: float, device_s: float) -> None:
        """Write down what has been spent."""
        self._study.set_user_attr("spent_s", round(spent_s, 3))
        self._study.set_user_attr("device_s", round(device_s, 3))

    @property
    def optuna_study(self) -> optuna.Study:
        """The study as Optuna's own tools take it."""
        return self._study

    @property
    def own(self) -> list[Record]:
        """Trials that this search trained or trains: what a budget of trials counts."""
        return [
            one
            for one in self.records.values()
            if one.origin == "search" and one.state != "refused"
        ]

    @property
    def made(self) -> int:
        """How many ``own`` are, without looking for them."""
        return len(self.records) - self._others

    @property
    def running(self) -> list[Record]:
        """Trials that have begun and not ended, also those of a command that was killed."""
        return [one for one in self.records.values() if one.state == "running"]

    @property
    def complete(self) -> list[Record]:
        """Trials measured in full, whoever measured them."""
        return [one for one in self.records.values() if one.state == "complete"]

    def known(self, point: Point) -> Record | None:
        """The trial at a point."""
        return self._known.get(canonical_json(point))

    def at_rung(self, epochs: int) -> list[float]:
        """Values of all points that came to a rung."""
        there = [one for one in self.records.values() if epochs in one.rungs]
        return list({canonical_json(one.point): one.rungs[epochs] for one in there}.values())

    def remember(
        self, point: Point, values: tuple[float, ...] | None, rungs: Mapping[int, float]
    ) -> bool:
        """Take in what the store has measured; False if the point is known already."""
        heard = values is None and canonical_json(point) in self._heard
        if heard or self.known(point) is not None:
            return False
        self._study.add_trial(
            create_trial(
                state=TrialState.PRUNED if values is None else TrialState.COMPLETE,
                values=values,
                params=dict(point),
                distributions={one.name: distribution(one) for one in self._space.existing(point)},
                intermediate_values=dict(rungs) if not self._search.several else {},
                user_attrs={"point": point, "origin": "store"},
            )
        )
        number = len(self._study.get_trials(deepcopy=False)) - 1
        state: State = "stopped" if values is None else "complete"
        self._keep(Record(number, point, state, "store", values, dict(rungs)))
        return True

    def draw(self, first: Point | None = None) -> Record | None:
        """A trial at a point that is not known; None if there is no such point left.

        ``first`` is drawn if it is new.
        """
        if first is not None and self.known(first) is None:
            return self._begin(self._ask(first))
        if self._grid is not None:
            found = next((one for one in self._grid if self.known(one) is None), None)
            return None if found is None else self._begin(self._ask(found))
        for _ in range(PATIENCE):
            trial, point = self._ask()
            if self.known(point) is None:
                return self._begin((trial, point))
            self._avoid(trial, "known", "drawn before")
        for _ in range(LAST_RESORT):
            point = at_random(self._space, self._random)
            if self.known(point) is None:
                return self._begin(self._ask(point))
        # As many steps as there are known points, and one more.
        left = (one for one in self._space.points() or () if self.known(one) is None)
        found = next(left, None)
        return None if found is None else self._begin(self._ask(found))

    def report(self, record: Record, epochs: int, value: float) -> None:
        """The objective of a running trial at a rung."""
        record.rungs[epochs] = value
        self._open[record.number].report(value, epochs)

    def completed(self, record: Record, values: Sequence[float]) -> None:
        """A trial was measured in full."""
        record.state, record.values = "complete", tuple(values)
        self._study.tell(self._open.pop(record.number), list(values))

    def stopped(self, record: Record, reason: str) -> None:
        """A trial was stopped early."""
        record.state = "stopped"
        # Also where a proxy judged it: of a failed one the sampler would draw what is like it.
        self._finish(record, TrialState.PRUNED, reason)

    def failed(self, record: Record, reason: str) -> None:
        """A stage job of a trial failed, or gave no number."""
        record.state = "failed"
        self._finish(record, TrialState.FAIL, reason)

    def refused(self, record: Record, reason: str) -> None:
        """A trial breaks a rule that is known before training."""
        record.state = "refused"
        self._others += 1
        record.reason = reason
        trial = self._open.pop(record.number)
        trial.set_user_attr("state", record.state)
        self._avoid(trial, "rules", reason)

    def answered(self, record: Record, values: Sequence[float]) -> None:
        """A trial that was just drawn turned out to be in the store."""
        record.origin = "store"
        self._others += 1
        self._open[record.number].set_user_attr("origin", "store")
        self.completed(record, values)

    def _avoid(self, trial: optuna.Trial, constraint: str, reason: str) -> None:
        """End a trial as one that the sampler is to keep away from.

        Of one that failed it learns nothing, and goes on to draw it and what is like it.
        """
        trial.set_constraint(constraint, 1.0)
        _end(self._study, trial, TrialState.PRUNED, reason)

    def _finish(self, record: Record, state: TrialState, reason: str) -> None:
        record.reason = reason
        trial = self._open.pop(record.number)
        trial.set_user_attr("state", record.state)
        _end(self._study, trial, state, reason)

    def _ask(self, point: Point | None = None) -> tuple[optuna.Trial, Point]:
        if point is not None:
            self._study.enqueue_trial(dict(point))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trial = self._study.ask()
            drawn: Point = {}
            for dimension in self._space.dimensions:
                if dimension.exists(drawn):
                    drawn[dimension.name] = suggested(trial, dimension)
        return trial, drawn if point is None else dict(point)

    def _begin(self, asked: tuple[optuna.Trial, Point]) -> Record:
        trial, point = asked
        trial.set_user_attr("point", point)
        self._open[trial.number] = trial
        return self._keep(Record(trial.number, point, "running"))

    def _keep(self, record: Record) -> Record:
        self.records[record.number] = record
        self._others += record.origin != "search" or record.state == "refused"
        text = canonical_json(record.point)
        self._heard.add(text)
        if record.origin == "search" or record.values is not None:
            self._known[text] = record
        return record

    def _load(self, frozen: FrozenTrial) -> None:
        """Take up a trial of an earlier command; one that was killed amid drawing is given up."""
        attributes, running = frozen.user_attrs, frozen.state == TrialState.RUNNING
        if frozen.state == TrialState.WAITING:  # or it would answer the next one to be asked for
            _end(self._study, self._study.ask(), TrialState.FAIL, CUT_SHORT)
            return
        if running:
            trial = optuna.Trial(self._study, frozen._trial_id)
            if "point" not in attributes:
                _end(self._study, trial, TrialState.FAIL, CUT_SHORT)
                return
            self._open[frozen.number] = trial
        elif "point" not in attributes:
            return
        ended = _ENDED[frozen.state]
        # Killed between the word about its end and the end itself, it has not ended.
        state: State = "running" if running else attributes.get("state", ended)
        self._keep(
            Record(
                frozen.number,
                attributes["point"],
                state,
                attributes.get("origin", "search"),
                tuple(frozen.values) if state == "complete" else None,
                dict(frozen.intermediate_values),
                attributes.get("reason", ""),
            )
        )


def _end(study: optuna.Study, trial: optuna.Trial, state: TrialState, reason: str) -> None:
    trial.set_user_attr("reason", reason)
    study.tell(trial, state=state)
