"""Curves of a metric over the levels of each factor, in the manner of the paper's Fig. 5."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from hipart.report.figures.style import BASE_COLOUR, GREY, OTHER_COLOUR
from hipart.report.model import Cell, Column, Content

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ACROSS = 4
_LETTERS_PER_INCH = 13  # of a tick label
_LABEL_WIDTH = 16
_LOGARITHMIC = 12  # ratio of the levels from which they stand on a logarithmic axis


@dataclass(frozen=True)
class Point:
    """A level of a factor with the cells of its arm."""

    level: str
    cells: tuple[Cell, ...]
    is_base: bool


@dataclass(frozen=True)
class Panel:
    """The finished levels of one factor; ``values`` are set where every level is a number."""

    factor: str
    points: list[Point]
    values: list[float] | None

    @property
    def places(self) -> list[float]:
        """Where the points stand on the x axis."""
        return self.values or [float(place) for place in range(len(self.points))]


def panels(table: Content) -> list[Panel]:
    """A panel per factor with at least two finished levels, the base's among them."""
    found = [_panel(table, factor) for factor in table.factors]
    return [panel for panel in found if len(panel.points) > 1]


def draw(table: Content) -> Figure | None:
    """The metric of each panel above, the codebook usage (where the table has it) below.

    Of two codebooks it is the one that the factor is of. None where no factor can be drawn yet.
    """
    drawn = panels(table)
    if not drawn:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    usages = [_usage(table, panel.factor) for panel in drawn]
    shown = [[0] if usage is None else [0, usage] for usage in usages]
    high = len(shown[0])
    across = min(_ACROSS, len(drawn))
    down = -(-len(drawn) // across)
    size = (0.7 + 2.1 * across + 0.8 * (across == 1), (1.6 + 0.7 * high) * down + 0.2)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(down * high, across, height_ratios=[2.2, 1.0][:high] * down)
    first: dict[int, Axes] = {}
    for place, panel in enumerate(drawn):
        for below, metric in enumerate(shown[place]):
            cell = grid[place // across * high + below, place % across]
            axes = figure.add_subplot(cell, sharey=first.get(below))
            first.setdefault(below, axes)
            left = place % across == 0
            titled = left or metric != shown[place - 1][below]
            _curve(axes, panel, metric, table.columns[metric].most)
            _x_axis(axes, panel, size[0] / across, named=below == high - 1)
            _y_axis(axes, table.columns[metric], labelled=left, titled=titled)
    figure.suptitle("open: base; bars: ± standard deviation over seeds", fontsize=6, color=GREY)
    return figure


def _usage(table: Content, factor: str) -> int | None:
    """The column with the usage of the codebook that a factor changes, or else with the first."""
    names = [column.name for column in table.columns]
    found = [place for place, name in enumerate(names) if "usage" in name]
    for book in ("sparse", "dense"):
        if any(f"{book}_codebook" in path for path in table.paths.get(factor, ())):
            found.sort(key=lambda place: f"{book}_usage" not in names[place])
            break
    return found[0] if found else None


def _panel(table: Content, factor: str) -> Panel:
    base = table.rows[0]
    points = [Point(table.base_levels.get(factor, "base"), base.cells, True)]
    points += [Point(row.label, row.cells, False) for row in table.rows if row.factor == factor]
    points = [point for point in points if point.cells[0].mean is not None]
    values = [_number(point.level) for point in points]
    if None in values or len(set(values)) < len(values):
        return Panel(factor, points, None)
    known = [value for value in values if value is not None]
    order = sorted(range(len(points)), key=known.__getitem__)
    return Panel(factor, [points[i] for i in order], [known[i] for i in order])


def _number(level: str) -> float | None:
    try:
        return float(level)
    except ValueError:
        return None


def _curve(axes: Axes, panel: Panel, metric: int, most: float) -> None:
    """A curve with its bars, which end at what the metric can be at ``most``."""
    colour = OTHER_COLOUR if metric else BASE_COLOUR
    known = [
        (x, point.cells[metric].mean, point.cells[metric].std or 0.0, point.is_base)
        for x, point in zip(panel.places, panel.points, strict=True)
        if point.cells[metric].mean is not None
    ]
    if not known:
        return
    xs, means, stds, bases = zip(*known, strict=True)
    above = [min(std, most - mean) for mean, std in zip(means, stds, strict=True)]
    line = "-" if panel.values else "none"
    axes.errorbar(xs, means, yerr=[stds, above], color=colour, linestyle=line, linewidth=1.1,
                  marker="o", markersize=3.5, capsize=2, elinewidth=0.8)  # fmt: skip
    for x, mean, is_base in zip(xs, means, bases, strict=True):
        if is_base:
            axes.axhline(mean, color=GREY, linewidth=0.6, linestyle=":", zorder=0)
            axes.plot([x], [mean], marker="o", markersize=5.5, color="white",
                      markeredgecolor=colour, markeredgewidth=1.2, zorder=5)  # fmt: skip


def _x_axis(axes: Axes, panel: Panel, width: float, named: bool) -> None:
    from matplotlib.ticker import NullLocator

    places = panel.places
    if panel.values and min(places) > 0 and max(places) >= _LOGARITHMIC * min(places):
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        places = [math.log(place) for place in places]
    labels = [point.level for point in panel.points]
    closest = min(right - left for left, right in pairwise(places)) / (places[-1] - places[0])
    turned = max(map(len, labels)) + 1 > closest * width * _LETTERS_PER_INCH
    axes.set_xticks(panel.places, labels if named else [])
    if turned:
        axes.tick_params(axis="x", rotation=30)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.margins(x=0.08 if panel.values else 0.25)
    if named:
        axes.set_xlabel(panel.factor)


def _y_axis(axes: Axes, column: Column, labelled: bool, titled: bool) -> None:
    axes.grid(axis="y", linewidth=0.3, color="#dddddd")
    axes.set_axisbelow(True)
    axes.locator_params(axis="y", nbins=5)
    if titled:
        unit = f" [{column.unit}]" if column.unit else ""
        axes.set_ylabel(textwrap.fill(column.title + unit, _LABEL_WIDTH))
    if not labelled:
        axes.tick_params(labelleft=False)
