"""A small ablation, its trials and made-up measurements, shared by the tests of the report."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from hipart import results
from hipart.experiment.design import Trial, trials
from hipart.experiment.form import Ablation, Source
from hipart.experiment.levels import Factor
from hipart.experiment.metrics import MetricChoice
from hipart.jobs import jobs
from hipart.report.tables import Table, table

DATA = "f1a9"
Measure = Callable[[Trial], dict[str, float] | None]

SIZES: dict[str, Any] = {
    "name": "sparse codebook size",
    "path": "tokenizer.sparse_codebook.size",
    "levels": [
        512,
        {"value": 1024, "published": {"value": 43.0, "unit": "mm", "place": "Fig. 5"}},
        {"value": 2048, "published": {"value": 42.0, "unit": "mm", "place": "Fig. 5"}},
    ],
}
ORDERS: dict[str, Any] = {
    "name": "generation order",
    "levels": [{"name": "raster_&_scan", "set": {"prior.order": "raster"}}],
}
PROVENANCE = {
    "commit": "0123456789abcdef",
    "dirty": True,
    "device": "NVIDIA H100",
    "host": "secret-host",
    "seconds": 90.0,
}


@dataclass
class MemoryArtifact:
    metrics: dict[str, float]
    path: Path = Path("nowhere")
    provenance: dict[str, Any] = field(default_factory=lambda: dict(PROVENANCE))


class MemoryStore:
    """Finished stage jobs by stage and key."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], MemoryArtifact] = {}

    def by_key(self) -> dict[str, Any]:
        return {key: artifact for (_, key), artifact in self.held.items()}


def ablation(*factors: dict[str, Any], **changes: Any) -> Ablation:
    values: dict[str, Any] = {
        "kind": "ablation",
        "name": "codebook_ablation",
        "title": "Codebook size & order",
        "source": Source(paper="HiPART, CVPR 2025", place="Fig. 5"),
        "design": "one_at_a_time",
        "factors": tuple(Factor.model_validate(one) for one in factors or (SIZES,)),
        "seeds": (0, 1, 2),
        "metric": MetricChoice(stage="evaluate", name="mpjpe_mm", goal="min"),
        "also": (MetricChoice(stage="tokenizer", name="sparse_usage_pct", goal="max"),),
        "path": Path("codebook_ablation.yaml"),
        "scale": "paper",
        "preset": "budget",
    }
    return Ablation(**values | changes)


def filled(
    tried: Sequence[Trial],
    error: Measure,
    usage: Measure = lambda trial: {"sparse_usage_pct": 90.0},
) -> MemoryStore:
    """A store in which every trial that has an error is finished."""
    store = MemoryStore()
    for trial in tried:
        metrics = error(trial)
        for stage, job in jobs(trial.config, DATA).items():
            if stage == "evaluate" and metrics is not None:
                store.held[stage, job.key] = MemoryArtifact(metrics)
            elif stage == "tokenizer":
                store.held[stage, job.key] = MemoryArtifact(usage(trial) or {})
    return store


def frame_from(
    store: MemoryStore, tried: Sequence[Trial], failures: Mapping[str, str] | None = None
) -> pl.DataFrame:
    """The results frame of these trials."""
    chains = [jobs(trial.config, DATA, trial.targets) for trial in tried]
    return results.frame(tried, chains, store.by_key(), failures or {})


def measured(values: dict[str, Sequence[float | None]]) -> Measure:
    """MPJPE by arm, one value per seed; None is a trial that is not finished."""

    def measure(trial: Trial) -> dict[str, float] | None:
        value = values[trial.arm.name][trial.seed]
        return None if value is None else {"mpjpe_mm": value}

    return measure


def made(
    one: Ablation,
    error: Measure,
    *,
    usage: Measure = lambda trial: {"sparse_usage_pct": 90.0 + trial.seed},
    failures: dict[str, str] | None = None,
    partial: bool = False,
) -> Table:
    tried = trials(one)
    store = filled(tried, error, usage)
    frame = frame_from(store, tried, failures or {})
    return table(
        one,
        frame,
        {"trained": 3, "reused": 9},
        data="open corpus, 100 test poses",
        fingerprint=DATA,
        provenance=results.provenances(store.by_key(), frame),
        partial=partial,
    )


def frame_of(values: dict[str, Sequence[float | None]], metric: str = "evaluate/x") -> pl.DataFrame:
    """A results frame with one metric, written by hand: values by arm, one per seed."""
    rows = [(arm, seed, value) for arm, many in values.items() for seed, value in enumerate(many)]
    schema = {"arm": pl.String, "seed": pl.Int64, metric: pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")
