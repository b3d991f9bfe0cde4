"""A picture of a terminal: ``tmux capture-pane -e -p | python tools/terminal_svg.py OUT.svg``."""

import io
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text


def main() -> None:
    """Standard input, with its colours, as an SVG that needs no font of its own."""
    lines = sys.stdin.read().rstrip("\n").split("\n")
    text = Text.from_ansi("\n".join(lines))
    width = max(line.cell_len for line in text.split("\n"))
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    console.print(text, soft_wrap=True)
    svg = console.export_svg(title="hipart-search run codebook_ablation", unique_id="terminal")
    fonts = svg.find("@font-face"), svg.rfind("}", 0, svg.find(".terminal-matrix")) + 1
    Path(sys.argv[1]).write_text(svg[: fonts[0]] + svg[fonts[1] :], encoding="utf-8")


if __name__ == "__main__":
    main()
