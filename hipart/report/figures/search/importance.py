"""What seems to matter to a search: importances of its dimensions, beside those of luck."""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hipart.experiment.search import Search
from hipart.report.figures.search.shared import (
    Shown,
    add_grid,
    add_legend,
    axis_title,
    completed,
    tried_dimensions,
)
from hipart.report.figures.style import BASE_COLOUR, OTHER_COLOUR, add_caption, new_figure

if TYPE_CHECKING:
    import optuna
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Importances compare the best trials, so many or a tenth, with all; from so many trials on.
_BEST, _LEAST = 5, 10
#: Bars that luck alone could give.
_PALE = "#a9bccf"
#: Shuffles that tell what importances luck alone would give.
_SHUFFLES = 50


def draw_importance(study: optuna.Study, search: Search, trials: Sequence[Shown]) -> Figure | None:
    """Importances of the dimensions for each objective, beside what shuffled values would give.

    By PED-ANOVA: how differently the best trials and all trials are spread over a dimension. It
    takes conditional dimensions as they are.
    """
    complete = completed(trials)
    names = [one.name for one in tried_dimensions(search, complete)]
    if len(complete) < _LEAST or len(names) < 2:
        return None
    best = max(_BEST, len(complete) // 10)
    across = len(search.objectives)
    figure = new_figure(2.0 + 2.4 * across, 1.1 + 0.2 * len(names))
    panels = figure.subplots(1, across, sharey=True, squeeze=False)[0]
    order: list[str] = []
    lucks: dict[int, dict[str, float]] = {}
    for place, (axes, objective) in enumerate(zip(panels, search.objectives, strict=True)):
        sign = -1.0 if objective.goal == "max" else 1.0
        costs = {one.number: sign * one.values[place] for one in complete}
        found = _importances(study, names, costs, best)
        # Of the values, luck sees only how many trials count as the best: ties at the last are in.
        kept = sum(cost <= sorted(costs.values())[best - 1] for cost in costs.values())
        if kept not in lucks:
            lucks[kept] = _luck(study, names, costs, best)
        order = order or sorted(names, key=found.__getitem__)
        _bars(axes, order, found, lucks[kept])
        axes.set_title(axis_title(search, objective))
    caption = f"conditional PED-ANOVA: the best {best} beside all {len(complete)} complete trials"
    if others := len(trials) - len(complete):
        caption += f", without {others} that ended early: what ended them may look unimportant"
    add_caption(figure, caption)
    add_legend(figure, panels[0])
    return figure


def _bars(axes: Axes, order: list[str], found: dict[str, float], luck: dict[str, float]) -> None:
    """Each dimension's share of the importances, pale where luck could give as much."""
    total = sum(found.values()) or 1.0
    colours = [BASE_COLOUR if found[name] > luck[name] else _PALE for name in order]
    axes.barh(order, [100 * (found[name] / total) for name in order], 0.6, color=colours)
    axes.scatter([100 * (luck[name] / total) for name in order], order, s=40, marker="|",
                 color=OTHER_COLOUR, linewidths=1.4, zorder=3,
                 label="9 in 10 shuffles of the values stay below")  # fmt: skip
    axes.set_xlabel("importance [% of the sum]")
    add_grid(axes, "x")


def _luck(
    study: optuna.Study, names: list[str], costs: dict[int, float], best: int
) -> dict[str, float]:
    """The 9th decile of each dimension's importance for shuffled costs."""
    shuffled, drawn = [], random.Random(0)
    for _ in range(_SHUFFLES):
        values = drawn.sample(list(costs.values()), len(costs))
        shuffled.append(_importances(study, names, dict(zip(costs, values, strict=True)), best))
    return {name: sorted(one[name] for one in shuffled)[_SHUFFLES * 9 // 10] for name in names}


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
