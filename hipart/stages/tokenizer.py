"""Train stage 1: the multi-scale tokenizer on exact dense and fine poses (Sec. 4.1, App. C)."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from hipart.config import TokenizerConfig
from hipart.data.corpus import Corpus
from hipart.metrics import codebook_usage_pct, perplexity, token_histogram
from hipart.models.chunks import in_chunks
from hipart.models.tokenizer import Tokenizer
from hipart.models.tokenizer_loss import TokenizerWeights, tokenizer_loss
from hipart.skeleton import LEVEL_NAMES
from hipart.stages.checkpoint import load_weights, read_facts, save_weights
from hipart.stages.context import StageContext
from hipart.stages.fit import train_together, with_adamw
from hipart.stages.history import Row
from hipart.stages.schedule import seeded
from hipart.stages.tensors import Split, error_px, judged_on, split_tensors
from hipart.stages.training import Losses, Objective, Training

WEIGHTS = "model.safetensors"
EVALUATION_BATCH = 256


class TokenizerObjective(Objective):
    """L_1 on exact poses of the tokenizer's levels."""

    model: Tokenizer
    action: Tensor
    weights: Tensor

    def __init__(self, model: Tokenizer, split: Split, config: TokenizerConfig) -> None:
        weights = [
            config.commitment_weight,
            config.lambda_local,
            config.lambda_global,
            config.temperature,
        ]
        levels = {f"points_{level}": split.levels[level] for level in config.levels}
        numbers = torch.tensor(weights, device=split.action.device)
        super().__init__(model, {**levels, "action": split.action, "weights": numbers})
        self.reduction = config.loss_reduction

    def divide(self, micro_batches: int) -> None:
        """Let the codebooks follow the whole batch at once, too."""
        super().divide(micro_batches)
        self.model.micro_batches = micro_batches

    def forward(self, index: Tensor) -> Losses:
        """The loss of the poses at ``index`` (batch,)."""
        poses: dict[int, Tensor] = {
            level: self.get_buffer(f"points_{level}")[index] for level in self.model.levels
        }
        commitment, local, global_, temperature = self.weights.unbind()
        weights = TokenizerWeights(commitment, local, global_, temperature, self.reduction)
        output = self.model(poses[self.model.levels[-1]])
        return tokenizer_loss(output, poses, self.action[index], weights)


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
    with torch.random.fork_rng():
        torch.manual_seed(seeded(config.seed, 0))
        model = Tokenizer(config, len(corpus.action_names)).to(context.device)
    return with_adamw(TokenizerObjective(model, split, config), config, split.size)


def finish(context: StageContext, training: Training, _: list[Row]) -> dict[str, float]:
    """Write the weights; how well they rebuild poses of test or validation."""
    model, corpus = cast(Tokenizer, training.model), context.corpus
    num_actions = str(len(corpus.action_names))
    save_weights(context.work / WEIGHTS, model, num_actions=num_actions)
    return _measure(model, split_tensors(corpus, judged_on(context), context.device), corpus)


def load_tokenizer(context: StageContext) -> Tokenizer:
    """The trained tokenizer of an upstream artifact, frozen, on the job's device."""
    weights = context.upstream["tokenizer"] / WEIGHTS
    model = Tokenizer(context.config.tokenizer, int(read_facts(weights)["num_actions"]))
    load_weights(weights, model)
    return model.requires_grad_(False).eval().to(context.device)


@torch.inference_mode()
def _measure(model: Tokenizer, split: Split, corpus: Corpus) -> dict[str, float]:
    finest = split.levels[model.levels[-1]]
    outputs = [*in_chunks(model, finest, EVALUATION_BATCH)]
    sparse = torch.cat([output.sparse.tokens for output in outputs])
    dense = [level.tokens.flatten() for output in outputs for level in output.dense]
    correct = torch.cat([output.action_logits for output in outputs]).argmax(-1) == split.action
    metrics = {
        f"{LEVEL_NAMES[level]}_reconstruction_px": error_px(
            torch.cat([output.poses[level] for output in outputs]),
            split.levels[level],
            corpus.image_size,
        )
        for level in model.levels
    }
    metrics["action_accuracy_pct"] = 100 * float(correct.double().mean())
    tokens = {"sparse": sparse} | ({"dense": torch.cat(dense)} if dense else {})
    for (name, used), codes in zip(tokens.items(), model.codebooks, strict=False):
        counts = token_histogram(used, len(codes))
        metrics[f"{name}_usage_pct"] = codebook_usage_pct(counts)
        metrics[f"{name}_perplexity"] = perplexity(counts)
    return metrics
