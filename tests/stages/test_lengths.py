"""A stage whose length is in steps takes exactly so many, with its schedule over them."""

import json
from pathlib import Path
from types import ModuleType

import pytest
import torch

from hipart.config import PAPER_LIFTER_EPOCH, LifterConfig, PriorConfig
from hipart.data.corpus import Corpus, load_corpus
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.jobs import jobs
from hipart.stages import lifter, prior, regressor, tokenizer
from hipart.stages.context import StageContext
from hipart.stages.schedule import Plan, step_decay, warmup_cosine

BASE = with_changes(
    base_at_scale("smoke"),
    {
        "data.train_samples": 128,
        "data.validation_samples": 0,
        "lifter.dense_input": "none",
        **{f"{stage}.batch_size": 32 for stage in ("tokenizer", "prior", "regressor", "lifter")},
    },
)
STAGES: dict[str, ModuleType] = {
    "tokenizer": tokenizer,
    "prior": prior,
    "regressor": regressor,
    "lifter": lifter,
}
#: Two epochs and a half.
STEPS = 10


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load_corpus(BASE.data, BASE.detector)


@pytest.fixture(scope="module")
def trained(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("tokenizer")
    tokenizer.train(StageContext(BASE, corpus, {}, work, torch.device("cpu"), lambda *_: None))
    return work


def rates(plan: Plan) -> list[float]:
    """Learning rate of every step that is taken."""
    epochs = -(-plan.steps // plan.steps_per_epoch)
    return [rate for epoch in range(epochs) for rate in plan.rates(epoch)][: plan.steps]


@pytest.mark.parametrize("stage", STAGES)
def test_so_many_steps_are_taken(stage: str, corpus: Corpus, trained: Path, tmp_path: Path) -> None:
    config = with_changes(BASE, {f"{stage}.steps": STEPS})
    told: list[tuple[int, int]] = []
    context = StageContext(
        config,
        corpus,
        {"tokenizer": trained},
        tmp_path,
        torch.device("cpu"),
        lambda step, total, _: told.append((step, total)),
    )
    plan: Plan = STAGES[stage].prepare(context).plan
    assert (plan.steps, plan.steps_per_epoch) == (STEPS, 4)
    STAGES[stage].train(context)
    assert told[-1] == (STEPS, STEPS)
    rows = [json.loads(row) for row in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [*range(1, STEPS + 1)]
    if stage == "lifter":
        return
    section = getattr(config, stage)
    rate = warmup_cosine(section.learning_rate, section.warmup_steps)
    assert rates(plan) == [rate(step, 4, STEPS) for step in range(STEPS)]
    assert max(rates(plan)) == rates(plan)[section.warmup_steps] == section.learning_rate
    last, peak = rates(plan)[-1], section.learning_rate
    assert last < 0.1 * peak, "the cosine ends with the steps"


def test_a_lifter_decays_over_steps(corpus: Corpus, tmp_path: Path) -> None:
    changes = {"lifter.steps": STEPS, "lifter.decay_steps": 3, "lifter.decay": 0.5}
    config = with_changes(BASE, changes)
    assert config.lifter.epochs is None and config.lifter.decay_epochs is None
    where = StageContext(config, corpus, {}, tmp_path, torch.device("cpu"), lambda *_: None)
    found = rates(lifter.prepare(where).plan)
    peak = config.lifter.learning_rate
    assert found == [peak * 0.5 ** (step // 3) for step in range(STEPS)]
    by_epochs = step_decay(1.0, 0.5, 2)
    assert [by_epochs(step, 4, 99) for step in (7, 8, 16)] == [1.0, 0.5, 0.25]


def test_a_change_of_one_unsets_the_other() -> None:
    in_steps = with_changes(BASE, {"prior.steps": 100})
    assert in_steps.prior.length == ("steps", 100) and in_steps.prior.epochs is None
    back = with_changes(in_steps, {"prior.epochs": 3})
    assert back.prior.length == ("epochs", 3) and back.prior.steps is None
    assert with_changes(in_steps, {"prior.order": "raster"}).prior.steps == 100
    decaying = with_changes(BASE, {"lifter.decay_steps": 7})
    assert (decaying.lifter.decay_epochs, decaying.lifter.epochs) == (None, BASE.lifter.epochs)


@pytest.mark.parametrize("given", [{"epochs": 2, "steps": 2}, {"epochs": None}])
def test_exactly_one_is_given(given: dict[str, int | None]) -> None:
    with pytest.raises(ValueError, match="epochs and steps; give one of them"):
        PriorConfig(**given)


def test_epochs_of_a_lifter_in_steps_are_the_papers() -> None:
    assert LifterConfig(epochs=7).counted_epochs == 7.0
    assert LifterConfig(epochs=None, steps=25 * PAPER_LIFTER_EPOCH).counted_epochs == 25.0
    assert base_at_scale("paper").lifter.counted_epochs == 25.0


def test_the_papers_steps_are_those_of_its_epochs() -> None:
    """311,950 frames, in batches of 128, 64, 256 and 256, for 20, 50, 50 and 25 epochs."""
    config = base_at_scale("paper")
    frames = 1_559_752 // 5
    for stage, epochs in {"tokenizer": 20, "prior": 50, "regressor": 50, "lifter": 25}.items():
        section = getattr(config, stage)
        unit, steps = section.length
        assert unit == "steps"
        assert steps == pytest.approx(epochs * frames / section.batch_size, rel=1e-3)


def test_what_is_alike_in_epochs_and_steps_has_another_key() -> None:
    """A key says what was asked for, not what it came to."""
    asked = [with_changes(BASE, {"lifter.epochs": 2}), with_changes(BASE, {"lifter.steps": 8})]
    one, other = (jobs(config, "d")["lifter"] for config in asked)
    assert one.key != other.key
    assert one.identity["config"]["lifter"]["epochs"] == 2
    assert "steps" not in one.identity["config"]["lifter"]
    assert other.identity["config"]["lifter"]["steps"] == 8
    assert not one.prolongs(other.identity) and not other.prolongs(one.identity)
    longer = jobs(with_changes(BASE, {"lifter.steps": 16}), "d")["lifter"]
    assert longer.prolongs(other.identity) and not other.prolongs(longer.identity)
