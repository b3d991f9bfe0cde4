"""A tokenizer that misbehaves as its seed says."""

import errno
import time
from collections.abc import Sequence

import torch

from hipart.stages.context import StageContext

#: Fails whenever it is trained.
BROKEN_SEED = 13
#: Hangs when it is trained for the first time; always, with the next seed.
HANGING_SEED = 14
#: From here on every training leaves a line in the store's ``trained.log``.
COUNTED_SEED = 100
#: Finds no space left on the device.
FULL_SEED = 16
#: More members than this do not fit into memory.
FITS = 2


def train(context: StageContext) -> dict[str, float]:
    """Answer the seed, or fail."""
    seed = context.config.tokenizer.seed
    if seed == BROKEN_SEED:
        raise FloatingPointError("loss is not finite at step 3")
    first = context.work / "first"
    if seed == HANGING_SEED + 1 or (seed == HANGING_SEED and not first.exists()):
        first.touch()
        time.sleep(600)
    if seed == FULL_SEED:
        (context.work / "weights").write_bytes(bytes(1_000_000))
        raise OSError(errno.ENOSPC, "No space left on device")
    if seed >= COUNTED_SEED:
        with (context.work.parents[1] / "trained.log").open("a") as log:
            log.write(f"{seed}\n")
        time.sleep(0.01)
    (context.work / "trained").write_text("alone")
    context.report(1, 2, {"loss": float(seed)})
    return {"seed": float(seed)}


def train_array(contexts: Sequence[StageContext]) -> list[dict[str, float]]:
    """The same for all; the first speaks for those that say nothing."""
    if len(contexts) > FITS:
        raise torch.OutOfMemoryError("as told")
    seeds = [context.config.tokenizer.seed for context in contexts]
    if BROKEN_SEED in seeds:
        raise FloatingPointError("some loss is not finite")
    for context in contexts:
        (context.work / "trained").write_text(f"with {len(contexts)}")
    contexts[0].report(1, 2, {"loss": 0.5})
    return [{"seed": float(seed)} for seed in seeds]
