"""What figures of a search share: the trials they show, how these look, and what is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from hipart.experiment.dimension import Dimension
from hipart.experiment.metrics import MetricChoice
from hipart.experiment.search import Search
from hipart.experiment.space import Point
from hipart.pipeline import FINAL_STAGE, PIPELINE
from hipart.report.figures.style import BASE_COLOUR, OTHER_COLOUR

if TYPE_CHECKING:
    import optuna
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Shown:
    """A trial with something to draw; one that was not measured in full has only ``rungs``."""

    number: int
    point: Point
    values: tuple[float, ...]
    rungs: dict[int, float]
    stored: bool

    @property
    def complete(self) -> bool:
        """Whether it was measured in full."""
        return bool(self.values)

    @property
    def last(self) -> float:
        """The first objective where it ended."""
        return self.values[0] if self.values else self.rungs[max(self.rungs)]


class Look(NamedTuple):
    """How a kind of trial is drawn."""

    label: str
    marker: str
    colour: str


STOPPED_COLOUR = "#888888"
#: By whether it was measured in full, and whether the store had it.
LOOKS = {
    (True, False): Look("complete", "o", BASE_COLOUR),
    (True, True): Look("from the store", "s", OTHER_COLOUR),
    (False, False): Look("stopped early", "x", STOPPED_COLOUR),
    (False, True): Look("from the store, few epochs", "+", OTHER_COLOUR),
}


def shown(study: optuna.Study) -> list[Shown]:
    """Trials measured in full or up to a rung, by number; those that failed have no value."""
    from optuna.trial import TrialState

    return [
        Shown(
            trial.number,
            trial.user_attrs["point"],
            tuple(trial.values) if trial.state == TrialState.COMPLETE else (),
            dict(sorted(trial.intermediate_values.items())),
            trial.user_attrs.get("origin") == "store",
        )
        for trial in study.get_trials(deepcopy=False)
        if trial.state == TrialState.COMPLETE
        or (trial.state == TrialState.PRUNED and trial.intermediate_values)
    ]


def completed(trials: Sequence[Shown]) -> list[Shown]:
    return [trial for trial in trials if trial.complete]


def tried_dimensions(search: Search, complete: Sequence[Shown]) -> list[Dimension]:
    """The dimensions that at least one of these trials has."""
    return [one for one in search.dimensions if any(one.name in t.point for t in complete)]


def axis_title(search: Search, objective: MetricChoice) -> str:
    """An objective as an axis is labelled with it."""
    declared = PIPELINE[objective.stage].metrics
    metric = next(one for one in declared if one.name == objective.name)
    unit = f" [{metric.unit}]" if metric.unit else ""
    on = f", {search.base_config.evaluation.split}" if objective.stage == FINAL_STAGE else ""
    return metric.title + unit + on


def counted(trials: Sequence[Shown]) -> str:
    """How many trials a figure of the complete ones shows, and how many not."""
    complete = len(completed(trials))
    others = len(trials) - complete
    return f"{complete} complete trials" + f", without {others} that ended early" * bool(others)


def best_of(search: Search, complete: Sequence[Shown]) -> Shown | None:
    """The best in the first objective."""
    sign = -1.0 if search.objectives[0].goal == "max" else 1.0
    return min(complete, key=lambda one: sign * one.values[0], default=None)


def add_grid(axes: Axes, axis: Any = "both") -> None:
    axes.grid(axis=axis, linewidth=0.3, color="#dddddd")
    axes.set_axisbelow(True)


def add_legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    across = len(labels) if len(labels) < 5 else 3
    figure.legend(handles, labels, loc="outside upper center", ncols=across, frameon=False)


def add_marks(
    axes: Axes, trials: Sequence[Shown], xs: Sequence[float], ys: Sequence[float]
) -> None:
    """A mark for each trial at its place, those of a kind together."""
    for kind, look in LOOKS.items():
        mine = [i for i, one in enumerate(trials) if (one.complete, one.stored) == kind]
        if mine:
            axes.scatter([xs[i] for i in mine], [ys[i] for i in mine], s=14, marker=look.marker,
                         color=look.colour, linewidths=0.8 * (not kind[0]), zorder=3,
                         label=look.label)  # fmt: skip
