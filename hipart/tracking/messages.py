"""What a run's driver and its mirror's process say to each other."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Literal, NamedTuple

from hipart.experiment.design import Trial
from hipart.experiment.form import Ablation
from hipart.jobs import TrialJobs

Kind = Literal["started", "finished", "reused", "failed"]


class Mirrored(NamedTuple):
    """An experiment to mirror; ``reused`` are keys of jobs finished before this command."""

    ablation: Ablation
    data_fingerprint: str
    trials: list[tuple[Trial, TrialJobs]]
    reused: Set[str]


@dataclass(frozen=True)
class Open:
    """The first message: where to write, what to read, which experiments.

    With an ``address`` it is written to the server there, else into the database.
    """

    address: str | None
    database: Path
    artifacts: Path
    store: Path
    store_uri: str | None
    experiments: Sequence[Mirrored]


@dataclass(frozen=True)
class Happened:
    """What happened to a job, which the other side knows by its key."""

    kind: Kind
    key: str
    error: str = ""


@dataclass(frozen=True)
class Drawn:
    """A trial of the first experiment, which is a search: one more, or what became of one.

    ``reached`` are the jobs that it asks for now or was judged by at last; ``stopped`` says why it
    goes no further, where it does not.
    """

    trial: Trial
    jobs: TrialJobs
    reached: TrialJobs
    reused: Set[str]
    stopped: str = ""


@dataclass(frozen=True)
class End:
    """The run is over; ``files`` of each experiment are to be attached."""

    status: Literal["FINISHED", "KILLED"]
    files: Sequence[Sequence[Path]] = ()


Message = Open | Happened | Drawn | End
Inbox = SimpleQueue[Message | None]


class Answer(NamedTuple):
    """What the mirror's process says: a warning, or last of all what it did and computed."""

    warning: str | None = None
    runs: int = 0
    seconds: float = 0.0


def waiting(inbox: Inbox) -> list[Message | None]:
    """All that waits in the inbox, at least one message, up to the one that ends it."""
    batch = [inbox.get()]
    while batch[-1] is not None:
        try:
            batch.append(inbox.get_nowait())
        except Empty:
            break
    return batch
