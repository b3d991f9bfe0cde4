"""Who is told of every trial of a search: MLflow, a terminal that draws nothing, the counts."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from hipart.scheduling.metrics import RunMetrics
from hipart.search.candidates import Candidate, Chain
from hipart.search.record import Record
from hipart.search.session import SearchSession
from hipart.search.study import Study
from hipart.searched import best_line
from hipart.tracking import MlflowMirror


@dataclass
class Mirroring:
    """Shows MLflow what becomes of trials."""

    session: SearchSession
    mirror: MlflowMirror

    def trial(self, record: Record, candidate: Candidate, reached: Sequence[Chain]) -> None:
        """A run for each seed, the jobs that it came to beneath it."""
        arm = self.session.arm(record, candidate)
        ended = record.reason if record.state in ("stopped", "refused") else ""
        pairs = self.session.trials(arm, candidate.chains)
        for (trial, jobs), chain in zip(pairs, reached or candidate.chains, strict=True):
            self.mirror.add(trial, jobs, chain, ended)


@dataclass
class Telling:
    """Says a line about every trial that has ended, where no table is drawn live."""

    console: Console
    session: SearchSession
    study: Study

    def trial(self, record: Record, candidate: Candidate, reached: Sequence[Chain]) -> None:
        """One line, and the best so far."""
        if record.state == "running":
            return
        values = ", ".join(f"{value:.4g}" for value in record.values or ())
        told = f"{record.name} {record.state}"
        told += f" {values}" if values else f": {record.reason}" if record.reason else ""
        self.console.print(
            f"{told} | {best_line(self.session, self.study)}",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip


@dataclass
class Sharing:
    """Says which trials stand on which jobs."""

    metrics: RunMetrics

    def trial(self, record: Record, candidate: Candidate, reached: Sequence[Chain]) -> None:
        """Each seed is one for itself."""
        for number, chain in enumerate(reached):
            self.metrics.asked((record.name, number), chain)
