"""The footer on where a scale is not as the paper, and for how long stages train."""

from typing import Any

import pytest

from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.report import departures
from tests.report.samples import SIZES, ablation, made

CLEAN = {"prior.dropout": 0.0, "prior.order": "center_to_periphery", "prior.no_such": "start"}


def test_what_is_not_as_in_the_paper_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departures, "PAPER_READINGS", CLEAN)
    config = base_at_scale("laptop")
    reached = ("tokenizer", "prior")
    assert departures.departures([config], reached) == (
        "Not as in the paper at this scale: prior.dropout 0.1 (paper: 0.0)."
    )
    assert departures.departures([with_changes(config, {"prior.dropout": 0.0})], reached) == ""
    arms = [config, with_changes(config, {"prior.dropout": 0.2})]
    assert "prior.dropout 0.1 or 0.2 (paper: 0.0)" in departures.departures(arms, reached)
    assert departures.departures([config], ("lifter",)) == "", "no prior, nothing to say of it"


@pytest.mark.parametrize(
    ("scale", "changes", "expected"),
    [
        ("laptop", {}, "Steps: tokenizer 384, prior 384, lifter 1536."),
        ("smoke", {"lifter.dense_input": "none"}, "Steps: lifter 8."),
        ("smoke", {"lifter.dense_input": "none", "lifter.batch_size": 1000}, "Steps: lifter 2."),
        ("smoke", {"lifter.dense_input": "regressed"}, "Steps: regressor 8, lifter 8."),
        ("paper", {}, "Steps: tokenizer 48740, prior 243700, lifter 30450."),
        ("paper-v1", {}, "Steps: tokenizer 20 epochs, prior 50 epochs, lifter 25 epochs."),
        (
            "smoke",
            {"data.sampling": "sequences", "lifter.model.kind": "mixste", "lifter.epochs": 1},
            "Steps: tokenizer 8, prior 4, lifter 1 epoch.",
        ),
    ],
)
def test_how_long_stages_train(scale: str, changes: dict[str, Any], expected: str) -> None:
    config = with_changes(base_at_scale(scale), changes)
    assert departures.steps([config], ("evaluate",)) == expected


def test_a_number_of_steps_that_is_set_is_told() -> None:
    config = base_at_scale("laptop")
    lifter = config.lifter.model_copy(update={"steps": 5000})
    told = departures.steps([config.model_copy(update={"lifter": lifter})], ("evaluate",))
    assert told == "Steps: tokenizer 384, prior 384, lifter 5000."


def test_nothing_is_trained_for_a_profile() -> None:
    assert departures.steps([base_at_scale("laptop")], ("profile",)) == ""


def test_stages_of_other_arms_count_and_what_is_fitted_takes_no_steps() -> None:
    base = with_changes(base_at_scale("smoke"), {"lifter.dense_input": "none"})
    other = with_changes(base, {"lifter.dense_input": "regressed"})
    fitted = with_changes(other, {"regressor.model.kind": "linear"})
    assert departures.steps([base, fitted], ("evaluate",)) == "Steps: lifter 8."
    assert departures.steps([base, other], ("evaluate",)) == "Steps: regressor 8, lifter 8."
    few = with_changes(base, {"lifter.train_share": 0.25})
    assert departures.steps([few], ("evaluate",)) == "Steps: lifter 2."


def test_both_stand_in_the_footer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departures, "PAPER_READINGS", CLEAN)
    footer = made(ablation(SIZES), lambda _: None).footer
    assert "Steps: tokenizer 48740, prior 243700, lifter 30450." in footer
    assert "Not as in the paper at this scale: prior.dropout 0.25 (paper: 0.0)." in footer
