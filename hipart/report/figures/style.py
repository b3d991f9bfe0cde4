"""What all figures have in common: type, colours, and how a file appears."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BASE_COLOUR, OTHER_COLOUR, GREY = "#1f4e79", "#b35806", "#555555"
#: Distinguishable for most readers, also with a colour weakness (Okabe and Ito 2008).
COLOURS = ("#1f4e79", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#777777", "#000000")
#: Of a caption.
_LETTERS_PER_INCH = 20
STYLE: Any = {  # matplotlib names every key in its type
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "svg.hashsalt": "hipart",
    "svg.fonttype": "none",
}


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches, with its own canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def add_caption(figure: Figure, text: str) -> None:
    """What a reader has to know, small and grey beneath everything."""
    lines = textwrap.wrap(text, int(_LETTERS_PER_INCH * figure.get_figwidth()))
    figure.supxlabel("\n".join(lines), size=6, color=GREY)


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write NAME.svg and NAME.png, each whole and, for the same figure, the same."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.{kind}" for kind in ("svg", "png")]
    for path in paths:
        part = path.with_name(f".{os.getpid()}.{path.name}")
        metadata = {"Date": None} if path.suffix == ".svg" else {}
        figure.savefig(part, dpi=300, metadata=metadata)
        part.replace(path)
    return paths
