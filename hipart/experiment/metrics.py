"""Metrics that a file names: whether a stage reports them, and which way each is better."""

from collections.abc import Iterator
from typing import Literal

from hipart.config import Section
from hipart.experiment.errors import Place, Problem, shown, unknown
from hipart.experiment.texts import Text
from hipart.pipeline import FINAL_STAGE, PIPELINE

#: What the paper's tables print: mean over actions, of all test clips.
PUBLISHED_METRIC = "mpjpe_mm"


class MetricChoice(Section):
    """A metric of a stage; ``goal`` may be left out and is then the metric's own."""

    stage: str
    name: str
    goal: Literal["min", "max"] | None = None


class Published(Section):
    """A number that the paper prints, and where."""

    value: float
    unit: Text
    place: Text
    #: The metric of which it is a value and beside which alone it is shown. Not given: where the
    #: file's metric is one of evaluate's, `mpjpe_mm`; else that metric.
    metric: Text | None = None

    def metric_beside(self, measured: MetricChoice) -> str:
        """The name of its metric in a file in which this one is measured."""
        default = PUBLISHED_METRIC if measured.stage == FINAL_STAGE else measured.name
        return self.metric or default


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
