"""The mirror's own process: takes messages, writes MLflow, takes nothing from those who train.

MLflow costs tens of milliseconds a run. In the driver it would hold up the scheduling of jobs, on
a busy machine the jobs themselves; here it has the lowest priority, so while all cores train it
falls behind, and catches up when they are free. While a server is away it insists on what it is
about; the rest waits in the inbox.
"""

import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from queue import SimpleQueue
from typing import Any

from hipart.jobs import StageJob
from hipart.store import ArtifactStore
from hipart.tracking.experiment import ExperimentRuns
from hipart.tracking.messages import Answer, Drawn, End, Happened, Inbox, Message, Open, waiting
from hipart.tracking.patience import Patience
from hipart.tracking.runs import RunBook
from hipart.tracking.specs import Subject


def serve(inbox: Inbox, answer: Callable[[Answer], None], patience: Patience | None = None) -> None:
    """Mirror what comes in until None does. Of all errors the first is answered."""
    desk = _Desk(answer, patience or Patience())
    while batch := waiting(inbox):
        desk.take_in([message for message in batch if message is not None])
        if batch[-1] is None:
            break
    answer(Answer(runs=desk.runs, seconds=desk.seconds))


class _Desk:
    def __init__(self, answer: Callable[[Answer], None], patience: Patience) -> None:
        self._answer, self._patience = answer, patience
        self._warned = False
        self._book: RunBook | None = None
        self._experiments: list[ExperimentRuns] = []
        self._jobs: dict[str, StageJob] = {}
        self.seconds = 0.0

    @property
    def runs(self) -> int:
        """Runs that this process has made or looked at."""
        return self._book.known if self._book else 0

    def take_in(self, messages: Sequence[Message]) -> None:
        """Mirror messages; what happened to jobs in a row is taken in together."""
        started = time.process_time()  # others go first, so a clock would count them
        for kind, some in groupby(messages, key=type):
            if kind is Happened:
                together = [message for message in some if isinstance(message, Happened)]
                for runs in self._experiments:
                    self._try(runs.take_in, together, self._jobs)
            else:
                for message in some:
                    self._take_in(message)
        self.seconds += time.process_time() - started

    def _take_in(self, message: Message) -> None:
        match message:
            case Open():
                self._try(self._open, message)
            case Drawn():
                some = (*message.jobs.values(), *message.reached.values())
                self._jobs |= {job.key: job for job in some}
                for runs in self._experiments[:1]:
                    self._try(runs.add, message)
            case End(status, files):
                if self._book:
                    self._book.forget_made()
                for number, runs in enumerate(self._experiments):
                    if status == "FINISHED":
                        self._try(runs.catch_up)
                    if number < len(files):
                        self._try(runs.attach, files[number])
                    self._try(runs.end, status)

    def _open(self, message: Open) -> None:
        place = message.database, message.artifacts, message.address
        self._book = RunBook(*place, self._patience)
        store = ArtifactStore(message.store, message.store_uri)
        for one in message.experiments:
            self._jobs |= {job.key: job for _, jobs in one.trials for job in jobs.values()}
            subject = Subject(one.ablation, one.data_fingerprint)
            runs = ExperimentRuns(self._book, store, subject, one.trials, one.reused)
            self._experiments.append(runs)
            runs.catch_up()

    def _try(self, action: Callable[..., None], *arguments: Any) -> None:
        if self._patience.over:
            return
        try:
            action(*arguments)
        except Exception as error:
            if not self._warned:
                self._warned = True
                self._answer(Answer(f"{type(error).__name__}: {error}"))


def _read(inbox: Inbox, patience: Patience) -> None:
    """Messages as the driver writes them. A driver that died has said all that it will."""
    while True:
        try:
            batch = pickle.load(sys.stdin.buffer)
        except (EOFError, pickle.UnpicklingError):
            os._exit(0)  # nobody listens: the next command takes up what is missing
        patience.hear(batch)
        for message in batch:
            inbox.put(message)
        if batch[-1] is None:
            return


def _give_way() -> None:
    """Work when nobody else wants to: Ray's workers are nice themselves, so we must be idler."""
    os.nice(19)
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def main() -> None:
    """Serve the process at the other end of standard input and output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the driver, which then ends us
    _give_way()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    inbox: Inbox = SimpleQueue()
    patience = Patience()
    threading.Thread(target=_read, args=(inbox, patience), daemon=True).start()

    def answer(what: Answer) -> None:
        pickle.dump(what, answers)
        answers.flush()

    serve(inbox, answer, patience)


if __name__ == "__main__":
    main()
