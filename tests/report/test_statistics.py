"""Statistics against numbers worked out by hand, and against scipy's own paired test."""

import polars as pl
import pytest
from scipy import stats

from hipart.report.statistics import holm, summarise
from tests.report.samples import frame_of

METRIC = "evaluate/x"


def row(summary: pl.DataFrame, arm: str) -> dict[str, object]:
    return summary.row(by_predicate=pl.col("arm") == arm, named=True)


def test_mean_spread_and_paired_difference_by_hand() -> None:
    frame = frame_of({"base": [10.0, 12.0, 14.0], "a": [11.0, 14.0, 17.0]})
    found = row(summarise(frame, [METRIC]), "a")
    assert (found["seeds"], found["n"], found["pairs"]) == (3, 3, 3)
    assert found["mean"] == pytest.approx(14.0)
    assert found["std"] == pytest.approx(3.0)
    # Differences 1, 2, 3: mean 2, standard error 1/sqrt(3); t(2, 0.975) = 4.302653.
    assert found["delta"] == pytest.approx(2.0)
    assert found["low"] == pytest.approx(2 - 4.302653 / 3**0.5, abs=1e-6)
    assert found["high"] == pytest.approx(2 + 4.302653 / 3**0.5, abs=1e-6)
    # t = 2 sqrt(3); with two degrees of freedom p = 1 - t / sqrt(t^2 + 2).
    assert found["p"] == pytest.approx(1 - 12**0.5 / 14**0.5)


def test_agrees_with_scipy_on_the_common_seeds_only() -> None:
    base, arm = [1.0, 5.0, 2.0, 8.0, None], [2.5, None, 2.2, 7.0, 3.0]
    found = row(summarise(frame_of({"base": base, "a": arm}), [METRIC]), "a")
    test = stats.ttest_rel([2.5, 2.2, 7.0], [1.0, 2.0, 8.0])
    interval = test.confidence_interval(0.95)
    assert (found["n"], found["pairs"]) == (4, 3)
    assert found["p"] == pytest.approx(test.pvalue)
    assert (found["low"], found["high"]) == pytest.approx((interval.low, interval.high))


def test_one_seed_has_a_difference_but_neither_spread_nor_test() -> None:
    found = row(summarise(frame_of({"base": [10.0], "a": [9.0]}), [METRIC]), "a")
    assert (found["n"], found["pairs"], found["delta"]) == (1, 1, -1.0)
    assert [found[name] for name in ("std", "low", "high", "p", "p_holm")] == [None] * 5


def test_no_common_seed_leaves_no_difference() -> None:
    found = row(summarise(frame_of({"base": [1.0, None], "a": [None, 2.0]}), [METRIC]), "a")
    assert (found["pairs"], found["delta"], found["p"]) == (0, None, None)


def test_differences_without_spread_are_not_called_certain() -> None:
    frame = frame_of({"base": [1.0, 2.0], "same": [1.0, 2.0], "shifted": [1.1, 2.1]})
    summary = summarise(frame, [METRIC])
    assert [row(summary, arm)["p"] for arm in ("same", "shifted")] == [None, None]
    assert row(summary, "same")["delta"] == 0.0


def test_seeds_that_share_an_artifact_are_one_measurement() -> None:
    frame = frame_of({"base": [80.0, 80.0, 80.0], "a": [90.0, 90.0, 91.0]}, "tokenizer/usage")
    keys = pl.Series("key/tokenizer", ["b", "b", "b", "a1", "a1", "a2"])
    summary = summarise(frame.with_columns(keys), ["tokenizer/usage"])
    base, arm = row(summary, "base"), row(summary, "a")
    assert (base["seeds"], base["n"], base["std"]) == (3, 1, None)
    assert (arm["n"], arm["pairs"], arm["delta"]) == (2, 2, 10.5)


@pytest.mark.parametrize("lost", [float("nan"), float("inf"), None])
def test_lost_values_are_left_out_and_counted(lost: float | None) -> None:
    found = row(
        summarise(frame_of({"base": [1.0, 2.0, 3.0], "a": [lost, 4.0, 6.0]}), [METRIC]), "a"
    )
    assert (found["seeds"], found["mean"], found["pairs"]) == (2, 5.0, 2)


def test_an_arm_without_values_and_a_metric_nobody_found_stay_as_empty_rows() -> None:
    summary = summarise(frame_of({"base": [1.0], "a": [None]}), [METRIC, "evaluate/unknown"])
    assert summary["arm"].to_list() == ["base", "a", "base", "a"]
    assert summary["n"].to_list() == [1, 0, 0, 0]
    assert summary["mean"].to_list() == [1.0, None, None, None]


def test_holm_by_hand() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, never falling: 0.02, 0.03, 0.06, 0.06.
    assert holm([0.01, 0.04, None, 0.03, 0.005]) == pytest.approx([0.03, 0.06, None, 0.06, 0.02])


def test_holm_ends_at_one_and_takes_ties_and_nothing() -> None:
    assert holm([0.7, 0.6]) == [1.0, 1.0]
    assert holm([0.02, 0.02]) == [0.04, 0.04]
    assert holm([None]) == [None]
    assert holm([]) == []


def test_correction_is_over_the_arms_of_one_metric() -> None:
    frame = frame_of({"base": [10.0, 12.0, 14.0], "a": [11.0, 14.0, 17.0], "b": [9.0, 13.0, 13.5]})
    frame = frame.with_columns(pl.col(METRIC).alias("evaluate/y"))
    summary = summarise(frame, [METRIC, "evaluate/y"])
    first, second = summary.filter(pl.col("arm") == "a").rows(named=True)
    assert first["p_holm"] == second["p_holm"] == pytest.approx(2 * first["p"])
