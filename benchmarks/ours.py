"""An experiment as ``hipart-search run`` does it, timed: our side of a comparison with Ray Tune.

From reading the experiment to the last artifact, with worker start-up and the MLflow mirror.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from hipart.runtime import Runtime
from hipart.scheduling.events import Event, JobFailed
from hipart.scheduling.graph import StageGraph
from hipart.scheduling.ray_pool import RayPool
from hipart.session import Session, open_session
from hipart.store import Artifact
from hipart.tracking import MlflowMirror


@dataclass
class Measured:
    """One run of ours."""

    seconds: float
    errors: list[float]
    artifacts: list[Artifact]
    mirror: str
    busy_pct: dict[str, float] = field(default_factory=dict)

    @property
    def work_s(self) -> float:
        """Seconds of training of all distinct jobs."""
        return sum(float(one.provenance["seconds"]) for one in self.artifacts)


def run_ours(name: str, workspace: Path, scale: str, workers: int) -> tuple[Session, Measured]:
    """Run an experiment in a new workspace, as ``hipart-search run`` does; Ray runs already."""
    start = time.perf_counter()
    session = open_session(name, scale, None, Runtime(workspace, workers=workers))
    session.store.prepare()
    to_train = session.plan.to_train
    mirror = MlflowMirror([session])
    failures: list[JobFailed] = []

    def tell(event: Event) -> None:
        mirror(event)
        if isinstance(event, JobFailed):
            failures.append(event)

    pool = RayPool(session.runtime, len(to_train), to_train)
    try:
        graph = StageGraph(session.store, pool, tell, array=session.runtime.array_limit)
        for jobs in session.jobs:
            graph.ensure(jobs)
        graph.run()
        seconds = time.perf_counter() - start
    finally:
        pool.close()
    if failures:
        raise RuntimeError(f"{failures[0].job.name}: {failures[0].error}")
    artifacts = list(session.store.artifacts())
    last = [session.store.find("evaluate", jobs["evaluate"].key) for jobs in session.jobs]
    errors = [one.metrics["mpjpe_mm"] for one in last if one is not None]
    made = Measured(seconds, errors, artifacts, mirror.finish(), busy(artifacts))
    return session, made


def busy(artifacts: Sequence[Artifact]) -> dict[str, float]:
    """Percent of the time from the first job's start to the last one's end spent in training."""
    spans: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for artifact in artifacts:
        made = artifact.provenance
        began = datetime.fromisoformat(made["started_at"]).timestamp()
        spans[f"process {made['pid']}"].append((began, float(made["seconds"])))
    everything = [span for some in spans.values() for span in some]
    whole = max(began + long for began, long in everything) - min(began for began, _ in everything)
    shares = {
        name: 100 * sum(long for _, long in some) / whole for name, some in sorted(spans.items())
    }
    return {**shares, "all": sum(shares.values()) / len(shares)}


def by_stage(artifacts: Sequence[Artifact]) -> str:
    """What a job of each stage took."""
    spent: defaultdict[str, list[float]] = defaultdict(list)
    for artifact in artifacts:
        spent[artifact.stage].append(float(artifact.provenance["seconds"]))
    told = [f"{stage} {len(some)} x {sum(some) / len(some):.2f} s" for stage, some in spent.items()]
    return f"stages: {', '.join(told)}"


def agree(ours: Sequence[float], peers: Sequence[float], name: str) -> str:
    """Whether both did the same work."""
    worst = max(abs(a - b) for a, b in zip(ours, peers, strict=True))
    return f"errors of {name}'s trials differ from ours by at most {worst:.2g} mm"
