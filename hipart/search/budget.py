"""What a search may take, what it has taken, and whether it is over."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from hipart.experiment.search import Budget, Plateau, Search
from hipart.scheduling.events import Event, JobFinished
from hipart.search.study import Study


class Limits(NamedTuple):
    """What a search may take in all, earlier commands included; None for no limit."""

    trials: int | None = None
    seconds: float | None = None
    device_seconds: float | None = None
    plateau: Plateau | None = None
    #: Points refused one after the other.
    refused: int = 1000

    @classmethod
    def of(cls, budget: Budget) -> "Limits":
        """What a file allows."""
        minutes, hours = budget.minutes, budget.device_hours
        return cls(
            budget.trials,
            None if minutes is None else 60 * minutes,
            None if hours is None else 3600 * hours,
            budget.plateau,
        )


@dataclass
class Ended:
    """Why a search ended, in words; and what it left unfinished."""

    reason: str
    open_trials: int = 0


class Account:
    """What a search takes, counted from now on and added to what earlier commands took.

    ``clock`` gives seconds; ``share`` are the devices that a job holds.
    """

    def __init__(
        self,
        search: Search,
        study: Study,
        limits: Limits,
        clock: Callable[[], float],
        share: float = 1.0,
    ) -> None:
        self._search, self._study, self.limits = search, study, limits
        self._clock, self._share = clock, share
        self._began = clock()
        self._spent_before = study.spent_s
        self._device_s = study.device_s

    def hear(self, event: Event) -> None:
        """What a job took counts against the budget of devices; for the graph's listeners."""
        if isinstance(event, JobFinished):
            self._device_s += event.seconds * self._share

    @property
    def spent_s(self) -> float:
        """Seconds since the first command on this search began one after the other."""
        return self._spent_before + self._clock() - self._began

    def over(self, open_trials: int) -> Ended | None:
        """Why nothing more is begun; with open trials, why these are left where they are."""
        limits = self.limits
        if limits.seconds is not None and self.spent_s >= limits.seconds:
            return Ended(f"its {_said(limits.seconds)} are over", open_trials)
        if limits.device_seconds is not None and self._device_s >= limits.device_seconds:
            hours = limits.device_seconds / 3600
            return Ended(f"{hours:g} device-hours are spent", open_trials)
        if limits.trials is not None and self._study.made >= limits.trials:
            return Ended(
                f"{_counted(limits.trials)} {'was' if limits.trials == 1 else 'were'} made"
            )
        if limits.plateau is not None and self._flat(limits.plateau):
            return Ended(f"no better over {_counted(limits.plateau.trials)}")
        return None

    def write(self) -> None:
        """Write down what has been spent."""
        self._study.account(self.spent_s, self._device_s)

    def _flat(self, plateau: Plateau) -> bool:
        goal = self._search.objectives[0].goal
        if self._search.several:
            return False
        values = {one.number: one.values[0] for one in self._study.complete if one.values}
        own = [one.number for one in self._study.own if one.number in values]
        last = own[-plateau.trials :]
        earlier = [value for number, value in values.items() if number < last[0]] if last else []
        if len(last) < plateau.trials or not earlier:
            return False
        pick = max if goal == "max" else min
        before, now = pick(earlier), pick([*earlier, *(values[number] for number in last)])
        return abs(before - now) <= abs(before) * plateau.improvement_pct / 100


def _counted(trials: int) -> str:
    return "1 trial" if trials == 1 else f"{trials} trials"


def _said(seconds: float) -> str:
    return f"{seconds / 60:g} min" if seconds % 60 == 0 else f"{seconds:g} s"
