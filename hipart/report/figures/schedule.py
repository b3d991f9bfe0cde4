"""Who did what: a line for each worker, a bar for each job."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hipart.report.figures.style import COLOURS, STYLE, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hipart.report.schedule import Span

#: Units of the axis in seconds, and from how many of them on the next one is taken.
UNITS, MANY = (("seconds", 1.0), ("minutes", 60.0), ("hours", 3600.0)), 120


def write(spans: Sequence[Span], folder: Path, name: str) -> list[Path]:
    """Write the figure of these jobs, of which there is at least one."""
    import matplotlib

    workers = sorted({(span.host, span.pid) for span in spans})
    first, last = min(span.began for span in spans), max(span.ended for span in spans)
    took = (last - first).total_seconds()
    unit, unit_s = next(one for one in UNITS if took <= MANY * one[1] or one == UNITS[-1])
    with matplotlib.rc_context(STYLE):
        figure = new_figure(6.9, 0.9 + 0.22 * len(workers))
        axes = figure.add_subplot()
        _bars(axes, spans, workers, unit_s)
        axes.set_yticks(range(len(workers)), [f"{host}  {pid}" for host, pid in workers])
        axes.set_ylim(len(workers) - 0.4, -0.6)
        for place, (one, other) in enumerate(zip(workers, workers[1:], strict=False)):
            if one[0] != other[0]:
                axes.axhline(place + 0.5, color="#999999", linewidth=0.6)
        axes.set_xlabel(f"{unit} since {first:%Y-%m-%d %H:%M:%S} UTC")
        axes.set_xlim(left=0)
        axes.grid(axis="x", linewidth=0.3, color="#dddddd")
        axes.set_axisbelow(True)
        figure.legend(loc="outside upper center", ncols=8, frameon=False)
        return save(figure, folder, name)


def _bars(
    axes: Axes, spans: Sequence[Span], workers: Sequence[tuple[str, int]], unit_s: float
) -> None:
    first = min(span.began for span in spans)
    for number, stage in enumerate(dict.fromkeys(span.stage for span in spans)):
        mine = [span for span in spans if span.stage == stage]
        axes.barh(
            [workers.index((span.host, span.pid)) for span in mine],
            [span.seconds / unit_s for span in mine],
            left=[(span.began - first).total_seconds() / unit_s for span in mine],
            height=0.7,
            color=COLOURS[number % len(COLOURS)],
            edgecolor="white",
            linewidth=0.3,
            label=stage,
        )
