"""The table of 10,000 finished trials, from a store: ``python -m benchmarks.tables``.

2,000 arms, three crossed factors of 10, 10 and 20 levels, with 5 seeds. Every stage job is an
artifact in a folder of its own with identity, metrics and provenance; an evaluation also has its
errors sample by sample, as many as at laptop scale.

Ours, in the time: from an opened session (whose plan is made: benchmark ``planning``) to the table
as CSV text and as an object that a terminal can print. That is importing what a table needs;
looking up what is finished; reading metrics, provenance and errors; means, spreads, paired tests
over seeds with Holm's correction, the bootstrap over clips for every arm, all main effects and
interactions of the design, ranks and footer. Laying 2,000 rows out for a terminal is a line of
its own. Each repetition is a process of its own; its peak memory includes opening the session.

Peer, in the time: ``mlflow.search_runs`` into pandas on the same 10,000 trials, and their mean
per arm by ``groupby``: no spread, no test. Importing is not in it, and of the settings it only
has those that are varied, where our own mirror logs all. The runs are written in bulk, see
``benchmarks/peer_mlflow.py``. Both must find the same means. Exit status 1 where they do not, or
where ours takes longer or more memory than it may.
"""

import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks import peer_mlflow
from benchmarks.harness import Line, parser, report
from benchmarks.made_up import factorial, finish, steps

SCALE = "laptop"
LIMIT_S, LIMIT_GB = 2.0, 1.0
#: Values of the base are among the levels, so that the design has all its cells.
FACTORS = {
    "tokenizer.commitment_weight": [0.25, *steps(0.3, 1.0, 9)],
    "prior.lambda_dense": [1.5, *steps(1.6, 3.0, 9)],
    "lifter.learning_rate": [0.001, *steps(2e-3, 1e-2, 19)],
}
SAMPLES, CLIPS, ACTIONS = 2048, 40, 15
METRIC = "mpjpe_mm"
#: What an evaluation keeps of every sample and tells of every action.
BY_ACTION = (METRIC, "p_mpjpe_mm", "n_mpjpe_mm", "pck_pct", "auc_pct")


def write(folder: Path) -> None:
    """The experiment, a store in which all of it is finished, and the same as MLflow runs."""
    from hipart.pipeline import PIPELINE
    from hipart.runtime import Runtime
    from hipart.session import open_session

    (folder / "made_up.yaml").write_text(factorial(FACTORS))
    runtime = Runtime(workspace=folder)
    session = open_session(str(folder / "made_up.yaml"), SCALE, None, runtime)
    metrics = {
        key: _made_up(job.key, [metric.name for metric in PIPELINE[job.stage].metrics])
        for key, job in session.distinct.items()
    }
    clip = np.arange(SAMPLES) * CLIPS // SAMPLES
    labels = {"action": clip % ACTIONS, "clip": clip}

    def beside(job: Any, place: Path) -> None:
        if job.stage == "evaluate":
            from safetensors.numpy import save_file

            chance = np.random.default_rng(int(job.key, 16))
            errors = {name: chance.normal(50, 9, SAMPLES) for name in BY_ACTION}
            save_file(errors | labels, place / "errors.safetensors")

    finish(runtime.store, session.distinct.values(), lambda job: metrics[job.key], beside)
    peer_mlflow.write(folder / "mlflow.db", _runs(session, metrics))


def _made_up(key: str, names: list[str]) -> dict[str, float]:
    """Numbers that follow from a key; of an evaluation also by action."""
    chance = np.random.default_rng(int(key, 16))
    by_action = [f"{name}/Action{at}" for name in BY_ACTION if name in names for at in range(15)]
    return {name: float(chance.normal(50, 1)) for name in [*names, *by_action]}


def _runs(session: Any, metrics: dict[str, dict[str, float]]) -> Iterator[peer_mlflow.Run]:
    """A run for every trial, with the numbers of all its stages."""
    for trial, jobs in zip(session.trials, session.jobs, strict=True):
        yield peer_mlflow.Run(
            name=f"{trial.arm.name} · seed {trial.seed}",
            metrics={
                f"{stage}/{name}": value
                for stage, job in jobs.items()
                for name, value in metrics[job.key].items()
            },
            params={
                "arm": trial.arm.name,
                "seed": str(trial.seed),
                "scale": SCALE,
                **{path: str(value) for path, value in trial.arm.changes.items()},
            },
            tags={f"{stage}_key": job.key for stage, job in jobs.items()},
        )


def ours_once(folder: Path) -> dict[str, Any]:
    """Our table of what a folder holds: seconds, memory, and the mean of every arm."""
    from hipart.runtime import Runtime
    from hipart.session import open_session

    session = open_session(str(folder / "made_up.yaml"), SCALE, None, Runtime(workspace=folder))
    ready = sum(stage.ready for stage in session.plan.stages.values())
    started, worked = time.perf_counter(), time.process_time()
    from hipart.reporting import session_table

    made = session_table(session, {"trained": 0, "reused": ready})
    text, _ = made.csv(), made.terminal()
    ended, working = time.perf_counter(), time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    made.plain(160)
    printed = time.perf_counter()
    assert text.count("\n") == len(made.rows) + 1
    return {
        "seconds": ended - started,
        "cpu_seconds": working - worked,
        "print_seconds": printed - ended,
        "peak_gb": peak * (1 if sys.platform == "darwin" else 1024) / 1e9,
        "means": {row.arm: row.cells[0].mean for row in made.rows},
        "artifacts": len(session.distinct),
        "trials": len(session.trials),
        "effects": len(made.effects),
        "clips": made.rows[1].cells[0].clips is not None,
    }


def peer_once(folder: Path) -> dict[str, Any]:
    """MLflow's and pandas' means of the same."""
    means, seconds = peer_mlflow.mean_per_arm(folder / "mlflow.db", f"evaluate/{METRIC}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_gb = peak * (1 if sys.platform == "darwin" else 1024) / 1e9
    return {"seconds": seconds, "peak_gb": peak_gb, "means": means}


def main() -> int:
    """Write everything once, then measure ours, the peer, which takes long, and ours again."""
    options = parser(__doc__)
    options.add_argument("--once", nargs=2, metavar=("WHO", "FOLDER"), help="measure once, as JSON")
    options.set_defaults(repeats=3)
    chosen = options.parse_args()
    if chosen.once:
        who, name = chosen.once
        step = {"write": write, "ours": ours_once, "peer": peer_once}[who]
        print(json.dumps(step(Path(name))))
        return 0
    command = [sys.executable, "-m", "benchmarks.tables", "--once"]
    with tempfile.TemporaryDirectory() as name:
        # In a process of its own: a child's peak memory starts at what its parent has.
        subprocess.run([*command, "write", name], check=True, stdout=subprocess.DEVNULL)
        found: dict[str, list[dict[str, Any]]] = {"ours": [], "peer": []}
        for who in ["ours"] * chosen.repeats + ["peer", "ours"]:
            found[who].append(json.loads(subprocess.check_output([*command, who, name])))
    return _report(found["ours"], found["peer"], chosen.out)


def _report(ours: list[dict[str, Any]], peer: list[dict[str, Any]], out: Path) -> int:
    def middle(some: list[dict[str, Any]], what: str) -> float:
        return median(one[what] for one in some)

    first, theirs = ours[0], peer[0]["means"]
    equal = first["means"].keys() == theirs.keys() and all(
        math.isclose(mean, theirs[arm], rel_tol=1e-12) for arm, mean in first["means"].items()
    )
    search = "search_runs + groupby"
    lines = [
        Line(
            *("table of 10,000 trials", "s", middle(ours, "seconds"), middle(peer, "seconds")),
            peer_name=search,
            limit=LIMIT_S,
        ),
        Line(
            *("  peak memory", "GB", max(one["peak_gb"] for one in ours)),
            *(max(one["peak_gb"] for one in peer), search),
            limit=LIMIT_GB,
        ),
        Line("  processor time, of all threads", "s", middle(ours, "cpu_seconds")),
        Line("  laying it out for a terminal", "s", middle(ours, "print_seconds")),
        Line(
            "  arms with the peer's mean",
            "arms",
            len(theirs) if equal else 0,
            limit=len(theirs),
            better="higher",
        ),
    ]
    notes = [
        f"{first['trials']:,} trials of {len(first['means']):,} arms, {first['artifacts']:,} "
        f"artifacts, {first['effects']} effects; bootstrap over {CLIPS} clips: {first['clips']}",
        "ours "
        + ", ".join(f"{one['seconds']:.2f}" for one in ours)
        + " s; peer "
        + ", ".join(f"{one['seconds']:.2f}" for one in peer)
        + " s",
    ]
    return report("tables", lines, notes, out)


if __name__ == "__main__":
    sys.exit(main())
