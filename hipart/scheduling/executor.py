"""What the stage graph asks of whoever runs its jobs."""

import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hipart.pipeline import StageJob
from hipart.scheduling.events import Event


@dataclass(frozen=True)
class Workplace:
    """What every job of a run finds: the store, the data, the share of a machine."""

    store: Path
    motion: Path | None
    threads: int
    use_gpu: bool


@dataclass(frozen=True)
class Outcome:
    """What a finished job leaves with the scheduler."""

    metrics: dict[str, float]
    seconds: float


class Executor(Protocol):
    """Runs jobs whose needs are in the store. A contract suite holds its members to this."""

    @property
    def slots(self) -> int:
        """How many jobs can run at once."""
        ...

    def start(self, job: StageJob) -> None:
        """Take a job; never called with more than ``slots`` jobs running."""
        ...

    def poll(self, timeout_s: float) -> list[Event]:
        """What happened since the last call; waits up to ``timeout_s`` for something to happen.

        Every started job ends in exactly one ``JobFinished`` or ``JobFailed``.
        """
        ...

    def close(self) -> None:
        """Stop everything; jobs in progress keep their checkpoints."""
        ...


def reason(error: BaseException) -> str:
    """One line that names the error and the place in our code where it arose."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "hipart" in f.filename]
    place = (
        f" ({frames[-1].filename.rsplit('hipart/', 1)[-1]}:{frames[-1].lineno})" if frames else ""
    )
    return f"{type(error).__name__}: {error}{place}"
