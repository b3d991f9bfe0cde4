"""A table for the terminal, as a Rich renderable: live views and plain text alike."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from hipart.report.grid import ABSENT, GridColumn, Text, grid, section_starts
from hipart.report.model import Content

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table as RichTable
    from rich.text import Text as RichText

_PLAIN_MARKS = {"best": "¹", "second": "²", None: ""}
_STYLES = {"best": "bold", "second": "underline", None: ""}
_GAP = 2  # one of padding, one of Rich's column edge
_SHORTEST_NAME, _LONGEST_NAME = 8, 24
_INDENT = "  "
#: Name, number of seeds, mean and difference to the base stand side by side; published ones, too,
#: if there is room for their places.
_ALWAYS = 4


class TerminalTable:
    """Give it to a Rich console; where that has no styles, ¹ and ² mark the best means.

    Metrics beside the main one stand below it where the console is too narrow, in tables of the
    same rows; without ``notes``, as in a live view, they are left out.
    """

    def __init__(self, table: Content, notes: bool = True) -> None:
        self.table = table
        self.notes = notes

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Caption, table, footer."""
        from rich.text import Text as RichText

        plain = console.color_system is None
        columns, others = self._fitting(options.max_width)
        yield RichText(self.table.caption, style="bold")
        yield _body(columns, options.max_width, plain)
        if not self.notes:
            return
        while others:
            below, others = _first_that_fit(self._names(columns), others, options.max_width)
            yield RichText("")
            yield _body(below, options.max_width, plain)
        best = "¹ best, ² second best" if plain else "bold: best, underlined: second best"
        yield RichText(f"{best} {self.table.ranking}", style="dim")
        for line in self.table.footer:
            yield RichText(line, style="dim")

    def _names(self, columns: list[GridColumn]) -> list[GridColumn]:
        """The columns that say which row it is."""
        if self.table.ranked:
            return columns[:2]
        return [*takewhile(lambda column: column.align == "left", columns)]

    def _fitting(self, width: int) -> tuple[list[GridColumn], list[GridColumn]]:
        """The columns that fit, and the others."""
        columns = grid(self.table).columns
        others: list[GridColumn] = []
        if self.table.layout == "full" and len(self.table.factors) > 1 and not self.table.crossed:
            columns = _merged(self.table, columns)
        if self.table.ranked:
            columns = _gathered(self.table, columns)
        while _spare(columns, width) < 0:
            optional = [column for column in columns if column.optional]
            if not optional and len(columns) <= _ALWAYS:
                break
            moved = optional[-1] if optional else columns[-1]
            columns.remove(moved)
            others.insert(0, moved)
        return columns, others


def _first_that_fit(
    names: list[GridColumn], columns: list[GridColumn], width: int
) -> tuple[list[GridColumn], list[GridColumn]]:
    """The names of the rows with as many columns as fit beside them, at least one; the others."""
    count = len(columns)
    while count > 1 and _spare([*names, *columns[:count]], width) < 0:
        count -= 1
    return [*names, *columns[:count]], columns[count:]


def _body(columns: list[GridColumn], width: int, plain: bool) -> RichTable:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text as RichText

    body = RichTable(box=SIMPLE_HEAD, padding=(0, _GAP - 1, 0, 0), pad_edge=False, show_edge=False)
    for column, room in zip(columns, _widths(columns, width), strict=True):
        heading = RichText(f"{column.top}\n{column.bottom}".strip())
        body.add_column(heading, justify=column.align, width=room)
    for place in range(len(columns[0].texts)):
        body.add_row(*(_text(column.texts[place], plain) for column in columns))
    return body


def _text(text: Text, plain: bool) -> RichText:
    from rich.text import Text as RichText

    main = text.main + (_PLAIN_MARKS[text.mark] if plain else "")
    rest = f" {text.rest}" if text.rest else ""
    return RichText.assemble((main, "" if plain else _STYLES[text.mark]), rest)


def plain_text(table: Content, width: int = 80) -> str:
    """The table without any control codes, for files, pipes and terminals without colour."""
    import io

    from rich.console import Console

    file = io.StringIO()
    console = Console(
        file=file,
        width=width,
        color_system=None,
        force_terminal=False,
        markup=False,
        emoji=False,
    )
    console.print(TerminalTable(table))
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())


def _merged(table: Content, columns: list[GridColumn]) -> list[GridColumn]:
    """Factor and level in one column: a line names the factor, its levels stand below."""
    factors, levels, *others = columns
    starts = {place for place in section_starts(table) if table.rows[place].factor}
    names: list[Text] = []
    for place, text in enumerate(levels.texts):
        if place in starts:
            names.append(factors.texts[place])
        names.append(Text(_INDENT + text.main) if table.rows[place].factor else text)
    spread = [
        GridColumn(
            column.top,
            column.bottom,
            [
                one
                for place, text in enumerate(column.texts)
                for one in ([Text(""), text] if place in starts else [text])
            ],
            column.align,
            column.optional,
        )
        for column in others
    ]
    return [GridColumn("arm", "", names, "left"), *spread]


def _gathered(table: Content, columns: list[GridColumn]) -> list[GridColumn]:
    """Where a row stands in one column: all of the base, and of others what is not the base's."""
    number, *dimensions = columns[: len(table.crossed)]
    points: list[Text] = []
    for place in range(len(table.rows)):
        told = [
            f"{one.top} {one.texts[place].main}"
            for one in dimensions
            if one.texts[place].main != ABSENT
            and (place == 0 or one.texts[place].main != one.texts[0].main)
        ]
        points.append(Text(", ".join(told)))
    gathered = GridColumn("differs from the base in", "", points, "left")
    return [number, gathered, *columns[len(table.crossed) :]]


def _length(text: Text) -> int:
    return len(f"{text.main} {text.rest}".rstrip()) + bool(text.mark)


def _spare(columns: list[GridColumn], width: int) -> int:
    return width - sum(map(_width, columns)) - _GAP * (len(columns) - 1)


def _widths(columns: list[GridColumn], width: int) -> list[int]:
    """Room for each column; what is left over goes where headings take most lines."""
    rooms = [_width(column) for column in columns]
    spare = _spare(columns, width)
    rooms[0] = max(min(rooms[0], _SHORTEST_NAME), rooms[0] + min(spare, 0))
    for _ in range(spare):
        lines = [len(column.top) / room for column, room in zip(columns, rooms, strict=True)]
        if max(lines) <= 1:
            break
        rooms[lines.index(max(lines))] += 1
    return rooms


def _width(column: GridColumn) -> int:
    """Room that a column needs: its numbers whole, its names up to a line, its heading by word."""
    words = max(map(len, [*column.top.split(), column.bottom]), default=1)
    texts = max(map(_length, column.texts), default=1)
    return max(words, min(texts, _LONGEST_NAME) if column.align == "left" else texts)
