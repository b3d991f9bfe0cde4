"""The training loop: a killed job goes on bit for bit (oracle E20); schedules; bad losses."""

from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hipart.config import PipelineConfig
from hipart.stages import fit as fit_module
from hipart.stages.checkpoint import CHECKPOINT, STATE
from hipart.stages.context import Report, StageContext
from hipart.stages.fit import fit
from hipart.stages.history import Row
from hipart.stages.schedule import Plan, seeded, step_decay, warmup_cosine
from hipart.stages.training import Losses, Objective, Training

DATA = torch.randn(96, 4, generator=torch.Generator().manual_seed(0))


class Killed(Exception):
    """Stands for the end of the process."""


class WithBuffer(nn.Module):
    """Dropout, and a buffer that training moves, as an EMA codebook does."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.mean.lerp_(x.mean(0), 0.1)
        out: Tensor = self.layers(x - self.mean)
        return out


def context(work: Path, report: Report) -> StageContext:
    work.mkdir(exist_ok=True)
    nothing: Any = None
    return StageContext(PipelineConfig(), nothing, {}, work, torch.device("cpu"), report)


class SquaredError(Objective):
    """Of the sum of a row; not a number in one step, if told so."""

    def __init__(self, bad_step: int = 0) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(3)
            super().__init__(WithBuffer(), {"rows": DATA})
        self.step, self.bad_step = 0, bad_step

    def forward(self, index: Tensor) -> Losses:
        rows = self.get_buffer("rows")[index]
        self.step += 1
        value = (self.model(rows) - rows.sum(1, keepdim=True)).square().mean()
        value = value * (float("nan") if self.step == self.bad_step else 1.0)
        return value, {"mse": value.detach()}


def build(bad_step: int = 0, plan: Plan | None = None) -> Training:
    return Training(SquaredError(bad_step), plan or PLAN, weight_decay=0.01)


PLAN = Plan(samples=96, epochs=10, batch_size=20, learning_rate=warmup_cosine(0.05, 5), seed=7)


def train(work: Path, report: Report) -> tuple[nn.Module, list[Row]]:
    training = build()
    (history,) = fit([context(work, report)], [training])
    return training.model, history


def quiet(step: int, total: int, metrics: dict[str, float]) -> None:
    assert 0 < step <= total == PLAN.steps == 40


@pytest.mark.parametrize("stops", [[1], [13], [39], [5, 6, 30]])
def test_a_killed_job_goes_on_bit_for_bit(
    stops: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_module, "CHECKPOINT_SECONDS", 0.0)
    whole, whole_history = train(tmp_path / "whole", quiet)
    for stop in stops:

        def kill(step: int, total: int, metrics: dict[str, float], stop: int = stop) -> None:
            if step == stop:
                raise Killed

        with pytest.raises(Killed):
            train(tmp_path / "killed", kill)
        assert (tmp_path / "killed" / CHECKPOINT).exists()
    first: list[int] = []
    resumed, history = train(tmp_path / "killed", lambda step, *_: first.append(step))
    assert first[0] == stops[-1] + 1
    assert history == whole_history
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    left = [(tmp_path / name / "history.jsonl").read_text() for name in ("whole", "killed")]
    assert left[0] == left[1]


def test_a_row_is_the_mean_of_the_steps_since_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a training begins between two rows, as one that continues a shorter one does."""

    def rows(name: str, count: int, plan: Plan) -> list[Row]:
        monkeypatch.setattr(fit_module, "HISTORY_ROWS", count)
        return fit(
            [replace(context(tmp_path / name, lambda *_: None), resumable=True)], [build(plan=plan)]
        )[0]

    plan = replace(PLAN, learning_rate=step_decay(0.05, 0.9, 1))
    every_step = [row["mse"] for row in rows("steps", 100, plan)]
    whole = rows("whole", 3, plan)
    assert [row["step"] for row in whole] == [13, 26, 39, 40]
    rows("parts", 3, replace(plan, epochs=4))
    (tmp_path / "parts" / STATE).rename(tmp_path / "parts" / CHECKPOINT)
    parts = rows("parts", 3, plan)
    assert [row["step"] for row in parts] == [5, 10, 15, 16, 26, 39, 40]
    assert parts[-2:] == whole[-2:]
    for history in (whole, parts):
        done = 0
        for row in history:
            step = int(row["step"])
            assert row["mse"] == pytest.approx(fmean(every_step[done:step]), rel=1e-5)
            done = step


def test_training_does_not_touch_the_global_generator(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    train(tmp_path / "work", quiet)
    assert torch.equal(before, torch.get_rng_state())


def test_another_seed_draws_other_batches(tmp_path: Path) -> None:
    assert (
        len(
            {seeded(seed, purpose, n) for seed in range(9) for purpose in (1, 2) for n in range(99)}
        )
        == 1782
    )


def test_a_loss_that_is_not_finite_names_its_step(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match="loss, mse is not finite at step 4"):
        fit([context(tmp_path / "work", quiet)], [build(bad_step=4)])


def test_schedules_are_the_papers() -> None:
    cosine = warmup_cosine(1e-3, 500)
    assert cosine(0, 100, 10_000) == pytest.approx(1e-6)
    assert cosine(500, 100, 10_000) == pytest.approx(1e-3)
    assert cosine(10_000, 100, 10_000) == pytest.approx(1e-8)
    assert cosine(5250, 100, 10_000) == pytest.approx(0.5e-3, rel=1e-4)
    decay = step_decay(1e-3, 0.96, 4)
    assert decay(399, 100, 2500) == 1e-3
    assert decay(400, 100, 2500) == pytest.approx(0.96e-3)
    assert decay(2499, 100, 2500) == pytest.approx(0.96**6 * 1e-3)


@pytest.mark.parametrize("step", [1, 7, 23, 39])
def test_a_training_told_to_end_goes_on_bit_for_bit(tmp_path: Path, step: int) -> None:
    """Also between two rows of its history, whose means are those of the quiet run."""
    quiet, rows = train(tmp_path / "quiet", lambda *_: None)
    training = build()
    objective = training.objective
    assert isinstance(objective, SquaredError)
    forward = objective.forward

    def until(index: Tensor) -> Losses:
        if objective.step + 1 == step:
            fit_module.NOTICE.set()
        return forward(index)

    objective.forward = until  # type: ignore[method-assign]
    try:
        with pytest.raises(fit_module.Interrupted, match=f"after step {step} of 40"):
            fit([context(tmp_path / "told", lambda *_: None)], [training])
    finally:
        fit_module.NOTICE.clear()
    again, rows_again = train(tmp_path / "told", lambda *_: None)
    assert rows_again == rows
    for one, other in zip(quiet.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other)
