"""Between prior and lifter: generate dense and fine poses for every sample, once (Alg. 1)."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from hipart.data.plan import sides
from hipart.data.splits import Side
from hipart.models.densifier import Densifier
from hipart.models.tokenizer import Tokenizer
from hipart.stages.context import StageContext
from hipart.stages.oracles import oracle_batches
from hipart.stages.prior import load_prior
from hipart.stages.tensors import (
    check_extent,
    check_fitted,
    errors_px,
    fitted_rows,
    fitted_tensors,
    judged_on,
    split_tensors,
)
from hipart.stages.tokenizer import load_tokenizer

POSES = "poses.safetensors"


def train(context: StageContext) -> dict[str, float]:
    """Generate for the detected joints of every split; measured on test or validation."""
    tokenizer = load_tokenizer(context)
    batches_of = _batches(context, tokenizer)
    corpus, judged = context.corpus, judged_on(context)
    for side in sides(context.config.data):
        check_extent(context, side)
    check_fitted(corpus, judged)
    total = sum(
        split_tensors(corpus, side, context.device).size for side in sides(context.config.data)
    )
    done = 0
    generated: dict[str, Tensor] = {}
    for name in sides(context.config.data):
        batches = []
        for batch in batches_of(name):
            batches.append(batch)
            done += len(batch[tokenizer.levels[-1]])
            context.report(done, total, {})
        for level in tokenizer.levels:
            generated[f"{name}/{level}"] = torch.cat([batch[level] for batch in batches]).cpu()
    save_file(generated, context.work / POSES)

    def errors(side: Side, name: str) -> dict[str, float]:
        exact = fitted_tensors(corpus, side, context.device).levels
        found: dict[int, Tensor] = {
            level: fitted_rows(generated[f"{side}/{level}"], corpus, side)
            for level in tokenizer.levels
        }
        return errors_px(name, found, exact, corpus)

    seen = errors("train", "train_error_px")
    trained = {name: value for name, value in seen.items() if name.endswith("_train_error_px")}
    return trained | errors(judged, "error_px")


def _batches(
    context: StageContext, tokenizer: Tokenizer
) -> Callable[[Side], Iterator[dict[int, Tensor]]]:
    """From a side to its dense poses, batch by batch: generated, or what an oracle makes of it."""
    if not context.config.densify.plain:
        return partial(oracle_batches, context, tokenizer)
    densifier = load_densifier(context, tokenizer)
    return lambda side: densifier.batches(
        split_tensors(context.corpus, side, context.device).detected
    )


def load_densifier(context: StageContext, tokenizer: Tokenizer) -> Densifier:
    """The trained prior and its tokenizer as one, as the config has them decode."""
    config = context.config
    prior = load_prior(context, tokenizer)
    return Densifier(prior, tokenizer, config.data.coordinates, config.densify.decode)


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
