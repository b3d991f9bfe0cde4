"""What a tokenizer learned: how alike its codes are (Figs. 7, 14), what a token moves (Fig. 8)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hipart.report.figures.style import new_figure
from hipart.report.model import Content
from hipart.skeleton import PARTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PROBE = "probe.safetensors"
TITLES = {
    "sparse_sparse": "sparse to sparse",
    "dense_dense": "dense to dense",
    "sparse_dense": "sparse to dense",
}


def draw_similarity(table: Content, folders: Mapping[str, Mapping[str, Path]]) -> Figure | None:
    """Cosines between codes that the test poses use: a row for each arm, a matrix for each pair."""
    found = _probes(table, folders)
    if not found:
        return None
    figure = new_figure(6.0, 1.9 * len(found) + 0.3)
    grid = figure.subplots(len(found), len(TITLES), squeeze=False)
    image: Any = None
    for line, (arm, arrays) in zip(grid, found.items(), strict=True):
        for axes, (name, title) in zip(line, TITLES.items(), strict=True):
            axes.set_xticks([])
            axes.set_yticks([])
            if name not in arrays:
                axes.set_axis_off()
                continue
            image = axes.imshow(arrays[name], vmin=-1, vmax=1, cmap="RdBu_r", aspect="auto")
            axes.set_title(f"{title}, mean |cos| {_mean(arrays[name]):.2f}", fontsize=7)
        line[0].set_ylabel(arm)
    figure.colorbar(image, ax=grid, shrink=0.6, label="cosine")
    return figure


def draw_substructure(table: Content, folders: Mapping[str, Mapping[str, Path]]) -> Figure | None:
    """Mean shift of each part's points when one part takes another sparse token."""
    found = _probes(table, folders)
    if not found:
        return None
    figure = new_figure(0.7 + 3.1 * len(found), 3.4)
    grid = figure.subplots(1, len(found), squeeze=False)
    top = max(float(arrays["substructure_px"].max()) for arrays in found.values())
    image: Any = None
    for axes, (arm, arrays) in zip(grid[0], found.items(), strict=True):
        image = axes.imshow(arrays["substructure_px"], vmin=0, vmax=top, cmap="viridis")
        axes.set_xticks(range(len(PARTS)), PARTS, rotation=90, fontsize=6)
        axes.set_yticks(range(len(PARTS)), PARTS, fontsize=6)
        axes.set_title(arm)
        axes.set_xlabel("part whose points move")
    grid[0][0].set_ylabel("part whose token changes")
    figure.colorbar(image, ax=grid, shrink=0.8, label="mean shift [px]")
    return figure


def _probes(table: Content, folders: Mapping[str, Mapping[str, Path]]) -> dict[str, dict[str, Any]]:
    from safetensors.numpy import load_file

    return {
        row.arm: load_file(folders[row.arm]["probe"] / PROBE)
        for row in table.rows
        if "probe" in folders.get(row.arm, {})
    }


def _mean(matrix: Any) -> float:
    """Mean absolute cosine; of a code with itself it is 1 and says nothing."""
    if matrix.shape[0] == matrix.shape[1] and (matrix.diagonal() > 1 - 1e-4).all():
        count = len(matrix)
        return float((abs(matrix).sum() - count) / max(1, count * (count - 1)))
    return float(abs(matrix).mean())
