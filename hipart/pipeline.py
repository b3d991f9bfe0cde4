"""The pipeline as data: which stages there are, what each reads, needs and reports.

A stage job's key is the hash of its identity: stage name and version, the config sections it
reads (whole values), the fingerprint of the data, and the keys of the jobs it needs. Two jobs
with one key are one job. No torch here, so a plan costs nothing; the code of stage ``X`` is
``hipart/stages/X.py``, which only a worker loads.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

from hipart.config import PipelineConfig, Section
from hipart.skeleton import LEVEL_NAMES


class Metric(NamedTuple):
    """A number that a stage reports, with its unit and which way is better."""

    name: str
    unit: str
    goal: Literal["min", "max"]
    title: str


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline.

    ``version`` is raised by hand whenever the numbers that the stage computes change; a test
    notices when its code changed and the version did not. What a stage that is ``unseeded`` finds
    does not depend on any seed: trials that differ in seeds alone share its job.
    """

    name: str
    version: int
    reads: tuple[str, ...]
    needs: Callable[[PipelineConfig], tuple[str, ...]]
    metrics: tuple[Metric, ...]
    unseeded: bool = False


def _by_level(name: str, title: str) -> tuple[Metric, ...]:
    """An error in pixels of each dense level; ``{}`` is its name and its number of points."""
    return tuple(
        Metric(name.format(word), "px", "min", title.format(points))
        for points, word in LEVEL_NAMES.items()
    )


def _needs_nothing(_: PipelineConfig) -> tuple[str, ...]:
    return ()


def _needs_tokenizer(_: PipelineConfig) -> tuple[str, ...]:
    return ("tokenizer",)


def _needs_tokenizer_and_prior(_: PipelineConfig) -> tuple[str, ...]:
    return ("tokenizer", "prior")


def _lifter_needs(config: PipelineConfig) -> tuple[str, ...]:
    sources = {"generated": ("densify",), "regressed": ("regressor",)}
    return sources.get(config.lifter.dense_input, ())


def _evaluate_needs(config: PipelineConfig) -> tuple[str, ...]:
    return ("lifter", *_lifter_needs(config))


TOKENIZER = Stage(
    name="tokenizer",
    version=3,
    reads=("data", "tokenizer"),
    needs=_needs_nothing,
    metrics=(
        *_by_level("{}_reconstruction_px", "{}-joint reconstruction error"),
        Metric("action_accuracy_pct", "%", "max", "action accuracy"),
        Metric("sparse_usage_pct", "%", "max", "sparse codebook usage"),
        Metric("dense_usage_pct", "%", "max", "dense codebook usage"),
        Metric("sparse_perplexity", "codes", "max", "sparse codebook perplexity"),
        Metric("dense_perplexity", "codes", "max", "dense codebook perplexity"),
    ),
)
PRIOR = Stage(
    name="prior",
    version=2,
    reads=("data", "detector", "prior"),
    needs=_needs_tokenizer,
    metrics=(
        Metric("cross_entropy", "nats", "min", "teacher-forced cross-entropy"),
        Metric("sparse_accuracy_pct", "%", "max", "sparse token accuracy"),
        Metric("dense_accuracy_pct", "%", "max", "dense token accuracy"),
    ),
)
DENSIFY = Stage(
    name="densify",
    version=3,
    reads=("data", "detector"),
    needs=_needs_tokenizer_and_prior,
    metrics=_by_level("{}_error_px", "generated {}-joint error"),
)
REGRESSOR = Stage(
    name="regressor",
    version=2,
    reads=("data", "detector", "regressor"),
    needs=_needs_nothing,
    metrics=_by_level("{}_error_px", "regressed {}-joint error"),
)
LIFTER = Stage(
    name="lifter",
    version=2,
    reads=("data", "detector", "lifter"),
    needs=_lifter_needs,
    metrics=(Metric("train_mpjpe_mm", "mm", "min", "training MPJPE, last epoch"),),
)
EVALUATE = Stage(
    name="evaluate",
    version=4,
    reads=("data", "detector", "occlusion", "evaluation"),
    needs=_evaluate_needs,
    metrics=(
        Metric("mpjpe_mm", "mm", "min", "MPJPE"),
        Metric("p_mpjpe_mm", "mm", "min", "PA-MPJPE"),
        Metric("mpjpe_frames_mm", "mm", "min", "MPJPE, frame mean"),
        Metric("p_mpjpe_frames_mm", "mm", "min", "PA-MPJPE, frame mean"),
        *_by_level("{}_2d_px", "{}-joint error of the lifter's input"),
        Metric("hidden_joints_pct", "%", "min", "joints hidden by occlusion"),
    ),
)

PROBE = Stage(
    name="probe",
    version=2,
    reads=("data",),
    needs=_needs_tokenizer,
    metrics=(
        Metric("sparse_sparse_cosine", "", "min", "|cosine|, sparse codes"),
        Metric("dense_dense_cosine", "", "min", "|cosine|, dense codes"),
        Metric("sparse_dense_cosine", "", "max", "|cosine|, sparse to dense codes"),
        Metric("matched_cosine", "", "max", "cosine, sparse to its dense codes"),
        Metric("own_part_shift_px", "px", "max", "shift of the part whose token changes"),
        Metric("other_parts_shift_px", "px", "min", "shift of all other parts"),
        Metric("locality", "x", "max", "shift of own part over others'"),
    ),
)
PROFILE = Stage(
    name="profile",
    version=3,
    reads=("data", "tokenizer", "prior", "regressor", "lifter"),
    needs=_needs_nothing,
    metrics=(
        Metric("parameters_m", "M", "min", "parameters at inference"),
        Metric("total_parameters_m", "M", "min", "parameters with encoders"),
        Metric("gflops", "GFLOP", "min", "FLOPs a frame"),
        Metric("generation_gflops", "GFLOP", "min", "FLOPs a frame, generation"),
        Metric("lifting_gflops", "GFLOP", "min", "FLOPs a frame, lifting"),
        Metric("latency_ms", "ms", "min", "latency, batch 1"),
        Metric("frames_per_s", "1/s", "max", "throughput, batch 256"),
        Metric("generation_ms", "ms", "min", "generation, batch 256"),
        Metric("lifting_ms", "ms", "min", "lifting, batch 256"),
    ),
    unseeded=True,
)

#: The pipeline, in the order in which its stages run.
PIPELINE: dict[str, Stage] = {
    stage.name: stage
    for stage in (TOKENIZER, PRIOR, DENSIFY, REGRESSOR, LIFTER, EVALUATE, PROBE, PROFILE)
}
FINAL_STAGE = EVALUATE.name
#: Stages that nothing needs: a trial has one only if a table asks for its metrics.
SIDE_STAGES = (PROBE.name, PROFILE.name)

#: Config fields added after artifacts existed, with the value under which they change nothing.
#: They enter an identity only when they differ from it, so older artifacts stay valid.
NEUTRAL: dict[str, Any] = {
    "data.sampling": "frames",
    "tokenizer.levels": [48, 96],
    "tokenizer.codebooks": "hierarchical",
    "prior.framework": "autoregressive",
    "prior.within_part": "sparse_to_dense",
    "prior.sequential": "flat",
    "prior.joint_loss_weight": 0.0,
    "lifter.levels": None,
    "evaluation.flip": False,
}


@dataclass(frozen=True)
class StageJob:
    """One distinct piece of work: a stage under a config, on data, after what it needs.

    ``hashed`` is the identity as the text that gave the key; ``sections`` are those that the
    stage and the stages before it read.
    """

    stage: str
    key: str
    hashed: str
    sections: dict[str, Section]
    needs: dict[str, str]

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


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def key_of(identity: Mapping[str, Any]) -> str:
    """The 16 hexadecimal digits that name an identity."""
    return _key(canonical_json(identity))


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
        return StageJob(stage.name, _key(hashed), hashed, reached | read, keys)

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


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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
