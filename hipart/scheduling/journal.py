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
        try:
            return _end_of(self.path.read_bytes())
        except OSError:  # removed meanwhile
            return None

    @property
    def runs(self) -> bool:
        """Whether its command still runs, or may: of one on another machine nobody can tell.

        One whose journal was removed does not, as if there had been none.
        """
        return self.ended is None and self.path.exists() and not is_dead(self.owner)


class Heard(NamedTuple):
    """An event with the time at which it happened, and what a waiting job is taken to cost."""

    at: float
    event: Event
    expected_s: float | None


#: What the first line of a journal says.
_HEAD = ("name", "scale", "workers", "at", "owner")


def journals(folder: Path) -> list[Found]:
    """Every journal of a folder, the newest first."""
    found = []
    for path in folder.glob("*.jsonl"):
        try:
            with path.open("rb") as file:
                head = _line(file.readline())
        except OSError:  # removed meanwhile
            continue
        if all(name in head for name in _HEAD):
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
        for line in map(_line, lines):
            self.ended = line.get("ended", self.ended)
            self.last = line.get("at", self.last)
            heard = _heard(line)
            if heard is not None:
                yield heard

    def end_ahead(self) -> str | None:
        """How the command ended, as far as that is written down and not read yet.

        Known also of a journal that was removed meanwhile.
        """
        at = self._file.tell()
        ended = _end_of(self._rest + self._file.read())
        self._file.seek(at)
        return ended

    def close(self) -> None:
        """Read no more."""
        self._file.close()


def _end_of(text: bytes) -> str | None:
    """How a journal's last line says that its command ended; None while it does not."""
    ended: str | None = _line(text.rstrip().rpartition(b"\n")[2]).get("ended")
    return ended


def _heard(line: dict[str, Any]) -> Heard | None:
    """The event of a line; None of one that has none, or has not what its event takes."""
    told = dict(line)
    try:
        kind, at, expected = KINDS[told.pop("is")], told.pop("at"), told.pop("expected_s", None)
        job = StageJob(told.pop("stage"), told.pop("key"), "{}", {}, {})
        return Heard(at, kind(job, **told), expected)
    except (KeyError, TypeError):
        return None


def _line(text: bytes) -> dict[str, Any]:
    """A line's values; none of one that is half written, or that no journal of ours would say."""
    try:
        line = dict(json.loads(text))
    except (ValueError, TypeError, RecursionError):
        return {}
    return line if all(_VALUES[name](line[name]) for name in line.keys() & _VALUES) else {}


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    """Of seconds, or of what is counted."""
    return isinstance(value, int | float) and 0 <= value < _MOST


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and _is_number(value)


def _is_owner(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("pid"), int)


def _are_metrics(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(one, int | float) for one in value.values())


def _or_none(check: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or check(value)


#: Seconds to the end of the year 9999, the last that a date can say.
_MOST = 253_402_300_800
#: What the values in lines must be.
_VALUES: dict[str, Callable[[object], bool]] = {
    "at": _is_number,
    "ended": _is_text,
    "error": _is_text,
    "expected_s": _or_none(_is_number),
    "is": _is_text,
    "key": _is_text,
    "lacks": _or_none(_is_text),
    "members": lambda value: _is_whole(value) and value != 0,
    "metrics": _are_metrics,
    "name": _is_text,
    "owner": _is_owner,
    "reason": _is_text,
    "scale": _is_text,
    "seconds": _is_number,
    "stage": _is_text,
    "step": _is_whole,
    "total": _is_whole,
    "worker": _is_text,
    "workers": _is_whole,
}
