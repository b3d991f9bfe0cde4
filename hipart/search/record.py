"""A trial as a search knows it, and what became of it."""

from dataclasses import dataclass, field
from typing import Literal

from hipart.experiment.space import Point

#: What became of a trial: ``stopped`` early; ``refused`` before it cost anything.
State = Literal["running", "complete", "stopped", "failed", "refused"]
#: Who measured it: this search, or somebody before it, whose results the store had.
Origin = Literal["search", "store"]


@dataclass
class Record:
    """A trial as the study knows it. ``rungs`` are values of the objective by epochs."""

    number: int
    point: Point
    state: State
    origin: Origin = "search"
    values: tuple[float, ...] | None = None
    rungs: dict[int, float] = field(default_factory=dict)
    reason: str = ""

    @property
    def name(self) -> str:
        """What its arm is called."""
        return f"trial {self.number}"
