"""A large experiment that nobody trains, and a store that says it was: for planning and tables.

The artifacts are real folders, ``STAGE/KEY`` with ``identity.json``, ``metrics.json`` and
``provenance.json``, written in bulk: without locks, without waiting for the disk.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from hipart.jobs import StageJob
from hipart.store import FORMAT

PROVENANCE = {
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "dirty": False,
    "version": "0.1.0",
    "host": "somewhere",
    "platform": "Linux-6.1-x86_64-with-glibc2.36",
    "python": "3.11.7",
    "versions": {"torch": "2.13.0", "numpy": "2.4.0", "ray": "2.60.0", "mlflow": "3.17.0"},
    "device": "CPU, one core",
    "data": "open corpus, made up; simulated detections",
    "started": "2026-01-01T00:00:00+00:00",
    "seconds": 20.0,
}

HEAD = """\
kind: ablation
title: Made up
seeds: [0, 1, 2, 3, 4]
metric: {stage: evaluate, name: mpjpe_mm}
also:
  - {stage: evaluate, name: p_mpjpe_mm}
  - {stage: tokenizer, name: sparse_usage_pct}
"""


def factorial(factors: Mapping[str, Iterable[Any]]) -> str:
    """An experiment file that crosses values of these paths."""
    return f"{HEAD}design: factorial\nfactors:\n{_factors(factors)}"


def one_at_a_time(factors: Mapping[str, Iterable[Any]]) -> str:
    """An experiment file that varies one of these paths at a time."""
    return f"{HEAD}design: one_at_a_time\nfactors:\n{_factors(factors)}"


def steps(first: float, last: float, count: int) -> list[float]:
    """So many values from first to last, none of which a scale has for its base."""
    return [
        float(f"{first + (last - first) * at / (count - 1) + 1.23e-7:.12g}") for at in range(count)
    ]


def finish(
    root: Path,
    jobs: Iterable[StageJob],
    metrics: Callable[[StageJob], Mapping[str, float]],
    beside: Callable[[StageJob, Path], None] | None = None,
) -> int:
    """Write an artifact for each distinct job; ``beside`` adds files. Returns how many."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "format.json").write_text(json.dumps({"format": FORMAT}))
    provenance = json.dumps(PROVENANCE, indent=1, sort_keys=True)
    distinct = {job.key: job for job in jobs}
    for job in distinct.values():
        folder = root / job.stage / job.key
        folder.mkdir(parents=True)
        identity = json.dumps(job.identity, indent=1, sort_keys=True)
        (folder / "identity.json").write_text(identity)
        (folder / "metrics.json").write_text(json.dumps(dict(metrics(job)), indent=1))
        (folder / "provenance.json").write_text(provenance)
        if beside is not None:
            beside(job, folder)
    return len(distinct)


def _factors(factors: Mapping[str, Iterable[Any]]) -> str:
    lines = []
    for path, levels in factors.items():
        name, values = path.replace("_", " "), json.dumps(list(levels))
        lines.append(f"  - {{name: {name}, path: {path}, levels: {values}}}\n")
    return "".join(lines)
