"""Which stages begin a long training as a short one."""

from pathlib import Path
from types import ModuleType

import pytest
import torch

from hipart.data.corpus import Corpus, load_corpus
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.jobs import CONTINUABLE
from hipart.scheduling.arrays import OWN
from hipart.stages import lifter, prior, regressor, tokenizer
from hipart.stages.context import StageContext
from hipart.stages.schedule import Plan

STAGES: dict[str, ModuleType] = {
    "tokenizer": tokenizer,
    "prior": prior,
    "regressor": regressor,
    "lifter": lifter,
}
BASE = with_changes(
    base_at_scale("smoke"), {"lifter.dense_input": "none", "lifter.decay_epochs": 1}
)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load_corpus(BASE.data, BASE.detector)


@pytest.fixture(scope="module")
def trained(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer, which a prior needs."""
    work = tmp_path_factory.mktemp("tokenizer")
    tokenizer.train(StageContext(BASE, corpus, {}, work, torch.device("cpu"), lambda *_: None))
    return work


@pytest.mark.parametrize("stage", STAGES)
def test_the_first_epochs_are_alike_where_a_longer_training_may_continue(
    stage: str, corpus: Corpus, trained: Path
) -> None:
    def plan(epochs: int) -> Plan:
        config = with_changes(BASE, {f"{stage}.epochs": epochs})
        context = StageContext(
            config, corpus, {"tokenizer": trained}, trained, torch.device("cpu"), lambda *_: None
        )
        found: Plan = STAGES[stage].prepare(context).plan
        return found

    few, many = plan(3), plan(9)
    assert few.steps * 3 == many.steps
    alike = [few.rates(epoch) == many.rates(epoch) for epoch in range(3)]
    assert alike == [stage in CONTINUABLE] * 3
    assert all(torch.equal(few.batches(epoch), many.batches(epoch)) for epoch in range(3))


def test_every_stage_that_trains_was_looked_at() -> None:
    assert STAGES.keys() == OWN.keys()
    assert set(CONTINUABLE) <= STAGES.keys()
