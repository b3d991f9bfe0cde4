"""Main effects and interactions by hand, on the two by two of Table 4's form."""

from typing import Any

import polars as pl
import pytest

from hipart.experiment.design import arms
from hipart.report.effects import effects
from tests.report.samples import ablation, frame_of, made, measured

FACTORS: tuple[dict[str, Any], ...] = (
    {
        "name": "order",
        "base": "c2p",
        "levels": [{"name": "raster", "set": {"prior.order": "raster"}}],
    },
    {
        "name": "within",
        "levels": [{"name": "sequential", "set": {"prior.within_part": "sequential"}}],
    },
)
CELLS = {
    "base": [42.0, 43.0, 44.0],
    "order=raster": [44.0, 45.5, 46.0],
    "within=sequential": [43.0, 44.5, 45.0],
    "order=raster, within=sequential": [46.0, 48.5, 48.0],
}
METRIC = "evaluate/x"
NAMES = ("order", "within")


def of(values: dict[str, Any]) -> dict[str, Any]:
    tried = arms(ablation(*FACTORS, design="factorial"))
    return {one.name: one for one in effects(NAMES, tried, frame_of(values), METRIC)}


def test_by_hand() -> None:
    found = of(CELLS)
    assert list(found) == ["order=raster", "within=sequential", "order=raster x within=sequential"]
    # Raster minus c2p: (2, 2.5, 2) at sparse-to-dense and (3, 4, 3) at sequential.
    assert found["order=raster"].estimate == pytest.approx((2.5 + 3.25 + 2.5) / 3)
    assert found["within=sequential"].estimate == pytest.approx((1.5 + 2.25 + 1.5) / 3)
    # How much more raster costs under sequential: 1, 1.5, 1.
    crossed = found["order=raster x within=sequential"]
    assert crossed.estimate == pytest.approx(3.5 / 3)
    assert crossed.pairs == 3
    assert crossed.low < crossed.estimate < crossed.high
    assert crossed.p <= crossed.p_holm <= 3 * crossed.p


def test_seeds_that_lack_a_cell_are_left_out() -> None:
    values = CELLS | {"within=sequential": [43.0, 44.5]}
    assert of(values)["order=raster"].pairs == 2


def test_a_missing_arm_leaves_no_effects() -> None:
    assert of({name: values for name, values in CELLS.items() if name != "order=raster"}) == {}


def test_one_at_a_time_has_no_effects() -> None:
    tried = arms(ablation(*FACTORS))
    frame = frame_of({name: CELLS[name] for name in list(CELLS)[:3]})
    assert effects(NAMES, tried, frame, METRIC) == ()


def test_three_factors_average_over_all_others() -> None:
    third = {"name": "drop", "levels": [{"name": "none", "set": {"prior.dropout": 0.0}}]}
    tried = arms(ablation(*FACTORS, third, design="factorial"))
    values = {
        arm.name: [
            1.0 * ("order" in dict(arm.levels))
            + 10.0 * ("drop" in dict(arm.levels))
            + 5.0 * ({"order", "within"} <= set(dict(arm.levels)))
            + 0.1 * seed * (len(arm.levels) + 1)
            for seed in range(3)
        ]
        for arm in tried
    }
    found = {
        one.name: one.estimate for one in effects((*NAMES, "drop"), tried, frame_of(values), METRIC)
    }
    assert len(found) == 6
    assert found["drop=none"] == pytest.approx(10.1)
    assert found["order=raster"] == pytest.approx(3.6)
    assert found["order=raster x within=sequential"] == pytest.approx(5.0)
    assert found["order=raster x drop=none"] == pytest.approx(0.0)


def test_the_footer_tells_them() -> None:
    table = made(ablation(*FACTORS, design="factorial"), measured(CELLS))
    told = [line for line in table.footer if line.startswith(("effect of", "interaction"))]
    assert len(told) == 3
    assert told[0].startswith("effect of order=raster +2.75 [")
    assert told[0].endswith("*.")
    lost = frame_of(CELLS).with_columns(pl.lit(None, dtype=pl.Float64).alias(METRIC))
    assert effects(NAMES, arms(ablation(*FACTORS, design="factorial")), lost, METRIC) == ()
