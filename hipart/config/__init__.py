"""Every number that can be varied: its type, range, unit, and where the paper states it.

The defaults are the paper's own numbers with the ``budget`` reading of its parameter counts.
Nothing here knows how a job is scheduled (that is ``Runtime``) and nothing here imports torch.
Sections lie by purpose in ``data``, ``tokenizer``, ``prior``, ``regressors`` and ``lifters``, upon
the types of ``section``; other packages import them from here.
"""

from typing import Literal

from pydantic import model_validator

from hipart.config.data import DataConfig, DetectorConfig, OcclusionConfig
from hipart.config.lifters import (
    PAPER_LIFTER_EPOCH,
    AnyLifterConfig,
    DiffusionLifterConfig,
    Frames,
    LifterConfig,
    MixSteLifterConfig,
    MlpLifterConfig,
    PoseFormerLifterConfig,
    TransformerLifterConfig,
    window_frames,
)
from hipart.config.prior import MOST_FOLDS, DensifyConfig, Fold, PriorConfig
from hipart.config.regressors import (
    FittedRegressorConfig,
    GraphRegressorConfig,
    JointOffsetRegressorConfig,
    LinearRegressorConfig,
    MeanPoseRegressorConfig,
    MlpRegressorConfig,
    RegressorConfig,
)
from hipart.config.section import (
    AdamWTraining,
    Blocks,
    DecayedWeights,
    DropoutRate,
    LearningRate,
    Levels,
    NonNegativeInt,
    PositiveInt,
    Probability,
    Schedule,
    Section,
    Seed,
    Weight,
    Width,
)
from hipart.config.tokenizer import CodebookConfig, TokenizerConfig

__all__ = [
    "MOST_FOLDS",
    "PAPER_LIFTER_EPOCH",
    "AdamWTraining",
    "AnyLifterConfig",
    "Blocks",
    "CodebookConfig",
    "DataConfig",
    "DecayedWeights",
    "DensifyConfig",
    "DetectorConfig",
    "DiffusionLifterConfig",
    "DropoutRate",
    "EvaluationConfig",
    "FittedRegressorConfig",
    "Fold",
    "Frames",
    "GraphRegressorConfig",
    "JointOffsetRegressorConfig",
    "LearningRate",
    "Levels",
    "LifterConfig",
    "LinearRegressorConfig",
    "MeanPoseRegressorConfig",
    "MixSteLifterConfig",
    "MlpLifterConfig",
    "MlpRegressorConfig",
    "NonNegativeInt",
    "NumericsConfig",
    "OcclusionConfig",
    "PipelineConfig",
    "PoseFormerLifterConfig",
    "PositiveInt",
    "PriorConfig",
    "Probability",
    "RegressorConfig",
    "Schedule",
    "Section",
    "Seed",
    "TokenizerConfig",
    "TransformerLifterConfig",
    "Weight",
    "Width",
    "window_frames",
]


class NumericsConfig(Section):
    """In which numbers models are trained. Generation and evaluation are in float32."""

    #: Matrix products of a training step: float32; tf32, which rounds their inputs to 10 bits where
    #: the device can; bfloat16, as ``torch.autocast`` has it. Codebooks and losses stay in float32.
    products: Literal["float32", "tf32", "bfloat16"] = "float32"


class EvaluationConfig(Section):
    """How a trained trial is measured."""

    #: Lift the mirrored pose, too, its dense points generated anew, and average both answers. The
    #: paper does not say whether it does; VideoPose3D and PoseFormer do.
    flip: bool = False
    #: Whose samples are measured; validation needs ``data.validation_samples``.
    split: Literal["test", "validation"] = "test"


class PipelineConfig(Section):
    """All settings of one trial, stage by stage."""

    data: DataConfig = DataConfig()
    detector: DetectorConfig = DetectorConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    prior: PriorConfig = PriorConfig()
    densify: DensifyConfig = DensifyConfig()
    regressor: RegressorConfig = RegressorConfig()
    lifter: LifterConfig = LifterConfig()
    occlusion: OcclusionConfig = OcclusionConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    numerics: NumericsConfig = NumericsConfig()

    @property
    def input_levels(self) -> tuple[int, ...]:
        """The dense levels that the lifter takes, by number of points."""
        if self.lifter.dense_input == "none":
            return ()
        regressed = self.lifter.dense_input == "regressed"
        return self.lifter.levels or (self.regressor if regressed else self.tokenizer).levels

    @property
    def lifts_exact_points(self) -> bool:
        """Whether what is lifted has something of the exact dense pose, which takes a body."""
        if self.lifter.dense_input == "generated":
            return self.densify.exact != "nothing"
        return self.lifter.dense_input == "exact"

    @model_validator(mode="after")
    def _consistent(self) -> "PipelineConfig":
        # A stage job's config leaves the sections out that the stage does not read.
        self._windows_are_of_sequences()
        self._lifted_levels_are_made()
        self._a_share_leaves_samples()
        self._windows_are_of_consecutive_frames()
        self._flipped_poses_have_dense_points()
        self._points_made_anew_are_plain()
        self._training_is_cut_once()
        self._validation_has_samples()
        return self

    @property
    def _window(self) -> int:
        """Frames that the lifter looks at, if there is one."""
        return window_frames(self.lifter.model) if "lifter" in self.model_fields_set else 1

    def _windows_are_of_sequences(self) -> None:
        if self._window > 1 and self.data.sampling != "sequences":
            raise ValueError(
                f"the {self.lifter.model.kind} lifter looks at windows of {self._window} frames; "
                "set data.sampling to sequences"
            )

    def _lifted_levels_are_made(self) -> None:
        given, lifter = self.model_fields_set, self.lifter
        source = {"generated": "tokenizer", "regressed": "regressor"}.get(lifter.dense_input, "")
        if "lifter" not in given or source not in given or not lifter.levels:
            return
        made = getattr(self, source).levels
        missing = [level for level in lifter.levels if level not in made]
        if missing:
            raise ValueError(
                f"lifter.levels has {missing[0]}, and {source}.levels makes "
                f"{', '.join(map(str, made))}; ask for these, or add {missing[0]} there"
            )

    def _a_share_leaves_samples(self) -> None:
        samples, share = self.data.train_samples, self.lifter.train_share
        if "lifter" not in self.model_fields_set or samples is None:
            return
        if share < 1 and share * samples < 2:
            raise ValueError(
                f"lifter.train_share {share:g} of {samples} samples leaves fewer than "
                "two to train on; raise it"
            )

    def _windows_are_of_consecutive_frames(self) -> None:
        for name in ("train_every", "test_every"):
            stride = getattr(self.data, name)
            if self._window > 1 and stride > 1:
                raise ValueError(
                    f"the {self.lifter.model.kind} lifter looks at windows of {self._window} "
                    f"consecutive frames, and data.{name} {stride} takes one of every {stride}; "
                    f"set it to 1, and data.{name.removesuffix('_every')}_samples to draw fewer "
                    "sequences"
                )

    def _flipped_poses_have_dense_points(self) -> None:
        if self.evaluation.flip and self.lifter.dense_input == "exact":
            raise ValueError(
                "evaluation.flip needs dense points of the mirrored pose, and there are no exact "
                "ones; choose another lifter.dense_input"
            )

    def _points_made_anew_are_plain(self) -> None:
        made_anew = self.evaluation.flip or self.occlusion.kind != "none"
        if made_anew and self.lifter.dense_input == "generated" and not self.densify.plain:
            what = "exact" if self.densify.exact != "nothing" else "samples"
            anew = "evaluation.flip" if self.evaluation.flip else "occlusion.kind"
            raise ValueError(
                f"densify.{what} {getattr(self.densify, what)} is of poses as they are detected, "
                f"and {anew} has dense points generated anew from other joints; set densify.exact "
                "to nothing and densify.samples to 0, or leave flip false and occlusion none"
            )

    def _training_is_cut_once(self) -> None:
        if self.densify.folds and self.prior.fold:
            raise ValueError(
                f"densify.folds {self.densify.folds} trains its own priors on parts of the "
                f"training samples, and prior.fold {list(self.prior.fold)} leaves a part out of "
                "the one that generates test; set one of them to null"
            )

    def _validation_has_samples(self) -> None:
        # Every stage that reads ``evaluation`` reads ``data``.
        if self.evaluation.split == "validation" and not self.data.validation_samples:
            raise ValueError(
                "evaluation.split validation needs samples held out of training, and there are "
                "none; set data.validation_samples"
            )
