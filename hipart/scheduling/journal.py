"""What happens in a run, written down as it happens, so that another terminal can follow it.

A command writes one file, ``NAME.SCALE.PID.jsonl``: who runs what, then every event. Whoever reads
it hears what the runner's own view hears. It is for looking on: nothing is resumed from it.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, get_args

from hipart.jobs import StageJob
from hipart.scheduling.events import Event, JobProgress, JobWaiting
from hipart.store.leases import is_dead, owner

#: A job's progress is written down this often.
PROGRESS_SECONDS = 0.5
#: Every event, by the word that a line has for it.
KINDS: dict[str, type[Event]] = {
    kind.__name__.removeprefix("Job").lower(): kind for kind in get_args(Event)
}
_NAMES = {kind: name for name, kind in KINDS.items()}


class Journal:
    """The events of this command, as a listener. A disk that is full costs the journal alone."""

    def __init__(
        self,
        folder: Path,
        name: str,
        scale: str,
        workers: int,
        expected_s: Callable[[StageJob], float | None],
    ) -> None:
        """Begin a file; those of commands of this name that have ended are removed."""
        folder.mkdir(parents=True, exist_ok=True)
        for earlier in journals(folder):
            if (earlier.name, earlier.scale) == (name, scale) and not earlier.runs:
                earlier.path.unlink(missing_ok=True)
        who = owner()
        self._expected_s = expected_s
        self._told: dict[str, float] = {}
        self._file = (folder / f"{name}.{scale}.{who['pid']}.jsonl").open("wb", buffering=0)
        self._write({"name": name, "scale": scale, "workers": workers, "owner": who})

    def __call__(self, event: Event) -> None:
        """Write an event down; of a job's many steps some."""
        now = time.time()
        if isinstance(event, JobProgress):
            if now - self._told.get(event.job.key, 0.0) < PROGRESS_SECONDS:
                return
            self._told[event.job.key] = now
        fields = {name: value for name, value in vars(event).items() if name != "job"}
        line = {"is": _NAMES[type(event)], "stage": event.job.stage, "key": event.job.key} | fields
        if isinstance(event, JobWaiting):
            line["expected_s"] = self._expected_s(event.job)
        self._write(line)

    def end(self, state: str) -> None:
        """The last line: how the command ended."""
        self._write({"ended": state})
        self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        with suppress(OSError):
            self._file.write((json.dumps({"at": round(time.time(), 3)} | line) + "\n").encode())


class Found(NamedTuple):
    """A journal that is there."""

    path: Path
    name: str
    scale: str
    workers: int
    began: float
    owner: dict[str, Any]

    @property
    def ended(self) -> str | None:
        """How its command said that it ended."""
        last = self.path.read_bytes().rstrip().rpartition(b"\n")[2]
        ended: str | None = _line(last).get("ended")
        return ended

    @property
    def runs(self) -> bool:
        """Whether its command still runs, or may: of one on another machine nobody can tell."""
        return self.ended is None and not is_dead(self.owner)


class Heard(NamedTuple):
    """An event with the time at which it happened, and what a waiting job is taken to cost."""

    at: float
    event: Event
    expected_s: float | None


#: What the first line of a journal says.
_HEAD: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "scale": str,
    "workers": int,
    "at": (int, float),
    "owner": dict,
}


def journals(folder: Path) -> list[Found]:
    """Every journal of a folder, the newest first."""
    found = []
    for path in folder.glob("*.jsonl"):
        try:
            with path.open("rb") as file:
                head = _line(file.readline())
        except OSError:  # removed meanwhile
            continue
        if all(isinstance(head.get(name), kind) for name, kind in _HEAD.items()):
            found.append(Found(path, *(head[name] for name in _HEAD)))
    return sorted(found, key=lambda one: one.began, reverse=True)


class Reader:
    """Reads a journal on, from where it stopped."""

    def __init__(self, found: Found) -> None:
        self.found = found
        self.ended: str | None = None
        #: When its last line was written.
        self.last = found.began
        self._file = found.path.open("rb")
        self._rest = b""

    def new(self) -> Iterator[Heard]:
        """What was written since the last call."""
        text = self._rest + self._file.read()
        *lines, self._rest = text.split(b"\n")
        for text in lines:
            line = _line(text)
            self.ended = line.get("ended", self.ended)
            self.last = line.get("at", self.last)
            kind = KINDS.get(line.pop("is", ""))
            if kind is not None:
                at, expected = line.pop("at"), line.pop("expected_s", None)
                job = StageJob(line.pop("stage"), line.pop("key"), "{}", {}, {})
                yield Heard(at, kind(job, **line), expected)

    def close(self) -> None:
        """Read no more."""
        self._file.close()


def _line(text: bytes) -> dict[str, Any]:
    """A line's values; none of one that is half written."""
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError):
        return {}
