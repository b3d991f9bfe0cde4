"""What the histories of a stage's jobs tell, as charts: losses, and errors on samples held out."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from hipart.pipeline import PIPELINE
from hipart.report.page.charts.base import Chart
from hipart.report.page.charts.training import Curve, learning, validation

#: How the names of metrics begin that a stage measures on samples held out, as it trains.
VALIDATION = "validation_"


class Told(NamedTuple):
    """The history of a job: the arms and seeds that stand on it, and its rows."""

    arms: str
    seeds: str
    rows: Sequence[dict[str, Any]]


def history_of(arms: str, seeds: str, file: Path) -> Told:
    """The history in a file; without rows where a stage trains nothing, or it is damaged."""
    rows: list[dict[str, Any]] = []
    with suppress(OSError, ValueError):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
    return Told(arms, seeds, rows)


def training_charts(stage: str, histories: Sequence[Told]) -> list[Chart]:
    """The loss of a stage's trainings, and beside it what they measured on samples held out."""
    held_out = [one for one in PIPELINE[stage].metrics if one.name.startswith(VALIDATION)]
    charts = [
        learning(stage, _curves(stage, histories, "loss")),
        *(validation(stage, one, _curves(stage, histories, one.name)) for one in held_out),
    ]
    return [chart for chart in charts if chart is not None]


def _curves(stage: str, histories: Sequence[Told], name: str) -> list[Curve]:
    """A number of the histories, after the steps whose rows have it."""
    curves = []
    for arms, seeds, rows in histories:
        mine = [row for row in rows if name in row]
        steps, values = [row["step"] for row in mine], [row[name] for row in mine]
        curves.append(Curve(stage, arms, seeds, steps, values))
    return curves
