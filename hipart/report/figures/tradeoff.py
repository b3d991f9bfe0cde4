"""Accuracy against what it costs: parameters, FLOPs, latency (the paper's Fig. 1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hipart.report.figures.style import BASE_COLOUR, COLOURS, GREY, new_figure
from hipart.report.model import Content

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: From this ratio of costs on, an axis has room for powers of ten alone.
_TWO_DECADES = 100
COSTS = ("parameters_m", "total_parameters_m", "gflops", "latency_ms", "frames_per_s")


def draw(table: Content) -> Figure | None:
    """The table's metric over every cost that it has a column of; a point for each arm."""
    costs = [place for place, column in enumerate(table.columns) if column.name in COSTS and place]
    if not costs:
        return None
    figure = new_figure(0.9 + 2.5 * len(costs), 2.9)
    for number, place in enumerate(costs):
        axes = figure.add_subplot(1, len(costs), number + 1)
        for index, row in enumerate(table.rows):
            cost, error = row.cells[place], row.cells[0]
            if cost.mean is None or error.mean is None:
                continue
            axes.errorbar(
                cost.mean,
                error.mean,
                yerr=error.std or 0.0,
                marker="o" if index else "s",
                markersize=4,
                color=COLOURS[index % len(COLOURS)] if index else BASE_COLOUR,
                elinewidth=0.7,
                capsize=2,
                linestyle="none",
                label=row.arm if number == 0 else None,
            )
        column, metric = table.columns[place], table.columns[0]
        _logarithmic(axes, [row.cells[place].mean for row in table.rows])
        axes.set_xlabel(f"{column.title} [{column.unit}]")
        if number == 0:
            axes.set_ylabel(f"{metric.title} [{metric.unit}]")
        axes.grid(linewidth=0.3, color="#dddddd")
        axes.set_axisbelow(True)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    figure.supxlabel("square: base; bars: ± standard deviation over seeds", size=6, color=GREY)
    return figure


def _logarithmic(axes: Axes, costs: Sequence[float | None]) -> None:
    """A logarithmic axis whose ticks are plain numbers, few enough to stand beside each other."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    known = [cost for cost in costs if cost]
    narrow = not known or max(known) < _TWO_DECADES * min(known)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_locator(NullLocator())
