"""Figures of an adaptive search: how it went, what was tried, and what seems to matter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hipart.experiment.search import Search
from hipart.report.figures.search.importance import draw_importance
from hipart.report.figures.search.progress import draw_front, draw_history, draw_rungs
from hipart.report.figures.search.shared import shown
from hipart.report.figures.search.tried import draw_parallel, draw_slice
from hipart.report.figures.style import STYLE, save

if TYPE_CHECKING:
    import optuna
    from matplotlib.figure import Figure


def draw(study: optuna.Study, search: Search) -> dict[str, Figure]:
    """The figures that can be drawn yet, by their names."""
    import matplotlib

    trials = shown(study)
    with matplotlib.rc_context(STYLE):
        figures = {
            "history": draw_history(search, trials),
            "slice": draw_slice(search, trials),
            "parallel": draw_parallel(search, trials),
            "importance": draw_importance(study, search, trials),
            "rungs": draw_rungs(search, trials) if search.stopping else None,
            "front": draw_front(search, trials) if search.several else None,
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
