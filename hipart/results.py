"""One Polars frame from finished artifacts: what is known about every trial of an experiment."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from hipart.experiment.design import Trial
from hipart.jobs import StageJob, TrialJobs
from hipart.pipeline import PIPELINE

#: The stage jobs of every trial.
Chains = Sequence[TrialJobs]

_NO_FAILURES: Mapping[str, str] = {}


class Finished(Protocol):
    """What is asked of a finished artifact."""

    def file(self, name: str) -> Path:
        """A file of it."""
        ...

    @property
    def metrics(self) -> Mapping[str, float]:
        """Final numbers by name."""
        ...

    @property
    def provenance(self) -> dict[str, Any]:
        """When, where, how long."""
        ...


def frame(
    trials: Sequence[Trial],
    chains: Chains,
    artifacts: Mapping[str, Finished],
    failures: Mapping[str, str] = _NO_FAILURES,
    wanted: Set[str] | None = None,
) -> pl.DataFrame:
    """One row per trial: arm, factor, level, seed, state, reason, keys and metrics of its stages.

    ``state`` is done, missing or failed; ``artifacts`` and ``failures``, which are error texts, go
    by job key. A stage's key stands in ``key/STAGE``, its metrics in ``STAGE/METRIC`` (a column per
    metric that was found). Where some are ``wanted``, nothing else is read; ``STAGE/METRIC/`` wants
    what stands beneath, a metric action by action.
    """
    keys = {
        stage: [chain[stage].key if stage in chain else None for chain in chains]
        for stage in PIPELINE
    }
    columns: dict[str, pl.Series] = {}
    for stage in PIPELINE:
        if wanted is None or any(name.startswith(f"{stage}/") for name in wanted):
            columns |= _metrics(artifacts, stage, keys[stage], wanted)
    done = [all(job.key in artifacts for job in chain.final) for chain in chains]
    reasons = [
        None if is_done else _reason(chain, failures)
        for is_done, chain in zip(done, chains, strict=True)
    ]
    states = [
        "done" if is_done else "failed" if reason else "missing"
        for is_done, reason in zip(done, reasons, strict=True)
    ]
    identity = {
        "arm": pl.Series([trial.arm.name for trial in trials], dtype=pl.String),
        "factor": pl.Series([trial.arm.factor for trial in trials], dtype=pl.String),
        "level": pl.Series([trial.arm.level for trial in trials], dtype=pl.String),
        "seed": pl.Series([trial.seed for trial in trials], dtype=pl.Int64),
        "state": pl.Series(states, dtype=pl.String),
        "reason": pl.Series(reasons, dtype=pl.String),
    }
    named = {f"key/{stage}": pl.Series(keys[stage], dtype=pl.String) for stage in PIPELINE}
    return pl.DataFrame(identity | named | columns)


def provenances(
    artifacts: Mapping[str, Finished], results: pl.DataFrame, chains: Chains = ()
) -> Iterator[dict[str, Any]]:
    """Provenance of every distinct artifact behind a frame, in the order of the pipeline.

    Those of variants in ``chains``, which have no column in a frame, come first.
    """
    variants = [job for chain in chains for name, job in chain.items() if name != job.stage]
    for key in dict.fromkeys(job.key for job in variants):
        if key in artifacts:
            yield artifacts[key].provenance
    for stage in PIPELINE:
        for key in results[f"key/{stage}"].drop_nulls().unique(maintain_order=True):
            if key in artifacts:
                yield artifacts[key].provenance


def _names_of(column: str) -> tuple[str, str]:
    """A column, and what it is beneath."""
    stage, name, *_ = column.split("/")
    return column, f"{stage}/{name}/" if column.count("/") > 1 else column


def _reason(chain: Mapping[str, StageJob], failures: Mapping[str, str]) -> str | None:
    """The first failure along a trial's chain, with the stage where it happened."""
    for stage, job in chain.items():
        if job.key in failures:
            return f"{stage}: {failures[job.key]}"
    return None


def _metrics(
    artifacts: Mapping[str, Finished],
    stage: str,
    keys: Iterable[str | None],
    wanted: Set[str] | None,
) -> dict[str, pl.Series]:
    """Columns of a stage's metrics, each distinct artifact read once."""
    place: dict[str, int] = {}
    found: list[Mapping[str, float]] = []
    for key in dict.fromkeys(keys):
        if key is not None and key in artifacts:
            place[key] = len(found)
            found.append(artifacts[key].metrics)
    rows = pl.Series([None if key is None else place.get(key) for key in keys], dtype=pl.Int64)
    declared = [metric.name for metric in PIPELINE[stage].metrics]
    names = {
        name
        for name in set().union(*found)
        if wanted is None or not wanted.isdisjoint(_names_of(f"{stage}/{name}"))
    }
    ordered = [name for name in declared if name in names] + sorted(names.difference(declared))
    return {
        f"{stage}/{name}": pl.Series(
            [metrics.get(name) for metrics in found], dtype=pl.Float64, strict=False
        ).gather(rows)
        for name in ordered
    }
