"""Spread over seeds and paired differences to the base arm: pure functions on a results frame.

A value counts once per artifact: seeds that share one (``reseed`` does not reach its stage) are
one measurement, whose spread is unknown rather than zero.
"""

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import NamedTuple

import polars as pl

CONFIDENCE = 0.95
#: A spread below this share of the values is rounding, on which no test can stand.
ROUNDING = 1e-9


def summarise(frame: pl.DataFrame, metrics: Sequence[str], base: str = "base") -> pl.DataFrame:
    """One row per metric and arm, arms in the order of the frame.

    ``seeds`` with a finite value and ``n`` artifacts behind them, ``mean`` and ``std`` (ddof 1,
    null for n = 1); against the base over the ``pairs`` of seeds that both have: mean ``delta``,
    its 95 % t-interval ``low`` to ``high``, ``p`` of the paired t-test and ``p_holm``, corrected
    over the arms of one metric. Interval and test are null with fewer than two pairs and where
    the differences have no spread.
    """
    return pl.concat([_summary(frame, metric, base) for metric in metrics])


class Interval(NamedTuple):
    """A mean with its 95 % t-interval and the two-sided p of its being zero."""

    mean: float
    low: float | None
    high: float | None
    p: float | None


def student(mean: float, error: float, degrees: int) -> Interval:
    """The interval and the test of a mean with this standard error and degrees of freedom."""
    from scipy.special import stdtr, stdtrit

    half = float(stdtrit(degrees, (1 + CONFIDENCE) / 2)) * error
    return Interval(mean, mean - half, mean + half, float(2 * stdtr(degrees, -abs(mean / error))))


def one_sample(values: Sequence[float]) -> Interval | None:
    """The mean of a few numbers; without interval or test where they are one or do not differ."""
    count = len(values)
    if not count:
        return None
    error = stdev(values) / count**0.5 if count > 1 else 0.0
    if not error > ROUNDING * max(map(abs, values)):
        return Interval(fmean(values), None, None, None)
    return student(fmean(values), error, count - 1)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction; nulls are no part of the family."""
    family = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(family):
        largest = max(largest, min(1.0, p * (len(family) - rank)))
        corrected[place] = largest
    return corrected


def _summary(frame: pl.DataFrame, metric: str, base: str) -> pl.DataFrame:
    values = _measurements(frame, metric)
    spread = (
        values.unique(["arm", "artifact"], keep="first", maintain_order=True)
        .group_by("arm", maintain_order=True)
        .agg(
            n=pl.len().cast(pl.Int64),
            mean=pl.col("value").mean(),
            std=pl.col("value").std(ddof=1),
        )
    )
    seeds = values.group_by("arm").agg(seeds=pl.len().cast(pl.Int64))
    difference = _tested(_differences(values, base))
    summary = (
        frame.select("arm")
        .unique(maintain_order=True)
        .join(seeds, on="arm", how="left", maintain_order="left")
        .join(spread, on="arm", how="left", maintain_order="left")
        .join(difference, on="arm", how="left", maintain_order="left")
        .with_columns(pl.col("seeds", "n", "pairs").fill_null(0))
    )
    corrected = pl.Series("p_holm", holm(summary["p"].to_list()), dtype=pl.Float64)
    return summary.with_columns(corrected).select(pl.lit(metric).alias("metric"), pl.all())


def _measurements(frame: pl.DataFrame, metric: str) -> pl.DataFrame:
    """The finite values of a metric: arm, seed, value and the artifact that it was measured on."""
    key = f"key/{metric.split('/', maxsplit=1)[0]}"
    artifact = pl.col(key) if key in frame.columns else pl.col("seed").cast(pl.String)
    value = pl.col(metric) if metric in frame.columns else pl.lit(None, dtype=pl.Float64)
    return (
        frame.select("arm", "seed", value=value, artifact=artifact)
        .filter(pl.col("value").is_finite())
        .sort("seed", maintain_order=True)
    )


def _differences(values: pl.DataFrame, base: str) -> pl.DataFrame:
    """Per arm: number, mean and spread of its seed-wise differences to the base."""
    reference = values.filter(pl.col("arm") == base).drop("arm")
    return (
        values.filter(pl.col("arm") != base)
        .join(reference, on="seed", suffix="_base", maintain_order="left")
        .unique(["arm", "artifact", "artifact_base"], keep="first", maintain_order=True)
        .with_columns(delta=pl.col("value") - pl.col("value_base"))
        .group_by("arm", maintain_order=True)
        .agg(
            pairs=pl.len().cast(pl.Int64),
            delta=pl.col("delta").mean(),
            spread=pl.col("delta").std(ddof=1),
            size=pl.col("value_base").abs().max(),
        )
    )


def _tested(differences: pl.DataFrame) -> pl.DataFrame:
    """Differences with t-interval and two-sided p where both exist."""
    from scipy.special import stdtr, stdtrit

    can = differences.filter(pl.col("spread") > ROUNDING * pl.col("size"))
    pairs, delta = can["pairs"].to_numpy(), can["delta"].to_numpy()
    error = can["spread"].to_numpy() / pairs**0.5
    half = stdtrit(pairs - 1, (1 + CONFIDENCE) / 2) * error
    tests = can.select(
        "arm",
        low=pl.Series(delta - half, dtype=pl.Float64),
        high=pl.Series(delta + half, dtype=pl.Float64),
        p=pl.Series(2 * stdtr(pairs - 1, -abs(delta / error)), dtype=pl.Float64),
    )
    return differences.drop("spread", "size").join(
        tests, on="arm", how="left", maintain_order="left"
    )
