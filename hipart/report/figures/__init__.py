"""Figures of a table, as SVG and PNG: which kinds there are, and writing those that were asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hipart.report.figures import actions, curves, examples, probes, tradeoff
from hipart.report.figures.style import STYLE, save
from hipart.report.model import Content

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Artifact folder by arm and stage, of the first finished seed.
Folders = Mapping[str, Mapping[str, Path]]

#: Figures that are drawn from the table alone, by their names in ``figures`` of an experiment.
FROM_TABLE: dict[str, Callable[[Content], Figure | None]] = {
    "curves": curves.draw,
    "tradeoff": tradeoff.draw,
}
#: Figures that look into the artifacts of each arm.
FROM_ARTIFACTS: dict[str, Callable[[Content, Folders], Figure | None]] = {
    "similarity": probes.draw_similarity,
    "substructure": probes.draw_substructure,
    "examples": examples.draw,
}


def write(
    table: Content,
    folder: Path,
    kinds: Sequence[str] = ("curves",),
    by_action: Content | None = None,
    folders: Folders | None = None,
) -> list[Path]:
    """Write the figures of these kinds that can be drawn yet; ``curves`` bear the table's name."""
    import matplotlib

    written: list[Path] = []
    with matplotlib.rc_context(STYLE):
        for kind in kinds:
            if kind == "actions":
                figure = actions.draw(by_action) if by_action else None
            elif kind in FROM_TABLE:
                figure = FROM_TABLE[kind](table)
            else:
                figure = FROM_ARTIFACTS[kind](table, folders or {})
            if figure is not None:
                name = table.name if kind == "curves" else f"{table.name}_{kind}"
                written += save(figure, folder, name)
    return written
