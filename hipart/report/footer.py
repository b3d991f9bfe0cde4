"""The lines under a table: what was measured, on what, how often, and what may be concluded."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hipart.config import LifterConfig, PipelineConfig
from hipart.experiment.design import arms
from hipart.experiment.form import Ablation
from hipart.experiment.scales import caveat
from hipart.pipeline import PIPELINE, needs_of
from hipart.report.claims import Finding
from hipart.report.departures import departures, steps
from hipart.report.model import Effect, Row
from hipart.report.verdicts import of_claims, of_effects, over_clips, over_seeds

SPREAD = "± is the standard deviation over seeds"
DIFFERENCE = "Δ is the mean paired difference with its own 95 % t-interval, uncorrected"
PUBLISHED = (
    "Published values are the paper's, {} and at its sizes; nothing published was measured here."
)
_REASON_LENGTH = 100


@dataclass(frozen=True)
class Facts:
    """What a table's footer tells about the run: data, stage jobs, where they were trained.

    ``protocol`` says what the errors are, ``same_corpus`` whether they are of the paper's, and
    ``locality`` whether an order of parts can mean anything.
    """

    data: str = ""
    fingerprint: str = ""
    trained: int = 0
    reused: int = 0
    provenance: Sequence[Mapping[str, Any]] = ()
    protocol: str = ""
    same_corpus: bool = False
    locality: str = ""


def lines(
    ablation: Ablation,
    facts: Facts,
    rows: Sequence[Row],
    found: Sequence[Effect] = (),
    claims: Sequence[Finding] = (),
    *,
    notes: Sequence[str] = (),
    differences: bool = True,
) -> tuple[str, ...]:
    """The footer, one statement a line; of ``differences`` only where the table has them.

    ``notes`` are a search's. What its scale makes of all numbers comes before everything.
    """
    base = ablation.base_config
    configs = [arm.config for arm in arms(ablation)]
    needed = [needs_of(one, ablation.targets_of(one)) for one in configs]
    reached = {name for names in needed for name in names}
    spread = f"{SPREAD}; {DIFFERENCE}." if differences else f"{SPREAD}."
    told = [
        caveat(ablation.scale),
        *notes,
        _data(facts),
        f"{facts.protocol} {spread}".lstrip(),
        _published(facts, base) if any(row.published for row in rows) else "",
        f"Scale {ablation.scale}, preset {ablation.preset}; "
        f"{reach(ablation.seeds, ablation.reseed, reached)}.",
        departures(configs, reached),
        steps(list(zip(configs, needed, strict=True))),
        facts.locality,
        over_seeds(rows),
        over_clips(rows),
        *of_effects(found),
        *of_claims(claims),
        *failures(rows),
        f"{facts.trained + facts.reused} stage jobs: trained {facts.trained} now, "
        f"reused {facts.reused}.",
        origin(facts.provenance),
        *(f"Note: {note}" for note in ablation.notes),
    ]
    return tuple(line for line in told if line)


def reach(seeds: Sequence[int], reseed: Sequence[str], stages: Container[str] = PIPELINE) -> str:
    """Which stages the seeds reach, and which of those that run they share."""
    named = f"seed{'s' * (len(seeds) != 1)} {', '.join(map(str, seeds))}"
    reached = [stage for stage in PIPELINE if stage in reseed and stage in stages]
    reached += [section for section in reseed if section not in PIPELINE]
    if not reached:
        return f"{named} reach no stage"
    verb = "reach" if len(seeds) != 1 else "reaches"
    told = f"{named} {verb} {', '.join(reached)}"
    seeded = [stage for stage in ("tokenizer", "prior", "lifter") if stage in stages]
    drawing = [stage for stage in seeded if stage not in reseed]
    if len(seeds) == 1 or not drawing:
        return told
    return f"{told}; {', '.join(drawing)} shared by all seeds, which understates the spread"


def failures(rows: Sequence[Row]) -> list[str]:
    """A line per arm with failed trials: how many, and the first reason; so for lost numbers."""
    lost = [
        f"Not a number: {row.arm}, {row.done - row.measured} of {row.planned} trials, left out."
        for row in rows
        if row.done > row.measured
    ]
    return lost + [
        f"Failed: {row.arm}, {row.failed} of {row.planned} trials: {_short(row.reason or '')}"
        for row in rows
        if row.failed
    ]


def _short(reason: str) -> str:
    text = " ".join(reason.split())
    return text if len(text) <= _REASON_LENGTH else text[: _REASON_LENGTH - 1] + "…"


def _published(facts: Facts, base: PipelineConfig) -> str:
    told = PUBLISHED.format("on all its test frames" if facts.same_corpus else "on its data")
    kind = base.lifter.model.kind
    if kind == LifterConfig().model.kind:
        return told
    return f"{told} Its lifter is a transformer, and here one of kind {kind}."


def _data(facts: Facts) -> str:
    fingerprint = f"fingerprint {facts.fingerprint[:16]}" if facts.fingerprint else ""
    told = ", ".join(part for part in (facts.data, fingerprint) if part)
    return f"Data: {told}." if told else ""


def origin(provenance: Sequence[Mapping[str, Any]]) -> str:
    """Commits and hardware of the artifacts behind the table, most used first."""
    commits: dict[str, int] = {}
    devices: dict[str, tuple[int, float]] = {}
    for one in provenance:
        commit = f"commit {one['commit'][:12]}" if one.get("commit") else _release(one)
        commit += " with uncommitted changes" if one.get("dirty") else ""
        commits[commit] = commits.get(commit, 0) + 1
        device = str(one.get("device") or "unknown device")
        count, seconds = devices.get(device, (0, 0.0))
        devices[device] = (count + 1, seconds + float(one.get("seconds") or 0))
    if not commits:
        return ""
    told = ", ".join(sorted(commits, key=lambda name: -commits[name]))
    hardware = ", ".join(
        f"{device} ({count} jobs, {_duration(seconds)})"
        for device, (count, seconds) in sorted(devices.items(), key=lambda item: -item[1][1])
    )
    return f"Code: {told}; trained on {hardware}."


def _release(provenance: Mapping[str, Any]) -> str:
    version = provenance.get("version")
    return f"hipart-search {version}" if version else "an unknown version"


def _duration(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
