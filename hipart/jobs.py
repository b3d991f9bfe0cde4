"""Stage jobs: a trial's config as distinct pieces of work, each named by what it computes.

A stage job's key is the hash of its identity: stage name and version, the config sections it
reads (whole values), the fingerprint of the data, and the keys of the jobs it needs. Two jobs
with one key are one job. No torch here, so a plan costs nothing.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from hipart.config import PipelineConfig, Section
from hipart.identity import settings_of
from hipart.pipeline import FINAL_STAGE, PIPELINE, Stage, Variant, needs_of, stage_of

#: Stages in which a training of many epochs begins as one of few does. Every other one warms up
#: and anneals over all of its epochs, so that already the first depend on how many there will be.
CONTINUABLE = ("lifter",)

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)

#: Stands where the seed of a section goes.
_SEED = "the seed"


@dataclass(frozen=True)
class StageJob:
    """One distinct piece of work: a stage under a config, on data, after what it needs.

    ``hashed`` is the identity as the text that gave the key; ``sections`` are those that the
    stage and the stages before it read.

    ``continues`` and ``resumable`` are hints, which a caller adds with ``dataclasses.replace``.
    They change what a job costs and never its result, so they are no part of its identity, and
    jobs that differ in nothing else are equal. ``continues`` is the key of the same job with fewer
    epochs: this one may begin where that one ended. A job that is ``resumable`` leaves the state
    in which it ended in its artifact, so that another may begin there.
    """

    stage: str
    key: str
    hashed: str
    sections: dict[str, Section]
    #: Keys of what it needs by the name in the trial: a stage's, or that of a variant beside it.
    needs: dict[str, str]
    #: The sections that the stage itself reads.
    reads: tuple[str, ...] = field(default=(), compare=False)
    continues: str | None = field(default=None, compare=False)
    resumable: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        if (self.continues or self.resumable) and self.stage not in CONTINUABLE:
            raise ValueError(
                f"{self.name}: only a {' or '.join(CONTINUABLE)} can go on from fewer epochs"
            )

    @property
    def name(self) -> str:
        """``stage/key``, as in the store."""
        return f"{self.stage}/{self.key}"

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What was hashed into the key."""
        return dict(json.loads(self.hashed))

    @cached_property
    def config(self) -> PipelineConfig:
        """The sections, every other one at its default: nothing outside the key is in sight."""
        return PipelineConfig(**self.sections)  # type: ignore[arg-type]

    def prolongs(self, identity: Mapping[str, Any]) -> bool:
        """Whether this is what an identity names, with more epochs and nothing else changed."""
        config = self.identity["config"]
        mine, theirs = config[self.stage], identity["config"][self.stage]
        unit, _ = self.config.lifter.length
        less, more = theirs.get(unit), mine[unit]
        shorter = {**config, self.stage: {**mine, unit: less}}
        return less is not None and less < more and {**self.identity, "config": shorter} == identity


class TrialJobs(dict[str, StageJob]):
    """The stage jobs of a trial by name; ``targets`` names the stages wanted for themselves."""

    def __init__(self, targets: Iterable[str], jobs: Mapping[str, StageJob] = {}) -> None:
        super().__init__(jobs)
        self.targets = tuple(targets)

    def changed(self, name: str, **hints: Any) -> "TrialJobs":
        """The same with hints of one job changed, which are no part of its identity."""
        return TrialJobs(self.targets, {**self, name: replace(self[name], **hints)})

    @property
    def final(self) -> list[StageJob]:
        """The jobs with which the trial is done: those wanted for themselves, which report metrics.

        Whatever is missing of what they need is made for them; what nothing is missing of is not.
        """
        return [self[name] for name in self.targets]

    def above(self, job: StageJob) -> list[StageJob]:
        """All that one of its jobs stands on, however far up, the nearest first.

        A worker looks at all of it, so all of it has to be there.
        """
        found: dict[str, StageJob] = {}
        names = list(job.needs)
        for name in names:
            found[name] = self[name]
            names += [one for one in self[name].needs if one not in names]
        return list(found.values())


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, no NaN."""
    return _CANONICAL.encode(value)


def key_of(hashed: str) -> str:
    """The 16 hexadecimal digits that name an identity, given as its canonical JSON."""
    return hashlib.sha256(hashed.encode()).hexdigest()[:16]


def jobs(
    config: PipelineConfig, data_fingerprint: str, targets: Iterable[str] = (FINAL_STAGE,)
) -> "TrialJobs":
    """The stage jobs of a trial by stage name, each after everything it needs.

    Variants of a stage's job (``Stage.variants``) stand beside it under names of their own.
    ``targets`` are the stages that are wanted for themselves.
    """
    return Jobs(data_fingerprint).of(config, targets)


class Jobs:
    """Makes the stage jobs of many trials on the same data; a job that they share is made once.

    What is known of a section goes by its ``id``: everything here is kept, so none is used twice.
    """

    def __init__(self, data_fingerprint: str) -> None:
        self._data = canonical_json(data_fingerprint)
        self._made: dict[tuple[object, ...], StageJob] = {}
        self._heads: dict[tuple[object, ...], tuple[dict[str, Section], str]] = {}
        self._texts: dict[int, tuple[Section, str]] = {}
        self._around_seed: dict[tuple[object, ...], tuple[Section, str, str, str]] = {}
        self._unseeded: dict[int, tuple[Section, Section]] = {}
        self._varied: dict[tuple[int, str], tuple[Section, Section]] = {}

    def of(self, config: PipelineConfig, targets: Iterable[str] = (FINAL_STAGE,)) -> "TrialJobs":
        """As ``jobs`` does."""
        found = TrialJobs(targets)
        for name, needs in needs_of(config, found.targets).items():
            stage = PIPELINE[name]
            read = self._read(stage, config)
            needed = {need: found[need] for need in needs}
            for variant in stage.variants(config):
                needed[variant.name] = found[variant.name] = self._variant(variant, config, found)
            found[name] = self._job(stage, read, needed)
        return found

    def _read(self, stage: Stage, config: PipelineConfig) -> dict[str, Section]:
        sections = vars(config)
        return {section: sections[section] for section in stage.reads_of(config)}

    def _variant(
        self, variant: Variant, config: PipelineConfig, found: Mapping[str, StageJob]
    ) -> StageJob:
        """The job of a stage with its own section changed, upon what the trial's own needs."""
        stage = PIPELINE[variant.stage]
        read = self._read(stage, config)
        section = read[stage.name]
        known = id(section), variant.name
        if known not in self._varied:
            self._varied[known] = section, section.model_copy(update=variant.changes)
        read[stage.name] = self._varied[known][1]
        return self._job(stage, read, {need: found[need] for need in stage.needs(config)})

    def _job(
        self, stage: Stage, read: dict[str, Section], needed: Mapping[str, StageJob]
    ) -> StageJob:
        known = (stage.name, *map(id, read.values()), *map(id, needed.values()))
        job = self._made.get(known)
        if job is None:
            job = self._made[known] = self._make(stage, read, needed)
        return job

    def _make(
        self, stage: Stage, read: dict[str, Section], needed: Mapping[str, StageJob]
    ) -> StageJob:
        known = (stage.name, *map(id, read.values()))
        if known not in self._heads:
            self._heads[known] = self._head(stage, read)
        sections, head = self._heads[known]
        keys = {name: job.key for name, job in needed.items()}
        needs = ",".join([f'"{name}":"{key}"' for name, key in sorted(keys.items())])
        hashed = f'{head}"needs":{{{needs}}},"stage":"{stage.name}","version":{stage.version}}}'
        reached: dict[str, Section] = {}
        for name, job in needed.items():
            if name == job.stage:  # a variant's own settings are no part of the trial
                reached |= job.sections
        key = key_of(hashed)
        return StageJob(stage.name, key, hashed, reached | sections, keys, tuple(sections))

    def _head(self, stage: Stage, sections: dict[str, Section]) -> tuple[dict[str, Section], str]:
        """The sections that a stage reads, by name, and their share of an identity's JSON."""
        if stage.unseeded:
            sections = {name: self._without_seed(one) for name, one in sections.items()}
        texts = [(name, self._text_of(name, section)) for name, section in sections.items()]
        config = ",".join([f'"{name}":{text}' for name, text in sorted(texts) if text])
        return sections, f'{{"config":{{{config}}},"data":{self._data},'

    def _text_of(self, name: str, section: Section) -> str:
        """What a section adds to an identity; nothing where all of it is neutral."""
        if id(section) not in self._texts:
            self._texts[id(section)] = section, self._written(name, section)
        return self._texts[id(section)][1]

    def _written(self, name: str, section: Section) -> str:
        """The same, written once for copies of a section in which only the seed is another."""
        others = dict(vars(section))
        seed = others.pop("seed", None)
        known = (name, *map(id, others.values()))
        if known not in self._around_seed:
            values = settings_of(name, section)
            marked = values | ({"seed": _SEED} if "seed" in values else {})
            text = canonical_json(marked) if values else ""
            self._around_seed[known] = section, *text.partition(canonical_json(_SEED))
        _, before, mark, after = self._around_seed[known]
        return f"{before}{seed}{after}" if mark else before

    def _without_seed(self, section: Section) -> Section:
        if id(section) not in self._unseeded:
            changed = {"seed": 0} if hasattr(section, "seed") else {}
            self._unseeded[id(section)] = section, section.model_copy(update=changed)
        return self._unseeded[id(section)][1]


def names_in(chains: Iterable[Mapping[str, StageJob]]) -> list[str]:
    """What jobs are called in trials, in the order of the pipeline; variants after their own."""
    names = dict.fromkeys(name for chain in chains for name in chain)
    places = list(PIPELINE)
    return sorted(names, key=lambda name: (places.index(stage_of(name)), name != stage_of(name)))
