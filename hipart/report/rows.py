"""The rows of a table: an arm's cells, its difference over test clips, best and second best."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import polars as pl

from hipart.experiment.design import Arm
from hipart.experiment.metrics import MetricChoice
from hipart.report import protocol
from hipart.report.bootstrap import over_clips
from hipart.report.model import Cell, Column, Row
from hipart.report.statistics import holm, summarise
from hipart.sample_errors import SampleErrors


def rows_of(
    tried: Sequence[Arm], frame: pl.DataFrame, columns: Sequence[Column], metric: MetricChoice
) -> tuple[Row, ...]:
    """A row for each arm, the base's first, best and second best of every column marked."""
    summary = summarise(frame, [column.key for column in columns], base=tried[0].name)
    statistics = {(one["metric"], one["arm"]): one for one in summary.iter_rows(named=True)}
    done, failed = pl.col("state") == "done", pl.col("state") == "failed"
    states = frame.group_by("arm", maintain_order=True).agg(
        planned=pl.len(),
        done=done.sum(),
        failed=failed.sum(),
        reason=pl.col("reason").filter(failed).first(),
    )
    counted = {one.pop("arm"): one for one in states.iter_rows(named=True)}
    rows = [
        Row(
            arm=arm.name,
            published=arm.published if protocol.comparable(arm, metric) else None,
            levels=arm.levels,
            exact=arm.config.lifts_exact_points,
            cells=tuple(_cell(statistics[column.key, arm.name]) for column in columns),
            **counted[arm.name],
        )
        for arm in tried
    ]
    for place, column in enumerate(columns):
        rows = _ranked(rows, place, column)
    return tuple(rows)


def with_clips(
    rows: tuple[Row, ...], errors: Mapping[str, Sequence[SampleErrors]]
) -> tuple[Row, ...]:
    """Rows whose first cells also have the difference over test clips."""
    base = errors.get(rows[0].arm, ())
    found = [None, *(over_clips(errors.get(row.arm, ()), base) for row in rows[1:])]
    corrected = holm([one.p if one else None for one in found])
    return tuple(
        replace(row, cells=(replace(row.cells[0], clips=one, clips_p_holm=p), *row.cells[1:]))
        for row, one, p in zip(rows, found, corrected, strict=True)
    )


def _cell(statistics: dict[str, Any]) -> Cell:
    names = ("seeds", "n", "mean", "std", "delta", "low", "high", "p", "p_holm")
    return Cell(**{name: statistics[name] for name in names})


def _ranked(rows: list[Row], place: int, column: Column) -> list[Row]:
    """Rows with best and second best marked; equal as shown is equal.

    Arms that are not finished stand aside, and those that are given exact points.
    """

    def shown_of(row: Row) -> float | None:
        cell = row.cells[place]
        if cell.mean is None or cell.seeds < row.planned or row.exact:
            return None
        return round(cell.mean, column.decimals)

    shown = [shown_of(row) for row in rows]
    order = sorted({mean for mean in shown if mean is not None}, reverse=column.goal == "max")
    if len(order) < 2:
        return rows
    marks: dict[float | None, Literal["best", "second"]] = {order[0]: "best", order[1]: "second"}
    return [
        replace(row, cells=_marked(row.cells, place, marks[mean])) if mean in marks else row
        for row, mean in zip(rows, shown, strict=True)
    ]


def _marked(
    cells: tuple[Cell, ...], place: int, mark: Literal["best", "second"]
) -> tuple[Cell, ...]:
    return (*cells[:place], replace(cells[place], mark=mark), *cells[place + 1 :])
