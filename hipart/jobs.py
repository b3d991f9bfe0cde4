"""Stage jobs: a trial's config as distinct pieces of work, each named by what it computes.

A stage job's key is the hash of its identity: stage name and version, the config sections it
reads (whole values), the fingerprint of the data, and the keys of the jobs it needs. Two jobs
with one key are one job. No torch here, so a plan costs nothing.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from hipart.config import PipelineConfig, Section
from hipart.pipeline import FINAL_STAGE, NEUTRAL, PIPELINE, Stage

#: Stages in which a training of many epochs begins as one of few does. Every other one warms up
#: and anneals over all of its epochs, so that already the first depend on how many there will be.
CONTINUABLE = ("lifter",)

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


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
    needs: dict[str, str]
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
        mine, epochs = config[self.stage], identity["config"][self.stage]["epochs"]
        shorter = {**config, self.stage: {**mine, "epochs": epochs}}
        return epochs < mine["epochs"] and {**self.identity, "config": shorter} == identity


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, no NaN."""
    return _CANONICAL.encode(value)


def key_of(hashed: str) -> str:
    """The 16 hexadecimal digits that name an identity, given as its canonical JSON."""
    return hashlib.sha256(hashed.encode()).hexdigest()[:16]


def jobs(
    config: PipelineConfig, data_fingerprint: str, targets: Iterable[str] = (FINAL_STAGE,)
) -> dict[str, StageJob]:
    """The stage jobs of a trial by stage name, each after everything it needs.

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
        self._texts: dict[int, tuple[Section, str]] = {}
        self._unseeded: dict[int, tuple[Section, Section]] = {}

    def of(
        self, config: PipelineConfig, targets: Iterable[str] = (FINAL_STAGE,)
    ) -> dict[str, StageJob]:
        """As ``jobs`` does."""
        found: dict[str, StageJob] = {}
        for target in targets:
            self._collect(target, config, found)
        return {name: found[name] for name in PIPELINE if name in found}

    def _collect(self, name: str, config: PipelineConfig, found: dict[str, StageJob]) -> StageJob:
        if name in found:
            return found[name]
        stage = PIPELINE[name]
        needs = [self._collect(need, config, found) for need in stage.needs(config)]
        sections = [getattr(config, section) for section in stage.reads]
        known = (name, *map(id, sections), *[job.key for job in needs])
        job = self._made.get(known)
        if job is None:
            read = dict(zip(stage.reads, sections, strict=True))
            job = self._made[known] = self._make(stage, read, needs)
        found[name] = job
        return job

    def _make(self, stage: Stage, read: dict[str, Section], needs: list[StageJob]) -> StageJob:
        if stage.unseeded:
            read = {name: self._without_seed(section) for name, section in read.items()}
        texts = {name: self._text_of(name, section) for name, section in read.items()}
        keys = {job.stage: job.key for job in needs}
        # The canonical JSON of the identity, put together from what many jobs have in common.
        config = ",".join([f'"{name}":{texts[name]}' for name in sorted(texts) if texts[name]])
        needed = ",".join([f'"{name}":"{keys[name]}"' for name in sorted(keys)])
        hashed = (
            f'{{"config":{{{config}}},"data":{self._data},"needs":{{{needed}}},'
            f'"stage":"{stage.name}","version":{stage.version}}}'
        )
        reached: dict[str, Section] = {}
        for job in needs:
            reached |= job.sections
        return StageJob(stage.name, key_of(hashed), hashed, reached | read, keys)

    def _text_of(self, name: str, section: Section) -> str:
        """What a section adds to an identity; nothing where all of it is neutral."""
        if id(section) not in self._texts:
            values = identity_of(name, section)
            self._texts[id(section)] = section, canonical_json(values) if values else ""
        return self._texts[id(section)][1]

    def _without_seed(self, section: Section) -> Section:
        if id(section) not in self._unseeded:
            changed = {"seed": 0} if hasattr(section, "seed") else {}
            self._unseeded[id(section)] = section, section.model_copy(update=changed)
        return self._unseeded[id(section)][1]


def final_jobs(trial_jobs: Mapping[str, StageJob]) -> list[StageJob]:
    """The jobs of a trial that none of its other jobs needs: with them, all of it is done."""
    needed = {key for job in trial_jobs.values() for key in job.needs.values()}
    return [job for job in trial_jobs.values() if job.key not in needed]


def identity_of(name: str, section: Section) -> dict[str, Any]:
    """The settings of a section that enter identities."""
    return _without_neutral(name, section.model_dump(mode="json"))


def _without_neutral(path: str, values: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in values.items():
        here = f"{path}.{name}"
        if here in NEUTRAL and NEUTRAL[here] == value:
            continue
        kept[name] = _without_neutral(here, value) if isinstance(value, dict) else value
    return kept
