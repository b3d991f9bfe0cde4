"""Answers as pictures: the joints that were given beside the 3D pose. Needs Matplotlib."""

from pathlib import Path
from typing import Any

import numpy as np

from hipart.predicting.bvh import FRAMES_PER_S
from hipart.predicting.found import Found
from hipart.predictor import POSE
from hipart.skeleton import LEFT, PARENTS, RIGHT

MAX_GIF_POSES = 2000
DOTS_PER_INCH = 100
#: Shown of a GIF: every viewer can keep up with 25.
GIF_FRAMES_PER_S = FRAMES_PER_S // 2


def write_png(found: Found, out: Path) -> None:
    """The first pose."""
    figure = _figure()
    _draw(figure, found, 0)
    figure.savefig(out, dpi=DOTS_PER_INCH)


def write_gif(found: Found, out: Path) -> None:
    """All poses, one after another. Raises ValueError for more than a GIF should hold."""
    if len(found.poses) > MAX_GIF_POSES:
        raise ValueError(f"{len(found.poses)} poses, a .gif holds at most {MAX_GIF_POSES}")
    figure = _figure()
    from matplotlib.animation import PillowWriter

    writer = PillowWriter(fps=GIF_FRAMES_PER_S)
    with writer.saving(figure, str(out), DOTS_PER_INCH):
        for pose in range(len(found.poses)):
            figure.clear()
            _draw(figure, found, pose)
            writer.grab_frame()


def _figure() -> Any:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise ValueError(
            "pictures need Matplotlib, which is not installed: pip install matplotlib"
        ) from None
    figure = Figure(figsize=(8, 4.2))
    FigureCanvasAgg(figure)
    return figure


def _draw(figure: Any, found: Found, pose: int) -> None:
    """Left what was given and generated, in the image's frame; right the 3D pose, upright."""
    flat, solid = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2, projection="3d")
    for name, points in found.answers.items():
        if name != POSE:
            flat.scatter(*points[pose].T, s=4, alpha=0.5, linewidths=0, label=name)
    _bones(flat, found.poses[pose])
    low, high = found.poses.min(axis=(0, 1)), found.poses.max(axis=(0, 1))
    _window(flat, (low + high) / 2, (high - low).max() * 0.58)
    flat.invert_yaxis()
    flat.set(xlabel="x, px", ylabel="y, px", aspect="equal")
    if len(found.answers) > 1:
        flat.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=7)
    # Matplotlib's third axis is the upright one: away from the camera is its second.
    _bones(solid, found.joints_mm[pose][:, [0, 2, 1]] * [1, 1, -1])
    half = float(np.abs(found.joints_mm - found.joints_mm[:, :1]).max()) * 1.05
    _window(solid, (found.joints_mm[pose, 0, [0, 2, 1]] * [1, 1, -1]), max(half, 1.0))
    solid.set(xlabel="x, mm", ylabel="depth, mm", zlabel="up, mm", box_aspect=(1, 1, 1))
    solid.set_title(f"pose {pose}")
    solid.locator_params(nbins=4)
    solid.tick_params(labelsize=7)
    solid.view_init(elev=12, azim=-65)


def _bones(axis: Any, joints: np.ndarray) -> None:
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            color = "tab:blue" if joint in LEFT else "tab:red" if joint in RIGHT else "0.25"
            axis.plot(*joints[[parent, joint]].T, color=color, linewidth=2)


def _window(axis: Any, middle: np.ndarray, half: float) -> None:
    for name, centre in zip("xyz", middle, strict=False):
        getattr(axis, f"set_{name}lim")(centre - half, centre + half)
