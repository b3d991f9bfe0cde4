"""Which machine did which job, and when: what provenance says of a session's artifacts."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.table import Table

from hipart.pipeline import PIPELINE
from hipart.report.live import duration
from hipart.store import Artifact

#: Where nobody worked for longer than this, another run began.
PAUSE = timedelta(minutes=10)
#: What the provenance of a job has to say.
TOLD = {"started_at", "host", "pid", "device", "seconds"}


@dataclass(frozen=True, order=True)
class Span:
    """A job's time on a worker; members of an array have the same."""

    began: datetime
    host: str
    pid: int
    device: str
    stage: str
    seconds: float

    @property
    def ended(self) -> datetime:
        """When it was done."""
        return self.began + timedelta(seconds=self.seconds)


def spans(artifacts: Iterable[Artifact]) -> list[Span]:
    """The time of every job whose provenance tells it, in order."""
    return sorted(
        Span(
            began=datetime.fromisoformat(told["started_at"]),
            host=told["host"],
            pid=told["pid"],
            device=told["device"],
            stage=artifact.stage,
            seconds=told.get("array_seconds", told["seconds"]),
        )
        for artifact in artifacts
        for told in [artifact.provenance]
        if told.keys() >= TOLD
    )


def last_run(all_spans: Sequence[Span]) -> list[Span]:
    """Those since the last long pause: what was reused lies before it."""
    begin, ended = 0, None
    for place, span in enumerate(all_spans):
        if ended is not None and span.began - ended > PAUSE:
            begin = place
        ended = max(ended, span.ended) if ended else span.ended
    return list(all_spans[begin:])


def describe(shown: Sequence[Span]) -> Table:
    """A row for each machine and device: workers, how long they worked, and jobs by stage."""
    rows = Table("host", "device", "workers", "worked", "jobs", box=None, header_style="dim")
    for column in rows.columns[2:4]:
        column.justify = "right"
    for host, device in sorted({(span.host, span.device) for span in shown}):
        mine = [span for span in shown if (span.host, span.device) == (host, device)]
        jobs = Counter(span.stage for span in mine)
        worked = {(span.pid, span.began): span.seconds for span in mine}
        rows.add_row(
            host,
            device,
            str(len({span.pid for span in mine})),
            duration(sum(worked.values())),
            ", ".join(f"{jobs[stage]} {stage}" for stage in PIPELINE if stage in jobs),
        )
    return rows
