"""What a table says, before it is written in any notation."""

import math
from dataclasses import dataclass, field
from typing import Literal

from hipart.experiment.design import Standing
from hipart.experiment.metrics import Published
from hipart.report.bootstrap import OverClips

#: Decimals of a mean by unit; differences get one more.
_DECIMALS = {"mm": 1, "px": 1, "%": 1, "codes": 0, "1/s": 0}
#: A difference is called significant below this Holm-corrected p.
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Column:
    """A metric of the table; ``key`` is its column in the results frame."""

    key: str
    name: str
    title: str
    unit: str
    goal: Literal["min", "max"]

    @property
    def decimals(self) -> int:
        """Decimals with which a mean is shown, and at which two means count as tied."""
        return _DECIMALS.get(self.unit, 2)

    @property
    def most(self) -> float:
        """What no value can exceed, and so no bar that is drawn around one."""
        return 100.0 if self.unit == "%" else math.inf


@dataclass(frozen=True)
class Cell:
    """One metric of one arm: spread over seeds and difference to the base.

    ``seeds`` have a finite value, ``n`` artifacts stand behind them.
    """

    seeds: int
    n: int
    mean: float | None
    std: float | None
    delta: float | None
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    mark: Literal["best", "second"] | None = None
    #: The difference over test clips, and its p corrected over the arms.
    clips: OverClips | None = None
    clips_p_holm: float | None = None

    @property
    def significant_over_clips(self) -> bool:
        """Whether these trained models differ beyond these test clips, after correction."""
        return self.clips_p_holm is not None and self.clips_p_holm < SIGNIFICANCE

    @property
    def significant(self) -> bool:
        """Whether the difference to the base holds after correction."""
        return self.p_holm is not None and self.p_holm < SIGNIFICANCE


@dataclass(frozen=True)
class Row(Standing):
    """One arm: ``done`` of its ``planned`` seeds, one cell per column of the table."""

    arm: str
    planned: int
    done: int
    failed: int
    reason: str | None
    published: Published | None
    cells: tuple[Cell, ...]
    levels: tuple[tuple[str, str], ...] = ()
    #: Whether its lifter is given exact points, which no prediction has.
    exact: bool = False

    @property
    def measured(self) -> int:
        """Seeds with a finite value of the main metric."""
        return self.cells[0].seeds

    @property
    def label(self) -> str:
        """What the row is called beside its factor."""
        return self.arm if self.level is None else self.level


@dataclass(frozen=True)
class Effect:
    """A main effect or an interaction of a factorial design, paired over seeds."""

    name: str
    pairs: int
    estimate: float
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None


@dataclass(frozen=True)
class Content:
    """What a table holds; the first column is its metric, the first row its base arm.

    ``base_levels`` tells where the base stands in a factor, where that is one plain value.
    ``partial`` tables are shown while trials still run.
    """

    name: str
    title: str
    paper: str
    place: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    base_levels: dict[str, str]
    footer: tuple[str, ...]
    partial: bool = False
    #: As this platform lays tables out, or as the paper does.
    layout: Literal["full", "paper"] = "full"
    #: Factor whose levels the paper puts side by side.
    side_by_side: str | None = None
    #: The factors of a factorial design.
    crossed: tuple[str, ...] = ()
    #: Whether rows stand in the order of their values, as in a search, and not by factors.
    ranked: bool = False
    effects: tuple[Effect, ...] = ()
    #: The settings that each factor changes.
    paths: dict[str, tuple[str, ...]] = field(default_factory=dict)
    #: Title of the metric, also where the columns are its values by action.
    metric: str = ""

    @property
    def caption(self) -> str:
        """Title, with the place in the paper that it follows."""
        source = ", ".join(part for part in (self.paper, self.place) if part)
        return f"{self.title} (after {source})" if source else self.title

    @property
    def factors(self) -> list[str]:
        """The factors, in the order of their rows."""
        return list(dict.fromkeys(row.factor for row in self.rows if row.factor is not None))

    @property
    def ranking(self) -> str:
        """Among which rows best and second best are marked."""
        aside = "; those with exact points stand aside" * any(row.exact for row in self.rows)
        return f"of the arms with all their seeds{aside}."

    def in_design(self, row: Row) -> bool:
        """Whether a row is a cell of the factors: the base, or what stands off it in one."""
        return bool(row.levels) or row is self.rows[0]

    def standing(self, row: Row, factor: str) -> str:
        """The level of a row in a factor; that of the base by its own name."""
        return dict(row.levels).get(factor, self.base_levels.get(factor, "base"))
