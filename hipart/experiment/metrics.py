"""Metrics that a file names: whether a stage reports them, and which way is better."""

from collections.abc import Iterator

from hipart.experiment.errors import Place, Problem, shown, unknown
from hipart.experiment.form import MetricChoice
from hipart.pipeline import PIPELINE


def metric_problems(place: Place, choice: MetricChoice) -> Iterator[Problem]:
    """What is wrong with a metric that a file names."""
    if choice.stage not in PIPELINE:
        yield unknown((*place, "stage"), "stage", choice.stage, PIPELINE)
        return
    reported = {metric.name: metric for metric in PIPELINE[choice.stage].metrics}
    if choice.name not in reported:
        what = f"metric of stage {choice.stage}"
        yield unknown((*place, "name"), what, choice.name, reported)
    elif choice.goal not in (None, goal := reported[choice.name].goal):
        rule = f"contradicts {choice.stage}.{choice.name}, of which the {goal} is best"
        yield Problem((*place, "goal"), rule, shown(choice.goal), goal, "leave it out")


def with_goal(choice: MetricChoice) -> MetricChoice:
    """The choice with the metric's own goal."""
    metrics = {metric.name: metric for metric in PIPELINE[choice.stage].metrics}
    return choice.model_copy(update={"goal": metrics[choice.name].goal})
