"""Train a densifier that knows no tokens, and densify both splits with it (Fig. 12)."""

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from hipart.models.regressors.build import build_regressor
from hipart.skeleton import LEVEL_NAMES
from hipart.stages.checkpoint import load_weights, save_weights
from hipart.stages.context import StageContext
from hipart.stages.densify import POSES
from hipart.stages.fit import fit_adamw, seeded
from hipart.stages.tensors import error_px, split_tensors
from hipart.stages.tokenizer import EVALUATION_BATCH, WEIGHTS


def train(context: StageContext) -> dict[str, float]:
    """Train on the mean distance to the exact points; measured on the test split."""
    config, corpus = context.config.regressor, context.corpus
    split = split_tensors(corpus.train, corpus, context.device)
    with torch.random.fork_rng():
        torch.manual_seed(seeded(config.seed, 0))
        model = build_regressor(config).to(context.device)
    exact = torch.cat([split.levels[level] for level in config.levels], dim=1)

    def loss(index: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return (model(split.detected[index]) - exact[index]).norm(dim=-1).mean(), {}

    fit_adamw(context, model, loss, config, split.size)
    save_weights(context.work / WEIGHTS, model)
    test = split_tensors(corpus.test, corpus, context.device)
    found: dict[str, Tensor] = {}
    for name, poses in {"train": split.detected, "test": test.detected}.items():
        for level, points in regress(context, model, poses).items():
            found[f"{name}/{level}"] = points.cpu().contiguous()
    save_file(found, context.work / POSES)
    return {
        f"{LEVEL_NAMES[level]}_error_px": error_px(
            found[f"test/{level}"], test.levels[level].cpu(), corpus.image_size
        )
        for level in config.levels
    }


@torch.inference_mode()
def regress(context: StageContext, model: nn.Module, poses: Tensor) -> dict[int, Tensor]:
    """Points of each level (N, points, 2) for detected joints (N, 17, 2)."""
    levels = context.config.regressor.levels
    points = torch.cat([model(batch) for batch in poses.split(EVALUATION_BATCH)])
    return dict(zip(levels, points.split(list(levels), dim=1), strict=True))


def load_regressor(context: StageContext) -> nn.Module:
    """The trained regressor of an upstream artifact, frozen, on the job's device."""
    model = build_regressor(context.config.regressor).to(context.device)
    load_weights(context.upstream["regressor"] / WEIGHTS, model)
    return model.requires_grad_(False).eval()
