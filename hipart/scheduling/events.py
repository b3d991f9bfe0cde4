"""What happens to stage jobs, told to whoever listens: the live view, the mirror, the metrics."""

from collections.abc import Callable
from dataclasses import dataclass

from hipart.jobs import StageJob


@dataclass(frozen=True)
class JobWaiting:
    """A distinct job entered the graph and has to be trained."""

    job: StageJob


@dataclass(frozen=True)
class JobReused:
    """A job was found finished in the store."""

    job: StageJob


@dataclass(frozen=True)
class JobStarted:
    """A worker took the job, alone or as one of ``members`` that are trained together."""

    job: StageJob
    worker: str
    members: int = 1


@dataclass(frozen=True)
class JobProgress:
    """A running job reached a step; ``metrics`` are the latest training values."""

    job: StageJob
    step: int
    total: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class JobFinished:
    """The job's artifact is in the store; ``seconds`` are its share of what its array took."""

    job: StageJob
    metrics: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class JobFailed:
    """The job, or one that it needs, failed for good.

    From an executor it may say what the job ``lacks``: the key of a job that it needs whose
    artifact is gone or damaged. Then it is no failure yet, and listeners hear ``JobRepeated``.
    """

    job: StageJob
    error: str
    lacks: str | None = None


@dataclass(frozen=True)
class JobRepeated:
    """A finished job is done again, because of its artifact or of one that it needs."""

    job: StageJob
    reason: str


@dataclass(frozen=True)
class JobDropped:
    """A waiting job is wanted by nobody any more."""

    job: StageJob


Event = (
    JobWaiting
    | JobReused
    | JobStarted
    | JobProgress
    | JobFinished
    | JobFailed
    | JobRepeated
    | JobDropped
)
Listener = Callable[[Event], None]
