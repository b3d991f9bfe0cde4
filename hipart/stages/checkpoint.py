"""Weights and optimiser state in one safetensors file: whole or absent, never a pickle."""

from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

#: The one file of a work folder that is not part of the artifact.
CHECKPOINT = "checkpoint.safetensors"


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


def save_checkpoint(path: Path, model: nn.Module, optimiser: Optimizer, step: int) -> None:
    """Write everything that step ``step`` left behind."""
    tensors: dict[str, Tensor] = {
        f"model/{name}": tensor.contiguous() for name, tensor in model.state_dict().items()
    }
    for number, state in optimiser.state_dict()["state"].items():
        for name, tensor in state.items():
            tensors[f"optimiser/{number}/{name}"] = tensor
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata={"step": str(step)})
    part.replace(path)


def load_checkpoint(path: Path, model: nn.Module, optimiser: Optimizer) -> int:
    """Restore what ``save_checkpoint`` wrote; returns its step."""
    tensors = load_file(path)
    weights: dict[str, Tensor] = {}
    state: dict[int, dict[str, Tensor]] = {}
    for place, tensor in tensors.items():
        kind, _, name = place.partition("/")
        if kind == "model":
            weights[name] = tensor
        else:
            number, _, field = name.partition("/")
            state.setdefault(int(number), {})[field] = tensor
    model.load_state_dict(weights)
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
    return int(read_facts(path)["step"])
