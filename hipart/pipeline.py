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
from typing import Any, Literal, NamedTuple

from hipart.config import PipelineConfig
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
    version=2,
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
    version=1,
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
    version=2,
    reads=("data", "detector"),
    needs=_needs_tokenizer_and_prior,
    metrics=_by_level("{}_error_px", "generated {}-joint error"),
)
REGRESSOR = Stage(
    name="regressor",
    version=1,
    reads=("data", "detector", "regressor"),
    needs=_needs_nothing,
    metrics=_by_level("{}_error_px", "regressed {}-joint error"),
)
LIFTER = Stage(
    name="lifter",
    version=1,
    reads=("data", "detector", "lifter"),
    needs=_lifter_needs,
    metrics=(Metric("train_mpjpe_mm", "mm", "min", "training MPJPE, last epoch"),),
)
EVALUATE = Stage(
    name="evaluate",
    version=3,
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
    version=1,
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
    version=2,
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

    ``config`` holds what the stage and the stages before it read; every other section stands
    at its default, so that nothing outside the key can reach the computation.
    """

    stage: str
    key: str
    identity: dict[str, Any]
    config: PipelineConfig
    needs: dict[str, str]

    @property
    def name(self) -> str:
        """``stage/key``, as in the store."""
        return f"{self.stage}/{self.key}"


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def key_of(identity: Mapping[str, Any]) -> str:
    """The 16 hexadecimal digits that name an identity."""
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()[:16]


def jobs(
    config: PipelineConfig, data_fingerprint: str, targets: Iterable[str] = (FINAL_STAGE,)
) -> dict[str, StageJob]:
    """The stage jobs of a trial by stage name, each after everything it needs.

    ``targets`` are the stages that are wanted for themselves.
    """
    found: dict[str, StageJob] = {}
    for target in targets:
        _collect(target, config, data_fingerprint, found)
    return {name: found[name] for name in PIPELINE if name in found}


def final_jobs(trial_jobs: Mapping[str, StageJob]) -> list[StageJob]:
    """The jobs of a trial that none of its other jobs needs: with them, all of it is done."""
    needed = {key for job in trial_jobs.values() for key in job.needs.values()}
    return [job for job in trial_jobs.values() if job.key not in needed]


def _collect(
    name: str, config: PipelineConfig, data_fingerprint: str, found: dict[str, StageJob]
) -> StageJob:
    if name in found:
        return found[name]
    stage = PIPELINE[name]
    needs = [_collect(need, config, data_fingerprint, found) for need in stage.needs(config)]
    keys = {job.stage: job.key for job in needs}
    if stage.unseeded:
        config = _unseeded(config)
    identity: dict[str, Any] = {
        "stage": name,
        "version": stage.version,
        "data": data_fingerprint,
        "config": _identity_of(stage.reads, config),
        "needs": keys,
    }
    reached = set(stage.reads)
    for job in needs:
        reached |= job.config.model_fields_set
    found[name] = StageJob(
        stage=name,
        key=key_of(identity),
        identity=identity,
        config=PipelineConfig(**{section: getattr(config, section) for section in reached}),
        needs=keys,
    )
    return found[name]


def _unseeded(config: PipelineConfig) -> PipelineConfig:
    sections = {name: getattr(config, name) for name in PipelineConfig.model_fields}
    seeded = {name: one for name, one in sections.items() if hasattr(one, "seed")}
    return PipelineConfig(
        **sections | {name: one.model_copy(update={"seed": 0}) for name, one in seeded.items()}
    )


def _identity_of(sections: Iterable[str], config: PipelineConfig) -> dict[str, Any]:
    found = {
        section: _without_neutral(section, getattr(config, section).model_dump(mode="json"))
        for section in sections
    }
    return {section: values for section, values in found.items() if values}


def _without_neutral(path: str, values: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in values.items():
        here = f"{path}.{name}"
        if here in NEUTRAL and NEUTRAL[here] == value:
            continue
        kept[name] = _without_neutral(here, value) if isinstance(value, dict) else value
    return kept
