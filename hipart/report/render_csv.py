"""A table for machines: full precision, fixed columns, nothing of when or where it was made."""

import csv
import io

from hipart.report.model import Cell, Content

_STATISTICS = ("mean", "std", "n", "delta", "delta_low", "delta_high", "p", "p_holm")
_OVER_CLIPS = ("clips", "clips_low", "clips_high", "clips_p", "clips_p_holm")


def render(table: Content) -> str:
    """One line per arm; what is unknown is empty."""
    header = ["arm", "factor", "level", "n"]
    header += [f"{column.name}_{name}" for column in table.columns for name in _STATISTICS]
    header += [f"{table.columns[0].name}_{name}" for name in _OVER_CLIPS]
    header += ["published_value", "published_unit", "published_place"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in table.rows:
        published = row.published
        writer.writerow(
            [row.arm, row.factor, row.level, row.measured]
            + [value for cell in row.cells for value in _values(cell)]
            + _over_clips(row.cells[0])
            + ([published.value, published.unit, published.place] if published else [None] * 3)
        )
    return text.getvalue()


def _values(cell: Cell) -> list[float | int | None]:
    return [
        cell.mean, cell.std, cell.n, cell.delta, cell.low, cell.high, cell.p, cell.p_holm
    ]  # fmt: skip


def _over_clips(cell: Cell) -> list[float | int | None]:
    found = cell.clips
    if found is None:
        return [None] * len(_OVER_CLIPS)
    return [found.clips, found.low, found.high, found.p, cell.clips_p_holm]
