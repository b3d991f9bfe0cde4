"""What was measured: by arm, against the base, and in the order of a search."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from hipart.report.model import Column, Row
from hipart.report.page.charts.base import FAINT, MEAN, OTHER, Chart, Spec, rounded, tooltip

#: Pixels of an arm, and of the plot of a search's history.
STEP, PLOT = 18, 240


def by_arm(rows: Sequence[Row], place: int, column: Column, results: pl.DataFrame) -> Chart | None:
    """A metric of every trial, with each arm's mean and standard deviation."""
    order = [row.arm for row in rows if row.cells[place].mean is not None]
    if not order:
        return None
    trials = [
        {"arm": arm, "seed": seed, "value": rounded(value)}
        for arm, seed, value in results.select("arm", "seed", column.key).iter_rows()
        if value is not None and arm in set(order)
    ]
    means = [_mean(row, place, column.most) for row in rows if row.arm in set(order)]
    title = f"{column.title} [{column.unit}]" if column.unit else column.title
    x = {"type": "quantitative", "scale": {"zero": False}, "title": title}
    y = {"field": "arm", "type": "nominal", "sort": order, "title": None}
    layers: list[Spec] = [
        {
            "data": {"values": means},
            "mark": {"type": "rule", "strokeWidth": 2, "color": FAINT},
            "encoding": {"x": {"field": "low"} | x, "x2": {"field": "high"}, "y": y},
        },
        {
            "data": {"values": trials},
            "mark": {"type": "circle", "size": 28, "opacity": 0.55, "color": FAINT},
            "encoding": {
                "x": {"field": "value"} | x,
                "y": y,
                "tooltip": tooltip("arm", "seed", value=title),
            },
        },
        {
            "data": {"values": means},
            "mark": {"type": "point", "filled": True, "shape": "diamond", "size": 90, "opacity": 1},
            "encoding": {
                "x": {"field": "mean"} | x,
                "y": y,
                "color": {
                    "condition": {"test": f"datum.arm === {json.dumps(order[0])}", "value": OTHER},
                    "value": MEAN,
                },
                "tooltip": tooltip("arm", "seeds", mean="mean", std="standard deviation"),
            },
        },
    ]
    better = "lower" if column.goal == "min" else "higher"
    told = (
        f"Diamonds: means, the base's in orange; lines: ± standard deviation; {better} is better."
    )
    spec = {"height": {"step": STEP}, "layer": layers}
    return Chart(column.title, told, spec, STEP * len(order))


def differences(rows: Sequence[Row], column: Column) -> Chart | None:
    """How far each arm is from the base in the main metric, with the interval over seeds."""
    values = [
        {
            "arm": row.arm,
            "delta": rounded(cell.delta),
            "low": rounded(cell.low),
            "high": rounded(cell.high),
            "significant": "yes" if cell.significant else "no",
            "p": None if cell.p_holm is None else rounded(cell.p_holm),
        }
        for row in rows[1:]
        for cell in [row.cells[0]]
        if cell.delta is not None and cell.low is not None and cell.high is not None
    ]
    if not values:
        return None
    unit = f" [{column.unit}]" if column.unit else ""
    x = {"type": "quantitative", "title": f"Δ {column.title}{unit} to the base"}
    y = {"field": "arm", "type": "nominal", "sort": [one["arm"] for one in values], "title": None}
    colour = {
        "field": "significant",
        "scale": {"domain": ["yes", "no"], "range": [OTHER, FAINT]},
        "legend": {"title": "significant", "orient": "top"},
    }
    spec = {
        "data": {"values": values},
        "height": {"step": STEP},
        "layer": [
            {
                "data": {"values": [{"zero": 0}]},
                "mark": {"type": "rule", "color": FAINT, "strokeDash": [3, 3]},
                "encoding": {"x": {"field": "zero", "type": "quantitative"}},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 2},
                "encoding": {
                    "x": {"field": "low"} | x, "x2": {"field": "high"}, "y": y, "color": colour,
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
                "encoding": {
                    "x": {"field": "delta"} | x,
                    "y": y,
                    "color": colour,
                    "tooltip": tooltip("arm", "delta", "low", "high", p="p after Holm"),
                },
            },
        ],
    }  # fmt: skip
    told = (
        "Mean paired difference over seeds with its own 95 % t-interval; significant: p after "
        "Holm's correction is below 0.05."
    )
    return Chart("Differences to the base", told, spec, STEP * len(values), legend=True)


def history(values: Sequence[Mapping[str, Any]], title: str, goal: str) -> Chart | None:
    """A search's trials in the order of their numbers, and the best so far."""
    if not values:
        return None
    spec = {
        "data": {"values": list(values)},
        "height": PLOT,
        "layer": [
            {
                "mark": {"type": "point", "filled": True, "size": 50, "opacity": 0.9},
                "encoding": {
                    "y": {
                        "field": "value",
                        "type": "quantitative",
                        "title": title,
                        "scale": {"zero": False},
                    },
                    "color": {
                        "field": "state",
                        "scale": {"range": [MEAN, FAINT, OTHER]},
                        "legend": {"title": None, "orient": "top"},
                    },
                    "shape": {"field": "state", "legend": None},
                    "tooltip": tooltip("trial", "state", "value", "point"),
                },
            },
            {
                "transform": [
                    {"filter": "datum.complete"},
                    {
                        "window": [{"op": goal, "field": "value", "as": "best"}],
                        "sort": [{"field": "trial"}],
                    },
                ],
                "mark": {"type": "line", "interpolate": "step-after", "color": MEAN},
                "encoding": {"y": {"field": "best", "type": "quantitative"}},
            },
        ],
        "encoding": {"x": {"field": "trial", "type": "quantitative", "title": "trial"}},
    }
    told = "A point: a trial, where it ended; the line: the best so far."
    return Chart("History", told, spec, PLOT, legend=True)


def _mean(row: Row, place: int, most: float) -> Spec:
    cell = row.cells[place]
    mean, std = cell.mean or 0.0, cell.std or 0.0
    return {
        "arm": row.arm,
        "seeds": cell.seeds,
        "mean": rounded(mean),
        "std": rounded(std),
        "low": rounded(mean - std),
        "high": rounded(min(mean + std, most)),
    }
