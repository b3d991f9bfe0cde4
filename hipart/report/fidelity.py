"""What of the paper holds on this data: its claims against what the store has measured.

All claims of the document are Holm-corrected together.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from hipart.markdown import escape
from hipart.pipeline import PIPELINE
from hipart.report.claims import Finding, corrected
from hipart.report.grid import number
from hipart.report.model import Cell, Column
from hipart.report.statistics import Interval, student
from hipart.report.tables import Table
from hipart.report.verdicts import CLAIM, told_p

_SAME = "[same for every seed]"


def render(
    tables: Iterable[Table], found: Sequence[Finding], facts: Sequence[str], command: str
) -> str:
    """The document, in Markdown: the claims first, then every experiment's numbers."""
    found = corrected(found)
    count = sum(one.p_holm is not None for one in found)
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
    kept = [
        line
        for line in table.footer
        if not line.startswith(("Code:", "Protocol:", "Published", CLAIM))
    ]
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
