"""One laptop-scale trial, this code against an earlier commit: ``python -m benchmarks.trial``.

Both run all five stages in a fresh process of their own, turn by turn, with one thread; seconds
are the medians. The earlier code comes out of git's history into a temporary folder. This code
runs once more with all cores, as ``hipart-search run`` gives them to a trial that is alone.

A stage's line compares the work alone; the trial's line is the whole process, imports included.
"""

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from benchmarks.harness import Line, parser, report

ROOT = Path(__file__).resolve().parent.parent
#: The last commit before trials were made faster.
BEFORE = "1e3a60e"

#: Runs in both trees, so it asks only for what both have.
CHILD = """
import json, sys, tempfile, time
from pathlib import Path
from hipart.data.corpus import fingerprint
from hipart.experiment.file import base_at_scale
try:
    from hipart.jobs import jobs
except ImportError:  # before it had a file of its own
    from hipart.pipeline import jobs
from hipart.scheduling.executor import Workplace
from hipart.scheduling.worker import run_job
from hipart.store import ArtifactStore
scale, threads = sys.argv[1], int(sys.argv[2])
with tempfile.TemporaryDirectory() as folder:
    place = Workplace(Path(folder) / "store", None, threads=threads, use_gpu=False)
    ArtifactStore(place.store).prepare()
    config = base_at_scale(scale)
    found = {}
    for name, job in jobs(config, fingerprint(config.data)).items():
        start = time.perf_counter()
        run_job(job, place, lambda *_: None)
        found[name] = time.perf_counter() - start
    print(json.dumps(found))
"""


def unpack(commit: str, folder: Path) -> None:
    """The tree of a commit. Raises ``CalledProcessError`` where git does not have it."""
    command = ["git", "archive", "--format=tar", commit, "hipart"]
    content = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(folder, filter="data")


def run_trial(tree: Path, scale: str, threads: int) -> dict[str, float]:
    """Seconds of each stage, and of the whole process as ``trial``."""
    start = os.times().elapsed
    done = subprocess.run(
        [sys.executable, "-c", CHILD, scale, str(threads)],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {**found, "trial": os.times().elapsed - start}


def compare(before: Path | None, scale: str, repeats: int) -> dict[str, dict[str, float]]:
    """Median seconds by what ran and stage."""
    cores = os.cpu_count() or 1
    runs: Mapping[str, tuple[Path | None, int]] = {
        "before": (before, 1),
        "now": (ROOT, 1),
        "all cores": (ROOT, cores),
    }
    times: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, (tree, threads) in runs.items():
            if tree is not None:
                times[name].append(run_trial(tree, scale, threads))
    return {
        name: {stage: median(one[stage] for one in found) for stage in found[0]}
        for name, found in times.items()
        if found
    }


def main() -> int:
    """Time, print, write."""
    options = parser(__doc__)
    options.add_argument("--scale", default="laptop")
    options.add_argument("--before", default=BEFORE, help="commit to compare with")
    options.set_defaults(repeats=3)
    chosen = options.parse_args()
    notes = [f"scale {chosen.scale}, median of {chosen.repeats} turns; peer: commit {BEFORE}"]
    with tempfile.TemporaryDirectory() as folder:
        before: Path | None = Path(folder)
        try:
            unpack(chosen.before, Path(folder))
        except (OSError, subprocess.CalledProcessError):
            before = None
            notes.append(f"{chosen.before} is not in this checkout's history: nothing to compare")
        seconds = compare(before, chosen.scale, chosen.repeats)
    earlier = seconds.get("before", {})
    lines = [
        Line(f"{stage}, one thread", "s", now, earlier.get(stage), "before")
        for stage, now in seconds["now"].items()
    ]
    alone = seconds["all cores"]["trial"]
    lines.append(Line("trial, all cores", "s", alone, earlier.get("trial"), "before"))
    return report("trial", lines, notes, chosen.out)


if __name__ == "__main__":
    sys.exit(main())
