"""How training went: losses, errors on samples held out, and how much of codebooks is used."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from hipart.pipeline import Metric
from hipart.report.page.charts.base import MEAN, OTHER, Chart, Spec, rounded, tooltip

#: Curves of a stage that are told apart by colour; of more than the second number their arms' mean
#: is shown.
COLOURED, SINGLE = 10, 60
#: Pixels of the plot of a stage's curves, of a row of names below it, of a codebook of an arm,
#: and of an arm with two of them.
PLOT, NAME, STEP, ARM = 220, 18, 22, 55
#: Points of a curve.
POINTS = 60


@dataclass(frozen=True)
class Curve:
    """What a training's history tells: the arms that stand on it, and a number after steps."""

    stage: str
    arms: str
    seed: str
    steps: Sequence[int]
    values: Sequence[float]


def learning(stage: str, curves: Sequence[Curve]) -> Chart | None:
    """The training loss of every distinct job of a stage; of very many the mean by arm."""
    return _lines(f"Learning curves: {stage}", "training loss", stage, curves)


def validation(stage: str, metric: Metric, curves: Sequence[Curve]) -> Chart | None:
    """The same of a metric that a stage measures as it trains, on samples held out."""
    title = f"{metric.title} [{metric.unit}]"
    return _lines(f"On samples held out: {stage}", title, stage, curves)


def _lines(heading: str, what_of: str, stage: str, curves: Sequence[Curve]) -> Chart | None:
    """A line for every curve of a stage; ``what_of`` is what its values are."""
    mine = [curve for curve in curves if curve.stage == stage and curve.steps]
    if not mine:
        return None
    shown, what = mine, "a line: a distinct training"
    if len(mine) > SINGLE:
        shown, what = _mean_by_arms(mine), "a line: the mean over the trainings of an arm"
    values = [
        {
            "name": f"{one.arms}{', ' if one.seed else ''}{one.seed}",
            "arm": one.arms,
            "step": list(one.steps),
            "value": [rounded(value) for value in one.values],
        }
        for one in map(_thinned, shown)
    ]
    arms = list(dict.fromkeys(one.arms for one in shown))
    positive = all(value > 0 for one in shown for value in one.values)
    colour: Spec = {"value": MEAN}
    names = 0
    if 1 < len(arms) <= COLOURED:
        colour = {
            "field": "arm",
            "sort": arms,
            "scale": {"scheme": "tableau10"},
            "legend": {"title": None, "orient": "bottom", "columns": 2},
        }
        names = -(-len(arms) // 2)
    spec = {
        "data": {"values": values},
        "transform": [{"flatten": ["step", "value"]}],
        "height": PLOT,
        "params": [
            {"name": "near", "select": {"type": "point", "fields": ["name"], "on": "pointerover"}}
        ],
        "mark": {"type": "line", "strokeWidth": 1.4},
        "encoding": {
            "x": {"field": "step", "type": "quantitative", "title": "step"},
            "y": {
                "field": "value",
                "type": "quantitative",
                "title": what_of,
                "scale": {"type": "log"} if positive else {"zero": False},
            },
            "detail": {"field": "name"},
            "color": colour,
            "opacity": {"condition": {"param": "near", "value": 1, "empty": True}, "value": 0.2},
            "tooltip": tooltip("name", "step", value=what_of),
        },
    }
    told = f"{what}; {len(mine)} of this stage."
    return Chart(heading, told, spec, PLOT + NAME * names)


def codebooks(users: Iterable[tuple[str, str, Mapping[str, float]]]) -> Chart | None:
    """How much of each codebook the tokenizers use: arms that stand on one, seed, its metrics."""
    values = [
        {
            "arms": arms,
            "seed": seed,
            "codebook": name,
            "usage": rounded(metrics[f"{name}_usage_pct"]),
            "perplexity": rounded(metrics[f"{name}_perplexity"]),
        }
        for arms, seed, metrics in users
        for name in ("sparse", "dense")
        if f"{name}_usage_pct" in metrics
    ]
    if not values:
        return None
    order = list(dict.fromkeys(str(one["arms"]) for one in values))
    spec = {
        "data": {"values": values},
        "height": {"step": STEP},
        "mark": {"type": "point", "filled": True, "size": 60, "opacity": 0.85},
        "encoding": {
            "x": {"field": "usage", "type": "quantitative", "title": "codes in use [%]"},
            "y": {"field": "arms", "type": "nominal", "sort": order, "title": None},
            "yOffset": {"field": "codebook"},
            "color": {
                "field": "codebook",
                "scale": {"domain": ["sparse", "dense"], "range": [MEAN, OTHER]},
                "legend": {"title": None, "orient": "top"},
            },
            "shape": {"field": "codebook", "legend": None},
            "tooltip": tooltip("arms", "seed", "codebook", "perplexity", usage="codes in use [%]"),
        },
    }
    told = "Codes that are chosen at least once on poses not trained on; a point: a tokenizer."
    return Chart("Codebook usage", told, spec, ARM * len(order), legend=True)


def _mean_by_arms(curves: Sequence[Curve]) -> list[Curve]:
    """The mean of those that belong to the same arms, as far as all of them go."""
    groups: dict[str, list[Curve]] = {}
    for curve in curves:
        groups.setdefault(curve.arms, []).append(curve)
    means = []
    for arms, some in groups.items():
        steps = min((one.steps for one in some), key=len)
        values = [fmean(part) for part in zip(*(one.values for one in some), strict=False)]
        means.append(Curve(some[0].stage, arms, "", steps, values))
    return means


def _thinned(curve: Curve) -> Curve:
    """At most ``POINTS`` of a curve, the last among them."""
    last = len(curve.steps) - 1
    places = sorted({round(last * place / (POINTS - 1)) for place in range(POINTS)})
    steps, values = ([some[at] for at in places] for some in (curve.steps, curve.values))
    return Curve(curve.stage, curve.arms, curve.seed, [int(one) for one in steps], values)
