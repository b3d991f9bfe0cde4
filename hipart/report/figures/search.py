"""Figures of an adaptive search: how it went, what was tried, and what seems to matter."""

from __future__ import annotations

import math
import random
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hipart.experiment.form import MetricChoice
from hipart.experiment.search import Search
from hipart.experiment.space import Dimension, Point, Value
from hipart.pipeline import FINAL_STAGE, PIPELINE
from hipart.report.figures.style import BASE_COLOUR, GREY, OTHER_COLOUR, STYLE, new_figure, save
from hipart.search.front import front, hypervolume, worst

if TYPE_CHECKING:
    import optuna
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ACROSS = 4
#: Dark is good; it can be read with a colour weakness and in grey.
_MAP = "viridis"
#: From this ratio on, a logarithmic axis has room for powers of ten alone.
_TWO_DECADES = 100
#: Of a range with more values than this, the ends alone are named.
_MOST_NAMED = 6
#: Of a caption.
_LETTERS_PER_INCH = 20
#: Letters that fit side by side under a panel.
_MOST_LETTERS = 34
#: Where a trial passes the row of a dimension that it does not have.
_ABSENT = -0.14
#: Importances compare the best trials, so many or a tenth, with all; from so many trials on.
_BEST, _LEAST = 5, 10
#: Bars that luck alone could give.
_PALE = "#a9bccf"
#: Shuffles that tell what importances luck alone would give.
_SHUFFLES = 50


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


def draw(study: optuna.Study, search: Search) -> dict[str, Figure]:
    """The figures that can be drawn yet, by their names."""
    import matplotlib

    trials = shown(study)
    with matplotlib.rc_context(STYLE):
        figures = {
            "history": _history(search, trials),
            "slice": _slice(search, trials),
            "parallel": _parallel(search, trials),
            "importance": _importance(study, search, trials),
            "rungs": _rungs(search, trials) if search.stopping else None,
            "front": _front(search, trials) if search.several else None,
        }
    return {kind: figure for kind, figure in figures.items() if figure is not None}


def write(study: optuna.Study, search: Search, folder: Path) -> list[Path]:
    """Write the figures that can be drawn yet, each named after the search and its kind."""
    import matplotlib

    written: list[Path] = []
    with matplotlib.rc_context(STYLE):
        for kind, figure in draw(study, search).items():
            written += save(figure, folder, f"{search.name}_{kind}")
    return written


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


def _complete(trials: Sequence[Shown]) -> list[Shown]:
    return [trial for trial in trials if trial.complete]


def _tried(search: Search, complete: Sequence[Shown]) -> list[Dimension]:
    """The dimensions that at least one of these trials has."""
    return [one for one in search.dimensions if any(one.name in t.point for t in complete)]


def _name(search: Search, objective: MetricChoice) -> str:
    """An objective as an axis is labelled with it."""
    declared = PIPELINE[objective.stage].metrics
    metric = next(one for one in declared if one.name == objective.name)
    unit = f" [{metric.unit}]" if metric.unit else ""
    on = f", {search.base_config.evaluation.split}" if objective.stage == FINAL_STAGE else ""
    return metric.title + unit + on


def _counted(trials: Sequence[Shown]) -> str:
    """How many trials a figure of the complete ones shows, and how many not."""
    complete = len(_complete(trials))
    others = len(trials) - complete
    return f"{complete} complete trials" + f", without {others} that ended early" * bool(others)


def _best(search: Search, complete: Sequence[Shown]) -> Shown | None:
    """The best in the first objective."""
    sign = -1.0 if search.objectives[0].goal == "max" else 1.0
    return min(complete, key=lambda one: sign * one.values[0], default=None)


def _caption(figure: Figure, text: str) -> None:
    lines = textwrap.wrap(text, int(_LETTERS_PER_INCH * figure.get_figwidth()))
    figure.supxlabel("\n".join(lines), size=6, color=GREY)


def _grid(axes: Axes, axis: Any = "both") -> None:
    axes.grid(axis=axis, linewidth=0.3, color="#dddddd")
    axes.set_axisbelow(True)


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    across = len(labels) if len(labels) < 5 else 3
    figure.legend(handles, labels, loc="outside upper center", ncols=across, frameon=False)


def _marks(axes: Axes, trials: Sequence[Shown], xs: Sequence[float], ys: Sequence[float]) -> None:
    """A mark for each trial at its place, those of a kind together."""
    for kind, look in LOOKS.items():
        mine = [i for i, one in enumerate(trials) if (one.complete, one.stored) == kind]
        if mine:
            axes.scatter([xs[i] for i in mine], [ys[i] for i in mine], s=14, marker=look.marker,
                         color=look.colour, linewidths=0.8 * (not kind[0]), zorder=3,
                         label=look.label)  # fmt: skip


# How the search went


def _history(search: Search, trials: Sequence[Shown]) -> Figure | None:
    """Every trial and the best so far; for several objectives each, and the dominated volume."""
    from matplotlib.ticker import MaxNLocator

    if not trials:
        return None
    complete = _complete(trials)
    volumes = _volumes(search, [one.values for one in complete]) if search.several else []
    down = len(search.objectives) + bool(volumes)
    figure = new_figure(4.6, 1.1 + (1.7 if down == 1 else 1.4 * down))
    panels = list(figure.subplots(down, 1, sharex=True, squeeze=False)[:, 0])
    for place, objective in enumerate(search.objectives):
        _progress(panels[place], search, trials, place)
        panels[place].set_ylabel(textwrap.fill(_name(search, objective), 18 if down > 1 else 40))
    if volumes:
        numbers = [one.number for one in complete]
        panels[-1].step(numbers, volumes, where="post", color=GREY, linewidth=1.1)
        panels[-1].set_ylabel("dominated volume\n[% of the last]")
    for axes in panels:
        _grid(axes, "y")
    panels[-1].set_xlabel("trial")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    margin = max(0.5, 0.02 * trials[-1].number)
    panels[-1].set_xlim(-margin, trials[-1].number + margin)
    if len(complete) < len(trials):
        _caption(
            figure, "trials without all epochs: at their last value; at the edge if it is beyond"
        )
    _legend(figure, panels[0])
    return figure


def _progress(axes: Axes, search: Search, trials: Sequence[Shown], place: int) -> None:
    """Every trial's value of one objective, and the best so far."""
    complete = _complete(trials)
    values = {one.number: one.values[place] for one in complete}
    up = search.objectives[place].goal == "max"
    if complete:
        best = list(accumulate(values.values(), max if up else min))
        axes.step([*values, trials[-1].number], [*best, best[-1]], where="post", color=GREY,
                  linewidth=1.1, label="best so far")  # fmt: skip
    start = search.space.point_of(search.base_config)
    for base in [one for one in complete if one.point == start][:1]:
        axes.axhline(values[base.number], color=GREY, linewidth=0.6, linestyle=":", zorder=0,
                     label="base")  # fmt: skip
    edge = _edge(list(values.values()), up)
    for one in trials:
        values.setdefault(one.number, max(edge, one.last) if up else min(edge, one.last))
    numbers = [one.number for one in trials]
    _marks(axes, trials, numbers, [values[number] for number in numbers])


def _edge(values: Sequence[float], up: bool) -> float:
    """Up to where stopped trials are drawn: complete ones must remain distinguishable."""
    span = max(values, default=0.0) - min(values, default=0.0)
    if not span:
        return -math.inf if up else math.inf
    return min(values) - span / 2 if up else max(values) + span / 2


def _volumes(search: Search, values: Sequence[tuple[float, ...]]) -> list[float]:
    """What the trials so far dominate, in percent of all; empty where that is nothing."""
    if not values:
        return []
    up = [one.goal == "max" for one in search.objectives]
    reference = worst(values, up)
    kept: list[tuple[float, ...]] = []
    volumes = []
    for one in values:
        kept.append(one)
        kept = [kept[place] for place in front(kept, up)]
        volumes.append(hypervolume(kept, reference, up))
    return [100 * one / volumes[-1] for one in volumes] if volumes[-1] else []


def _rungs(search: Search, trials: Sequence[Shown]) -> Figure | None:
    """The objective by epochs of the lifter, a line for each trial; crosses: stopped there."""
    from matplotlib.ticker import NullLocator

    drawn = [trial for trial in trials if trial.rungs]
    if not drawn:
        return None
    best = _best(search, _complete(trials))
    figure = new_figure(4.6, 3.0)
    axes = figure.add_subplot()
    for one in drawn:
        colour, width, above = BASE_COLOUR if one.complete else STOPPED_COLOUR, 0.7, 2
        if one is best:
            colour, width, above = OTHER_COLOUR, 1.6, 4
        axes.plot(list(one.rungs), list(one.rungs.values()), color=colour, linewidth=width,
                  linestyle="--" if one.stored else "-", zorder=above,
                  label=f"best: trial {one.number}" if one is best else None)  # fmt: skip
    ends = [max(one.rungs) for one in drawn]
    _marks(axes, drawn, ends, [one.rungs[end] for one, end in zip(drawn, ends, strict=True)])
    axes.set_xscale("log")
    axes.set_xticks(search.rungs, [str(epochs) for epochs in search.rungs])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(search.rungs[0] / 1.15, search.rungs[-1] * 1.15)
    axes.set_xlabel("epochs of the lifter")
    axes.set_ylabel(_name(search, search.objectives[0]))
    _grid(axes)
    _legend(figure, axes)
    return figure


def _front(search: Search, trials: Sequence[Shown]) -> Figure | None:
    """The first two objectives of every trial; those that nothing beats in both are joined."""
    complete = _complete(trials)
    if len(complete) < 2:
        return None
    first, second = search.objectives[:2]
    pairs = [(one.values[0], one.values[1]) for one in complete]
    up = [one.goal == "max" for one in (first, second)]
    # From the best of the first objective on, the second gets better.
    kept = sorted(front(pairs, up), key=pairs.__getitem__, reverse=up[0])
    figure = new_figure(4.6, 3.4)
    axes = figure.add_subplot()
    axes.step(*zip(*(pairs[place] for place in kept), strict=True), where="post", color=GREY,
              linewidth=0.9, label="front")  # fmt: skip
    _marks(axes, complete, *zip(*pairs, strict=True))
    for pair, equal in groupby(kept, key=pairs.__getitem__):
        numbers = ", ".join(str(complete[place].number) for place in sorted(equal))
        # Beside the front, where nothing else can stand: it would be better.
        axes.annotate(numbers, pair, xytext=(4 if up[0] else -4, 4 if up[1] else -4),
                      textcoords="offset points", fontsize=6, ha="left" if up[0] else "right",
                      va="bottom" if up[1] else "top")  # fmt: skip
    axes.margins(0.08)
    axes.set_xlabel(_name(search, first))
    axes.set_ylabel(_name(search, second))
    _grid(axes)
    count = len(search.objectives)
    others = f"; of {count} objectives, the first two" if count > 2 else ""
    _caption(figure, "numbers: trials that no other beats in both" + others)
    _legend(figure, axes)
    return figure


# What was tried


def _slice(search: Search, trials: Sequence[Shown]) -> Figure | None:
    """The first objective over each dimension, later trials lighter."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.ticker import MaxNLocator

    complete = _complete(trials)
    tried = _tried(search, complete)
    if len(complete) < 2:
        return None
    across = min(_ACROSS, len(tried))
    down = -(-len(tried) // across)
    figure = new_figure(1.1 + 1.75 * across, 0.6 + 1.75 * down)
    first: Axes | None = None
    norm = Normalize(0, complete[-1].number)
    for place, dimension in enumerate(tried):
        axes = figure.add_subplot(down, across, place + 1, sharey=first)
        first = first or axes
        for stored, marker in ((False, "o"), (True, "s")):
            mine = [one for one in complete if one.stored == stored and dimension.name in one.point]
            axes.scatter([_place(dimension, one) for one in mine], [one.last for one in mine], s=14,
                         c=[one.number for one in mine], marker=marker, cmap=_MAP, norm=norm,
                         linewidths=0)  # fmt: skip
        best = _best(search, complete)
        if best is not None and dimension.name in best.point:
            axes.plot(_place(dimension, best), best.last, "o", markersize=7, color="none",
                      markeredgecolor=OTHER_COLOUR, markeredgewidth=1.1)  # fmt: skip
        _dimension_axis(axes, dimension)
        axes.tick_params(labelleft=place % across == 0)
        _grid(axes, "y")
    figure.supylabel(_name(search, search.objectives[0]), fontsize=8)
    whole = MaxNLocator(integer=True, min_n_ticks=1)
    numbers = ScalarMappable(norm, _MAP)
    figure.colorbar(numbers, ax=figure.axes, shrink=0.7, aspect=30, label="trial", ticks=whole)
    kinds = "; squares: from the store" if any(one.stored for one in complete) else ""
    _caption(figure, f"{_counted(trials)}; ring: the best{kinds}")
    return figure


def _place(dimension: Dimension, trial: Shown) -> float:
    """Where a trial stands on the axis of a dimension; those of a level beside each other."""
    value = trial.point[dimension.name]
    if isinstance(value, str):
        return dimension.names.index(value) + _aside(trial)
    return value


def _aside(trial: Shown) -> float:
    """-0.15 to 0.15, evenly filled by the numbers of trials."""
    return 0.3 * (trial.number * 0.618 % 1 - 0.5)


def _dimension_axis(axes: Axes, dimension: Dimension) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    axes.set_xlabel(textwrap.fill(dimension.name, 22))
    if dimension.levels is not None:
        names = [_broken(name) for name in dimension.names]
        longest = max(len(line) for name in names for line in name.split("\n"))
        upright = longest * len(names) > _MOST_LETTERS
        axes.set_xticks(range(len(names)), names, fontsize=6, rotation=90 if upright else 0)
        axes.set_xlim(-0.5, len(names) - 0.5)
        return
    assert dimension.range is not None
    low, high = dimension.range
    if dimension.log:
        axes.set_xscale("log")
        axes.set_xlim(low * (low / high) ** 0.06, high * (high / low) ** 0.06)
        subs = (1.0, 3.0) if high < _TWO_DECADES * low else (1.0,)
        axes.xaxis.set_major_locator(LogLocator(subs=subs))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        return
    axes.set_xlim(low - 0.06 * (high - low), high + 0.06 * (high - low))
    counted = dimension.values() or ()
    if 0 < len(counted) <= _MOST_NAMED:
        axes.set_xticks([*map(float, counted)], [_said(one) for one in counted])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=dimension.kind == "int"))


def _said(value: Value) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _broken(name: str) -> str:
    """The name of a level in lines, broken after low lines."""
    return textwrap.fill(name.replace("_", "_ "), 12).replace("_ ", "_")


@dataclass(frozen=True)
class Row:
    """A row of the parallel coordinates: where each trial crosses it, and what stands there."""

    title: str
    places: list[float]
    ticks: dict[float, str]


def _parallel(search: Search, trials: Sequence[Shown]) -> Figure | None:
    """A line down from dimension to dimension for each trial, the best ones dark and on top."""
    from matplotlib.collections import LineCollection

    complete = _complete(trials)
    if len(complete) < 2 or len(search.dimensions) < 2:
        return None
    first = [one.values[0] for one in complete]
    up = search.objectives[0].goal == "max"
    rows = _rows(search, complete)
    order = sorted(range(len(complete)), key=first.__getitem__, reverse=not up)
    paths = [[(row.places[line], down) for down, row in enumerate(rows)] for line in order]
    figure = new_figure(6.2, 0.5 + 0.42 * len(rows))
    axes = figure.add_subplot()
    lines = LineCollection(paths, cmap=f"{_MAP}_r" if up else _MAP, linewidths=0.9, alpha=0.85)
    lines.set_array([first[line] for line in order])
    axes.add_collection(lines)
    box = {"facecolor": "white", "alpha": 0.75, "pad": 0.3, "linewidth": 0}
    for down, row in enumerate(rows):
        axes.plot([0, 1], [down, down], color=GREY, linewidth=0.6, zorder=1)
        for place, text in row.ticks.items():
            axes.text(place, down + 0.12, text, size=6, ha="center", va="top", zorder=5, bbox=box,
                      linespacing=0.9)  # fmt: skip
    absent = any(_ABSENT in row.ticks for row in rows)
    axes.set_xlim(_ABSENT - 0.03 if absent else -0.03, 1.03)
    axes.set_ylim(len(rows) - 0.4, -0.3)
    axes.set_yticks(range(len(rows)), [row.title for row in rows])
    axes.set_xticks([])
    axes.tick_params(length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    named = _name(search, search.objectives[0])
    figure.colorbar(lines, ax=axes, shrink=0.6, aspect=30, label=named)
    _caption(figure, _counted(trials) + "; –: has no such dimension" * absent)
    return figure


def _rows(search: Search, complete: Sequence[Shown]) -> list[Row]:
    """The dimensions from above, and then the objectives."""
    rows = []
    for dimension in search.dimensions:
        places = [_share(dimension, trial) for trial in complete]
        named = dimension.values() or []
        if not named or (dimension.levels is None and len(named) > _MOST_NAMED):
            named = list(dimension.range or ())
        ticks = {dimension.share(one): _broken(_said(one)) for one in named}
        absent = any(dimension.name not in trial.point for trial in complete)
        rows.append(Row(dimension.name, places, ticks | ({_ABSENT: "–"} if absent else {})))
    for place, objective in enumerate(search.objectives):
        found = [one.values[place] for one in complete]
        low, span = min(found), (max(found) - min(found)) or 1.0
        places = [(one - low) / span for one in found]
        ends = {0.0: f"{low:.4g}", max(places): f"{max(found):.4g}"}
        rows.append(Row(_name(search, objective), places, ends))
    return rows


def _share(dimension: Dimension, trial: Shown) -> float:
    """Where a trial crosses the row of a dimension; those of a level beside each other."""
    value = trial.point.get(dimension.name)
    if value is None:
        return _ABSENT + _aside(trial) / 10
    return dimension.share(value) + (_aside(trial) / 10 if isinstance(value, str) else 0.0)


# What seems to matter


def _importance(study: optuna.Study, search: Search, trials: Sequence[Shown]) -> Figure | None:
    """Importances of the dimensions for each objective, beside what shuffled values would give.

    By PED-ANOVA: how differently the best trials and all trials are spread over a dimension. It
    takes conditional dimensions as they are.
    """
    complete = _complete(trials)
    names = [one.name for one in _tried(search, complete)]
    if len(complete) < _LEAST or len(names) < 2:
        return None
    best = max(_BEST, len(complete) // 10)
    across = len(search.objectives)
    figure = new_figure(2.0 + 2.4 * across, 1.1 + 0.2 * len(names))
    panels = figure.subplots(1, across, sharey=True, squeeze=False)[0]
    order: list[str] = []
    for place, (axes, objective) in enumerate(zip(panels, search.objectives, strict=True)):
        sign = -1.0 if objective.goal == "max" else 1.0
        costs = {one.number: sign * one.values[place] for one in complete}
        shares, luck = _shares(study, names, costs, best)
        order = order or sorted(names, key=shares.__getitem__)
        colours = [BASE_COLOUR if shares[name] > luck[name] else _PALE for name in order]
        axes.barh(order, [100 * shares[name] for name in order], 0.6, color=colours)
        axes.scatter([100 * luck[name] for name in order], order, s=40, marker="|",
                     color=OTHER_COLOUR, linewidths=1.4, zorder=3,
                     label="9 in 10 shuffles of the values stay below")  # fmt: skip
        axes.set_xlabel("importance [% of the sum]")
        axes.set_title(_name(search, objective))
        _grid(axes, "x")
    caption = f"conditional PED-ANOVA: the best {best} beside all {len(complete)} complete trials"
    if others := len(trials) - len(complete):
        caption += f", without {others} that ended early: what ended them may look unimportant"
    _caption(figure, caption)
    _legend(figure, panels[0])
    return figure


def _shares(
    study: optuna.Study, names: list[str], costs: dict[int, float], best: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Each dimension's share of the importances; and the 9th decile of it for shuffled costs."""
    found = _importances(study, names, costs, best)
    shuffled, drawn = [], random.Random(0)
    for _ in range(_SHUFFLES):
        values = drawn.sample(list(costs.values()), len(costs))
        shuffled.append(_importances(study, names, dict(zip(costs, values, strict=True)), best))
    total = sum(found.values()) or 1.0
    luck = {name: sorted(one[name] for one in shuffled)[_SHUFFLES * 9 // 10] for name in names}
    return (
        {name: found[name] / total for name in names},
        {name: luck[name] / total for name in names},
    )


def _importances(
    study: optuna.Study, names: list[str], costs: dict[int, float], best: int
) -> dict[str, float]:
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of targets that are not the study's own
        return get_param_importances(
            study,
            evaluator=PedAnovaImportanceEvaluator(target_quantile=best / len(costs)),
            params=names,
            target=lambda trial: costs[trial.number],
            normalize=False,
        )
