"""Planning 10,000 arms x 5 seeds: ``python -m benchmarks.planning``.

In the time: importing what a plan needs; reading and checking the experiment file; its arms,
its trials and their stage jobs with keys; looking every job up in a store that has finished
thousands of them; the plan with its counts and, from what those took, its cost. Each repetition
is a process of its own, as a command is. Not in the time: writing the file and the store.

The designs: four factors of ten levels each, crossed, one for each of tokenizer, prior and
lifter and one, the lifter's width, on which its cost depends; one factor of 10,000 levels, which
is a file of 10,000 values; and, for information, four factors of the tokenizer, so that no arm
shares anything with another and a quarter of a million stage jobs are distinct. Exit status 1
where one of the first two takes longer than it may.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness import Line, parser, report
from benchmarks.made_up import factorial, finish, one_at_a_time, steps

LIMIT_S = 5.0
SCALE = "laptop"
#: Finished stage jobs that the store of every design has.
FINISHED = 5_000

SHARED = {
    "tokenizer.commitment_weight": steps(0.1, 1.0, 10),
    "prior.lambda_dense": steps(0.1, 3.0, 10),
    "lifter.model.width": [32, 48, 64, 80, 96, 112, 128, 144, 160, 176],
    "lifter.learning_rate": steps(1e-4, 1e-2, 10),
}
APART = {
    "tokenizer.commitment_weight": steps(0.1, 1.0, 10),
    "tokenizer.lambda_local": steps(0.1, 3.0, 10),
    "tokenizer.lambda_global": steps(0.1, 1.0, 10),
    "tokenizer.sparse_codebook.size": [16, 24, 32, 48, 64, 96, 128, 192, 384, 512],
}
#: Not asked to hold the limit: all of its stage jobs are distinct.
WORST = "crossed, nothing shared"
LONG = {"lifter.learning_rate": steps(1e-5, 1e-2, 10_000)}
DESIGNS = {
    "crossed 10x10x10x10": factorial(SHARED),
    "one factor, 10,000 levels": one_at_a_time(LONG),
    WORST: factorial(APART),
}


def plan_once(folder: Path) -> dict[str, Any]:
    """Plan the experiment of a folder; what is in it, and the seconds of each part."""
    started = time.perf_counter()
    from hipart.runtime import Runtime
    from hipart.session import open_session

    imported = time.perf_counter()
    session = open_session(str(folder / "made_up.yaml"), SCALE, None, Runtime(workspace=folder))
    opened = time.perf_counter()
    plan = session.plan
    ended = time.perf_counter()
    stages = plan.stages.values()
    return {
        "arms": len({trial.arm.name for trial in session.trials}),
        "trials": len(session.trials),
        "asked": sum(stage.asked for stage in stages),
        "distinct": sum(stage.distinct for stage in stages),
        "ready": sum(stage.ready for stage in stages),
        "cost_h": None if plan.seconds is None else plan.seconds / 3600,
        "import_s": imported - started,
        "open_s": opened - imported,
        "plan_s": ended - opened,
        "total_s": ended - started,
    }


def write(folder: Path, text: str) -> None:
    """An experiment file, and a store in which some of its jobs are finished."""
    from hipart.runtime import Runtime
    from hipart.session import open_session

    (folder / "made_up.yaml").write_text(text)
    runtime = Runtime(workspace=folder)
    session = open_session(str(folder / "made_up.yaml"), SCALE, None, runtime)
    first = islice((job for jobs in session.jobs for job in jobs.values()), FINISHED)
    finish(runtime.store, first, lambda job: {})


def measure(text: str, repeats: int) -> tuple[dict[str, Any], list[float]]:
    """The middle one of several plans of a file, and the seconds of all of them."""
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), text)
        command = [sys.executable, "-m", "benchmarks.planning", "--once", name]
        found = [json.loads(subprocess.check_output(command)) for _ in range(repeats)]
    totals = [one["total_s"] for one in found]
    middle = min(found, key=lambda one: abs(one["total_s"] - median(totals)))
    return middle, totals


def lines_of(name: str, middle: dict[str, Any]) -> Iterator[Line]:
    """The whole, which has a limit, and its parts."""
    limit = None if name == WORST else LIMIT_S
    whole = Line(name, "s", middle["total_s"], limit=limit)
    yield whole
    for part, what in (("open_s", "  load, arms, trials, jobs"), ("plan_s", "  plan and cost")):
        yield replace(whole, what=what, ours=middle[part], limit=None)


def main() -> int:
    """Plan every design several times; report the middle one of each."""
    options = parser(__doc__)
    options.add_argument("--once", type=Path, help="plan a folder's experiment once, print JSON")
    options.set_defaults(repeats=3)
    chosen = options.parse_args()
    if chosen.once is not None:
        print(json.dumps(plan_once(chosen.once)))
        return 0
    lines, notes = [], []
    for name, text in DESIGNS.items():
        middle, totals = measure(text, chosen.repeats)
        lines += lines_of(name, middle)
        cost = "unknown" if middle["cost_h"] is None else f"{middle['cost_h']:,.0f} h of work"
        notes.append(
            f"{name}: {middle['arms']:,} arms, {middle['trials']:,} trials ask for "
            f"{middle['asked']:,} stage jobs, {middle['distinct']:,} distinct, "
            f"{middle['ready']:,} in the store; cost {cost}; "
            f"{', '.join(f'{total:.2f}' for total in sorted(totals))} s"
        )
    return report("planning", lines, notes, chosen.out)


if __name__ == "__main__":
    sys.exit(main())
