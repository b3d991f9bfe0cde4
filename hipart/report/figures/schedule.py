"""Who did what: a line for each worker, beneath its machine, and a bar for each job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hipart.pipeline import PIPELINE
from hipart.report.figures.style import COLOURS, STYLE, add_caption, new_figure, save
from hipart.report.schedule import PAUSE, Span

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Units of the axis in seconds, and from how many of them on the next one is taken.
UNITS, MANY = (("seconds", 1.0), ("minutes", 60.0), ("hours", 3600.0)), 120
#: No bar is narrower than this share of the axis, or it could not be seen.
_HAIR = 1 / 400


def write(spans: Sequence[Span], folder: Path, name: str, earlier: int = 0) -> list[Path]:
    """Write the figure of these jobs, of which there is at least one.

    It says how many ``earlier`` ones are left out.
    """
    import matplotlib

    with matplotlib.rc_context(STYLE):
        return save(draw(spans, earlier), folder, name)


def draw(spans: Sequence[Span], earlier: int = 0) -> Figure:
    """A bar for each job or array of jobs, in its stage's colour, which is always the same."""
    first, last = min(span.began for span in spans), max(span.ended for span in spans)
    took = (last - first).total_seconds()
    unit, unit_s = next(one for one in UNITS if took <= MANY * one[1] or one == UNITS[-1])
    heads, lines = _places(spans)
    down = len(heads) + len(lines)
    figure = new_figure(6.9, 1.1 + 0.18 * down)
    axes = figure.add_subplot()
    _bars(axes, spans, lines, unit_s)
    box = {"facecolor": "white", "pad": 0.5, "linewidth": 0}
    for place, head in heads.items():
        axes.text(0, place + 0.1, head, size=7, weight="bold", va="center", bbox=box,
                  transform=axes.get_yaxis_transform())  # fmt: skip
    axes.set_yticks(list(lines.values()), [f"process {worker[-1]}" for worker in lines])
    axes.set_ylim(down - 0.4, -0.5)
    axes.set_xlabel(f"{unit} since {first:%Y-%m-%d %H:%M:%S} UTC")
    axes.set_xlim(0, (took or unit_s) * (1 + 2 * _HAIR) / unit_s)
    axes.grid(axis="x", linewidth=0.3, color="#dddddd")
    axes.set_axisbelow(True)
    figure.legend(loc="outside upper center", ncols=8, frameon=False, columnspacing=1.2)
    add_caption(figure, _caption(earlier))
    return figure


def _places(spans: Sequence[Span]) -> tuple[dict[int, str], dict[tuple[str, str, int], int]]:
    """From above: where each machine's heading stands, and where each of its workers."""
    heads: dict[int, str] = {}
    lines: dict[tuple[str, str, int], int] = {}
    for host, device in sorted({(span.host, span.device) for span in spans}):
        mine = [span.pid for span in spans if (span.host, span.device) == (host, device)]
        heads[len(heads) + len(lines)] = f"{host}, {device}: {len(mine)} job{'s' * (len(mine) > 1)}"
        for pid in sorted(set(mine)):
            lines[host, device, pid] = len(heads) + len(lines)
    return heads, lines


def _bars(
    axes: Axes, spans: Sequence[Span], lines: Mapping[tuple[str, str, int], int], unit_s: float
) -> None:
    """The bars of a stage are one collection: there may be thousands."""
    from matplotlib.collections import PolyCollection

    first, last = min(span.began for span in spans), max(span.ended for span in spans)
    least = (last - first).total_seconds() * _HAIR
    for number, stage in enumerate(PIPELINE):
        bars = []
        for span in dict.fromkeys(span for span in spans if span.stage == stage):
            left = (span.began - first).total_seconds() / unit_s
            right = left + max(span.seconds, least) / unit_s
            middle = lines[span.host, span.device, span.pid]
            up, down = middle - 0.35, middle + 0.35
            bars.append([(left, down), (right, down), (right, up), (left, up)])
        if bars:
            colour = COLOURS[number % len(COLOURS)]
            axes.add_collection(
                PolyCollection(bars, facecolors=colour, edgecolors="white", linewidths=0.3,
                               label=stage, zorder=2)
            )  # fmt: skip


def _caption(earlier: int) -> str:
    told = "a bar: a job, or several trained together; times by each machine's own clock"
    if earlier:
        minutes = PAUSE.total_seconds() / 60
        jobs = f"job{'s' * (earlier > 1)}"
        told += f"; without {earlier} {jobs} from before a pause of over {minutes:g} minutes"
    return told
