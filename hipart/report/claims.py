"""The paper's claims against what was measured.

A claim says that one arm is better than another. Whether it holds is a paired test over the seeds
that both have, Holm-corrected over the claims that are told together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import polars as pl

from hipart.experiment.form import Claim
from hipart.pipeline import PIPELINE
from hipart.report.model import SIGNIFICANCE
from hipart.report.statistics import Interval, holm, one_sample

Verdict = Literal[
    "holds", "leans that way", "cannot be told", "leans against it", "does not hold", "not measured"
]


@dataclass(frozen=True)
class Finding:
    """A claim with the numbers of both arms; ``gain`` is positive where the claim is right."""

    experiment: str
    claim: Claim
    unit: str
    better: Interval | None
    worse: Interval | None
    gain: Interval | None
    pairs: int
    p_holm: float | None = None

    @property
    def verdict(self) -> Verdict:
        """What the paired test over seeds allows to say."""
        if self.gain is None:
            return "not measured"
        if self.gain.p is None or self.p_holm is None:
            return "cannot be told"
        right = self.gain.mean > 0
        if self.p_holm < SIGNIFICANCE:
            return "holds" if right else "does not hold"
        if self.gain.p < SIGNIFICANCE:
            return "leans that way" if right else "leans against it"
        return "cannot be told"


def findings(experiment: str, claims: Sequence[Claim], frame: pl.DataFrame) -> list[Finding]:
    """The claims of an experiment against its results; those of arms that are not there are out."""
    return [
        _finding(experiment, claim, frame)
        for claim in claims
        if {claim.better, claim.worse} <= set(frame["arm"])
    ]


def _finding(experiment: str, claim: Claim, frame: pl.DataFrame) -> Finding:
    assert claim.metric is not None
    stage, name = claim.metric.stage, claim.metric.name
    declared = next(one for one in PIPELINE[stage].metrics if one.name == name)
    key = f"{stage}/{name}"
    sign = 1 if declared.goal == "min" else -1
    found: dict[str, dict[int, tuple[str, float]]] = {claim.better: {}, claim.worse: {}}
    if key in frame.columns:
        rows = frame.filter(pl.col("arm").is_in(list(found)), pl.col(key).is_finite())
        for row in rows.iter_rows(named=True):
            found[row["arm"]][row["seed"]] = (
                str(row.get(f"key/{stage}") or row["seed"]),
                float(row[key]),
            )
    better, worse = found[claim.better], found[claim.worse]
    paired = {
        (better[seed][0], worse[seed][0]): sign * (worse[seed][1] - better[seed][1])
        for seed in better
        if seed in worse
    }
    return Finding(
        experiment=experiment,
        claim=claim,
        unit=declared.unit,
        better=one_sample([*dict(better.values()).values()]),
        worse=one_sample([*dict(worse.values()).values()]),
        gain=one_sample(list(paired.values())),
        pairs=len(paired),
    )


def corrected(found: Sequence[Finding]) -> list[Finding]:
    """The findings with their p-values corrected over all of them that were tested."""
    p_values = [one.gain.p if one.gain else None for one in found]
    return [replace(one, p_holm=p) for one, p in zip(found, holm(p_values), strict=True)]
