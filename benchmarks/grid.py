"""A grid that shares its beginnings, against plain Ray Tune: ``python -m benchmarks.grid``.

Four generation orders, three lifters, two learning rates: 24 trials of one tokenizer and four
priors. Ours is timed from reading the experiment to the last artifact, with worker start-up and
the MLflow mirror; Tune from building its tuner to its last result. Both find Ray running. Exit
status 1 where a line does not hold.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import Line, parser, report
from benchmarks.ours import agree, by_stage, run_ours
from benchmarks.peer_tune import time_trials
from hipart.runtime import Runtime
from hipart.scheduling.ray_start import start_ray

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
PARTS = ("grid", "default")


def main() -> int:
    """Measure; print the table."""
    options = parser(__doc__)
    options.add_argument("--scale", choices=list(LIFTERS), default="laptop")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument(
        "--only",
        choices=PARTS,
        action="append",
        help="grid: against Tune at its best; default: and with its defaults",
    )
    chosen = options.parse_args()
    parts = chosen.only or PARTS
    lines: list[Line] = []
    notes: list[str] = [f"scale {chosen.scale}, {chosen.workers} workers of one core each"]
    with tempfile.TemporaryDirectory() as folder:
        start_ray(Runtime(Path(folder)))
        _grid(Path(folder), chosen, parts, lines, notes)
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
    session, ours = run_ours(str(file), folder / "ours", chosen.scale, chosen.workers)
    distinct, asked = len(ours.artifacts), sum(len(jobs) for jobs in session.jobs)
    ideal = ours.work_s / chosen.workers
    for best, name in ((True, "at its best"), (False, "as it comes")):
        if ("grid" if best else "default") in parts:
            seconds, errors = time_trials(session.jobs, chosen.workers, folder / "tune", best)
            asked_for = 2.0 if best else None
            what = f"{len(session.trials)} trials, Ray Tune {name}"
            lines.append(Line(what, "s", ours.seconds, seconds, "Tune", least_ratio=asked_for))
            notes.append(agree(ours.errors, errors, f"Ray Tune {name}"))
    lines.append(Line("over the ideal", "x", ours.seconds / ideal, limit=1.15))
    lines.append(
        Line("workers busy", "%", ours.busy_pct["all"], better="higher", limit=90.0),
    )
    notes.append(f"{asked} stage jobs asked for, {distinct} distinct; ideal {ideal:.1f} s")
    each = ", ".join(f"{name} {share:.1f} %" for name, share in ours.busy_pct.items())
    notes.append(f"busy between the first job's start and the last one's end: {each}")
    notes.append(by_stage(ours.artifacts))
    notes.append(ours.mirror)


if __name__ == "__main__":
    sys.exit(main())
