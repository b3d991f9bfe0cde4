"""``hipart-search watch`` and ``status``: what commands do that run in other terminals."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table

from hipart.report.live import LiveView, PlainView, Progress, duration
from hipart.reporting import session_table
from hipart.runner import finished_trials
from hipart.runtime import Runtime
from hipart.scheduling.journal import Found, Heard, Reader, journals
from hipart.search.session import SearchSession
from hipart.searched import LIVE_ROWS, search_table
from hipart.session import Work
from hipart.store.leases import is_dead

#: How often a journal is read.
LOOK_SECONDS = 0.25
#: What is said after how a run ended, unless the same command goes on.
_AFTER = {"finished": "", "failed": "", "removed": ": its journal is gone"}


class Follower:
    """The state of a run, as its runner has it."""

    def __init__(self, found: Found) -> None:
        """Raises OSError where the journal cannot be read, as one that was removed."""
        self.found = found
        self._reader = Reader(found)
        self._now: float | None = None
        self._expected: dict[str, float | None] = {}
        self.progress = Progress(
            lambda job: self._expected.get(job.key), found.workers, self._clock
        )
        self.progress.started = found.began

    @property
    def ended(self) -> str | None:
        """How the run ended, as soon as it is known: finished, failed, stopped, killed.

        "removed" where nobody will know, because its journal is gone.
        """
        reader = self._reader
        if reader.ended is not None or self.found.runs:
            return reader.ended
        return reader.end_ahead() or ("killed" if is_dead(self.found.owner) else "removed")

    def follow(self, tell: Callable[[Heard], None]) -> None:
        """Tell what has happened since the last call, as at the time when it did."""
        for heard in self._reader.new():
            self._now = heard.at
            if heard.expected_s is not None:
                self._expected[heard.event.job.key] = heard.expected_s
            tell(heard)
        self._now = None

    def _clock(self) -> float:
        """The time of the event that is told, of a run's end, or now."""
        if self._now is not None:
            return self._now
        return time.time() if self.ended is None else self._reader.last

    def close(self) -> None:
        """Follow no longer."""
        self._reader.close()


def _followers(found: Iterable[Found]) -> Iterator[Follower]:
    """Of journals that were listed, those that are still there."""
    for one in found:
        with suppress(OSError):
            yield Follower(one)


def watch(experiment: Work | SearchSession, console: Console) -> bool:
    """Follow the newest run of an experiment to its end; returns whether it ended well.

    Raises ``ValueError`` where none was begun in this workspace.
    """
    name, scale, runtime = _named(experiment)
    mine = [one for one in journals(runtime.journals) if (one.name, one.scale) == (name, scale)]
    follower = next(_followers(sorted(mine, key=lambda one: not one.runs)), None)
    if follower is None:
        raise ValueError(
            f"{name} was not run at scale {scale} in {runtime.workspace}: nothing to watch"
        )
    with closing(follower):
        try:
            ended = _follow(follower, experiment, console)
        except KeyboardInterrupt:
            return True
        if console.is_terminal:
            console.print(_rows(experiment, follower.progress))
        after = _AFTER.get(ended, ": the same command goes on where it was")
        summary = follower.progress.summary()
        console.print(f"{summary}; {ended}{after}", highlight=False, soft_wrap=True)
    return ended == "finished"


def _follow(follower: Follower, experiment: Work | SearchSession, console: Console) -> str:
    """Draw a run until it has ended; how it did."""
    progress = follower.progress
    follower.follow(lambda heard: progress.hear(heard.event))
    view: LiveView | PlainView
    if console.is_terminal:
        view = LiveView(console, progress, lambda: _rows(experiment, progress))
    else:
        view = PlainView(console, progress)
        console.print(progress.summary(), highlight=False, soft_wrap=True)
    with view:
        while (ended := follower.ended) is None:
            follower.follow(lambda heard: view(heard.event))
            time.sleep(LOOK_SECONDS)
        follower.follow(lambda heard: view(heard.event))
    return ended


def status(runtime: Runtime) -> list[dict[str, Any]]:
    """Every run of the workspace that is written down, the newest first."""
    found = []
    for follower in _followers(journals(runtime.journals)):
        with closing(follower):
            found.append(_state(follower))
    return found


def _state(follower: Follower) -> dict[str, Any]:
    """Where a run stands by all that is written down."""
    one, progress = follower.found, follower.progress
    follower.follow(lambda heard: progress.hear(heard.event))
    ended = follower.ended
    return {
        "experiment": one.name,
        "scale": one.scale,
        "state": ended or "running",
        "began": datetime.fromtimestamp(one.began, UTC).isoformat(timespec="seconds"),
        "host": one.owner.get("host"),
        "pid": one.owner.get("pid"),
        "workers": one.workers,
        "waiting": len(progress.waiting),
        "running": len(progress.running),
        "reused": progress.reused,
        "done": progress.done,
        "failed": len(progress.failures),
        "left_s": progress.left_s() if ended is None else None,
    }


def described(found: list[dict[str, Any]], runtime: Runtime) -> RenderableType:
    """The same as a table."""
    if not found:
        return f"Nothing was run in {runtime.workspace} yet."
    rows = Table("experiment", "scale", "state", "jobs", "left", "began, UTC",
                 box=None, padding=(0, 2, 0, 0), header_style="dim")  # fmt: skip
    for one in found:
        left, counts = one["left_s"], ("waiting", "running", "reused", "done", "failed")
        rows.add_row(
            one["experiment"],
            one["scale"],
            one["state"],
            ", ".join(f"{one[name]} {name}" for name in counts if one[name]),
            "" if left is None else duration(left),
            one["began"][5:16].replace("T", " "),
        )
    return rows


def _named(experiment: Work | SearchSession) -> tuple[str, str, Runtime]:
    if isinstance(experiment, SearchSession):
        return experiment.search.name, experiment.search.scale, experiment.runtime
    first = experiment.sessions[0]
    return experiment.name, first.ablation.scale, first.runtime


def _rows(experiment: Work | SearchSession, progress: Progress) -> RenderableType:
    """What is finished, as the runner draws it."""
    if isinstance(experiment, SearchSession):
        if not experiment.is_begun:
            return "No trial yet; or the search in the file is another one than that which was run."
        study = experiment.look_at_study()
        return search_table(experiment, study, partial=True, rows=LIVE_ROWS).terminal(notes=False)
    if len(experiment.sessions) > 1:
        return finished_trials(experiment)
    counts = {"trained": progress.done, "reused": progress.reused}
    made = session_table(
        experiment.sessions[0], counts, progress.failures, partial=True, brief=True
    )
    return made.terminal(notes=False)
