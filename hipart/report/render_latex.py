"""A table in LaTeX; it needs ``\\usepackage{booktabs}``; with ``graphicx`` a wide one is scaled."""

import textwrap
from collections.abc import Sequence

from hipart.report.grid import GridColumn, Text, grid
from hipart.report.model import Content

#: Without graphicx a wide table stays as wide as it is.
_SCALED = r"\ifdefined\resizebox\def\scaled{\resizebox{\linewidth}{!}}\else\def\scaled{}\fi"
_GRAPHICX = r"; is as wide as the text with \usepackage{graphicx}"
#: Letters that fit into a line of small type; a wider table is scaled down to it.
_LINE = 95
#: Letters of a heading's line where the column itself is narrower.
_HEADING = 14
#: Columns from which on they stand closer.
_NARROW = 6
_SPECIAL = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "…": r"\ldots{}",
    "–": "--",
    "—": "---",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "→": r"$\rightarrow$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "Δ": r"$\Delta$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "λ": r"$\lambda$",
    "σ": r"$\sigma$",
    "τ": r"$\tau$",
}


def render(table: Content) -> str:
    """A table environment: caption, label, best bold, second best underlined, footer."""
    laid = grid(table)
    columns = laid.columns
    body = []
    for place in range(len(columns[0].texts)):
        body += [r"\midrule"] if place in laid.starts else []
        body.append(_line([_text(column.texts[place]) for column in columns]))
    wide = sum(map(_letters, columns)) > _LINE
    label = "".join(sign if sign.isalnum() else "-" for sign in table.name)
    return "\n".join(
        [
            rf"% needs \usepackage{{booktabs}}{_GRAPHICX * wide}",
            r"\begin{table}[t]",
            r"\centering",
            *([r"\small\setlength{\tabcolsep}{3pt}"] if len(columns) > _NARROW else []),
            rf"\caption{{{escape(table.caption)}}}",
            rf"\label{{tab:{label}}}",
            *([_SCALED] if wide else []),
            r"\scaled{" * wide
            + rf"\begin{{tabular}}{{{''.join(column.align[0] for column in columns)}}}",
            r"\toprule",
            *_header(columns),
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}" + "}" * wide,
            r"\par\smallskip",
            r"\begin{minipage}{\linewidth}\footnotesize",
            rf"\textbf{{Best}} and \underline{{second best}} {table.ranking}",
            *(escape(line) for line in table.footer),
            r"\end{minipage}",
            r"\end{table}",
            "",
        ]
    )


def _letters(column: GridColumn) -> int:
    """Letters that a column is wide, with the gap beside it."""
    texts = [f"{text.main} {text.rest}".strip() for text in column.texts]
    return 2 + max(map(len, [*texts, *_broken(column)]), default=0)


def escape(text: str) -> str:
    """Text that LaTeX prints as it is, on one line."""
    return "".join(_SPECIAL.get(sign, sign) for sign in " ".join(text.split()))


def _header(columns: list[GridColumn]) -> list[str]:
    """Headings broken into as many lines as keep a column about as narrow as its texts."""
    broken = [_broken(column) for column in columns]
    height = max(map(len, broken))
    lines = [[""] * (height - len(one)) + one for one in broken]
    return [_line([escape(text) for text in line]) for line in zip(*lines, strict=True)]


def _broken(column: GridColumn) -> list[str]:
    longest = max((len(f"{text.main} {text.rest}".strip()) for text in column.texts), default=0)
    top = textwrap.wrap(column.top, max(_HEADING, longest), break_long_words=False)
    return [*top, column.bottom] if column.bottom else top


def _line(texts: Sequence[str]) -> str:
    line = " & ".join(texts) + r" \\"
    return f"{{}}{line}" if line.startswith(("[", "*")) else line  # no option of the line before


def _text(text: Text) -> str:
    main = escape(text.main)
    marked = {"best": rf"\textbf{{{main}}}", "second": rf"\underline{{{main}}}", None: main}
    return f"{marked[text.mark]} {escape(text.rest)}".strip()
