"""Whether a table of orders says that its tokens are not local."""

import polars as pl
import pytest

from hipart.experiment.design import trials
from hipart.experiment.file import load
from hipart.experiment.metrics import MetricChoice
from hipart.report.tables import Table, table
from tests.report.samples import ORDERS, SIZES, ablation, filled, frame_from

LOCALITY = MetricChoice(stage="probe", name="locality", goal="max")
SAID = "Order means nothing here"


def tabled(factor: dict[str, object], localities: list[float], *also: MetricChoice) -> Table:
    one = ablation(factor, also=also or (LOCALITY,))
    tried = trials(one)
    frame = frame_from(filled(tried, lambda _: {"mpjpe_mm": 50.0}), tried)
    values = [localities[seed] for seed in frame["seed"]]
    frame = frame.drop("probe/locality", strict=False).with_columns(
        pl.Series("probe/locality", values)
    )
    return table(one, frame, {"trained": 0, "reused": 0})


def said(shown: Table) -> list[str]:
    return [line for line in shown.footer if line.startswith(SAID)]


def test_tokens_that_move_all_parts_make_orders_meaningless() -> None:
    assert said(tabled(ORDERS, [1.2, 1.3, 1.4])) == [
        "Order means nothing here: a token moves its own part only 1.30 times as much as the "
        "others (locality below 2)."
    ]


def test_what_is_below_the_limit_is_not_rounded_to_it() -> None:
    assert "only 1.99 times" in said(tabled(ORDERS, [1.999] * 3))[0]


@pytest.mark.parametrize("localities", [[2.0] * 3, [9.0, 8.0, 7.0]])
def test_local_tokens_are_not_spoken_of(localities: list[float]) -> None:
    assert said(tabled(ORDERS, localities)) == []


def test_it_is_said_of_orders_alone_and_where_locality_is_shown() -> None:
    assert said(tabled(SIZES, [1.0] * 3)) == []
    usage = MetricChoice(stage="tokenizer", name="sparse_usage_pct", goal="max")
    assert said(tabled(ORDERS, [1.0] * 3, usage)) == []
    within: dict[str, object] = {
        "name": "within part",
        "path": "prior.within_part",
        "levels": ["sequential"],
    }
    assert said(tabled(within, [1.0] * 3))


@pytest.mark.parametrize("name", ["order_ablation", "ar_ablation"])
def test_the_tables_of_orders_show_locality(name: str) -> None:
    shown = [f"{one.stage}/{one.name}" for one in load(name, "laptop").also]
    assert "probe/locality" in shown
