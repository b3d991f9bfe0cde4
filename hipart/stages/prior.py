"""Train stage 2: the autoregressive prior over the frozen tokenizer's tokens (Sec. 4.2, App. C)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from hipart.models.prior import prior_loss
from hipart.models.priors import AnyPrior, build_prior
from hipart.models.tokenizer import Tokenizer
from hipart.stages.checkpoint import load_weights, save_weights
from hipart.stages.context import StageContext
from hipart.stages.fit import fit_adamw, seeded
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
        model = build_prior(config, tokenizer).to(context.device)

    def batch_loss(index: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        logits = model(split.detected[index], sparse[index], dense[index])
        loss, parts = prior_loss(logits, sparse[index], dense[index], config)
        if config.joint_loss_weight:
            poses = tokenizer.decode_soft(*logits)
            exact = torch.cat([split.levels[level][index] for level in poses], dim=1)
            joint = F.smooth_l1_loss(torch.cat([*poses.values()], dim=1), exact)
            loss = loss + config.joint_loss_weight * joint
            parts["joint_loss"] = joint.detach()
        return loss, parts

    fit_adamw(context, model, batch_loss, config, split.size)
    save_weights(context.work / WEIGHTS, model)
    test = split_tensors(context.corpus.test, context.corpus, context.device)
    return _measure(model, tokenizer, test, context)


def load_prior(context: StageContext, tokenizer: Tokenizer) -> AnyPrior:
    """The trained prior of an upstream artifact, frozen, on the job's device."""
    model = build_prior(context.config.prior, tokenizer).to(context.device)
    load_weights(context.upstream["prior"] / WEIGHTS, model)
    return model.requires_grad_(False).eval()


@torch.inference_mode()
def tokens_of(tokenizer: Tokenizer, split: Split) -> tuple[Tensor, Tensor]:
    """Tokens of the exact poses of the finest level: (N, 16) and, in the paper, (N, 48)."""
    finest = split.levels[tokenizer.levels[-1]]
    parts = [tokenizer.encode(poses) for poses in finest.split(EVALUATION_BATCH)]
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


@torch.inference_mode()
def _measure(
    model: AnyPrior, tokenizer: Tokenizer, test: Split, context: StageContext
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
    names = ("cross_entropy", "sparse_accuracy_pct", "dense_accuracy_pct")
    metrics = dict(zip(names, totals.tolist(), strict=True))
    if not tokenizer.dense_per_part:
        del metrics["dense_accuracy_pct"]
    return metrics
