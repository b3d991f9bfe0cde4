"""The table's contents: ranks, states, published values beside measured ones, files."""

import io
from pathlib import Path
from unittest import mock

import polars as pl
import pytest

from hipart.experiment.design import trials
from hipart.experiment.levels import Level
from hipart.experiment.metrics import MetricChoice
from hipart.jobs import jobs
from hipart.report.tables import Table, write_all
from tests.report.samples import (
    DATA,
    ORDERS,
    SIZES,
    ablation,
    filled,
    frame_from,
    made,
    measured,
)

SMALL, MIDDLE = "sparse codebook size=512", "sparse codebook size=1024"
VALUES = {"base": [50.0, 52.0, 54.0], SMALL: [61.0, 62.0, 63.0], MIDDLE: [51.0, 53.0, 55.0]}
Values = dict[str, list[float | None]]


def marks(table: Table, column: int = 0) -> list[str | None]:
    return [row.cells[column].mark for row in table.rows]


def sized(values: Values, goal: str = "min") -> Table:
    metric = MetricChoice.model_validate(
        {"stage": "evaluate", "name": "mpjpe_mm", "goal": goal}, strict=True
    )
    return made(ablation(metric=metric), measured(values))


@pytest.mark.parametrize(
    ("goal", "expected"), [("min", ["best", None, "second"]), ("max", [None, "best", "second"])]
)
def test_best_and_second_best_by_goal(goal: str, expected: list[str | None]) -> None:
    assert marks(sized(VALUES, goal)) == expected


def test_means_that_look_equal_are_tied() -> None:
    table = sized({"base": [50.01] * 3, SMALL: [49.99] * 3, MIDDLE: [51.0] * 3})
    assert marks(table) == ["best", "best", "second"]


def test_nothing_is_marked_where_all_are_equal_or_alone() -> None:
    assert marks(sized({"base": [50.0] * 3, SMALL: [50.0] * 3, MIDDLE: [50.0] * 3})) == [None] * 3
    assert marks(sized({"base": [50.0] * 3, SMALL: [None] * 3, MIDDLE: [None] * 3})) == [None] * 3


def test_arms_with_exact_points_stand_aside() -> None:
    """No prediction has them, so they are no best method."""
    exact = Level(name="exact points", set={"lifter.dense_input": "exact"})
    values: Values = {**VALUES, "exact points": [30.0] * 3}
    table = made(ablation(arms=(exact,)), measured(values))
    assert marks(table) == ["best", None, "second", None]
    assert table.ranking.endswith("; those with exact points stand aside.")
    assert sized(VALUES).ranking == "of the arms with all their seeds."


@pytest.mark.parametrize("lost", [None, float("nan")])
def test_an_arm_that_lacks_a_seed_is_not_ranked(lost: float | None) -> None:
    table = sized({**VALUES, SMALL: [1.0, 1.0, lost]})
    assert marks(table) == ["best", None, "second"]
    assert [row.measured for row in table.rows] == [3, 2, 3]


def test_a_goal_left_out_is_the_metric_s_own() -> None:
    one = ablation(
        metric=MetricChoice(stage="tokenizer", name="sparse_usage_pct"),
        also=(MetricChoice(stage="evaluate", name="mpjpe_mm/Walk"),),
    )
    first, second = made(one, lambda trial: {"mpjpe_mm/Walk": 1.0}).columns
    assert (first.goal, first.title, first.unit) == ("max", "sparse codebook usage", "%")
    assert (second.goal, second.title, second.unit) == ("min", "MPJPE, Walk", "mm")


def test_published_values_stand_apart_from_measured_ones() -> None:
    table = made(ablation(), lambda trial: None)
    assert [row.published and row.published.value for row in table.rows] == [42.0, None, 43.0]
    assert [row.cells[0].mean for row in table.rows] == [None] * 3
    csv = pl.read_csv(io.StringIO(table.csv()))
    assert csv["published_value"].to_list() == [42.0, None, 43.0]
    assert csv["mpjpe_mm_mean"].null_count() == 3


def test_where_the_base_stands_is_told_for_plain_values_only() -> None:
    plain = {"name": "order", "levels": [{"name": "raster", "set": {"prior.order": "raster"}}]}
    table = made(ablation(SIZES, ORDERS), lambda trial: None)
    assert table.base_levels == {"sparse codebook size": "2048"}
    table = made(ablation(plain), lambda trial: None)
    assert table.base_levels == {"order": "center_to_periphery"}


def test_failed_and_missing_arms() -> None:
    one = ablation(ORDERS, seeds=(0, 1))
    tried = trials(one)
    broken = {jobs(trial.config, DATA)["prior"].key: "no memory" for trial in tried[1:3:2]}
    table = made(one, measured({"base": [50.0, 51.0], tried[1].arm.name: [None, None]}),
                 failures=broken)  # fmt: skip
    row = table.rows[1]
    assert (row.planned, row.done, row.failed, row.reason) == (2, 0, 1, "prior: no memory")


def test_csv_round_trip_keeps_every_digit() -> None:
    table = made(ablation(), measured({**VALUES, "base": [1 / 3, 2 / 3, 1 / 7]}))
    read = pl.read_csv(io.StringIO(table.csv()))
    assert read.columns[:4] == ["arm", "factor", "level", "n"]
    assert read["arm"].to_list() == [row.arm for row in table.rows]
    for name in ("mean", "std", "delta", "p_holm"):
        expected = [getattr(row.cells[0], name) for row in table.rows]
        assert read[f"mpjpe_mm_{name}"].cast(pl.Float64).to_list() == expected
    assert read["n"].to_list() == [3, 3, 3]


def test_csv_does_not_depend_on_what_was_reused_or_on_the_order_of_trials() -> None:
    from hipart.report.tables import table

    one = ablation()
    tried = trials(one)
    store = filled(tried, measured(VALUES))
    fresh = table(one, frame_from(store, tried), {"trained": 21, "reused": 0})
    again = table(
        one,
        frame_from(store, tried[::-1]),
        {"trained": 0, "reused": 21},
        provenance=[{"commit": "another", "device": "cpu", "seconds": 1.0}],
    )
    assert fresh.csv().encode() == again.csv().encode()
    assert fresh.markdown() != again.markdown()


def test_metrics_of_one_name_in_two_stages_keep_apart() -> None:
    one = ablation(also=(MetricChoice(stage="lifter", name="train_mpjpe_mm"),) * 2)
    header = made(one, lambda trial: None).csv().splitlines()[0].split(",")
    assert len(header) == len(set(header))


def test_files_are_written_whole_and_nothing_else(tmp_path: Path) -> None:
    table = sized(VALUES)
    written = write_all(table, tmp_path / "out")
    names = ["table.csv", "table.md", "table.tex", "table.json"]
    names += ["figures/codebook_ablation.svg", "figures/codebook_ablation.png"]
    assert written == [tmp_path / "out" / name for name in names]
    assert {path for path in (tmp_path / "out").rglob("*") if path.is_file()} == set(written)
    assert (tmp_path / "out/table.csv").read_text() == table.csv()


def test_an_interrupted_write_leaves_the_old_table(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("old")
    with mock.patch.object(Path, "replace", side_effect=OSError), pytest.raises(OSError):
        write_all(sized(VALUES), tmp_path)
    assert (tmp_path / "table.csv").read_text() == "old"
