"""What the platform adds to a stage job: ``python -m benchmarks.overhead``.

Distinct jobs of stages that do nothing take the whole way (graph, Ray pool, claim, publish into a
real store, metrics) on workers that have started; Ray Tune at its best does nothing beside them.
Then the same jobs with the MLflow mirror, which must not make them later; it may catch up
afterwards.
"""

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.harness import Line, parser, report
from benchmarks.peer_tune import idle_trainable, run_tune
from hipart.runtime import Runtime
from hipart.scheduling.events import Event, Listener
from hipart.scheduling.graph import StageGraph
from hipart.scheduling.metrics import RunMetrics
from hipart.scheduling.ray_pool import RayPool
from hipart.scheduling.ray_start import start_ray
from hipart.session import Session, open_session
from hipart.tracking import MlflowMirror
from hipart.tracking.mirror import ProcessLine

EXPERIMENT = """\
kind: ablation
title: Stages that do nothing
design: one_at_a_time
factors:
  - {{name: rate, path: tokenizer.learning_rate, levels: [0.002]}}
seeds: {seeds}
reseed: [tokenizer, prior, lifter]
metric: {{stage: evaluate, name: mpjpe_mm}}
"""
STAGES, ARMS = 5, 2
#: Asked of the platform for one job, in milliseconds.
LIMIT_MS = 5.0
#: How much two runs of the same jobs differ on a machine that does other things as well.
NOISE = 1.25


def main() -> int:
    """Measure; print the table."""
    options = parser(__doc__)
    options.set_defaults(repeats=4)
    options.add_argument("--jobs", type=int, default=1000, help="distinct stage jobs")
    options.add_argument("--peer-trials", type=int, default=60, help="trials of Ray Tune")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument(
        "--only", choices=["jobs", "tune", "mirror"], action="append", help="parts to run"
    )
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start_ray(Runtime(Path(folder)))
        lines, notes = _measure(Path(folder), chosen)
    return report("overhead", lines, notes, chosen.out)


def _measure(folder: Path, chosen: argparse.Namespace) -> tuple[list[Line], list[str]]:
    parts = chosen.only or ["jobs", "tune", "mirror"]
    lines: list[Line] = []
    notes = [f"{chosen.jobs} distinct jobs, {chosen.workers} workers, on workers that have started"]
    plain: list[float] = []
    mirrored: list[float] = []
    for turn in range(chosen.repeats):
        place = folder / f"turn{turn}"
        plain.append(_ms_of(idle_session(place / "plain", chosen.jobs, chosen.workers)))
        if "mirror" in parts:
            session = idle_session(place / "mirror", chosen.jobs, chosen.workers)
            line = ProcessLine()
            mirror = MlflowMirror([session], notes.append, line)
            mirrored.append(_ms_of(session, mirror))
            if turn == chosen.repeats - 1:
                notes.append(f"{mirror.finish()} (of the last turn)")
            else:
                line.close(0)  # the next turn is not to compete with it
    peer = None
    if "tune" in parts:
        each, between = _tune_ms(folder / "tune", chosen.peer_trials, chosen.workers)
        peer = each
        notes.append(f"Ray Tune: {chosen.peer_trials} trials; its start is in the first number,")
        notes.append(f"from its first result to its last it takes {between:.1f} ms a trial")
    ours = statistics.median(plain)
    name = "Ray Tune, a trial" if peer is not None else ""
    lines.append(Line("a stage job", "ms", ours, peer, name, limit=LIMIT_MS))
    if mirrored:
        # The quickest turns: what else the machine does lengthens some turns by half.
        limit = max(min(plain) * NOISE, min(plain) + 1)
        lines.append(Line("with the MLflow mirror", "ms", min(mirrored), limit=limit))
    turns = ", ".join(f"{ms:.1f}" for ms in plain)
    notes.append(f"single turns: {turns} ms; mirrored: {', '.join(f'{m:.1f}' for m in mirrored)}")
    return lines, notes


def idle_session(folder: Path, jobs: int, workers: int) -> Session:
    """An experiment of so many distinct jobs, on a workspace of its own."""
    folder.mkdir(parents=True)
    file = folder / "idle.yaml"
    file.write_text(EXPERIMENT.format(seeds=list(range(jobs // STAGES // ARMS))))
    return open_session(str(file), "smoke", None, Runtime(folder / "workspace", workers=workers))


def _ms_of(session: Session, mirror: MlflowMirror | None = None) -> float:
    """Milliseconds a job, from the first asked for to the last artifact, on warm workers."""
    session.store.prepare()
    distinct = {job.key: job for jobs in session.jobs for job in jobs.values()}
    events: list[Event] = []
    pool = RayPool(
        session.runtime, len(distinct), list(distinct.values()), stages="benchmarks.idle_stages"
    )
    try:
        with closing(RunMetrics(session.store)) as metrics:
            listeners: list[Listener] = [mirror or events.append, metrics]

            def tell(event: Event) -> None:
                for listener in listeners:
                    listener(event)

            graph = StageGraph(session.store, pool, tell)
            for jobs in session.jobs[: pool.slots]:
                graph.ensure(jobs)
            graph.run()
            warm = len(graph.nodes)
            start = time.perf_counter()
            for number, jobs in enumerate(session.jobs):
                metrics.asked(number, jobs)
                graph.ensure(jobs)
            graph.run()
            seconds = time.perf_counter() - start
    finally:
        pool.close()
    assert all(node.state == "finished" for node in graph.nodes.values())
    return 1e3 * seconds / (len(graph.nodes) - warm)


def _tune_ms(folder: Path, trials: int, workers: int) -> tuple[float, float]:
    """Milliseconds a trial with Tune's start, and between its first and its last result."""
    from ray import tune

    start = time.perf_counter()
    space = {"seed": tune.grid_search(list(range(trials)))}
    results = run_tune(idle_trainable(), space, workers, folder, best=True)
    seconds = time.perf_counter() - start
    at = [result["at"] for result in results]
    return 1e3 * seconds / trials, 1e3 * (max(at) - min(at)) / (trials - 1)


if __name__ == "__main__":
    sys.exit(main())
