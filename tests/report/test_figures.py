"""Which levels are drawn, where they stand, and that files come out the same every time."""

from pathlib import Path

import pytest

from hipart.experiment.design import Trial
from hipart.experiment.metrics import MetricChoice
from hipart.report import figures
from hipart.report.figures import curves
from tests.report.samples import ORDERS, SIZES, ablation, made, measured

SMALL, MIDDLE = "sparse codebook size=512", "sparse codebook size=1024"
RASTER = "generation order=raster_&_scan"
VALUES = {
    "base": [50.0, 52.0, 54.0],
    SMALL: [61.0, 62.0, 63.0],
    MIDDLE: [51.0, 53.0, 55.0],
    RASTER: [49.0, None, None],
}


def test_numeric_levels_stand_in_order_with_the_base_among_them() -> None:
    table = made(ablation(SIZES, ORDERS), measured(VALUES))
    sizes, orders = curves.panels(table)
    assert sizes.values == [512.0, 1024.0, 2048.0]
    assert [point.is_base for point in sizes.points] == [False, False, True]
    assert [point.cells[0].mean for point in sizes.points] == [62.0, 53.0, 52.0]
    assert orders.values is None
    assert [point.level for point in orders.points] == ["base", "raster_&_scan"]
    assert orders.places == [0.0, 1.0]


def test_drawn_lines_and_error_bars_are_the_table_s() -> None:
    table = made(ablation(), measured(VALUES))
    figure = curves.draw(table)
    assert figure is not None
    metric, usage = figure.axes
    curve = metric.containers[0]
    assert list(curve.lines[0].get_xydata().ravel()) == [512, 62, 1024, 53, 2048, 52]  # type: ignore[union-attr]
    tops = [float(segment[1][1]) for segment in curve.lines[2][0].get_segments()]
    assert tops == pytest.approx([63.0, 55.0, 54.0])
    assert metric.get_ylabel() == "MPJPE [mm]"
    assert usage.get_ylabel() == "sparse codebook\nusage [%]"
    assert usage.get_xlabel() == "sparse codebook size"


DENSE = {
    "name": "dense codebook size",
    "path": "tokenizer.dense_codebook.size",
    "levels": [512, 1024, 2048],
}


@pytest.mark.parametrize("design", ["one_at_a_time", "factorial"])
def test_below_each_factor_is_the_usage_of_its_own_codebook(design: str) -> None:
    names = ("sparse_usage_pct", "dense_usage_pct")
    also = tuple(MetricChoice(stage="tokenizer", name=name, goal="max") for name in names)

    def error(trial: Trial) -> dict[str, float]:
        return {"mpjpe_mm": 50.0 + trial.seed}

    def usage(trial: Trial) -> dict[str, float]:
        return {"sparse_usage_pct": 90.0, "dense_usage_pct": 40.0}

    table = made(ablation(SIZES, DENSE, also=also, design=design), error, usage=usage)
    figure = curves.draw(table)
    assert figure is not None
    below = {axes.get_xlabel(): axes for axes in figure.axes if axes.get_xlabel()}
    of_dense = below["dense codebook size"]
    assert of_dense.get_ylabel() == "dense codebook\nusage [%]"
    shown = {name: set(axes.containers[0].lines[0].get_ydata()) for name, axes in below.items()}
    assert shown["sparse codebook size"] == {90.0}
    assert shown["dense codebook size"] == {40.0}


def test_bars_of_per_cent_end_at_a_hundred() -> None:
    def usage(trial: Trial) -> dict[str, float]:
        return {"sparse_usage_pct": [100.0, 100.0, 90.0][trial.seed]}

    figure = curves.draw(made(ablation(), measured(VALUES), usage=usage))
    assert figure is not None
    segments = figure.axes[1].containers[0].lines[2][0].get_segments()
    assert [float(segment[1][1]) for segment in segments] == pytest.approx([100.0] * 3)
    assert all(segment[0][1] < 95 for segment in segments)


def test_a_factor_with_one_finished_level_is_left_out() -> None:
    values = {**VALUES, SMALL: [None] * 3, MIDDLE: [None] * 3}
    drawn = curves.panels(made(ablation(SIZES, ORDERS), measured(values)))
    assert [panel.factor for panel in drawn] == ["generation order"]


def test_nothing_is_written_for_nothing(tmp_path: Path) -> None:
    table = made(ablation(), lambda trial: None)
    assert figures.write(table, tmp_path / "figures") == []
    assert not (tmp_path / "figures").exists()


def test_files_are_the_same_every_time(tmp_path: Path) -> None:
    table = made(ablation(SIZES, ORDERS), measured(VALUES), usage=lambda trial: {})
    first = figures.write(table, tmp_path / "a")
    second = figures.write(table, tmp_path / "b")
    assert [path.name for path in first] == ["codebook_ablation.svg", "codebook_ablation.png"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert first[1].read_bytes().startswith(b"\x89PNG")
