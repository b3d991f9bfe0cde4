"""What there is to find in a simulated search: the value of every point, by formula or table."""

import csv
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from hipart.config import Probability, Section
from hipart.experiment.dimension import Dimension
from hipart.experiment.errors import ExperimentError, Problem, unknown
from hipart.experiment.explain import problems_of
from hipart.experiment.reading import read
from hipart.experiment.search import Search, together
from hipart.experiment.space import Point
from hipart.pipeline import PIPELINE


class Effect(Section):
    """What a dimension does to the value: a valley around ``best``, or a penalty by level."""

    #: Where a range is best, and what being off it by the whole range costs (grows by the square).
    best: float | None = None
    costs: Annotated[float, Field(ge=0)] = 1.0
    levels: dict[str, float] = {}


class Surface(Section):
    """A number over the space: ``value`` at the best point, and what moves it."""

    value: float = 50.0
    #: Dimension -> what it does.
    effects: dict[str, Effect] = {}


class Landscape(Surface):
    """A simulation file. The surface is the first objective's, with all epochs and no luck."""

    kind: Literal["simulation"] = "simulation"
    #: Other metrics -> their surfaces.
    others: dict[str, Surface] = {}
    #: Standard deviation of a trial's value: what seeds and luck do.
    noise: Annotated[float, Field(ge=0)] = 0.0
    #: What is missing after one epoch of the lifter; it falls as 1/epochs.
    curve: Annotated[float, Field(ge=0)] = 0.0
    #: Seconds by stage; a lifter's are for all of its epochs. Others as measured.
    seconds: dict[str, Annotated[float, Field(gt=0)]] = {}
    #: How probably a stage job fails.
    failures: Probability = 0.0
    #: A table of measured points instead of effects: a CSV with a column for each dimension and
    #: one called ``value``; a point has the value of the nearest row.
    table: str | None = None


def read_landscape(path: Path, search: Search) -> Landscape:
    """A simulation file for a search. Raises ExperimentError with all that is wrong with it."""
    document = read(path)
    try:
        landscape = Landscape.model_validate(document.data)
    except ValidationError as error:
        raise document.error(problems_of(error, Landscape)) from None
    names = [one.name for one in search.dimensions]
    found = [
        unknown(("seconds", name), "stage", name, PIPELINE)
        for name in landscape.seconds
        if name not in PIPELINE
    ]
    surfaces = [
        ((), landscape),
        *((("others", name), one) for name, one in landscape.others.items()),
    ]
    for place, surface in surfaces:
        for name, effect in surface.effects.items():
            here = (*place, "effects", name)
            if name not in names:
                found.append(unknown(here, "dimension", name, names))
            elif not effect.levels and effect.best is None:
                found.append(Problem(here, "has no effect: give it `best` or `levels`"))
    if found:
        raise document.error(found)
    if landscape.table is not None:
        landscape = landscape.model_copy(update={"table": str(path.parent / landscape.table)})
    return landscape


def made_up(search: Search) -> Landscape:
    """A landscape for a space of which nothing is known, always the same for the same dimensions:
    a best point somewhere, a valley around it, and penalties for levels.

    Of a number that has to be within bounds nothing is known but these: all points keep them.
    """
    others = {
        one.name: Surface(effects=_made_up(search, one.name)) for one in search.objectives[1:]
    }
    for metric in {one.metric for one in search.constraints}:
        bound = together([one for one in search.constraints if one.metric == metric])
        others[metric] = Surface(value=bound.kept)
    return Landscape(effects=_made_up(search, ""), others=others, noise=0.2, curve=10.0)


def _made_up(search: Search, metric: str) -> dict[str, Effect]:
    effects = {}
    for dimension in search.dimensions:
        drawn = random.Random(f"{metric} {dimension.name}")
        if dimension.levels is None:
            best = float(dimension.at(drawn.uniform(0.2, 0.8)))
            effects[dimension.name] = Effect(best=best, costs=8.0)
        else:
            costs = [drawn.uniform(0.5, 4.0) for _ in dimension.names]
            costs[drawn.randrange(len(costs))] = 0.0
            effects[dimension.name] = Effect(levels=dict(zip(dimension.names, costs, strict=True)))
    return effects


class Values:
    """The value of every point of a space in a landscape."""

    def __init__(self, search: Search, landscape: Landscape) -> None:
        self._search, self._landscape = search, landscape
        self._rows: list[dict[str, str]] = []
        if landscape.table is not None:
            self._rows = _rows(Path(landscape.table), search)

    def exact(self, point: Point, metric: str | None = None) -> float:
        """The value of a point with all epochs and no luck; of another metric, if it has one."""
        surface = self._landscape.others.get(metric, Surface()) if metric else self._landscape
        nearest = self._rows and metric is None
        value = self._nearest(point) if nearest else surface.value
        for name, effect in surface.effects.items():
            if name in point:
                value += _cost(self._search.space[name], effect, point)
        return value

    def seen(self, point: Point, epochs: float, luck: random.Random) -> float:
        """What a trial reports of it after so many epochs of its lifter."""
        all_epochs = self._search.base_config.lifter.counted_epochs
        late = 1 / epochs - 1 / all_epochs
        noise = luck.gauss(0, self._landscape.noise) if self._landscape.noise else 0.0
        return self.exact(point) + self._landscape.curve * late + noise

    def _nearest(self, point: Point) -> float:
        def far(row: Mapping[str, str]) -> float:
            return sum(
                _apart(dimension, str(point.get(dimension.name, "")), row[dimension.name])
                for dimension in self._search.dimensions
            )

        return float(min(self._rows, key=far)["value"])


def _apart(dimension: Dimension, one: str, other: str) -> float:
    if not one or not other or dimension.levels is not None:
        return float(one != other)
    kind = int if dimension.kind == "int" else float
    return abs(dimension.share(kind(float(one))) - dimension.share(kind(float(other))))


def _cost(dimension: Dimension, effect: Effect, point: Point) -> float:
    value = point[dimension.name]
    if effect.best is None:
        return effect.levels.get(str(value), 0.0)
    return effect.costs * (dimension.share(value) - dimension.share(effect.best)) ** 2


def _rows(path: Path, search: Search) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        problem = Problem(("table",), f"{path} cannot be read: {error.strerror}")
        raise ExperimentError([problem]) from None
    wanted = {"value", *(one.name for one in search.dimensions)}
    missing = sorted(wanted - set(rows[0] if rows else ()))
    if missing:
        problem = Problem(("table",), f"{path} lacks the columns {', '.join(missing)}, or any row")
        raise ExperimentError([problem])
    return rows
