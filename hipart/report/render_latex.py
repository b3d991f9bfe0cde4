"""A table in LaTeX; it needs ``\\usepackage{booktabs}`` and nothing else."""

from hipart.report.grid import GridColumn, Text, grid
from hipart.report.model import Content

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
    label = "".join(sign if sign.isalnum() else "-" for sign in table.name)
    return "\n".join(
        [
            r"\begin{table}[t]",
            r"\centering",
            rf"\caption{{{escape(table.caption)}}}",
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{{''.join(column.align[0] for column in columns)}}}",
            r"\toprule",
            *_header(columns),
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\smallskip",
            r"\begin{minipage}{\linewidth}\footnotesize",
            r"\textbf{Best} and \underline{second best} of the arms with all their seeds.",
            *(escape(line) for line in table.footer),
            r"\end{minipage}",
            r"\end{table}",
            "",
        ]
    )


def escape(text: str) -> str:
    """Text that LaTeX prints as it is, on one line."""
    return "".join(_SPECIAL.get(sign, sign) for sign in " ".join(text.split()))


def _header(columns: list[GridColumn]) -> list[str]:
    lines = [[escape(column.top) for column in columns]]
    lines.append([escape(column.bottom) for column in columns])
    return [_line(line) for line in lines if any(line)]


def _line(texts: list[str]) -> str:
    line = " & ".join(texts) + r" \\"
    return f"{{}}{line}" if line.startswith(("[", "*")) else line  # no option of the line before


def _text(text: Text) -> str:
    main = escape(text.main)
    marked = {"best": rf"\textbf{{{main}}}", "second": rf"\underline{{{main}}}", None: main}
    return f"{marked[text.mark]} {escape(text.rest)}".strip()
