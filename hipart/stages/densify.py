"""Between prior and lifter: generate dense and fine poses for every sample, once (Alg. 1)."""

from typing import Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from hipart.data.plan import sides
from hipart.data.splits import Side
from hipart.models.densifier import Densifier
from hipart.skeleton import LEVEL_NAMES
from hipart.stages.context import StageContext
from hipart.stages.prior import load_prior
from hipart.stages.tensors import error_px, judged_on, split_tensors
from hipart.stages.tokenizer import load_tokenizer

POSES = "poses.safetensors"


def train(context: StageContext) -> dict[str, float]:
    """Generate for the detected joints of every split; measured on test or validation."""
    tokenizer = load_tokenizer(context)
    densifier = Densifier(load_prior(context, tokenizer), tokenizer)
    corpus, judged = context.corpus, judged_on(context)
    exact = split_tensors(corpus, judged, context.device).levels
    detected = {
        side: split_tensors(corpus, side, context.device).detected
        for side in sides(context.config.data)
    }
    total = sum(map(len, detected.values()))
    done = 0
    generated: dict[str, Tensor] = {}
    for name, poses in detected.items():
        batches = []
        for batch in densifier.batches(poses):
            batches.append(batch)
            done += len(batch[tokenizer.levels[-1]])
            context.report(done, total, {})
        for level in tokenizer.levels:
            generated[f"{name}/{level}"] = torch.cat([batch[level] for batch in batches]).cpu()
    save_file(generated, context.work / POSES)
    size = corpus.image_size
    return {
        f"{LEVEL_NAMES[level]}_error_px": error_px(
            generated[f"{judged}/{level}"], exact[level].cpu(), size
        )
        for level in tokenizer.levels
    }


def load_poses(
    context: StageContext, split: Side, source: Literal["densify", "regressor"]
) -> dict[int, Tensor]:
    """A stage's poses of a split by number of points, on the job's device."""
    generated = load_file(context.upstream[source] / POSES)
    return {
        int(name.removeprefix(f"{split}/")): poses.to(context.device)
        for name, poses in generated.items()
        if name.startswith(f"{split}/")
    }
