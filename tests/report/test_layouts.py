"""The paper's layouts, and the table as JSON."""

import json
from typing import Any, Literal

import pytest

from hipart.experiment.design import trials
from hipart.experiment.form import Ablation, PaperLayout
from hipart.experiment.levels import Level
from hipart.report.tables import Table, table
from tests.report.samples import ORDERS, SIZES, ablation, filled, frame_from, measured
from tests.report.test_effects import CELLS, FACTORS


def made(one: Ablation, layout: Literal["full", "paper"], actions: bool = False) -> Table:
    tried = trials(one)
    measure = measured(CELLS)

    def error(trial: Any) -> dict[str, float] | None:
        value = (measure(trial) or {})["mpjpe_mm"]
        return {"mpjpe_mm": value, "mpjpe_mm/Eat": value - 1, "mpjpe_mm/Walk": value + 1}

    frame = frame_from(filled(tried, error if actions else measure), tried)
    return table(one, frame, {"trained": 0, "reused": 9}, layout=layout)


def crossed(**layout: Any) -> Ablation:
    return ablation(*FACTORS, design="factorial", paper_layout=PaperLayout(**layout))


def test_a_factor_stands_side_by_side() -> None:
    text = made(crossed(columns="within"), "paper").markdown()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    heading = (
        r"| order | within: sparse\_to\_dense MPJPE [mm] ↓ | within: sequential MPJPE [mm] ↓ |"
    )
    assert rows[0] == heading
    assert [row.split("|")[1].strip() for row in rows[2:]] == ["c2p", "raster"]
    assert "43.0** ± 1.0" in rows[2] and "47.5 ± 1.3" in rows[3]


def test_a_control_keeps_its_line_where_a_factor_stands_side_by_side() -> None:
    control = Level(name="classification", set={"prior.framework": "classification"})
    one = crossed(columns="within").model_copy(update={"arms": (control,)})
    tried = trials(one)
    values = CELLS | {"classification": [46.0, 46.5, 47.0]}
    frame = frame_from(filled(tried, measured(values)), tried)
    text = table(one, frame, {"trained": 0, "reused": 9}, layout="paper").markdown()
    row = next(line for line in text.splitlines() if line.startswith("| classification"))
    assert row == "| classification | 46.5 ± 0.5 | – |"


def test_no_row_is_lost_where_the_factor_for_the_columns_rests() -> None:
    control = Level(name="classification", set={"prior.framework": "classification"})
    one = ablation(
        SIZES, design="factorial", arms=(control,), paper_layout=PaperLayout(columns="within")
    )
    tried = trials(one)
    frame = frame_from(filled(tried, lambda trial: {"mpjpe_mm": 50.0 + trial.seed}), tried)
    text = table(one, frame, {"trained": 0, "reused": 9}, layout="paper").markdown()
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]
    assert rows[2:] == ["2048 (base)", "512", "1024", "classification"]


def test_actions_stand_side_by_side_and_the_mean_comes_with_them() -> None:
    text = made(crossed(actions=True), "paper", actions=True).markdown()
    header = next(line for line in text.splitlines() if line.startswith("|"))
    assert header == "| order | within | Avg [mm] ↓ | Eat [mm] ↓ | Walk [mm] ↓ |"


def test_a_plain_layout_leaves_seeds_and_differences_out() -> None:
    full, paper = made(crossed(), "full").markdown(), made(crossed(), "paper").markdown()
    assert "| n |" in full and "Δ to base" in full
    assert "| n |" not in paper and "Δ" not in paper
    assert "± is the standard deviation over seeds" in paper


def test_a_plain_layout_names_the_factor_of_a_level() -> None:
    one = ablation(SIZES, ORDERS)
    tried = trials(one)
    store = filled(tried, lambda trial: {"mpjpe_mm": 50.0 + trial.seed})
    paper = table(one, frame_from(store, tried), {"trained": 0, "reused": 9}, layout="paper")
    rows = [line for line in paper.markdown().splitlines() if line.startswith("|")]
    assert rows[0].startswith("| factor | level |")
    assert rows[3].startswith("| sparse codebook size | 512 |")


@pytest.mark.parametrize("layout", ["full", "paper"])
def test_every_notation_takes_every_layout(layout: Literal["full", "paper"]) -> None:
    one = made(crossed(columns="within"), layout)
    assert one.latex().count(r"\\") >= 4
    assert "raster" in one.plain(100)


def test_json_holds_what_the_table_holds() -> None:
    found = json.loads(made(crossed(), "full").json())
    assert found["kind"] == "hipart-table"
    assert {arm["name"] for arm in found["arms"]} == set(CELLS)
    last = found["arms"][-1]
    assert last["levels"] == {"order": "raster", "within": "sequential"}
    assert last["measured"]["mpjpe_mm"]["mean"] == pytest.approx(47.5)
    assert {effect["name"] for effect in found["effects"]} >= {"order=raster"}
    assert found["arms"][0]["published"] is None
