"""Train stage 2: the autoregressive prior over the frozen tokenizer's tokens (Sec. 4.2, App. C)."""

import torch
from torch import Tensor

from hipart.models.prior import Prior, prior_loss
from hipart.models.tokenizer import Tokenizer
from hipart.stages.checkpoint import load_weights, save_weights
from hipart.stages.context import StageContext
from hipart.stages.fit import Plan, fit, seeded, warmup_cosine
from hipart.stages.tensors import Split, split_tensors
from hipart.stages.tokenizer import EVALUATION_BATCH, WEIGHTS, load_tokenizer


def train(context: StageContext) -> dict[str, float]:
    """Train on tokens of the exact poses under the detected 17 joints; measured teacher-forced."""
    config = context.config.prior
    tokenizer = load_tokenizer(context)
    split = split_tensors(context.corpus.train, context.corpus, context.device)
    sparse, dense = tokens_of(tokenizer, split)
    with torch.random.fork_rng():
        torch.manual_seed(seeded(config.seed, 0))
        model = _prior(context, tokenizer)

    def loss(index: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        logits = model(split.detected[index], sparse[index], dense[index])
        return prior_loss(logits, sparse[index], dense[index], config)

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
    save_weights(context.work / WEIGHTS, model)
    test = split_tensors(context.corpus.test, context.corpus, context.device)
    return _measure(model, tokenizer, test, context)


def load_prior(context: StageContext, tokenizer: Tokenizer) -> Prior:
    """The trained prior of an upstream artifact, frozen, on the job's device."""
    model = _prior(context, tokenizer)
    load_weights(context.upstream["prior"] / WEIGHTS, model)
    return model.requires_grad_(False).eval()


@torch.inference_mode()
def tokens_of(tokenizer: Tokenizer, split: Split) -> tuple[Tensor, Tensor]:
    """Tokens of the exact fine poses: (N, 16) and (N, 48)."""
    parts = [tokenizer.encode(fine) for fine in split.fine.split(EVALUATION_BATCH)]
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def _prior(context: StageContext, tokenizer: Tokenizer) -> Prior:
    return Prior(context.config.prior, *tokenizer.codebooks).to(context.device)


@torch.inference_mode()
def _measure(
    model: Prior, tokenizer: Tokenizer, test: Split, context: StageContext
) -> dict[str, float]:
    sparse, dense = tokens_of(tokenizer, test)
    totals = torch.zeros(3, dtype=torch.float64)
    for index in torch.arange(test.size, device=context.device).split(EVALUATION_BATCH // 4):
        logits = model(test.detected[index], sparse[index], dense[index])
        loss, _ = prior_loss(logits, sparse[index], dense[index], context.config.prior)
        right_sparse = (logits.sparse.argmax(-1) == sparse[index]).double().mean()
        right_dense = (logits.dense.argmax(-1) == dense[index]).double().mean()
        values = torch.stack([loss.double(), 100 * right_sparse, 100 * right_dense])
        totals += values.cpu() * len(index) / test.size
    cross_entropy, sparse_accuracy, dense_accuracy = totals.tolist()
    return {
        "cross_entropy": cross_entropy,
        "sparse_accuracy_pct": sparse_accuracy,
        "dense_accuracy_pct": dense_accuracy,
    }
