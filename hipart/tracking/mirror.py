"""The MLflow mirror: a listener that shows what the store holds, never a source.

One MLflow experiment per experiment file, with a parent run and a child run per trial, and one
called ``stages`` with a run per distinct stage job, which all experiments share. What the store
holds is mirrored at the start and again at the end, so the mirror catches up with whatever
happened while nobody looked: any number of crashes leaves one run per trial and per job.
"""

import logging
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

from hipart.experiment.design import Trial
from hipart.jobs import TrialJobs
from hipart.scheduling.events import Event, JobFailed, JobFinished, JobReused, JobStarted
from hipart.session import Session
from hipart.tracking.messages import (
    Answer,
    Drawn,
    End,
    Happened,
    Inbox,
    Kind,
    Message,
    Mirrored,
    Open,
    waiting,
)
from hipart.tracking.server import artifact_folder

#: How long ``close`` waits for what is still to be written.
FLUSH_S = 600.0
#: How long events are gathered before they are passed on together: the driver has other work.
BATCH_S = 0.2
KINDS: dict[type, Kind] = {
    JobStarted: "started",
    JobFinished: "finished",
    JobReused: "reused",
    JobFailed: "failed",
}

_log = logging.getLogger(__name__)


class Line(Protocol):
    """The way to whoever writes MLflow."""

    def send(self, message: Message) -> None:
        """Hand over a message; returns at once."""
        ...

    def close(self, timeout_s: float) -> list[Answer]:
        """Wait until all is written; what was answered, the account of it last."""
        ...


class MlflowMirror:
    """Mirrors the experiments of a run into MLflow, in a process of its own.

    Calls return at once. No error of MLflow's reaches the caller: the first is told to
    ``on_warning`` when the mirror is closed.
    """

    def __init__(
        self,
        sessions: Sequence[Session],
        on_warning: Callable[[str], None] = _log.warning,
        line: Line | None = None,
    ) -> None:
        self._line = line or ProcessLine()
        self._on_warning = on_warning
        self._store = sessions[0].store
        runtime = sessions[0].runtime
        # Looked up now: when the other side has opened MLflow, jobs of this very run may be there.
        mirrored = []
        for one in sessions:
            jobs = [job for jobs in one.jobs for job in jobs.values()]
            pairs = list(zip(one.trials, one.jobs, strict=True))
            reused = set(one.store.held(jobs))
            mirrored.append(Mirrored(one.ablation, one.fingerprint, list(pairs), reused))
        self._line.send(
            Open(
                runtime.mlflow,
                runtime.tracking_database.absolute(),
                artifact_folder(runtime).absolute(),
                self._store.root,
                self._store.uri,
                mirrored,
            )
        )

    def __call__(self, event: Event) -> None:
        """Take note of what happened to a job."""
        kind = KINDS.get(type(event))
        if kind is not None:
            error = event.error if isinstance(event, JobFailed) else ""
            self._line.send(Happened(kind, event.job.key, error))

    def add(
        self,
        trial: Trial,
        jobs: TrialJobs,
        reached: TrialJobs | None = None,
        stopped: str = "",
    ) -> None:
        """Take note of a search's trial: one that was just drawn, or what became of it."""
        reused = set(self._store.held(jobs.values()))
        self._line.send(Drawn(trial, jobs, reached or jobs, reused, stopped))

    def finish(self, *files: Iterable[Path]) -> str:
        """The command is done: attach each experiment's files, end every run, wait for MLflow.

        Returns what it took, in a line.
        """
        self._line.send(End("FINISHED", [list(some) for some in files]))
        return self.close()

    def abort(self) -> None:
        """The command was stopped: what is not finished is KILLED."""
        self._line.send(End("KILLED"))
        self.close()

    def close(self) -> str:
        """Wait until everything said so far is in MLflow; nothing is listened to afterwards."""
        start = time.monotonic()
        answers = self._line.close(FLUSH_S)
        waited = time.monotonic() - start
        for answer in answers:
            if answer.warning is not None:
                self._on_warning(
                    f"MLflow could not be written ({answer.warning}). Nothing is lost: results "
                    "are in the store, and the same command, given again, completes the mirror."
                )
                break
        account = answers[-1] if answers else Answer()
        return (
            f"MLflow: {account.runs} runs, {account.seconds:.1f} s of computing; waited for "
            f"{waited:.1f} s at the end"
        )


class ProcessLine:
    """A line to ``hipart.tracking.process``, kept by a thread: neither side waits for the other."""

    def __init__(self) -> None:
        self._queue: Inbox = SimpleQueue()
        self._answers: list[Answer] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="mlflow-mirror", daemon=True)
        self._thread.start()

    def send(self, message: Message) -> None:
        """Put it into the queue."""
        self._queue.put(message)

    def close(self, timeout_s: float) -> list[Answer]:
        """Wait for the process to end by itself, or end it."""
        self._queue.put(None)
        self._thread.join(timeout_s)
        if self._thread.is_alive() and self._process is not None:
            self._process.kill()
            self._answers.insert(0, Answer(f"still busy after {timeout_s:.0f} s"))
        return self._answers

    def _keep(self) -> None:
        command = [sys.executable, "-m", "hipart.tracking.process"]
        pipe = subprocess.PIPE
        self._process = process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
        )
        assert process.stdin is not None and process.stdout is not None
        try:
            batch: list[Message | None] = [self._queue.get()]
            while True:
                pickle.dump(batch, process.stdin)
                process.stdin.flush()
                if batch[-1] is None:
                    break
                time.sleep(BATCH_S)
                batch = waiting(self._queue)
        except BrokenPipeError:
            pass  # it ended; its last words are read below
        try:
            while True:
                self._answers.append(pickle.load(process.stdout))
        except EOFError:
            code = process.wait()
        if not self._answers or self._answers[-1].warning is not None:
            self._answers.append(Answer(f"its process ended with status {code}"))
