"""What is said of a run, before and after, in MLflow's terms; no MLflow is imported."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hipart.tracking.datasets import DataUsed

ID_TAG = "hipart.id"
STAMP_TAG = "hipart.stamp"
#: When its making began, and by which ``RunBook``: text that sorts by age.
MADE_TAG = "hipart.made"
ERROR_TAG = "error"
NOTE_TAG = "mlflow.note.content"
PARENT_TAG = "mlflow.parentRunId"
#: Names the artifacts that MLflow shows as tables to sort.
LOGGED_TAG = "mlflow.loggedArtifacts"
#: By which MLflow's pages tell experiments that train models from those that ask language models.
KIND_TAG = "mlflow.experimentKind"
#: How long a tag may be.
TAG_LENGTH = 8000


class Point(NamedTuple):
    """One value of a metric. Logging it twice is safe: all of a point is MLflow's primary key."""

    name: str
    value: float
    milliseconds: int
    step: int = 0


@dataclass(frozen=True)
class RunSpec:
    """What a run is before anything has happened in it. Its tags are kept up to date."""

    experiment: str
    identity: str
    name: str
    tags: Mapping[str, str]
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a run ended well: an equal ``stamp`` says that it is this very outcome."""

    stamp: str
    started_ms: int
    ended_ms: int
    tags: Mapping[str, str]
    points: Callable[[], Iterable[Point]]
    data: Sequence[DataUsed] = ()


@dataclass
class RunRecord:
    """A run as MLflow holds it now."""

    run_id: str
    status: str
    tags: dict[str, str]
    params: frozenset[str]
