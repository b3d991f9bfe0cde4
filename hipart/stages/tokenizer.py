"""Train stage 1: the multi-scale tokenizer on exact dense and fine poses (Sec. 4.1, App. C)."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from hipart.config import TokenizerConfig
from hipart.metrics import codebook_usage_pct, perplexity, token_histogram
from hipart.models.chunks import in_chunks
from hipart.models.coordinates import Coordinates, Frame, frame_of
from hipart.models.tokenizer import Tokenizer
from hipart.models.tokenizer_loss import TokenizerWeights, tokenizer_loss
from hipart.skeleton import NUM_PARTS
from hipart.stages.checkpoint import load_weights, read_facts, save_weights
from hipart.stages.context import StageContext
from hipart.stages.fit import train_together, with_adamw
from hipart.stages.history import Row
from hipart.stages.schedule import Plan, seeded
from hipart.stages.tensors import (
    Detections,
    Split,
    check_extent,
    check_fitted,
    errors_px,
    fitted_tensors,
    judged_on,
    split_tensors,
    training_detections,
)
from hipart.stages.training import Losses, Objective, Training

WEIGHTS = "model.safetensors"
EVALUATION_BATCH = 256
#: Embeddings of a kind for each code of the larger codebook, from which the first codes are drawn.
BEGIN_WITH = 2


class TokenizerObjective(Objective):
    """L_1 on exact poses of the tokenizer's levels."""

    model: Tokenizer
    action: Tensor
    weights: Tensor

    def __init__(
        self,
        model: Tokenizer,
        split: Split,
        config: TokenizerConfig,
        coordinates: Coordinates = "screen",
        detections: Detections | None = None,
    ) -> None:
        weights = [
            config.commitment_weight,
            config.lambda_local,
            config.lambda_global,
            config.temperature,
        ]
        levels = {f"points_{level}": split.levels[level] for level in config.levels}
        numbers = torch.tensor(weights, device=split.action.device)
        frame = frame_of(split.detected, coordinates)
        framed = {} if frame is None else {"centre": frame.centre, "scale": frame.scale}
        data = {**levels, "action": split.action, "weights": numbers}
        super().__init__(model, data | {name: part.clone() for name, part in framed.items()})
        self.reduction, self.alignment = config.loss_reduction, config.alignment
        self._coordinates = coordinates
        self._detections = detections

    def begin_epoch(self, epoch: int) -> None:
        """Poses are put into the frames of this epoch's detections."""
        if self._coordinates == "screen" or self._detections is None:
            return
        frame = frame_of(self._detections(epoch), self._coordinates)
        assert frame is not None
        self.get_buffer("centre").copy_(frame.centre)
        self.get_buffer("scale").copy_(frame.scale)

    def poses(self, index: Tensor) -> dict[int, Tensor]:
        """Points of each level at ``index`` (batch,), in the coordinates of the data."""
        points: dict[int, Tensor] = {
            level: self.get_buffer(f"points_{level}")[index] for level in self.model.levels
        }
        if self._coordinates == "screen":
            return points
        frame = Frame(self.get_buffer("centre")[index], self.get_buffer("scale")[index])
        return {level: frame.to(one) for level, one in points.items()}

    def divide(self, micro_batches: int) -> None:
        """Let the codebooks follow the whole batch at once, too."""
        super().divide(micro_batches)
        self.model.micro_batches = micro_batches

    def forward(self, index: Tensor) -> Losses:
        """The loss of the poses at ``index`` (batch,)."""
        poses = self.poses(index)
        commitment, local, global_, temperature = self.weights.unbind()
        numbers = commitment, local, global_, temperature
        weights = TokenizerWeights(*numbers, self.reduction, self.alignment)
        output = self.model(poses[self.model.levels[-1]])
        weighed = {level: self.model.weigh(points, level) for level, points in poses.items()}
        return tokenizer_loss(output, weighed, self.action[index], weights)


def train(context: StageContext) -> dict[str, float]:
    """Train and publishable: the tokenizer's weights, and how well it rebuilds unseen poses."""
    return train_array([context])[0]


def train_array(contexts: Sequence[StageContext]) -> list[dict[str, float]]:
    """``train`` for every context, at once."""
    return train_together(contexts, prepare, finish)


def prepare(context: StageContext) -> Training:
    """The untrained model with its loss and data, and how it will be trained."""
    config, corpus = context.config.tokenizer, context.corpus
    split = split_tensors(corpus, "train", context.device)
    check_extent(context, "train")
    check_fitted(corpus, judged_on(context))
    with torch.random.fork_rng():
        torch.manual_seed(seeded(config.seed, 0))
        model = Tokenizer(config, len(corpus.action_names)).to(context.device)
    coordinates = context.config.data.coordinates
    detections = training_detections(context)
    objective = TokenizerObjective(model, split, config, coordinates, detections)
    training = with_adamw(objective, config, split.size)
    objective.begin_epoch(0)
    model.begin(objective.poses(_first_samples(training.plan, config)), _generator(config.seed))
    return training


def _first_samples(plan: Plan, config: TokenizerConfig) -> Tensor:
    """Samples of the first batches: enough to draw a codebook from their embeddings."""
    most = max(config.sparse_codebook.size, config.dense_codebook.size)
    count = max(plan.batch, BEGIN_WITH * -(-most // NUM_PARTS))
    return plan.batches(0).flatten()[:count]


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seeded(seed, 3))


def finish(context: StageContext, training: Training, _: list[Row]) -> dict[str, float]:
    """Write the weights; how well they rebuild poses of test or validation."""
    model, corpus = cast(Tokenizer, training.model), context.corpus
    num_actions = str(len(corpus.action_names))
    save_weights(context.work / WEIGHTS, model, num_actions=num_actions)
    return _measure(model, fitted_tensors(corpus, judged_on(context), context.device), context)


def load_tokenizer(context: StageContext) -> Tokenizer:
    """The trained tokenizer of an upstream artifact, frozen, on the job's device."""
    weights = context.upstream["tokenizer"] / WEIGHTS
    model = Tokenizer(context.config.tokenizer, int(read_facts(weights)["num_actions"]))
    load_weights(weights, model)
    return model.requires_grad_(False).eval().to(context.device)


@torch.inference_mode()
def _measure(model: Tokenizer, split: Split, context: StageContext) -> dict[str, float]:
    corpus = context.corpus
    frame = frame_of(split.detected, context.config.data.coordinates)
    finest = split.levels[model.levels[-1]]
    finest = finest if frame is None else frame.to(finest)
    outputs = [*in_chunks(model, finest, EVALUATION_BATCH)]
    sparse = torch.cat([output.sparse.tokens for output in outputs])
    dense = [level.tokens.flatten() for output in outputs for level in output.dense]
    correct = torch.cat([output.action_logits for output in outputs]).argmax(-1) == split.action
    rebuilt = model.unweigh(
        {level: torch.cat([output.poses[level] for output in outputs]) for level in model.levels}
    )
    if frame is not None:
        rebuilt = {level: frame.back(points) for level, points in rebuilt.items()}
    metrics = errors_px("reconstruction_px", rebuilt, split.levels, corpus)
    metrics["action_accuracy_pct"] = 100 * float(correct.double().mean())
    tokens = {"sparse": sparse} | ({"dense": torch.cat(dense)} if dense else {})
    for (name, used), codes in zip(tokens.items(), model.codebooks, strict=False):
        counts = token_histogram(used, len(codes))
        metrics[f"{name}_usage_pct"] = codebook_usage_pct(counts)
        metrics[f"{name}_perplexity"] = perplexity(counts)
    return metrics
