"""How a search went: the values of its trials one after the other, by epochs, and their front."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from itertools import accumulate, groupby
from typing import TYPE_CHECKING

from hipart.experiment.search import Search
from hipart.report.figures.search.shared import (
    STOPPED_COLOUR,
    Shown,
    add_grid,
    add_legend,
    add_marks,
    axis_title,
    best_of,
    completed,
)
from hipart.report.figures.style import BASE_COLOUR, GREY, OTHER_COLOUR, add_caption, new_figure
from hipart.search.front import front, hypervolume, worst

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_history(search: Search, trials: Sequence[Shown]) -> Figure | None:
    """Every trial and the best so far; for several objectives each, and the dominated volume."""
    from matplotlib.ticker import MaxNLocator

    if not trials:
        return None
    complete = completed(trials)
    volumes = _volumes(search, [one.values for one in complete]) if search.several else []
    down = len(search.objectives) + bool(volumes)
    figure = new_figure(4.6, 1.1 + (1.7 if down == 1 else 1.4 * down))
    panels = list(figure.subplots(down, 1, sharex=True, squeeze=False)[:, 0])
    for place, objective in enumerate(search.objectives):
        _progress(panels[place], search, trials, place)
        panels[place].set_ylabel(
            textwrap.fill(axis_title(search, objective), 18 if down > 1 else 40)
        )
    if volumes:
        numbers = [one.number for one in complete]
        panels[-1].step(numbers, volumes, where="post", color=GREY, linewidth=1.1)
        panels[-1].set_ylabel("dominated volume\n[% of the last]")
    for axes in panels:
        add_grid(axes, "y")
    panels[-1].set_xlabel("trial")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    margin = max(0.5, 0.02 * trials[-1].number)
    panels[-1].set_xlim(-margin, trials[-1].number + margin)
    if len(complete) < len(trials):
        add_caption(
            figure, "trials without all epochs: at their last value; at the edge if it is beyond"
        )
    add_legend(figure, panels[0])
    return figure


def _progress(axes: Axes, search: Search, trials: Sequence[Shown], place: int) -> None:
    """Every trial's value of one objective, and the best so far."""
    complete = completed(trials)
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
    add_marks(axes, trials, numbers, [values[number] for number in numbers])


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


def draw_rungs(search: Search, trials: Sequence[Shown]) -> Figure | None:
    """The objective by epochs of the lifter, a line for each trial; crosses: stopped there."""
    from matplotlib.ticker import NullLocator

    drawn = [trial for trial in trials if trial.rungs]
    if not drawn:
        return None
    best = best_of(search, completed(trials))
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
    add_marks(axes, drawn, ends, [one.rungs[end] for one, end in zip(drawn, ends, strict=True)])
    axes.set_xscale("log")
    axes.set_xticks(search.rungs, [str(epochs) for epochs in search.rungs])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(search.rungs[0] / 1.15, search.rungs[-1] * 1.15)
    axes.set_xlabel("epochs of the lifter")
    axes.set_ylabel(axis_title(search, search.objectives[0]))
    add_grid(axes)
    add_legend(figure, axes)
    return figure


def draw_front(search: Search, trials: Sequence[Shown]) -> Figure | None:
    """The first two objectives of every trial; those that nothing beats in both are joined."""
    complete = completed(trials)
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
    add_marks(axes, complete, *zip(*pairs, strict=True))
    for pair, equal in groupby(kept, key=pairs.__getitem__):
        numbers = ", ".join(str(complete[place].number) for place in sorted(equal))
        # Beside the front, where nothing else can stand: it would be better.
        axes.annotate(numbers, pair, xytext=(4 if up[0] else -4, 4 if up[1] else -4),
                      textcoords="offset points", fontsize=6, ha="left" if up[0] else "right",
                      va="bottom" if up[1] else "top")  # fmt: skip
    axes.margins(0.08)
    axes.set_xlabel(axis_title(search, first))
    axes.set_ylabel(axis_title(search, second))
    add_grid(axes)
    count = len(search.objectives)
    others = f"; of {count} objectives, the first two" if count > 2 else ""
    add_caption(figure, "numbers: trials that no other beats in both" + others)
    add_legend(figure, axes)
    return figure
