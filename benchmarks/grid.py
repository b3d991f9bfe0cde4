"""A grid that shares its beginnings, against plain Ray Tune: ``python -m benchmarks.grid``.

Four generation orders, three lifters, two learning rates: 24 trials of one tokenizer and four
priors. Ours is timed from reading the experiment to the last artifact, with worker start-up and
the MLflow mirror; Tune from building its tuner to its last result. Both find Ray running. Then
``codebook_ablation``, whose trials share next to nothing. ``--lend`` has Tune's processes keep
freed memory as our workers do, so that nothing but scheduling differs. Exit status 1 where a line
does not hold.
"""

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from pathlib import Path
from statistics import fmean

from benchmarks.harness import Line, parser, report
from benchmarks.peer_tune import time_trials
from hipart.runtime import Runtime
from hipart.scheduling.events import Event, JobFailed
from hipart.scheduling.graph import StageGraph
from hipart.scheduling.ray_pool import RayPool
from hipart.scheduling.ray_start import start_ray
from hipart.session import Session, open_session
from hipart.store import Artifact
from hipart.tracking import MlflowMirror

GRID = """\
kind: ablation
title: Orders, lifters and learning rates
design: factorial
factors:
  - name: order
    path: prior.order
    levels: [center_to_periphery, raster, periphery_to_center, random_0]
  - name: lifter
    base: MLP
    levels:
      - {name: transformer, set: {%(transformer)s}}
      - {name: diffusion, set: {%(diffusion)s}}
  - name: rate
    path: lifter.learning_rate
    levels: [1.0e-3, 5.0e-4]
seeds: [0]
reseed: [tokenizer, prior, lifter]
metric: {stage: evaluate, name: mpjpe_mm}
"""
#: Few epochs, so that no lifter takes more than some seconds.
LIFTERS = {
    "laptop": {
        "transformer": "lifter.model.kind: transformer, lifter.model.width: 48, "
        "lifter.model.blocks: 1, lifter.epochs: 2",
        "diffusion": "lifter.model.kind: diffusion, lifter.model.width: 48, "
        "lifter.model.blocks: 1, lifter.model.sampling_steps: 4, lifter.model.hypotheses: 1, "
        "lifter.epochs: 2",
    },
    "smoke": {
        "transformer": "lifter.model.kind: transformer, lifter.model.width: 12, "
        "lifter.model.blocks: 1",
        "diffusion": "lifter.model.kind: diffusion, lifter.model.width: 12, "
        "lifter.model.blocks: 1, lifter.model.sampling_steps: 2, lifter.model.hypotheses: 2",
    },
}
PARTS = ("grid", "default", "codebook")
_numbers = count()


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


def main() -> int:
    """Measure; print the table."""
    options = parser(__doc__)
    options.add_argument("--scale", choices=list(LIFTERS), default="laptop")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument(
        "--only",
        choices=PARTS,
        action="append",
        help="grid: against Tune at its best; default: and with its defaults; codebook",
    )
    options.add_argument("--lend", action="store_true", help="Tune's processes keep freed memory")
    chosen = options.parse_args()
    parts = chosen.only or PARTS
    lines: list[Line] = []
    lent = ", which are lent our allocator" if chosen.lend else ""
    notes: list[str] = [f"scale {chosen.scale}, {chosen.workers} workers of one core each{lent}"]
    with tempfile.TemporaryDirectory() as folder:
        start_ray(Runtime(Path(folder)))
        if "grid" in parts or "default" in parts:
            _grid(Path(folder), chosen, parts, lines, notes)
        if "codebook" in parts:
            _codebook(Path(folder), chosen, lines, notes)
    return report("grid", lines, notes, chosen.out)


def _grid(
    folder: Path,
    chosen: argparse.Namespace,
    parts: Sequence[str],
    lines: list[Line],
    notes: list[str],
) -> None:
    file = folder / "grid.yaml"
    file.write_text(GRID % LIFTERS[chosen.scale])
    session, ours = run_ours(str(file), folder, chosen)
    distinct, asked = len(ours.artifacts), sum(len(jobs) for jobs in session.jobs)
    ideal = ours.work_s / chosen.workers
    for best, name in ((True, "at its best"), (False, "as it comes")):
        if ("grid" if best else "default") in parts:
            seconds, errors = time_trials(
                session.jobs, chosen.workers, folder / "tune", best, chosen.lend
            )
            asked_for = 2.0 if best else None
            what = f"{len(session.trials)} trials, Ray Tune {name}"
            lines.append(Line(what, "s", ours.seconds, seconds, "Tune", least_ratio=asked_for))
            notes.append(_agree(ours.errors, errors, f"Ray Tune {name}"))
    lines.append(Line("over the ideal", "x", ours.seconds / ideal, limit=1.15))
    lines.append(
        Line("workers busy", "%", ours.busy_pct["all"], better="higher", limit=90.0),
    )
    notes.append(f"{asked} stage jobs asked for, {distinct} distinct; ideal {ideal:.1f} s")
    each = ", ".join(f"{name} {share:.1f} %" for name, share in ours.busy_pct.items())
    notes.append(f"busy between the first job's start and the last one's end: {each}")
    notes.append(_by_stage(ours.artifacts))
    notes.append(ours.mirror)


def _codebook(
    folder: Path, chosen: argparse.Namespace, lines: list[Line], notes: list[str]
) -> None:
    session, first = run_ours("codebook_ablation", folder, chosen)
    tuned = [
        time_trials(session.jobs, chosen.workers, folder / "tune", True, chosen.lend)
        for _ in range(2)
    ]
    _, last = run_ours("codebook_ablation", folder, chosen)
    ours, tune = [first.seconds, last.seconds], [seconds for seconds, _ in tuned]
    what = f"codebook_ablation, {len(session.trials)} trials"
    lines.append(Line(what, "s", fmean(ours), fmean(tune), "Tune", least_ratio=1.0))
    for _, errors in tuned:
        notes.append(_agree(first.errors, errors, "Ray Tune on codebook_ablation"))
    told = [", ".join(f"{seconds:.1f} s" for seconds in some) for some in (ours, tune)]
    ideal = first.work_s / chosen.workers
    notes.append(f"codebook_ablation: ours first and last, {told[0]}; Tune between, {told[1]}")
    notes.append(f"codebook_ablation: {first.seconds / ideal:.2f} times its ideal of {ideal:.1f} s")


def run_ours(name: str, folder: Path, chosen: argparse.Namespace) -> tuple[Session, Measured]:
    """Run an experiment in a workspace of its own, as ``hipart-search run`` does."""
    workspace = folder / f"workspace{next(_numbers)}"
    start = time.perf_counter()
    session = open_session(name, chosen.scale, None, Runtime(workspace, workers=chosen.workers))
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


def _by_stage(artifacts: Sequence[Artifact]) -> str:
    spent: defaultdict[str, list[float]] = defaultdict(list)
    for artifact in artifacts:
        spent[artifact.stage].append(float(artifact.provenance["seconds"]))
    told = [f"{stage} {len(some)} x {sum(some) / len(some):.2f} s" for stage, some in spent.items()]
    return f"stages: {', '.join(told)}"


def _agree(ours: Sequence[float], peers: Sequence[float], name: str) -> str:
    """Whether both did the same work."""
    worst = max(abs(a - b) for a, b in zip(ours, peers, strict=True))
    return f"errors of {name}'s trials differ from ours by at most {worst:.2g} mm"


if __name__ == "__main__":
    sys.exit(main())
