"""One training step, of a single model or of an array of models with equal shapes.

An ``Objective`` holds everything that a step touches: the model, the data that batches are drawn
from, the weights of the loss. An array stacks the objectives of its members along a new first
dimension, runs their steps as one (``torch.vmap``) and leaves every member's parameters and
buffers as views into the stack: whoever looks at a member sees a model trained alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from hipart.config import DecayedWeights
from hipart.models.layers import Dropout
from hipart.stages.adam import Adam
from hipart.stages.numerics import Products, forward_in, step_in
from hipart.stages.schedule import Plan

#: A loss, and its named parts, detached.
Losses = tuple[Tensor, dict[str, Tensor]]


class IndivisibleError(Exception):
    """A batch that has to be computed as a whole, and does not fit into memory."""


class Objective(nn.Module):
    """What is minimised: a mean over the samples of a batch, so that micro-batches can share it.

    ``data`` are tensors that ``forward`` reads, as buffers of their names.
    """

    def __init__(self, model: nn.Module, data: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.model = model
        self.data = tuple(data)
        for name, tensor in data.items():
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, index: Tensor) -> Losses:
        """The loss of the samples at ``index`` (batch,), and its parts."""
        raise NotImplementedError

    def begin_epoch(self, epoch: int) -> None:
        """Put in place what an epoch sees, where it is not what the one before saw.

        A function of the epoch's number: a training that goes on in its middle calls it, too.
        """

    def divide(self, micro_batches: int) -> None:
        """Let a step call ``forward`` so many times, once for each part of its batch.

        What a step does once, it does with the last of them. Raises ``IndivisibleError`` for batch
        normalisation, which lets a sample's loss depend on all others of the batch.
        """
        for module in self.model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                name = type(self.model).__name__
                raise IndivisibleError(f"batch normalisation in {name} needs the whole batch")


@dataclass(frozen=True)
class Training:
    """A model about to be trained."""

    objective: Objective
    plan: Plan
    weight_decay: float = 0.0
    #: Which weights decay: all, or matrices alone.
    weight_decay_on: DecayedWeights = "all"
    #: The error of the model, in eval mode, on samples held out: numbers for the history.
    validate: Callable[[], dict[str, float]] | None = None

    @property
    def model(self) -> nn.Module:
        """The model itself."""
        return self.objective.model


class TrainingStep:
    """One step of one training, or of several at once, on tensors that stay where they are.

    Before a call, ``index`` (members, batch) says which samples it sees and ``rates`` (members,)
    how fast it learns; afterwards ``sums`` holds each part of the loss (members,), added up since
    they were last set to zero.

    With ``micro_batches`` it computes so many parts of the batch one after the other, adds up their
    gradients, each weighted by its share of the samples, and does everything else once: the same
    step to rounding, but for what is drawn inside it, as for dropout, which is drawn differently.
    """

    def __init__(
        self,
        members: Sequence[Training],
        device: torch.device,
        products: Products = "float32",
        micro_batches: int = 1,
    ) -> None:
        batch = members[0].plan.batch
        decay = [one.weight_decay for one in members]
        self.index = torch.zeros(len(members), batch, dtype=torch.int64, device=device)
        self.rates = torch.zeros(len(members), device=device)
        self.sums: dict[str, Tensor] = {}
        self._products = products
        #: Parts of the batch, as even as they can be; never more than it has samples.
        self.micro_batches = min(micro_batches, batch)
        self._indices = self.index.tensor_split(self.micro_batches, dim=1)
        objectives = [one.objective for one in members]
        self.weights = _side_by_side([objective.model for objective in objectives])
        self.optimiser = Adam(self.weights, decay, _decayed(members[0], self.weights))
        self._run = _Alone(objectives[0]) if len(members) == 1 else _Array(objectives, self.weights)
        for objective in objectives:
            objective.model.train()
            if self.micro_batches > 1:
                objective.divide(self.micro_batches)

    def __call__(self) -> None:
        """Forward, backward, optimiser; nothing leaves the device."""
        for leaf in self._run.leaves:
            leaf.grad = None
        with step_in(self._products):
            for index in self._indices:
                self._accumulate(index)
        self.optimiser.step(self._gradient(), self.rates)

    def _accumulate(self, index: Tensor) -> None:
        """Add a micro-batch's share to the gradients and to the sums."""
        share = index.shape[1] / self.index.shape[1]
        with forward_in(self._products, index.device):
            losses, parts = self._run.losses(index)
        losses.backward(torch.full_like(losses, share))
        for name, part in {"loss": losses.detach(), **parts}.items():
            if name not in self.sums:
                self.sums[name] = torch.zeros(len(self.rates), device=part.device)
            self.sums[name].add_(part, alpha=share)

    def _gradient(self) -> Tensor:
        """Of all leaves: (members, n) in the order of the weights."""
        grads = [
            torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in self._run.leaves
        ]
        return torch.cat([grad.reshape(len(self.rates), -1) for grad in grads], dim=1)


def _side_by_side(models: Sequence[nn.Module]) -> Tensor:
    """All trained parameters as one tensor (members, n), of which they become views."""
    weights = torch.stack([nn.utils.parameters_to_vector(one.parameters()) for one in models])
    weights = weights.detach()
    for model, row in zip(models, weights, strict=True):
        nn.utils.vector_to_parameters(row, model.parameters())
    return weights


def _decayed(training: Training, weights: Tensor) -> Tensor | None:
    """1 for every weight (n,) that decays and 0 for the others; None where all do."""
    if training.weight_decay_on == "all":
        return None
    matrices = {
        module.weight for module in training.model.modules() if isinstance(module, nn.Linear)
    }
    marks = [
        torch.full((parameter.numel(),), float(parameter in matrices))
        for parameter in training.model.parameters()
    ]
    return torch.cat(marks).to(weights)


class _Alone:
    """An objective as it is."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self.leaves: list[Tensor] = list(objective.model.parameters())

    def losses(self, index: Tensor) -> Losses:
        """The loss and its parts for the only row of ``index``."""
        result: Losses = self._objective(index[0])
        return result


class _Array:
    """Objectives of equal shapes as one, with a first dimension for the members."""

    def __init__(self, objectives: Sequence[Objective], weights: Tensor) -> None:
        self._base = objectives[0]
        for module in self._base.modules():
            if isinstance(module, Dropout):
                module.native = True
        self._state: dict[str, Tensor] = {}
        self._dims: dict[str, int | None] = {}
        self.leaves: list[Tensor] = []
        start = 0
        for name, parameter in self._base.model.named_parameters():
            end = start + parameter.numel()
            leaf = weights[:, start:end].unflatten(1, parameter.shape).requires_grad_()
            self.leaves.append(leaf)
            self._put(f"model.{name}", leaf, 0)
            start = end
        for name, _ in self._base.named_parameters():
            if name not in self._state:  # of another model than the trained one
                self._put(
                    name, torch.stack([one.get_parameter(name).data for one in objectives]), 0
                )
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

    def _put(self, name: str, tensor: Tensor, dim: int | None) -> None:
        self._state[name], self._dims[name] = tensor, dim

    def _add_buffer(self, name: str, objectives: Sequence[Objective]) -> None:
        """Data that are equal for all are given once; whatever moves is each member's own."""
        first, *others = (one.get_buffer(name) for one in objectives)
        if name in self._base.data and all(torch.equal(first, other) for other in others):
            self._put(name, first, None)
            return
        stacked = torch.stack([first, *others])
        for objective, view in zip(objectives, stacked, strict=True):
            path, _, last = name.rpartition(".")
            setattr(objective.get_submodule(path), last, view)
        self._put(name, stacked, 0)
