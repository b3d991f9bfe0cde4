"""Weights and optimiser state in one safetensors file: whole or absent, never a pickle."""

import shutil
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

#: Where an unfinished job has come to; it is not part of the artifact.
CHECKPOINT = "checkpoint.safetensors"
#: Where a finished job has come to, if another may go on from there.
STATE = "state.safetensors"


def save_weights(path: Path, model: nn.Module, **facts: str) -> None:
    """Write a module's state; ``facts`` go into the file's header."""
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, path, metadata=facts)


def load_weights(path: Path, model: nn.Module) -> None:
    """Read a module's state, every tensor of it."""
    model.load_state_dict(load_file(path))


def read_facts(path: Path) -> dict[str, str]:
    """The header that ``save_weights`` wrote."""
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})


class Progress(NamedTuple):
    """A training after a step: the optimiser's state, and the parts of the loss that no history row
    has yet, added up since the step of the last one."""

    optimiser: dict[str, Tensor]
    sums: dict[str, Tensor]
    row_at: int


def save_checkpoint(path: Path, model: nn.Module, progress: Progress, step: int) -> None:
    """Write everything that step ``step`` left behind."""
    parts = {"model": model.state_dict(), "optimiser": progress.optimiser, "sums": progress.sums}
    tensors = {
        f"{kind}/{name}": tensor.contiguous()
        for kind, state in parts.items()
        for name, tensor in state.items()
    }
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata={"step": str(step), "row_at": str(progress.row_at)})
    part.replace(path)


def copy_checkpoint(path: Path, to: Path) -> None:
    """Copy what ``save_checkpoint`` wrote."""
    part = to.with_suffix(".part")
    shutil.copyfile(path, part)
    part.replace(to)


def checkpoint_step(path: Path) -> int:
    """The step of a checkpoint; 0 where there is none."""
    return checkpoint_place(path)[0]


def checkpoint_place(path: Path) -> tuple[int, int]:
    """The step of a checkpoint, and that of the last history row before it; 0 where is none."""
    if not path.exists():
        return 0, 0
    facts = read_facts(path)
    return int(facts["step"]), int(facts.get("row_at", facts["step"]))


def is_readable(path: Path) -> bool:
    """Whether there is a whole checkpoint; a file cut off by a power failure is none."""
    try:
        return path.exists() and checkpoint_step(path) >= 0
    except (SafetensorError, KeyError, ValueError):
        return False


def load_checkpoint(path: Path, model: nn.Module) -> Progress:
    """Restore the model that ``save_checkpoint`` wrote; returns the rest."""
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "optimiser": {}, "sums": {}}
    for place, tensor in load_file(path).items():
        kind, _, name = place.partition("/")
        parts[kind][name] = tensor
    model.load_state_dict(parts["model"])
    return Progress(parts["optimiser"], parts["sums"], checkpoint_place(path)[1])
