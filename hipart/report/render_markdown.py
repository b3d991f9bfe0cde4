"""A table in GitHub's Markdown."""

from hipart.markdown import escape
from hipart.report.grid import GridColumn, Text, grid
from hipart.report.model import Content


def render(table: Content) -> str:
    """Title, table (best bold, second best underlined) and footer."""
    columns = grid(table).columns
    rows = [_line([_header(column) for column in columns])]
    rows.append(_line(["---:" if column.align == "right" else ":---" for column in columns]))
    for place in range(len(columns[0].texts)):
        rows.append(_line([_text(column.texts[place]) for column in columns]))
    footer = [f"* {escape(line)}" for line in table.footer]
    legend = f"* **Best** and *second best* {table.ranking}"
    return "\n".join([f"**{escape(table.caption)}**", "", *rows, "", legend, *footer, ""])


def _line(texts: list[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _header(column: GridColumn) -> str:
    return escape(f"{column.top} {column.bottom}".strip())


def _text(text: Text) -> str:
    main = escape(text.main)
    marked = {"best": f"**{main}**", "second": f"*{main}*", None: main}[text.mark]
    return f"{marked} {escape(text.rest)}".strip()
