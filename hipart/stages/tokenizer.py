"""Train stage 1: the multi-scale tokenizer on exact dense and fine poses (Sec. 4.1, App. C)."""

import torch
from torch import Tensor

from hipart.data.corpus import Corpus
from hipart.metrics import codebook_usage_pct, perplexity, token_histogram
from hipart.models.tokenizer import Tokenizer
from hipart.models.tokenizer_loss import tokenizer_loss
from hipart.skeleton import LEVEL_NAMES
from hipart.stages.checkpoint import load_weights, read_facts, save_weights
from hipart.stages.context import StageContext
from hipart.stages.fit import fit_adamw, seeded
from hipart.stages.tensors import Split, error_px, split_tensors

WEIGHTS = "model.safetensors"
EVALUATION_BATCH = 1024


def train(context: StageContext) -> dict[str, float]:
    """Train and publishable: the tokenizer's weights, and how well it rebuilds the test poses."""
    config = context.config.tokenizer
    split = split_tensors(context.corpus.train, context.corpus, context.device)
    num_actions = len(context.corpus.action_names)
    with torch.random.fork_rng():
        torch.manual_seed(seeded(config.seed, 0))
        model = Tokenizer(config, num_actions).to(context.device)

    def loss(index: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        poses: dict[int, Tensor] = {n: split.levels[n][index] for n in config.levels}
        output = model(poses[config.levels[-1]])
        return tokenizer_loss(output, poses, split.action[index], config)

    fit_adamw(context, model, loss, config, split.size)
    save_weights(context.work / WEIGHTS, model, num_actions=str(num_actions))
    test = split_tensors(context.corpus.test, context.corpus, context.device)
    return _measure(model, test, context.corpus)


def load_tokenizer(context: StageContext) -> Tokenizer:
    """The trained tokenizer of an upstream artifact, frozen, on the job's device."""
    weights = context.upstream["tokenizer"] / WEIGHTS
    model = Tokenizer(context.config.tokenizer, int(read_facts(weights)["num_actions"]))
    load_weights(weights, model)
    return model.requires_grad_(False).eval().to(context.device)


@torch.inference_mode()
def _measure(model: Tokenizer, test: Split, corpus: Corpus) -> dict[str, float]:
    finest = test.levels[model.levels[-1]]
    outputs = [model(poses) for poses in finest.split(EVALUATION_BATCH)]
    sparse = torch.cat([output.sparse.tokens for output in outputs])
    dense = [level.tokens.flatten() for output in outputs for level in output.dense]
    correct = torch.cat([output.action_logits for output in outputs]).argmax(-1) == test.action
    metrics = {
        f"{LEVEL_NAMES[level]}_reconstruction_px": error_px(
            torch.cat([output.poses[level] for output in outputs]),
            test.levels[level],
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
