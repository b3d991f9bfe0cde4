"""The pipeline as data: which stages there are, what each reads, needs and reports.

No torch here, so a plan costs nothing; the code of stage ``X`` is ``hipart/stages/X.py``, which
only a worker loads. What becomes of a trial's config is in ``hipart/jobs.py``.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from hipart.config import PipelineConfig
from hipart.skeleton import LEVEL_NAMES


class Variant(NamedTuple):
    """A job beside a trial's own of the same stage: the settings of that stage with some changed.

    ``name`` is what it is called where the trial's own goes by the name of the stage.
    """

    name: str
    stage: str
    changes: Mapping[str, Any]


class Metric(NamedTuple):
    """A number that a stage reports, with its unit and which way is better."""

    name: str
    unit: str
    goal: Literal["min", "max"]
    title: str

    @property
    def of_training(self) -> bool:
        """Whether it is over training samples, whatever side the others are over."""
        return "train" in self.name.split("_")


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
    #: Sections that it reads under some configs alone.
    reads_besides: Callable[[PipelineConfig], tuple[str, ...]] = lambda _: ()
    #: Jobs that it needs of stages that it needs, under other settings than the trial's.
    variants: Callable[[PipelineConfig], tuple[Variant, ...]] = lambda _: ()

    def reads_of(self, config: PipelineConfig) -> tuple[str, ...]:
        """The sections that it reads under a config."""
        return self.reads + self.reads_besides(config)


def _by_level(name: str, title: str) -> tuple[Metric, ...]:
    """An error in pixels of each dense level; ``{}`` is its name and its number of points."""
    return tuple(
        Metric(name.format(word), "px", "min", title.format(points))
        for points, word in LEVEL_NAMES.items()
    )


def _detector_if_in_its_frame(config: PipelineConfig) -> tuple[str, ...]:
    """Poses are put into the frame of their detected joints, unless they stay on the screen."""
    return () if config.data.coordinates == "screen" else ("detector",)


def _needs_nothing(_: PipelineConfig) -> tuple[str, ...]:
    return ()


def _needs_tokenizer(_: PipelineConfig) -> tuple[str, ...]:
    return ("tokenizer",)


def _needs_tokenizer_and_prior(_: PipelineConfig) -> tuple[str, ...]:
    return ("tokenizer", "prior")


def _priors_of_folds(config: PipelineConfig) -> tuple[Variant, ...]:
    """For each part of the training samples a prior that does not see it."""
    count = config.densify.folds or 0
    return tuple(
        Variant(f"prior {part} of {count}", "prior", {"fold": (part, count)})
        for part in range(1, count + 1)
    )


def _lifter_needs(config: PipelineConfig) -> tuple[str, ...]:
    sources = {"generated": ("densify",), "regressed": ("regressor",)}
    return sources.get(config.lifter.dense_input, ())


def _evaluate_needs(config: PipelineConfig) -> tuple[str, ...]:
    return ("lifter", *_lifter_needs(config))


TOKENIZER = Stage(
    name="tokenizer",
    version=3,
    reads=("data", "tokenizer", "numerics"),
    reads_besides=_detector_if_in_its_frame,
    needs=_needs_nothing,
    metrics=(
        *_by_level("{}_reconstruction_px", "{}-joint reconstruction error"),
        *_by_level("{}_within_part_px", "{}-joint reconstruction error within parts"),
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
    reads=("data", "detector", "prior", "numerics"),
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
    reads=("data", "detector", "densify"),
    needs=_needs_tokenizer_and_prior,
    variants=_priors_of_folds,
    metrics=(
        *_by_level("{}_error_px", "generated {}-joint error"),
        *_by_level("{}_within_part_px", "generated {}-joint error within parts"),
        *_by_level("{}_train_error_px", "generated {}-joint error, training samples"),
    ),
)
REGRESSOR = Stage(
    name="regressor",
    version=2,
    reads=("data", "detector", "regressor", "numerics"),
    needs=_needs_nothing,
    metrics=(
        *_by_level("{}_error_px", "regressed {}-joint error"),
        *_by_level("{}_within_part_px", "regressed {}-joint error within parts"),
    ),
)
LIFTER = Stage(
    name="lifter",
    version=2,
    reads=("data", "detector", "lifter", "numerics"),
    needs=_lifter_needs,
    metrics=(
        Metric("train_mpjpe_mm", "mm", "min", "training MPJPE, last epoch"),
        # Where samples are held out.
        Metric("validation_mpjpe_mm", "mm", "min", "validation MPJPE, frame mean"),
        Metric("late_gain_pct", "%", "min", "last fifth's fall of validation MPJPE, of its end"),
    ),
)
EVALUATE = Stage(
    name="evaluate",
    version=5,
    reads=("data", "detector", "occlusion", "evaluation"),
    needs=_evaluate_needs,
    metrics=(
        Metric("mpjpe_mm", "mm", "min", "MPJPE"),
        Metric("p_mpjpe_mm", "mm", "min", "PA-MPJPE"),
        Metric("mpjpe_frames_mm", "mm", "min", "MPJPE, frame mean"),
        Metric("p_mpjpe_frames_mm", "mm", "min", "PA-MPJPE, frame mean"),
        Metric("n_mpjpe_mm", "mm", "min", "N-MPJPE"),
        # Not of a sliding patch, whose worst place differs from frame to frame.
        Metric("pck_pct", "%", "max", "PCK@150 mm"),
        Metric("auc_pct", "%", "max", "AUC 0-150 mm"),
        # Of whole sequences alone.
        Metric("mpjve_mm", "mm/frame", "min", "MPJVE"),
        # Of corpora with damaged clips alone: without them.
        Metric("mpjpe_sound_mm", "mm", "min", "MPJPE, sound clips"),
        Metric("p_mpjpe_sound_mm", "mm", "min", "PA-MPJPE, sound clips"),
        Metric("mpjpe_sound_frames_mm", "mm", "min", "MPJPE, sound clips, frame mean"),
        Metric("p_mpjpe_sound_frames_mm", "mm", "min", "PA-MPJPE, sound clips, frame mean"),
        # Of corpora with test frames that no body fits alone: over the others.
        Metric("mpjpe_fit_mm", "mm", "min", "MPJPE, frames with a body"),
        Metric("p_mpjpe_fit_mm", "mm", "min", "PA-MPJPE, frames with a body"),
        Metric("mpjpe_fit_frames_mm", "mm", "min", "MPJPE, frames with a body, frame mean"),
        Metric("p_mpjpe_fit_frames_mm", "mm", "min", "PA-MPJPE, frames with a body, frame mean"),
        *_by_level("{}_2d_px", "{}-joint error of the lifter's input"),
        *_by_level("{}_within_part_px", "{}-joint error of the lifter's input within parts"),
        Metric("hidden_joints_pct", "%", "min", "joints that the evaluation hides itself"),
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
    reads=("data", "tokenizer", "prior", "densify", "regressor", "lifter"),
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


def stage_of(name: str) -> str:
    """The stage of a job of a trial by its name there: a stage's, or a variant's."""
    return name.partition(" ")[0]


def needs_of(config: PipelineConfig, targets: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The stages of a trial, each after all that it needs, with what it needs.

    ``targets`` are those that are wanted for themselves.
    """
    found: dict[str, tuple[str, ...]] = {}
    wanted = list(targets)
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = needs = PIPELINE[name].needs(config)
            wanted += needs
    return {name: found[name] for name in PIPELINE if name in found}
