"""Densifiers without tokens: each kind, and how it is trained."""

from typing import Literal

from pydantic import Field

from hipart.config.section import (
    AdamWTraining,
    Blocks,
    DropoutRate,
    LearningRate,
    Levels,
    PositiveInt,
    Section,
    Width,
)


class MlpRegressorConfig(Section):
    """Direct regression of all points at once, as Pose2Mesh does (Fig. 12)."""

    kind: Literal["mlp"] = "mlp"
    width: Width = 480
    blocks: Blocks = 2
    dropout: DropoutRate = 0.0


class GraphRegressorConfig(Section):
    """Graph convolutions from coarse to fine, as HGN does (Fig. 12)."""

    kind: Literal["graph"] = "graph"
    width: Width = 168
    #: Blocks at each level.
    blocks: Blocks = 3


class MeanPoseRegressorConfig(Section):
    """The mean dense pose of training on the detected hip; fitted without steps."""

    kind: Literal["mean_pose"] = "mean_pose"


class JointOffsetRegressorConfig(Section):
    """Each point at its mean offset from its part's detected joint; fitted without steps."""

    kind: Literal["joint_offset"] = "joint_offset"


class LinearRegressorConfig(Section):
    """Least squares from the 17 detected joints to all points; fitted without steps."""

    kind: Literal["linear"] = "linear"


#: Kinds that are fitted in closed form: nothing beside `levels` changes them, and no seed does.
FittedRegressorConfig = MeanPoseRegressorConfig | JointOffsetRegressorConfig | LinearRegressorConfig


class RegressorConfig(AdamWTraining):
    """A densifier without tokens, of about the size of prior and decoders (Fig. 12), or fitted in
    closed form, which ignores epochs, batches, rates and the seed."""

    model: MlpRegressorConfig | GraphRegressorConfig | FittedRegressorConfig = Field(
        default=MlpRegressorConfig(), discriminator="kind"
    )
    levels: Levels = (48, 96)
    epochs: PositiveInt | None = 50
    batch_size: PositiveInt = 256
    learning_rate: LearningRate = 1e-3

    @property
    def is_fitted(self) -> bool:
        """Whether the model is fitted in closed form, without a training of steps."""
        return isinstance(self.model, FittedRegressorConfig)
