"""The one training loop. A step is a function of (weights, optimiser state, step number).

Data order and dropout are drawn anew from (seed, epoch) and (seed, step), so a checkpoint needs
no generator state, and a job that was killed goes on bit for bit as if it had not been (CPU); so
does a longer one from where a shorter one ended, if its rates are those of the shorter one.
Everything a step needs lies on the device; numbers leave it about once a second.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from hipart.config import AdamWTraining
from hipart.models.capture import Captured
from hipart.stages.checkpoint import (
    CHECKPOINT,
    STATE,
    Progress,
    checkpoint_place,
    load_checkpoint,
    save_checkpoint,
)
from hipart.stages.context import StageContext
from hipart.stages.history import HISTORY_ROWS, VALIDATION, History, Row
from hipart.stages.schedule import Plan, seeded, warmup_cosine
from hipart.stages.training import Objective, Training, TrainingStep

#: A kill costs at most this much of a job.
CHECKPOINT_SECONDS = float(os.environ.get("HIPART_CHECKPOINT_SECONDS", "5"))
#: Set when this process has been told to end: every training saves its checkpoint and stops.
NOTICE = threading.Event()
#: History rows from one validation to the next.
ROWS_BETWEEN_VALIDATIONS = 5
#: How often numbers are fetched from an accelerator, which has to stop for it.
FETCH_SECONDS = 1.0


class Interrupted(Exception):
    """A training stopped because its process has to end; its checkpoint is saved."""


def with_adamw(objective: Objective, config: AdamWTraining, samples: int) -> Training:
    """A training as all stages but the lifter have it: AdamW, warm-up and cosine (App. C)."""
    plan = Plan(
        samples=samples,
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=warmup_cosine(config.learning_rate, config.warmup_steps),
        seed=config.seed,
        total_steps=config.steps,
    )
    return Training(objective, plan, config.weight_decay, config.weight_decay_on)


def fit(contexts: Sequence[StageContext], trainings: Sequence[Training]) -> list[list[Row]]:
    """Train every member in place, from its last checkpoint if there is one; their histories.

    Members that stand at the same place are trained as one array. Raises ``FloatingPointError``
    naming the step when a loss is not finite.
    """
    members = [_Member(*pair) for pair in zip(contexts, trainings, strict=True)]
    for place in sorted({member.place for member in members}):
        _Loop([member for member in members if member.place == place]).run()
    return [member.history.rows for member in members]


def train_together(
    contexts: Sequence[StageContext],
    prepare: Callable[[StageContext], Training],
    finish: Callable[[StageContext, Training, list[Row]], dict[str, float]],
) -> list[dict[str, float]]:
    """Prepare, fit and finish every member; its metrics."""
    trainings = [prepare(context) for context in contexts]
    histories = fit(contexts, trainings)
    return [finish(*one) for one in zip(contexts, trainings, histories, strict=True)]


class _Member:
    """A job that is trained, and where its last attempt came to."""

    def __init__(self, context: StageContext, training: Training) -> None:
        self.context, self.training = context, training
        self.checkpoint = context.work / CHECKPOINT
        #: The step it stands after, and the one of the last history row.
        self.place = checkpoint_place(self.checkpoint)
        self.start = self.place[0]
        self.history = History(context.work, self.start)


class _Loop:
    """The steps of one array, which may have one member."""

    def __init__(self, members: Sequence[_Member]) -> None:
        self._members = members
        self._plans = [member.training.plan for member in members]
        self._device = members[0].context.device
        products = members[0].context.config.numerics.products
        trainings = [member.training for member in members]
        micro_batches = members[0].context.micro_batches
        self._step = TrainingStep(trainings, self._device, products, micro_batches)
        #: The step after which the last row was taken.
        self._row_at = members[0].start
        for number, member in enumerate(members):
            if member.start:
                self._restore(number, load_checkpoint(member.checkpoint, member.training.model))
        self._run = Captured(self._step, self._device)
        #: Rows that are still on the device: their step, number of steps, sums, and what each
        #: member's validation gave.
        self._rows: list[tuple[int, int, Tensor, list[Row]]] = []
        self._row_every = max(1, self._plans[0].steps // HISTORY_ROWS)
        if self._row_at < self._plans[0].steps and not self._due(self._row_at):
            # A shorter training ended there.
            for member in members:
                member.history.forget_last(VALIDATION)
        self._fetched_at = self._saved_at = time.monotonic()

    def run(self) -> None:
        """From the members' step to the last."""
        plan, start = self._plans[0], self._members[0].start
        seed, *other_seeds = (one.seed for one in self._plans)
        forked = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices=forked):
            for step in range(start, plan.steps):
                epoch, place = divmod(step, plan.steps_per_epoch)
                if place == 0 or step == start:
                    batches, rates = self._epoch(epoch)
                torch.manual_seed(seeded(seed, *other_seeds, 1, step))
                self._step.index.copy_(batches[place])
                self._step.rates.copy_(rates[place])
                self._run()
                done = step + 1
                if done % self._row_every == 0 or done == plan.steps:
                    self._take_row(done)
                if NOTICE.is_set() and done < plan.steps:
                    self._fetch()
                    self._save(done)
                    raise Interrupted(f"told to end after step {done} of {plan.steps}")
        for number, member in enumerate(self._members):
            member.history.write()
            if member.context.resumable:
                self._save_member(number, STATE, plan.steps)
            member.training.model.eval()
            member.context.facts.update(self._facts())

    def _epoch(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Samples (steps, members, batch) and learning rates (steps, members) of an epoch."""
        for member in self._members:
            member.training.objective.begin_epoch(epoch)
        batches = torch.stack([plan.batches(epoch) for plan in self._plans], dim=1)
        rates = torch.tensor([plan.rates(epoch) for plan in self._plans]).T
        return batches.to(self._device), rates.to(self._device)

    def _take_row(self, done: int) -> None:
        sums = self._step.sums
        count, self._row_at = done - self._row_at, done
        validated = self._validate(done)
        self._rows.append((done, count, torch.stack([*sums.values()]).double(), validated))
        for part in sums.values():
            part.zero_()
        last = done == self._plans[0].steps
        waited = time.monotonic() - self._fetched_at
        if last or self._device.type == "cpu" or waited > FETCH_SECONDS:
            self._fetch()
            if not last and time.monotonic() - self._saved_at > CHECKPOINT_SECONDS:
                self._save(done)
            for member in self._members:
                means = {name: v for name, v in member.history.rows[-1].items() if name != "step"}
                member.context.report(done, self._plans[0].steps, means)

    def _validate(self, done: int) -> list[Row]:
        """Errors on samples held out, of every member that has some, at every few rows."""
        errors: list[Row] = [{} for _ in self._members]
        if not self._due(done) and done != self._plans[0].steps:
            return errors
        for number, member in enumerate(self._members):
            if member.training.validate is not None:
                member.training.model.eval()
                with torch.inference_mode():
                    errors[number] = member.training.validate()
                member.training.model.train()
        return errors

    def _due(self, step: int) -> bool:
        return step // self._row_every % ROWS_BETWEEN_VALIDATIONS == 0

    def _save(self, step: int) -> None:
        """Leave checkpoints behind, and the histories up to them."""
        for number, member in enumerate(self._members):
            member.history.write()
            self._save_member(number, CHECKPOINT, step)
        self._saved_at = time.monotonic()

    def _save_member(self, number: int, file: str, step: int) -> None:
        member, sums = self._members[number], self._step.sums
        mine = {name: part[number].cpu() for name, part in sums.items()}
        progress = Progress(self._step.optimiser.state(number), mine, self._row_at)
        save_checkpoint(member.context.work / file, member.training.model, progress, step)

    def _restore(self, number: int, progress: Progress) -> None:
        """Go on where a checkpoint was taken, perhaps between two rows of the history."""
        self._step.optimiser.restore(number, progress.optimiser, self._members[number].start)
        self._row_at = progress.row_at
        for name, value in progress.sums.items():
            zeros = torch.zeros(len(self._members), device=self._device)
            self._step.sums.setdefault(name, zeros)[number] = value

    def _fetch(self) -> None:
        if not self._rows:
            return
        names = [*self._step.sums]
        values = torch.stack([sums for _, _, sums, _ in self._rows]).tolist()
        for (done, count, _, validated), parts in zip(self._rows, values, strict=True):
            for number, member in enumerate(self._members):
                means = {n: part[number] / count for n, part in zip(names, parts, strict=True)}
                # Sorted, as parts of the loss are that come from a checkpoint.
                member.history.add(done, dict(sorted((means | validated[number]).items())))
        self._rows = []
        self._fetched_at = time.monotonic()

    def _facts(self) -> dict[str, object]:
        """For the provenance: into what batches were divided, and whether steps were replayed."""
        count = self._step.micro_batches
        divided: dict[str, object] = {"micro_batches": count} if count > 1 else {}
        if self._device.type == "cpu":
            return divided
        if not self._run.recorded:
            refused = self._run.refused or "too few steps"
            return divided | {"captured": False, "not_captured": refused}
        return divided | {"captured": True, "capture_s": round(self._run.seconds, 3)}
