"""What the stage graph asks of whoever runs its jobs."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hipart.jobs import StageJob
from hipart.runtime import Runtime
from hipart.scheduling.events import Event, JobFailed, JobFinished

#: Package whose modules are the stages.
STAGES = "hipart.stages"


@dataclass(frozen=True)
class Workplace:
    """What every job of a run finds: the store, the data, the share of a machine."""

    store: Path
    data: Path | None
    threads: int
    use_gpu: bool
    #: Package whose modules are the stages; tests and benchmarks have their own.
    stages: str = STAGES
    #: The object store that ``store`` is a copy of, if it is one.
    store_uri: str | None = None

    @classmethod
    def of(cls, runtime: Runtime, stages: str = STAGES) -> "Workplace":
        """The share of a machine that a run gives to each of its workers."""
        return cls(
            store=runtime.store.absolute(),
            data=runtime.data.absolute() if runtime.data else None,
            threads=max(1, int(runtime.cpus)),
            use_gpu=runtime.gpus_per_job > 0,
            store_uri=runtime.store_uri,
            stages=stages,
        )


@dataclass(frozen=True)
class Outcome:
    """What a finished job leaves with the scheduler; ``seconds`` are its share of its array's."""

    metrics: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class Failure:
    """Why a job failed; ``lacks`` is the key of a job it needs whose artifact is gone or damaged.

    One that was ``interrupted`` has left a checkpoint, because its process was told to end.
    """

    error: str
    lacks: str | None = None
    interrupted: bool = False


Result = Outcome | Failure


class Executor(Protocol):
    """Runs jobs whose needs are in the store. A contract suite holds its members to this."""

    @property
    def slots(self) -> int:
        """How many arrays of jobs can run at once; an array is usually one job."""
        ...

    def start(self, jobs: Sequence[StageJob]) -> None:
        """Take an array of jobs with one signature; never called while ``slots`` arrays run."""
        ...

    def poll(self, timeout_s: float) -> list[Event]:
        """What happened since the last call; waits up to ``timeout_s`` for something to happen.

        Every started job ends in exactly one ``JobFinished`` or ``JobFailed``; those of an array
        all in the same answer.
        """
        ...

    def close(self) -> None:
        """Stop everything; jobs in progress keep their checkpoints."""
        ...


def ended(jobs: Sequence[StageJob], results: Sequence[Result]) -> list[Event]:
    """How each job of an array ended, as events."""
    return [
        JobFailed(job, result.error, result.lacks)
        if isinstance(result, Failure)
        else JobFinished(job, result.metrics, result.seconds)
        for job, result in zip(jobs, results, strict=True)
    ]


def reason(error: BaseException) -> str:
    """One line that names the error and the place in our code where it arose."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "hipart" in f.filename]
    place = (
        f" ({frames[-1].filename.rsplit('hipart/', 1)[-1]}:{frames[-1].lineno})" if frames else ""
    )
    return f"{type(error).__name__}: {error}{place}"
