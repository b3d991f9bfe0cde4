"""One training step, of a single model or of an array of models with equal shapes.

An ``Objective`` holds everything that a step touches: the model, the data that batches are drawn
from, the weights of the loss. An array stacks the objectives of its members along a new first
dimension, runs their steps as one (``torch.vmap``) and leaves every member's parameters, buffers
and optimiser as views into the stack: whoever looks at a member sees a model trained alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from hipart.models.layers import Dropout
from hipart.stages.schedule import Plan

#: A loss, and its named parts, detached.
Losses = tuple[Tensor, dict[str, Tensor]]


class Objective(nn.Module):
    """What is minimised. ``data`` are tensors that ``forward`` reads, as buffers of their names."""

    def __init__(self, model: nn.Module, data: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.model = model
        self.data = tuple(data)
        for name, tensor in data.items():
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, index: Tensor) -> Losses:
        """The loss of the samples at ``index`` (batch,), and its parts."""
        raise NotImplementedError


@dataclass(frozen=True)
class Training:
    """A model about to be trained."""

    objective: Objective
    optimiser: Optimizer
    plan: Plan

    @property
    def model(self) -> nn.Module:
        """The model itself."""
        return self.objective.model


class TrainingStep:
    """One step of one training, or of several at once, on tensors that stay where they are.

    Before a call, ``index`` (members, batch) says which samples it sees and ``rates`` (members,)
    how fast it learns; afterwards ``sums`` holds each part of the loss (members,), added up since
    they were last set to zero.
    """

    def __init__(self, members: Sequence[Training], device: torch.device) -> None:
        first = members[0]
        self._members = members
        self._stack = _Stack([one.objective for one in members]) if len(members) > 1 else None
        self.index = torch.zeros(len(members), first.plan.batch, dtype=torch.int64, device=device)
        self.rates = torch.zeros(len(members), device=device)
        self.sums: dict[str, Tensor] = {}
        for rate, member in zip(self.rates, members, strict=True):
            for group in member.optimiser.param_groups:
                group["lr"] = rate
            member.model.train()

    def __call__(self) -> None:
        """Forward, backward, optimisers; nothing leaves the device."""
        for member in self._members:
            member.optimiser.zero_grad(set_to_none=True)
        if self._stack is None:
            loss, parts = self._members[0].objective(self.index[0])
        else:
            loss, parts = self._stack.losses(self.index)
        loss.sum().backward()
        if self._stack is not None:
            self._stack.hand_out_gradients()
        for member in self._members:
            member.optimiser.step()
        for name, part in {"loss": loss.detach(), **parts}.items():
            if name not in self.sums:
                self.sums[name] = torch.zeros(len(self._members), device=part.device)
            self.sums[name] += part


class _Stack:
    """Objectives of equal shapes as one, with a first dimension for the members."""

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self._base = objectives[0]
        for module in self._base.modules():
            if isinstance(module, Dropout):
                module.native = True
        self._views: list[tuple[Tensor, list[nn.Parameter]]] = []
        self._state: dict[str, Tensor] = {}
        self._dims: dict[str, int | None] = {}
        for name, _ in self._base.named_parameters():
            self._add_parameter(name, [one.get_parameter(name) for one in objectives])
        for name, _ in self._base.named_buffers():
            self._add_buffer(name, objectives)

    def losses(self, index: Tensor) -> Losses:
        """Every member's loss (members,) and parts for its own row of ``index``."""

        def one(state: dict[str, Tensor], row: Tensor) -> Losses:
            result: Losses = functional_call(self._base, state, (row,))
            return result

        together: Losses = torch.vmap(one, in_dims=(self._dims, 0), randomness="different")(
            self._state, index
        )
        return together

    def hand_out_gradients(self) -> None:
        """Give each member its part of every gradient."""
        for stacked, members in self._views:
            if stacked.grad is not None:
                for parameter, gradient in zip(members, stacked.grad, strict=True):
                    parameter.grad = gradient
                stacked.grad = None

    def _add_parameter(self, name: str, members: Sequence[nn.Parameter]) -> None:
        stacked = torch.stack([one.detach() for one in members])
        for parameter, view in zip(members, stacked, strict=True):
            parameter.data = view
        stacked.requires_grad_(members[0].requires_grad)
        self._views.append((stacked, list(members)))
        self._state[name], self._dims[name] = stacked, 0

    def _add_buffer(self, name: str, objectives: Sequence[Objective]) -> None:
        members = [one.get_buffer(name) for one in objectives]
        first, *others = members
        if name in self._base.data and all(torch.equal(first, other) for other in others):
            self._state[name], self._dims[name] = first, None
            return
        stacked = torch.stack(members)
        for objective, view in zip(objectives, stacked, strict=True):
            path, _, last = name.rpartition(".")
            setattr(objective.get_submodule(path), last, view)
        self._state[name], self._dims[name] = stacked, 0
