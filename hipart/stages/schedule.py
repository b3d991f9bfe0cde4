"""How long, in which portions and how fast a stage trains; what is drawn from which seed."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Plan:
    """The course of one training."""

    samples: int
    #: None where it is given how many ``total_steps`` there are.
    epochs: int | None
    batch_size: int
    #: Learning rate at (step, steps per epoch, all steps).
    learning_rate: Callable[[int, int, int], float]
    seed: int
    total_steps: int | None = None

    @property
    def batch(self) -> int:
        """Samples in a batch: never more than there are."""
        return min(self.batch_size, self.samples)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch; the rest of the permutation is dropped."""
        return self.samples // self.batch

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        if self.total_steps is not None:
            return self.total_steps
        assert self.epochs is not None
        return self.epochs * self.steps_per_epoch

    def rates(self, epoch: int) -> list[float]:
        """Learning rate of every step of an epoch."""
        first = epoch * self.steps_per_epoch
        steps = range(first, first + self.steps_per_epoch)
        return [self.learning_rate(step, self.steps_per_epoch, self.steps) for step in steps]

    def batches(self, epoch: int) -> Tensor:
        """Which samples every step of an epoch sees: (steps, batch)."""
        generator = torch.Generator().manual_seed(seeded(self.seed, 2, epoch))
        order = torch.randperm(self.samples, generator=generator)
        return order[: self.steps_per_epoch * self.batch].view(self.steps_per_epoch, self.batch)


def warmup_cosine(peak: float, warmup_steps: int) -> Callable[[int, int, int], float]:
    """Linear warm-up from 0.001 of ``peak``, then cosine to 1e-5 of it (PCT's recipe)."""

    def rate(step: int, _: int, total: int) -> float:
        warmup = min(warmup_steps, total // 2)
        if step < warmup:
            return peak * (0.001 + 0.999 * step / warmup)
        progress = (step - warmup) / max(1, total - warmup)
        return peak * (1e-5 + (1 - 1e-5) * 0.5 * (1 + math.cos(math.pi * progress)))

    return rate


def step_decay(
    start: float, decay: float, epochs: int | None, steps: int | None = None
) -> Callable[[int, int, int], float]:
    """``start`` times ``decay`` every so many ``epochs`` (App. C), or every so many ``steps``."""

    def rate(step: int, steps_per_epoch: int, _: int) -> float:
        each = steps if steps is not None else steps_per_epoch * (epochs or 1)
        return start * float(decay ** (step // each))

    return rate


def seeded(seed: int, *purpose: int) -> int:
    """A seed for one purpose, far from those of its neighbours (splitmix-like mixing)."""
    state = seed + 1
    for part in purpose:
        state = (state * 0x9E3779B97F4A7C15 + part + 0x632BE59BD9B4E019) % 2**64
        state ^= state >> 31
    return state % 2**63
