"""Train stage 1: the multi-scale tokenizer on exact dense and fine poses (Sec. 4.1, App. C)."""

import torch
from torch import Tensor

from hipart.data.corpus import Corpus
from hipart.metrics import codebook_usage_pct, perplexity
from hipart.models.tokenizer import Tokenizer, tokenizer_loss
from hipart.stages.checkpoint import load_weights, read_facts, save_weights
from hipart.stages.context import StageContext
from hipart.stages.fit import Plan, fit, seeded, warmup_cosine
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
        output = model(split.fine[index])
        return tokenizer_loss(
            output, split.fine[index], split.dense[index], split.action[index], config
        )

    plan = Plan(
        samples=split.size,
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=warmup_cosine(config.learning_rate, config.warmup_steps),
        seed=config.seed,
    )
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    fit(context, model, optimiser, loss, plan)
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
    outputs = [model(fine) for fine in test.fine.split(EVALUATION_BATCH)]
    sparse = torch.cat([output.sparse.tokens for output in outputs])
    dense = torch.cat([output.dense.tokens for output in outputs])
    correct = torch.cat([output.action_logits for output in outputs]).argmax(-1) == test.action
    sparse_counts, dense_counts = (
        tokens.flatten().bincount(minlength=len(codes))
        for tokens, codes in zip((sparse, dense), model.codebooks, strict=True)
    )
    return {
        "dense_reconstruction_px": error_px(
            torch.cat([output.dense_2d for output in outputs]), test.dense, corpus.image_size
        ),
        "fine_reconstruction_px": error_px(
            torch.cat([output.fine_2d for output in outputs]), test.fine, corpus.image_size
        ),
        "action_accuracy_pct": 100 * float(correct.double().mean()),
        "sparse_usage_pct": codebook_usage_pct(sparse_counts),
        "dense_usage_pct": codebook_usage_pct(dense_counts),
        "sparse_perplexity": perplexity(sparse_counts),
        "dense_perplexity": perplexity(dense_counts),
    }
