"""The footer on where a scale is not as the paper, and for how long stages train."""

from typing import Any

import pytest

from hipart.config import PipelineConfig
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import all_paths, with_changes
from hipart.pipeline import PIPELINE, needs_of
from hipart.report import departures
from tests.report.samples import SIZES, ablation, made

CLEAN = {"prior.dropout": 0.0, "prior.order": "center_to_periphery"}

#: By setting, another value than the paper's.
OTHERWISE = {
    "conditioning": "every_step",
    "decode": "mean",
    "token_corruption": 0.1,
    "weight_decay_on": "matrices",
}


def steps(*arms: PipelineConfig, targets: tuple[str, ...] = ("evaluate",)) -> str:
    return departures.steps([(one, needs_of(one, targets)) for one in arms])


@pytest.mark.parametrize("path", departures.PAPER_READINGS)
def test_every_reading_is_of_a_setting_and_is_that_of_the_paper_s_scale(path: str) -> None:
    assert path in all_paths()
    told = departures.departures([base_at_scale("paper")], PIPELINE)
    assert path not in told
    moved = with_changes(base_at_scale("paper"), {path: OTHERWISE[path.rpartition(".")[2]]})
    assert path in departures.departures([moved], PIPELINE)


def test_what_one_arm_has_is_not_said_of_the_scale() -> None:
    base = base_at_scale("paper")
    arms = [base, with_changes(base, {"prior.token_corruption": 0.1})]
    assert departures.departures(arms, PIPELINE) == (
        "Not as in the paper in some arms: prior.token_corruption 0.1 (paper: 0.0)."
    )


def test_what_is_not_as_in_the_paper_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departures, "PAPER_READINGS", CLEAN)
    config = base_at_scale("laptop")
    reached = ("tokenizer", "prior")
    assert departures.departures([config], reached) == (
        "Not as in the paper at this scale: prior.dropout 0.1 (paper: 0.0)."
    )
    assert departures.departures([with_changes(config, {"prior.dropout": 0.0})], reached) == ""
    arms = [config, with_changes(config, {"prior.dropout": 0.2})]
    assert departures.departures(arms, reached) == (
        "Not as in the paper at this scale: prior.dropout 0.1 (paper: 0.0). "
        "Not as in the paper in some arms: prior.dropout 0.2 (paper: 0.0)."
    )
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
    assert steps(config) == expected


def test_a_number_of_steps_that_is_set_is_told() -> None:
    config = base_at_scale("laptop")
    lifter = config.lifter.model_copy(update={"steps": 5000})
    assert (
        steps(config.model_copy(update={"lifter": lifter}))
        == "Steps: tokenizer 384, prior 384, lifter 5000."
    )


def test_nothing_is_trained_for_a_profile() -> None:
    assert steps(base_at_scale("laptop"), targets=("profile",)) == ""


def test_stages_of_other_arms_count_and_what_is_fitted_takes_no_steps() -> None:
    base = with_changes(base_at_scale("smoke"), {"lifter.dense_input": "none"})
    other = with_changes(base, {"lifter.dense_input": "regressed"})
    fitted = with_changes(other, {"regressor.model.kind": "linear"})
    assert steps(base, fitted) == "Steps: lifter 8."
    assert steps(base, other) == "Steps: regressor 8, lifter 8."
    few = with_changes(base, {"lifter.train_share": 0.25})
    assert steps(few) == "Steps: lifter 2."
    longer = with_changes(base, {"lifter.epochs": 5})
    assert steps(base, few, longer) == "Steps: lifter 2 to 20."


def test_both_stand_in_the_footer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departures, "PAPER_READINGS", CLEAN)
    footer = made(ablation(SIZES), lambda _: None).footer
    assert "Steps: tokenizer 48740, prior 243700, lifter 30450." in footer
    assert "Not as in the paper at this scale: prior.dropout 0.25 (paper: 0.0)." in footer
