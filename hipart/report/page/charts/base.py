"""What the charts of the report page share: their form, their colours, their tooltips.

A chart is a Vega-Lite specification, so that it can be hovered.
"""

from dataclasses import dataclass
from typing import Any

from hipart.pipeline import PIPELINE

Spec = dict[str, Any]

#: Distinguishable, and with enough contrast to a white and to a black page.
STAGE_COLOURS = ("#3f83c4", "#d9662b", "#259a73", "#b9639a", "#a8801a", "#7f6bd0", "#808080")
MEAN, OTHER, FAINT = "#3f83c4", "#d9662b", "#8a8a8a"
#: Pixels of an axis with its title, and of a row of a legend.
AXIS, LEGEND = 42, 30


@dataclass(frozen=True)
class Chart:
    """A specification with its heading and what a reader has to know."""

    title: str
    told: str
    spec: Spec
    #: Pixels of what is between its axes, and whether a legend is above or below them.
    plot: int
    legend: bool = False

    @property
    def height(self) -> int:
        """Pixels that are kept free for it: it is drawn late, and the page stays where it is."""
        return self.plot + AXIS + (LEGEND if self.legend else 0)


def rounded(value: float) -> float:
    """A number with as many digits as a chart can show."""
    return float(f"{value:.5g}")


def tooltip(*names: str, **titled: str) -> list[Spec]:
    """Fields that are shown where a mark is hovered, some under a title of their own."""
    plain = [{"field": name} for name in names]
    return plain + [{"field": name, "title": title} for name, title in titled.items()]


def stage_scale(stages: set[str]) -> Spec:
    """A stage's colour is the same in every chart."""
    colours = {
        stage: STAGE_COLOURS[place % len(STAGE_COLOURS)] for place, stage in enumerate(PIPELINE)
    }
    shown = {stage: colour for stage, colour in colours.items() if stage in stages}
    return {"scale": {"domain": list(shown), "range": list(shown.values())}}
