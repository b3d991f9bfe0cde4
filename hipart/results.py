"""One Polars frame from a store: what is known about every trial of an experiment."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from hipart.config import PipelineConfig
from hipart.experiment.design import Trial
from hipart.pipeline import FINAL_STAGE, PIPELINE, final_jobs, jobs
from hipart.store import Artifact

#: File of an evaluation that holds its errors sample by sample.
ERRORS = "errors.safetensors"

_NO_FAILURES: Mapping[str, str] = {}


class Finder(Protocol):
    """What is asked of an artifact store."""

    def find(self, stage: str, key: str) -> Artifact | None:
        """The artifact of a job, or None if it is not finished."""
        ...


def frame(
    store: Finder,
    trials: Sequence[Trial],
    data_fingerprint: str,
    failures: Mapping[str, str] = _NO_FAILURES,
) -> pl.DataFrame:
    """One row per trial: arm, factor, level, seed, state, reason, keys and metrics of its stages.

    ``state`` is done, missing or failed; ``failures`` are error texts by job key. A stage's key
    stands in ``key/STAGE``, its metrics in ``STAGE/METRIC`` (a column per metric that was found).
    """
    chains = [_chain(trial.config, data_fingerprint, trial.targets) for trial in trials]
    keys = {stage: [chain.get(stage) for chain in chains] for stage in PIPELINE}
    columns: dict[str, pl.Series] = {}
    for stage in PIPELINE:
        columns |= _metrics(store, stage, keys[stage])
    ends = [_ends(trial.config, data_fingerprint, trial.targets) for trial in trials]
    finished = {end for end in {end for one in ends for end in one} if store.find(*end)}
    reasons = [
        None if finished.issuperset(one) else _reason(chain, failures)
        for one, chain in zip(ends, chains, strict=True)
    ]
    states = [
        "done" if finished.issuperset(one) else "failed" if reason else "missing"
        for one, reason in zip(ends, reasons, strict=True)
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


def provenances(store: Finder, results: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Provenance of every distinct artifact behind a frame, in the order of the pipeline."""
    for stage in PIPELINE:
        for key in results[f"key/{stage}"].drop_nulls().unique(maintain_order=True):
            artifact = store.find(stage, key)
            if artifact is not None:
                yield artifact.provenance


@dataclass(frozen=True)
class SampleErrors:
    """A metric's value of every test sample (N,) of a trial, with each sample's action and clip."""

    seed: int
    artifact: str
    error: NDArray[np.float64]
    action: NDArray[np.int64]
    clip: NDArray[np.int64]


def sample_errors(
    store: Finder, trials: Sequence[Trial], data_fingerprint: str, metric: str
) -> dict[str, list[SampleErrors]]:
    """The metric's value of every test sample, by arm and trial; empty where none is kept."""
    from safetensors.numpy import load_file

    found: dict[str, list[SampleErrors]] = {}
    kept: dict[str, dict[str, Any]] = {}
    for trial in trials:
        key = _chain(trial.config, data_fingerprint, trial.targets).get(FINAL_STAGE)
        artifact = store.find(FINAL_STAGE, key) if key else None
        if key is None or artifact is None:
            continue
        if key not in kept:
            kept[key] = load_file(artifact.path / ERRORS)
        arrays = kept[key]
        if metric in arrays:
            labels = arrays["action"], arrays["clip"]
            one = SampleErrors(trial.seed, key, arrays[metric], *labels)
            found.setdefault(trial.arm.name, []).append(one)
    return found


@lru_cache(maxsize=2**16)
def _chain(
    config: PipelineConfig, data_fingerprint: str, targets: tuple[str, ...]
) -> dict[str, str]:
    """Key by stage of a trial; kept, as a live view asks for the same trials all the time."""
    return {stage: job.key for stage, job in jobs(config, data_fingerprint, targets).items()}


@lru_cache(maxsize=2**16)
def _ends(
    config: PipelineConfig, data_fingerprint: str, targets: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """Stage and key of the jobs with which a trial is done."""
    found = final_jobs(jobs(config, data_fingerprint, targets))
    return tuple((job.stage, job.key) for job in found)


def _reason(chain: Mapping[str, str], failures: Mapping[str, str]) -> str | None:
    """The first failure along a trial's chain, with the stage where it happened."""
    for stage, key in chain.items():
        if key in failures:
            return f"{stage}: {failures[key]}"
    return None


def _metrics(store: Finder, stage: str, keys: Sequence[str | None]) -> dict[str, pl.Series]:
    """Columns of a stage's metrics, each distinct artifact read once."""
    place: dict[str, int] = {}
    found: list[dict[str, float]] = []
    for key in dict.fromkeys(keys):
        artifact = None if key is None else store.find(stage, key)
        if key is not None and artifact is not None:
            place[key] = len(found)
            found.append(artifact.metrics)
    rows = pl.Series([None if key is None else place.get(key) for key in keys], dtype=pl.Int64)
    declared = [metric.name for metric in PIPELINE[stage].metrics]
    names = {name for metrics in found for name in metrics}
    ordered = [name for name in declared if name in names] + sorted(names.difference(declared))
    return {
        f"{stage}/{name}": pl.Series(
            [metrics.get(name) for metrics in found], dtype=pl.Float64, strict=False
        ).gather(rows)
        for name in ordered
    }
