"""The one training loop. A step is a function of (weights, optimiser state, step number).

Data order and dropout are drawn anew from (seed, epoch) and (seed, step), so a checkpoint needs
no generator state, and a job that was killed goes on bit for bit as if it had not been (CPU).
Data lies on the device as tensors; numbers leave it only where a history row is written.
"""

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from hipart.config import PriorConfig, RegressorConfig, TokenizerConfig
from hipart.stages.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint
from hipart.stages.context import StageContext

#: A kill costs at most this much of a job.
CHECKPOINT_SECONDS = float(os.environ.get("HIPART_CHECKPOINT_SECONDS", "5"))
HISTORY_ROWS = 100

#: ``loss(index)``: the loss of the samples at ``index`` and its named, detached parts.
BatchLoss = Callable[[Tensor], tuple[Tensor, dict[str, Tensor]]]


@dataclass(frozen=True)
class Plan:
    """How long, in which portions and how fast a stage trains."""

    samples: int
    epochs: int
    batch_size: int
    #: Learning rate at (step, steps per epoch, all steps).
    learning_rate: Callable[[int, int, int], float]
    seed: int

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
        return self.epochs * self.steps_per_epoch


def warmup_cosine(peak: float, warmup_steps: int) -> Callable[[int, int, int], float]:
    """Linear warm-up from 0.001 of ``peak``, then cosine to 1e-5 of it (PCT's recipe)."""

    def rate(step: int, _: int, total: int) -> float:
        warmup = min(warmup_steps, total // 2)
        if step < warmup:
            return peak * (0.001 + 0.999 * step / warmup)
        progress = (step - warmup) / max(1, total - warmup)
        return peak * (1e-5 + (1 - 1e-5) * 0.5 * (1 + math.cos(math.pi * progress)))

    return rate


def step_decay(start: float, decay: float, epochs: int) -> Callable[[int, int, int], float]:
    """``start`` times ``decay`` for every ``epochs`` finished epochs (App. C, lifter)."""

    def rate(step: int, steps_per_epoch: int, _: int) -> float:
        return start * float(decay ** (step // steps_per_epoch // epochs))

    return rate


def fit_adamw(
    context: StageContext,
    model: nn.Module,
    loss: BatchLoss,
    config: TokenizerConfig | PriorConfig | RegressorConfig,
    samples: int,
) -> None:
    """``fit`` as all stages but the lifter do: AdamW under a warm-up and a cosine (App. C)."""
    plan = Plan(
        samples=samples,
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=warmup_cosine(config.learning_rate, config.warmup_steps),
        seed=config.seed,
    )
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    fit(context, model, optimiser, loss, plan)


def seeded(seed: int, *purpose: int) -> int:
    """A seed for one purpose, far from those of its neighbours (splitmix-like mixing)."""
    state = seed + 1
    for part in purpose:
        state = (state * 0x9E3779B97F4A7C15 + part + 0x632BE59BD9B4E019) % 2**64
        state ^= state >> 31
    return state % 2**63


def fit(
    context: StageContext, model: nn.Module, optimiser: Optimizer, loss: BatchLoss, plan: Plan
) -> list[dict[str, float]]:
    """Train ``model`` in place, from its last checkpoint if there is one; returns the history.

    Raises ``FloatingPointError`` naming the step when a loss is not finite.
    """
    history_file = context.work / "history.jsonl"
    checkpoint = context.work / CHECKPOINT
    start = load_checkpoint(checkpoint, model, optimiser) if checkpoint.exists() else 0
    history = _read_history(history_file, start)
    every = max(1, plan.steps // HISTORY_ROWS)
    sums: dict[str, Tensor] = {}
    order = torch.empty(0)
    saved_at = time.monotonic()
    model.train()
    forked = [context.device] if context.device.type == "cuda" else []
    with torch.random.fork_rng(devices=forked):
        for step in range(start, plan.steps):
            epoch, place = divmod(step, plan.steps_per_epoch)
            if place == 0 or step == start:
                order = _epoch_order(plan, epoch).to(context.device)
            torch.manual_seed(seeded(plan.seed, 1, step))
            for group in optimiser.param_groups:
                group["lr"] = plan.learning_rate(step, plan.steps_per_epoch, plan.steps)
            optimiser.zero_grad(set_to_none=True)
            value, parts = loss(order[place * plan.batch : (place + 1) * plan.batch])
            value.backward()
            optimiser.step()
            for name, part in {"loss": value.detach(), **parts}.items():
                sums[name] = sums[name] + part if name in sums else part
            done = step + 1
            if done % every == 0 or done == plan.steps:
                row = {"step": done, **_means(sums, (step % every) + 1, done)}
                sums = {}
                history.append(row)
                if time.monotonic() - saved_at > CHECKPOINT_SECONDS and done < plan.steps:
                    _write_history(history_file, history)
                    save_checkpoint(checkpoint, model, optimiser, done)
                    saved_at = time.monotonic()
                context.report(done, plan.steps, {k: v for k, v in row.items() if k != "step"})
    _write_history(history_file, history)
    model.eval()
    return history


def _epoch_order(plan: Plan, epoch: int) -> Tensor:
    generator = torch.Generator().manual_seed(seeded(plan.seed, 2, epoch))
    return torch.randperm(plan.samples, generator=generator)


def _means(sums: dict[str, Tensor], count: int, step: int) -> dict[str, float]:
    values = torch.stack([part.double() for part in sums.values()]).tolist()
    means = {name: value / count for name, value in zip(sums, values, strict=True)}
    bad = [name for name, value in means.items() if not math.isfinite(value)]
    if bad:
        raise FloatingPointError(f"{', '.join(bad)} is not finite at step {step}")
    return means


def _read_history(path: Path, steps: int) -> list[dict[str, float]]:
    if steps == 0 or not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row for row in rows if row["step"] <= steps]


def _write_history(path: Path, history: list[dict[str, float]]) -> None:
    part = path.with_suffix(".part")
    part.write_text("".join(json.dumps(row) + "\n" for row in history))
    part.replace(path)
