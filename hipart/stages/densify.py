"""Between prior and lifter: generate dense and fine poses for every sample, once (Alg. 1)."""

from typing import Literal

from safetensors.torch import load_file, save_file
from torch import Tensor

from hipart.models.densifier import GENERATION_BATCH, densify, gathered
from hipart.skeleton import LEVEL_NAMES
from hipart.stages.context import StageContext
from hipart.stages.prior import load_prior
from hipart.stages.tensors import error_px, split_tensors
from hipart.stages.tokenizer import load_tokenizer

POSES = "poses.safetensors"


def train(context: StageContext) -> dict[str, float]:
    """Generate for the detected joints of both splits; measured against the exact test poses."""
    tokenizer = load_tokenizer(context)
    prior = load_prior(context, tokenizer)
    corpus = context.corpus
    test = split_tensors(corpus, "test", context.device)
    train_poses = split_tensors(corpus, "train", context.device).detected
    total = sum(-(-len(poses) // GENERATION_BATCH) for poses in (train_poses, test.detected))
    generated: dict[str, Tensor] = {}
    step = 0
    for name, poses in {"train": train_poses, "test": test.detected}.items():
        batches = []
        for batch in densify(prior, tokenizer, poses):
            batches.append(batch)
            step += 1
            context.report(step, total, {})
        for level, points in gathered(batches).items():
            generated[f"{name}/{level}"] = points.cpu()
    save_file(generated, context.work / POSES)
    size = corpus.image_size
    return {
        f"{LEVEL_NAMES[level]}_error_px": error_px(
            generated[f"test/{level}"], test.levels[level].cpu(), size
        )
        for level in tokenizer.levels
    }


def load_poses(
    context: StageContext, split: str, source: Literal["densify", "regressor"]
) -> dict[int, Tensor]:
    """A stage's poses of ``train`` or ``test`` by number of points, on the job's device."""
    generated = load_file(context.upstream[source] / POSES)
    return {
        int(name.removeprefix(f"{split}/")): poses.to(context.device)
        for name, poses in generated.items()
        if name.startswith(f"{split}/")
    }
