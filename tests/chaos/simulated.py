"""What a simulated stage does: numbers that only follow from its key and from what it stands on.

It takes its time in steps, leaves checkpoints, heeds notices, and meets the faults that lie in the
store's ``.faults``: a file there is a fault for whichever step finds it first.
"""

import errno
import json
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

from hipart.sample_errors import ERRORS, LABELS
from hipart.stages.context import StageContext
from hipart.stages.fit import NOTICE, Interrupted
from hipart.stages.history import HISTORY

STEPS, STEP_S = 20, 0.015
WEIGHTS = "weights.bin"
FAULTS = ".faults"


def train(context: StageContext) -> dict[str, float]:
    """A chain of digests, from the job's key and the bytes of all upstream weights."""
    root = context.work.parents[1]
    checkpoint = context.work / "simulated.json"
    if checkpoint.exists():
        start, state = json.loads(checkpoint.read_text())
    else:
        start, state = 0, _begin(context)
    for step in range(start, STEPS):
        time.sleep(STEP_S)
        _meet(root / FAULTS)
        state = sha256(state.encode()).hexdigest()
        done = step + 1
        context.report(done, STEPS, {"loss": 1 / done})
        if done % 5 == 0 or NOTICE.is_set():
            part = checkpoint.with_suffix(".part")
            part.write_text(json.dumps([done, state]))
            part.replace(checkpoint)
        if NOTICE.is_set() and done < STEPS:
            raise Interrupted(f"told to end after step {done} of {STEPS}")
    checkpoint.unlink()
    (context.work / WEIGHTS).write_bytes(bytes.fromhex(state) * 4000)
    rows = [{"step": step, "loss": 1 / step} for step in range(1, STEPS + 1)]
    (context.work / HISTORY).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with (root / "trained.log").open("a") as log:
        log.write(f"{context.work.name}\n")
    errors = np.frombuffer(bytes.fromhex(state), dtype=np.uint8).astype(np.float64)
    labels = {name: np.arange(len(errors)) // 4 for name in LABELS}
    save_file({"mpjpe_mm": errors, **labels}, context.work / ERRORS)
    return {"mpjpe_mm": float(errors.mean())}


def train_array(contexts: Sequence[StageContext]) -> list[dict[str, float]]:
    """One after the other."""
    return [train(context) for context in contexts]


def _begin(context: StageContext) -> str:
    digest = sha256(context.work.name.encode())
    for stage in sorted(context.upstream):
        digest.update((context.upstream[stage] / WEIGHTS).read_bytes())
    return digest.hexdigest()


def _meet(folder: Path) -> None:
    for fault in folder.glob("*"):
        try:
            fault.unlink()
        except FileNotFoundError:  # somebody else met it
            continue
        match fault.suffix:
            case ".nan":
                raise FloatingPointError("loss is not finite")
            case ".full":
                raise OSError(errno.ENOSPC, "No space left on device")
            case ".oom":
                raise torch.OutOfMemoryError("no memory left on the device")
            case ".hang":
                time.sleep(3600)
