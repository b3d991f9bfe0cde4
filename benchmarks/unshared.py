"""``codebook_ablation``, which shares next to nothing, against plain Ray Tune at its best.

Both do the same work, so little decides: less than a machine drifts from one minute to the next.
So both run at the same time, each on its own half of the cores with a Ray of its own, and then once
more with the halves exchanged. Ours is timed with worker start-up and the MLflow mirror. ``--lend``
has Tune's processes keep freed memory as our workers do, so that nothing but scheduling differs.
Exit status 1 where the line does not hold.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.harness import Line, parser, report
from benchmarks.ours import agree, by_stage, run_ours
from benchmarks.peer_tune import time_trials
from hipart.runtime import Runtime
from hipart.scheduling.ray_start import start_ray
from hipart.session import open_session

EXPERIMENT = "codebook_ablation"
OURS, TUNE, LENT = SIDES = ("ours", "tune", "tune, lent our allocator")


def main() -> int:
    """Measure; print the table."""
    options = parser(__doc__)
    options.add_argument("--scale", default="laptop")
    options.add_argument("--lend", action="store_true", help="Tune's processes keep freed memory")
    options.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options.add_argument("--workers", type=int, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.side:
        return _take_part(chosen.side, chosen.scale, chosen.workers)
    cores = sorted(os.sched_getaffinity(0))
    each = len(cores) // 2
    if not each:
        options.error("two cores are needed, one for each side")
    first, second = cores[:each], cores[each : 2 * each]
    peer = LENT if chosen.lend else TUNE
    turns = [
        _side_by_side({OURS: one, peer: other}, chosen.scale)
        for one, other in ((first, second), (second, first))
    ]
    ours, tune = ([turn[side]["seconds"] for turn in turns] for side in (OURS, peer))
    what = f"{EXPERIMENT}, {len(turns[0][OURS]['errors'])} trials"
    lines = [Line(what, "s", fmean(ours), fmean(tune), "Tune", least_ratio=1.0)]
    workers = "a worker" if each == 1 else f"{each} workers"
    notes = [f"scale {chosen.scale}; at the same time, each side {workers} of one core"]
    for number, turn in enumerate(turns, 1):
        mine, other = turn[OURS], turn[peer]
        notes.append(
            f"turn {number}: ours {mine['seconds']:.1f} s, {peer} {other['seconds']:.1f} s: "
            f"{other['seconds'] / mine['seconds']:.3f}"
        )
        notes += [mine["stages"], mine["mirror"], agree(mine["errors"], other["errors"], peer)]
    return report("unshared", lines, notes, chosen.out)


def _side_by_side(halves: dict[str, Collection[int]], scale: str) -> dict[str, dict[str, Any]]:
    """Both sides at once, each on its cores; what each of them says."""
    running = {}
    for side, cores in halves.items():
        command = [sys.executable, "-m", "benchmarks.unshared", "--side", side, "--scale", scale]
        os.sched_setaffinity(0, cores)  # a process has what the one that begins it had
        running[side] = subprocess.Popen(
            [*command, "--workers", str(len(cores))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    os.sched_setaffinity(0, {core for cores in halves.values() for core in cores})
    for process in running.values():
        assert process.stdout is not None
        process.stdout.readline()  # it is ready
    for process in running.values():
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it failed, as is told below
            process.stdin.write("go\n")
            process.stdin.flush()
    said = {side: process.communicate()[0] for side, process in running.items()}
    for side, process in running.items():
        if process.returncode:
            raise RuntimeError(f"{side} ended with status {process.returncode}")
    return {side: json.loads(text.splitlines()[-1]) for side, text in said.items()}


def _take_part(side: str, scale: str, workers: int) -> int:
    """Get ready, wait for the word, run; say how long it took and what came out."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start_ray(Runtime(folder))
        session = open_session(EXPERIMENT, scale, None, Runtime(folder / "plan", workers=workers))
        print("ready", flush=True)
        sys.stdin.readline()
        if side == OURS:
            _, made = run_ours(EXPERIMENT, folder / "ours", scale, workers)
            more = {"stages": by_stage(made.artifacts), "mirror": made.mirror}
            said = {"seconds": made.seconds, "errors": made.errors, **more}
        else:
            seconds, errors = time_trials(
                session.jobs, workers, folder / "tune", best=True, lent=side == LENT
            )
            said = {"seconds": seconds, "errors": errors}
    print(json.dumps(said), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
