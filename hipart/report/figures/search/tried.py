"""What a search tried: the objective over each dimension, and all dimensions side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hipart.experiment.dimension import Dimension, Value
from hipart.experiment.search import Search
from hipart.report.figures.search.shared import (
    Shown,
    add_grid,
    axis_title,
    best_of,
    completed,
    counted,
    tried_dimensions,
)
from hipart.report.figures.style import GREY, OTHER_COLOUR, add_caption, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ACROSS = 4
#: Dark is good; it can be read with a colour weakness and in grey.
_MAP = "viridis"
#: From this ratio on, a logarithmic axis has room for powers of ten alone.
_TWO_DECADES = 100
#: Of a range with more values than this, the ends alone are named.
_MOST_NAMED = 6
#: Letters that fit side by side under a panel.
_MOST_LETTERS = 34
#: Where a trial passes the row of a dimension that it does not have.
_ABSENT = -0.14


def draw_slice(search: Search, trials: Sequence[Shown]) -> Figure | None:
    """The first objective over each dimension, later trials lighter."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.ticker import MaxNLocator

    complete = completed(trials)
    tried = tried_dimensions(search, complete)
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
        best = best_of(search, complete)
        if best is not None and dimension.name in best.point:
            axes.plot(_place(dimension, best), best.last, "o", markersize=7, color="none",
                      markeredgecolor=OTHER_COLOUR, markeredgewidth=1.1)  # fmt: skip
        _dimension_axis(axes, dimension)
        axes.tick_params(labelleft=place % across == 0)
        add_grid(axes, "y")
    figure.supylabel(axis_title(search, search.objectives[0]), fontsize=8)
    whole = MaxNLocator(integer=True, min_n_ticks=1)
    numbers = ScalarMappable(norm, _MAP)
    figure.colorbar(numbers, ax=figure.axes, shrink=0.7, aspect=30, label="trial", ticks=whole)
    kinds = "; squares: from the store" if any(one.stored for one in complete) else ""
    add_caption(figure, f"{counted(trials)}; ring: the best{kinds}")
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


def draw_parallel(search: Search, trials: Sequence[Shown]) -> Figure | None:
    """A line down from dimension to dimension for each trial, the best ones dark and on top."""
    from matplotlib.collections import LineCollection

    complete = completed(trials)
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
    named = axis_title(search, search.objectives[0])
    figure.colorbar(lines, ax=axes, shrink=0.6, aspect=30, label=named)
    add_caption(figure, counted(trials) + "; –: has no such dimension" * absent)
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
        rows.append(Row(axis_title(search, objective), places, ends))
    return rows


def _share(dimension: Dimension, trial: Shown) -> float:
    """Where a trial crosses the row of a dimension; those of a level beside each other."""
    value = trial.point.get(dimension.name)
    if value is None:
        return _ABSENT + _aside(trial) / 10
    return dimension.share(value) + (_aside(trial) / 10 if isinstance(value, str) else 0.0)
