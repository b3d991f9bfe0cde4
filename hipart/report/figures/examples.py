"""Poses to look at: what a lifter was given, what it made of it, and the truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hipart.report.figures.style import BASE_COLOUR, GREY, OTHER_COLOUR, new_figure
from hipart.report.model import Content
from hipart.skeleton import NUM_JOINTS, PARENTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EXAMPLES = "examples.safetensors"
#: Samples shown, of those kept; and at most so many arms.
SAMPLES, MOST_ARMS = (1, 5, 9), 8


def draw(table: Content, folders: Mapping[str, Mapping[str, Path]]) -> Figure | None:
    """A column for each arm; for each sample its 2D input above, and the 3D poses below it."""
    from safetensors.numpy import load_file

    found = {
        row.arm: load_file(folders[row.arm]["evaluate"] / EXAMPLES)
        for row in table.rows
        if "evaluate" in folders.get(row.arm, {})
        and (folders[row.arm]["evaluate"] / EXAMPLES).exists()
    }
    found = dict(list(found.items())[:MOST_ARMS])
    samples = [
        one for one in SAMPLES if all(one < len(arrays["target"]) for arrays in found.values())
    ]
    if not found or not samples:
        return None
    figure = new_figure(1.35 * len(found) + 0.2, 2.5 * len(samples) + 0.4)
    grid = figure.subplots(2 * len(samples), len(found), squeeze=False)
    for column, (arm, arrays) in enumerate(found.items()):
        for line, sample in enumerate(samples):
            seen, lifted = grid[2 * line][column], grid[2 * line + 1][column]
            _seen(seen, arrays["input"][sample], arrays["hidden"][sample])
            error = _lifted(lifted, arrays["lifted"][sample], arrays["target"][sample])
            lifted.set_title(f"{error:.0f} mm", fontsize=6, y=-0.12)
        grid[0][column].set_title(arm.replace(", ", ",\n"), fontsize=6)
    figure.suptitle(
        "above: input, crosses are hidden joints, dots dense points; "
        "below: lifted (orange) and true pose (grey), seen from the camera",
        fontsize=6,
        color=GREY,
    )
    return figure


def _seen(axes: Axes, pose: Any, hidden: Any) -> None:
    joints, dense = pose[:NUM_JOINTS], pose[NUM_JOINTS:]
    _skeleton(axes, joints, BASE_COLOUR)
    axes.scatter(dense[:, 0], dense[:, 1], s=0.6, color=OTHER_COLOUR, linewidths=0, zorder=3)
    axes.scatter(
        joints[hidden, 0],
        joints[hidden, 1],
        s=10,
        color="red",
        marker="x",
        linewidths=0.7,
        zorder=4,
    )


def _lifted(axes: Axes, lifted: Any, target: Any) -> float:
    """Draw both; returns the sample's MPJPE in mm."""
    _skeleton(axes, target[:, :2], "#999999")
    _skeleton(axes, lifted[:, :2], OTHER_COLOUR)
    return float(1000 * ((lifted - target) ** 2).sum(-1).__pow__(0.5).mean())


def _skeleton(axes: Axes, joints: Any, colour: str) -> None:
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            axes.plot(*joints[[joint, parent]].T, color=colour, linewidth=0.8)
    axes.set_aspect("equal", adjustable="datalim")
    if not axes.yaxis_inverted():
        axes.invert_yaxis()  # y grows downwards, in pictures and in the camera's frame
    axes.set_axis_off()
