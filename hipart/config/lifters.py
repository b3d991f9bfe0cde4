"""Stage 3: each kind of lifter, and how it is trained."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from hipart.config.section import (
    Blocks,
    DropoutRate,
    LearningRate,
    Levels,
    PositiveInt,
    Probability,
    Schedule,
    Section,
    Seed,
    Width,
)


class _AttentionConfig(Section):
    """Blocks of self-attention and MLP."""

    width: Width = 96
    blocks: Blocks = 12
    heads: Annotated[int, Field(ge=1, le=64)] = 6
    mlp_ratio: Annotated[int, Field(ge=1, le=8)] = 2

    @model_validator(mode="after")
    def _whole_heads(self) -> "_AttentionConfig":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of heads {self.heads}")
        return self


class TransformerLifterConfig(_AttentionConfig):
    """Vanilla spatial transformer over all joints (Sec. 5.1, Fig. 11)."""

    kind: Literal["transformer"] = "transformer"
    dropout: DropoutRate = 0.0


class MlpLifterConfig(Section):
    """Residual MLP lifter (Martinez et al. 2017)."""

    kind: Literal["mlp"] = "mlp"
    width: Width = 1024
    blocks: Blocks = 2
    dropout: DropoutRate = 0.5


class DiffusionLifterConfig(_AttentionConfig):
    """Denoising of 3D poses under a 2D condition: the kind of peer that Table 8 compares with."""

    kind: Literal["diffusion"] = "diffusion"
    dropout: DropoutRate = 0.0
    #: Noise levels in training, and how many of them the DDIM sampler visits.
    timesteps: Annotated[int, Field(ge=2, le=10_000)] = 1000
    sampling_steps: Annotated[int, Field(ge=1, le=1000)] = 10
    #: Sampled poses that are averaged into the answer.
    hypotheses: Annotated[int, Field(ge=1, le=100)] = 5

    @model_validator(mode="after")
    def _steps_of_the_time(self) -> "DiffusionLifterConfig":
        if self.sampling_steps > self.timesteps:
            raise ValueError(
                f"sampling_steps {self.sampling_steps} must be at most timesteps {self.timesteps}"
            )
        return self


def _odd(frames: int) -> int:
    if frames % 2 == 0:
        raise ValueError(f"{frames} frames have no middle one; take an odd number")
    return frames


#: Frames of a window; odd, so that there is a middle one.
Frames = Annotated[int, Field(ge=3, le=1001), AfterValidator(_odd)]


class _TemporalConfig(_AttentionConfig):
    """What looks at windows of consecutive frames."""

    frames: Frames = 81
    drop_path: DropoutRate = 0.1


class PoseFormerLifterConfig(_TemporalConfig):
    """PoseFormer (Zheng et al. 2021): a window of frames to its middle pose (Table 6)."""

    kind: Literal["poseformer"] = "poseformer"
    #: Channels of a joint; a frame's 17 joints side by side are the temporal stage's token.
    width: Width = 32
    #: Blocks of the spatial and of the temporal stage.
    blocks: Blocks = 4
    heads: Annotated[int, Field(ge=1, le=64)] = 8


class MixSteLifterConfig(_TemporalConfig):
    """MixSTE (Zhang et al. 2022): a window of frames to all its poses (Tables 6, 10)."""

    kind: Literal["mixste"] = "mixste"
    width: Width = 512
    #: Pairs of a spatial and a temporal block.
    blocks: Blocks = 8
    heads: Annotated[int, Field(ge=1, le=64)] = 8


AnyLifterConfig = (
    TransformerLifterConfig
    | MlpLifterConfig
    | DiffusionLifterConfig
    | PoseFormerLifterConfig
    | MixSteLifterConfig
)


def window_frames(model: AnyLifterConfig) -> int:
    """How many consecutive frames a lifter looks at: 1 unless it is a temporal one."""
    return model.frames if isinstance(model, _TemporalConfig) else 1


#: Steps of an epoch of the paper's lifter: every 5th of its 1,559,752 training frames, by 256.
PAPER_LIFTER_EPOCH = 1218


class LifterConfig(Schedule):
    """Stage 3, 2D to 3D (Sec. 5.1, App. C)."""

    ALTERNATIVES = (("epochs", "steps"), ("decay_epochs", "decay_steps"))

    model: AnyLifterConfig = Field(default=TransformerLifterConfig(), discriminator="kind")
    #: Where the 48 and 96 joints beside the 17 come from: the prior, the regressor, or the body
    #: itself; ``none`` lifts the 17 alone.
    dense_input: Literal["generated", "regressed", "exact", "none"] = "generated"
    #: Which of the dense levels the lifter takes; None for all there are.
    levels: Levels | None = None
    #: Share of the training samples whose 3D joints the lifter sees; every stage before it sees all
    #: of them.
    train_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    #: Of what it is a share: of clips in a drawn order, the last one cut short, or of single frames
    #: drawn from all clips.
    train_share_of: Literal["clips", "frames"] = "clips"
    #: Share of the training samples whose 3D joints are those of another one, drawn with ``seed``.
    wrong_labels: Probability = 0.0
    epochs: PositiveInt | None = 25
    #: Poses, or windows of a temporal lifter.
    batch_size: PositiveInt = 256
    learning_rate: LearningRate = 1e-3
    #: Learning rate x decay every ``decay_epochs`` epochs (App. C: 0.96 per 4 epochs), or every
    #: ``decay_steps`` steps.
    decay: Annotated[float, Field(gt=0, le=1)] = 0.96
    decay_epochs: PositiveInt | None = 4
    decay_steps: PositiveInt | None = None
    seed: Seed = 0

    @property
    def counted_epochs(self) -> float:
        """Its epochs; of a length in steps, how many of the paper's these are."""
        unit, length = self.length
        return float(length) if unit == "epochs" else length / PAPER_LIFTER_EPOCH
