"""Errors action by action, a bar for each arm (the paper's Table 1 as a picture)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hipart.report.figures.style import COLOURS, GREY, new_figure
from hipart.report.model import Content

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: More arms than this cannot be told apart in one panel.
MOST_ARMS = len(COLOURS)


def draw(table: Content) -> Figure | None:
    """Bars of all columns of a table by action, its first column (their mean) last."""
    order = [*range(1, len(table.columns)), 0]
    rows = [row for row in table.rows if row.cells[0].mean is not None][:MOST_ARMS]
    if len(order) < 3 or not rows:
        return None
    figure = new_figure(1.2 + 0.12 * len(order) * (len(rows) + 1.5), 2.8)
    axes = figure.add_subplot()
    width = 0.8 / len(rows)
    for number, row in enumerate(rows):
        cells = [row.cells[place] for place in order]
        axes.bar(
            [place + (number - (len(rows) - 1) / 2) * width for place in range(len(order))],
            [cell.mean or 0.0 for cell in cells],
            width,
            yerr=[cell.std or 0.0 for cell in cells],
            color=COLOURS[number],
            error_kw={"elinewidth": 0.5, "ecolor": GREY},
            label=row.arm,
        )
    axes.set_xticks(range(len(order)), [table.columns[place].title for place in order])
    axes.tick_params(axis="x", rotation=30)
    for label in axes.get_xticklabels():
        label.set(ha="right", rotation_mode="anchor")
    axes.axvline(len(order) - 1.5, color=GREY, linewidth=0.6, linestyle=":")
    axes.set_ylabel(f"{table.metric} [{table.columns[0].unit}]")
    figure.legend(loc="outside upper center", ncols=min(3, len(rows)), frameon=False)
    return figure
