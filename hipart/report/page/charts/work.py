"""What was done: when and by whom, and what several trials share."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from hipart.report.page.charts.base import Chart, rounded, stage_scale, tooltip
from hipart.report.schedule import Span

#: Pixels of a worker.
STEP = 26


def timeline(spans: Sequence[Span], earlier: int) -> Chart | None:
    """When each worker did what, in the last run."""
    if not spans:
        return None
    first = min(span.began for span in spans)
    values = [
        {
            "worker": f"{span.host} {span.pid}",
            "device": span.device,
            "stage": span.stage,
            "from": rounded((span.began - first).total_seconds()),
            "to": rounded((span.ended - first).total_seconds()),
            "seconds": rounded(span.seconds),
            "jobs": count,
        }
        for span, count in Counter(spans).items()
    ]
    workers = {one["worker"] for one in values}
    spec = {
        "data": {"values": values},
        "height": {"step": STEP},
        "mark": {"type": "bar", "stroke": "white", "strokeWidth": 0.4},
        "encoding": {
            "x": {
                "field": "from",
                "type": "quantitative",
                "title": f"seconds since {first:%Y-%m-%d %H:%M:%S} UTC",
            },
            "x2": {"field": "to"},
            "y": {"field": "worker", "type": "nominal", "title": None},
            "color": {
                "field": "stage",
                "legend": {"title": None, "orient": "top", "columns": 4},
                **stage_scale({span.stage for span in spans}),
            },
            "tooltip": tooltip("worker", "device", "stage", "seconds", "jobs"),
        },
    }
    told = "The last run; a bar: a job, or several trained together; by each machine's own clock."
    if earlier:
        told += f" Without {earlier} job{'s' * (earlier > 1)} of earlier runs."
    return Chart("Workers", told, spec, STEP * len(workers), legend=True)


def sharing(blocks: Sequence[Mapping[str, Any]]) -> Chart | None:
    """The stage tree lying on its side: a block is an artifact, as tall as the trials on it."""
    if not blocks:
        return None
    trials = max(int(one["to"]) for one in blocks)
    stages = {str(one["stage"]) for one in blocks}
    order = list(dict.fromkeys(str(one["job"]) for one in blocks))
    height = min(520, max(140, 12 * trials))
    spec = {
        "data": {"values": list(blocks)},
        "height": height,
        "mark": {"type": "rect", "stroke": "white", "strokeWidth": 0.6 if trials < 200 else 0.1},
        "encoding": {
            "x": {
                "field": "job",
                "type": "ordinal",
                "sort": order,
                "title": None,
                "axis": {"orient": "top", "labelAngle": 0},
                "scale": {"padding": 0.02},
            },
            "y": {
                "field": "from",
                "type": "quantitative",
                "title": "trials",
                "scale": {"reverse": True, "domain": [0, trials], "nice": False},
            },
            "y2": {"field": "to"},
            "color": {"field": "stage", "legend": None} | stage_scale(stages),
            "opacity": {
                "condition": {"test": "datum.state === 'missing'", "value": 0.25},
                "value": 0.9,
            },
            "tooltip": tooltip("job", "key", "arms", "trials", "seconds", "saved", "state"),
        },
    }
    told = (
        "From left to right what stands on what; a block is one artifact, as tall as the number of "
        "trials that stand on it. Pale: not there yet."
    )
    return Chart("What was shared", told, spec, height)
