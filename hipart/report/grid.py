"""A table as texts in rows and columns; the notations only differ in how they mark and escape."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from hipart.report.model import Cell, Column, Content, Row

WAITING, ABSENT, FAILED = "…", "–", "failed"


@dataclass(frozen=True)
class Text:
    """``main`` and, after a space, ``rest``; the mark of a best value is on ``main`` alone."""

    main: str
    rest: str = ""
    mark: Literal["best", "second"] | None = None


@dataclass(frozen=True)
class GridColumn:
    """A heading in two lines, its texts, and whether it may be left out where room is short."""

    top: str
    bottom: str
    texts: list[Text]
    align: Literal["left", "right"] = "right"
    optional: bool = False


@dataclass(frozen=True)
class Grid:
    """Columns of equal length, and the rows before which a line is drawn."""

    columns: list[GridColumn]
    starts: list[int]


def grid(table: Content) -> Grid:
    """The columns of a table in its layout."""
    if table.layout == "paper":
        beside = table.side_by_side
        return _side_by_side(table, beside) if beside in table.crossed else _as_printed(table)
    names = _crossed(table) if table.crossed else [*_factors(table), _levels(table)]
    columns = [*names, _counts(table)]
    for place, column in enumerate(table.columns):
        columns.append(_means(table, column, place))
        if place == 0 and any(row.cells[0].delta is not None for row in table.rows):
            texts = [Text(_delta(row.cells[0], column)) for row in table.rows]
            columns.append(GridColumn("Δ to base", "[95 % CI]", texts))
    return Grid([*columns, *_published(table)], section_starts(table))


def section_starts(table: Content) -> list[int]:
    """Rows at which another factor begins, or in a factorial design another level of the first."""
    rows, crossed = table.rows, table.crossed
    if table.ranked:
        return []

    def section(row: Row) -> str | None:
        if not crossed or not table.in_design(row):
            return row.factor
        return table.standing(row, crossed[0])

    return [at for at in range(1, len(rows)) if section(rows[at]) != section(rows[at - 1])]


def _as_printed(table: Content) -> Grid:
    """Arms by name and their means, as in a paper; seeds and differences are left out."""
    names = _crossed(table) if table.crossed else [*_factors(table), _levels(table)]
    means = [_means(table, column, place) for place, column in enumerate(table.columns)]
    return Grid([*names, *means, *_published(table)], section_starts(table))


def _side_by_side(table: Content, factor: str) -> Grid:
    """The levels of one factor side by side, measured and published, one row for all others.

    A heading is the factor with its level: a mere "on" says nothing.
    """
    others = [name for name in table.crossed if name != factor]
    lines: dict[tuple[bool, tuple[str, ...]], dict[str, Row]] = {}
    for row in table.rows:
        crossed = table.in_design(row)
        line = tuple(table.standing(row, name) for name in others)
        if not crossed:  # a control stands in a line of its own, by its name
            line = (row.arm, *("" for _ in others[1:]))
        lines.setdefault((crossed, line), {})[table.standing(row, factor)] = row
    names = [
        GridColumn(name, "", [Text(line[place]) for _, line in lines], align="left")
        for place, name in enumerate(others)
    ]
    columns = []
    for level in dict.fromkeys(level for cells in lines.values() for level in cells):
        rows = [cells.get(level) for cells in lines.values()]
        column = table.columns[0]
        texts = [_mean(table, row, 0) if row else Text(ABSENT) for row in rows]
        heading = f"{factor}: {level}"
        columns.append(GridColumn(heading, f"{column.title} {_unit(column)}", texts))
        published = [row.published if row else None for row in rows]
        if any(published):
            told = [Text(f"{value.value}" if value else "") for value in published]
            columns.append(GridColumn(heading, "published", told))
    return Grid([*names, *columns], [])


def _crossed(table: Content) -> list[GridColumn]:
    """A column for each factor; an arm outside the design stands in the first by its name."""
    columns = []
    for place, factor in enumerate(table.crossed):
        texts = [
            Text(table.standing(row, factor))
            if table.in_design(row)
            else Text(row.arm if place == 0 else "")
            for row in table.rows
        ]
        columns.append(GridColumn(factor, "", texts, align="left"))
    return columns


def _factors(table: Content) -> list[GridColumn]:
    if len(table.factors) < 2:
        return []
    starts = {0, *section_starts(table)}
    texts = [
        Text(row.factor or "" if place in starts else "") for place, row in enumerate(table.rows)
    ]
    return [GridColumn("factor", "", texts, align="left")]


def _levels(table: Content) -> GridColumn:
    only = table.factors[0] if len(table.factors) == 1 else None
    standing = table.base_levels.get(only) if only else None
    texts = [
        Text(f"{standing} (base)" if standing and place == 0 else row.label)
        for place, row in enumerate(table.rows)
    ]
    return GridColumn(only or ("level" if table.factors else "arm"), "", texts, align="left")


def _counts(table: Content) -> GridColumn:
    texts = [
        Text(f"{row.measured}/{row.planned}" if row.measured < row.planned else f"{row.planned}")
        for row in table.rows
    ]
    return GridColumn("n", "", texts)


def _means(table: Content, column: Column, place: int) -> GridColumn:
    texts = [_mean(table, row, place) for row in table.rows]
    return GridColumn(column.title, _unit(column), texts, optional=place > 0)


def _unit(column: Column) -> str:
    arrow = "↓" if column.goal == "min" else "↑"
    return f"[{column.unit}] {arrow}" if column.unit else arrow


def _mean(table: Content, row: Row, place: int) -> Text:
    cell, column = row.cells[place], table.columns[place]
    if cell.mean is not None:
        std = "" if cell.std is None else f"± {number(cell.std, column.decimals)}"
        return Text(number(cell.mean, column.decimals), std, cell.mark)
    if row.failed:
        return Text(FAILED)
    return Text(WAITING if table.partial and row.done < row.planned else ABSENT)


def _delta(cell: Cell, column: Column) -> str:
    if cell.delta is None:
        return ""
    shown = partial(number, decimals=column.decimals + 1, sign="+")
    text = shown(cell.delta)
    if cell.low is not None and cell.high is not None:
        text += f" [{shown(cell.low)}, {shown(cell.high)}]"
    return text + "*" * cell.significant


def _published(table: Content) -> list[GridColumn]:
    """Published values in a column of their own, under the name of their source."""
    known = [row.published for row in table.rows if row.published is not None]
    if not known:
        return []
    places = {value.place for value in known}
    units = {value.unit for value in known}
    texts = []
    for row in table.rows:
        value = row.published
        unit = f" {value.unit}" if value and len(units) > 1 else ""
        place = f" ({value.place})" if value and len(places) > 1 else ""
        texts.append(Text(f"{value.value}{unit}{place}" if value else ""))
    where = places.pop() if len(places) == 1 else ""
    unit = f"[{units.pop()}]" if len(units) == 1 else ""
    top = f"published in {table.paper}" if table.paper else "published"
    return [GridColumn(top, " ".join(part for part in (where, unit) if part), texts)]


def number(value: float, decimals: int, sign: Literal["-", "+"] = "-") -> str:
    """A number with a true minus sign and no negative zero."""
    text = format(value, f"{sign}.{decimals}f")
    if not text.strip("+-0."):
        text = text.lstrip("+-")
    return text.replace("-", "−")
