"""What of the paper holds on this data: its claims against what the store has measured.

A claim says that one arm is better than another. Whether it holds is a paired test over the seeds
that both have; over all claims of the document together it is Holm-corrected.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import polars as pl

from hipart.experiment.form import Claim
from hipart.pipeline import PIPELINE
from hipart.report.grid import number
from hipart.report.model import SIGNIFICANCE, Cell, Column
from hipart.report.render_markdown import escape
from hipart.report.statistics import Interval, holm, one_sample, student
from hipart.report.tables import Table
from hipart.report.verdicts import told_p

Verdict = Literal[
    "holds", "leans that way", "cannot be told", "leans against it", "does not hold", "not measured"
]


_SAME = "[same for every seed]"


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


def render(
    tables: Iterable[Table], found: Sequence[Finding], facts: Sequence[str], command: str
) -> str:
    """The document, in Markdown: the claims first, then every experiment's numbers."""
    p_values = [one.gain.p if one.gain else None for one in found]
    found = [replace(one, p_holm=p) for one, p in zip(found, holm(p_values), strict=True)]
    count = sum(p is not None for p in p_values)
    lines = [
        "# What of the paper holds here",
        "",
        f"Written by `{command}` from the store; do not edit.",
        "Nothing was tuned towards the paper's numbers.",
        "",
        *(f"* {escape(fact)}" for fact in facts),
        "* Brackets are 95 % t-intervals over the seeds in the column n. A gain is the mean paired",
        "  difference over common seeds, positive where the claim is right.",
        "* A claim *holds* where its gain differs from zero at the 5 % level, Holm-corrected over",
        f"  the {count} tested claims, and *leans that way* where it does so only uncorrected.",
        "* Published values are the paper's, on its data and at its sizes. A small model on other",
        "  data may well differ; that a claim does not hold here says nothing of the paper's.",
        "",
        "## Claims",
        "",
        "| experiment | claim | place | better | worse | gain | n | verdict |",
        "|:---|:---|:---|---:|---:|---:|---:|:---|",
        *(_claim_line(one) for one in found),
        "",
    ]
    for table in tables:
        lines += [*_experiment(table), ""]
    return "\n".join(lines)


def _claim_line(one: Finding) -> str:
    p = "" if one.p_holm is None else f", p {told_p(one.p_holm)}"
    texts = [
        escape(one.experiment),
        escape(one.claim.says),
        escape(one.claim.place),
        _interval(one.better, unit=one.unit),
        _interval(one.worse, unit=one.unit),
        _interval(one.gain, sign="+"),
        str(one.pairs),
        f"**{one.verdict}**{p}",
    ]
    return f"| {' | '.join(texts)} |"


def _interval(one: Interval | None, sign: Literal["-", "+"] = "-", unit: str = "") -> str:
    if one is None:
        return "–"
    text = f"{number(one.mean, 2, sign)} {unit}".strip()
    if one.low is None or one.high is None:
        return f"{text} [no interval]"
    return f"{text} [{number(one.low, 2, sign)}, {number(one.high, 2, sign)}]"


def _experiment(table: Table) -> list[str]:
    column = table.columns[0]
    lines = [
        f"## {table.name}",
        "",
        f"{escape(table.caption)}. {column.title} [{column.unit}], "
        f"{'lower' if column.goal == 'min' else 'higher'} is better.",
        "",
        "| arm | n | mean [95 % CI over seeds] | difference to base [95 % CI] "
        "| on other test clips [95 % CI] | published |",
        "|:---|---:|---:|---:|---:|---:|",
    ]
    for row in table.rows:
        published = row.published
        told = f"{published.value} {published.unit} ({published.place})" if published else ""
        cell = row.cells[0]
        lines.append(
            f"| {escape(row.arm)} | {cell.n} | {_mean(cell, column)} | {_difference(cell, column)} "
            f"| {_over_clips(cell)} | {escape(told)} |"
        )
    kept = [line for line in table.footer if not line.startswith(("Code:", "MPJPE:", "Published"))]
    return [*lines, "", *(f"* {escape(line)}" for line in kept)]


def _mean(cell: Cell, column: Column) -> str:
    if cell.mean is None:
        return "–"
    if _exact(column):
        return f"{number(cell.mean, 2)} {_SAME}"
    if not cell.std or cell.n < 2:
        return _interval(Interval(cell.mean, None, None, None))
    return _interval(student(cell.mean, cell.std / cell.n**0.5, cell.n - 1))


def _difference(cell: Cell, column: Column) -> str:
    if cell.delta is None:
        return ""
    if _exact(column):
        return f"{number(cell.delta, 2, '+')} {_SAME}"
    return _interval(Interval(cell.delta, cell.low, cell.high, None), "+") + "*" * cell.significant


def _exact(column: Column) -> bool:
    """Whether no seed reaches the stage that a metric is of."""
    return PIPELINE[column.key.partition("/")[0]].unseeded


def _over_clips(cell: Cell) -> str:
    found = cell.clips
    if found is None:
        return ""
    text = _interval(Interval(found.delta, found.low, found.high, None), "+")
    return text + "*" * cell.significant_over_clips
