"""Figures of a search: which there are when, and that they say what the study says."""

from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from hipart.experiment.file import load_any
from hipart.experiment.search import Search
from hipart.experiment.space import Point
from hipart.report.figures import search as figures
from hipart.report.figures.search.shared import LOOKS
from hipart.report.figures.style import BASE_COLOUR
from hipart.search.study import Study

ERROR = "{stage: evaluate, name: mpjpe_mm}"
SIZE = "{stage: profile, name: parameters_m}"
ACCURACY = "{stage: tokenizer, name: action_accuracy_pct}"
FILE = """
kind: search
title: A search to draw
base: {{lifter.epochs: 9, lifter.model.width: 32}}
space:
  - name: lifter
    levels:
      - {{name: transformer, set: {{lifter.model.kind: transformer}}}}
      - {{name: mlp, set: {{lifter.model.kind: mlp}}}}
  - {{name: mlp blocks, path: lifter.model.blocks, when: {{lifter: mlp}}, range: [1, 3]}}
  - {{name: order, path: prior.order, levels: [raster, random_0, center_to_periphery]}}
  - {{name: rate, path: lifter.learning_rate, range: [1.0e-4, 1.0e-2], log: true}}
objectives: [{objectives}]
budget: {{trials: 40}}
"""
STOPPING = "stopping: {kind: asha, first_epochs: 1, reduction: 3}\n"


def made(folder: Path, *objectives: str, stopping: bool = False) -> tuple[Search, Study]:
    file = folder / "drawn.yaml"
    text = FILE.format(objectives=", ".join(objectives or (ERROR,)))
    file.write_text(text + STOPPING * stopping)
    search = load_any(str(file), "laptop")
    assert isinstance(search, Search)
    return search, Study(search, "figures")


def point(rate: float, **others: Any) -> Point:
    return {"lifter": "transformer", "order": "raster", "rate": rate, **others}


def mlp(rate: float, blocks: int) -> Point:
    return {"lifter": "mlp", "mlp blocks": blocks, "order": "raster", "rate": rate}


def add(study: Study, at: Point, *values: float, rungs: dict[int, float] | None = None) -> None:
    """A trial of this search; without values it is stopped after its rungs, or fails."""
    record = study.draw(at)
    assert record is not None and record.point == at
    for epochs, value in (rungs or {}).items():
        study.report(record, epochs, value)
    if values:
        study.completed(record, values)
    elif rungs:
        study.stopped(record, "enough")
    else:
        study.failed(record, "broken")


def with_values(study: Study, *values: tuple[float, ...] | float) -> None:
    for number, value in enumerate(values, start=len(study.records) + 1):
        add(study, point(number * 1.3e-4), *(value if isinstance(value, tuple) else (value,)))


def drawn(study: Study, search: Search) -> dict[str, Figure]:
    return figures.draw(study.optuna_study, search)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> tuple[Search, Study]:
    """Error and size; from the worst of each, (60, 9), only two trials are better in both."""
    search, study = made(tmp_path_factory.mktemp("several"), ERROR, SIZE)
    with_values(study, (60.0, 5.0), (50.0, 9.0), (55.0, 7.0), (55.0, 8.0), (52.0, 6.0))
    return search, study


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Figure]:
    """Figures of both lifters, one of which has blocks, and of a trial that was stopped."""
    search, study = made(tmp_path_factory.mktemp("mixed"), stopping=True)
    add(study, mlp(1e-4, 1), 50.0)
    add(study, point(1e-2, order="random_0"), 52.0)
    add(study, mlp(1e-3, 3), 51.0)
    add(study, point(2e-3), rungs={1: 70.0})
    return drawn(study, search)


def numbers(found: Any) -> list[Any]:
    """What matplotlib keeps, as plain numbers or pairs of them."""
    return [tuple(map(float, one)) if hasattr(one, "__len__") else float(one) for one in found]


def line(axes: Axes, label: str) -> list[tuple[float, float]]:
    (found,) = (one for one in axes.lines if one.get_label() == label)
    return numbers(found.get_xydata())


def marks(axes: Axes) -> dict[str, list[tuple[float, float]]]:
    """Where the marks of each kind of trial stand."""
    return {
        str(one.get_label()): numbers(one.get_offsets())
        for one in axes.collections
        if isinstance(one, PathCollection)
    }


def caption(figure: Figure) -> str:
    return " ".join(figure.get_supxlabel().split())


def test_figures_appear_once_they_can_be_drawn(tmp_path: Path) -> None:
    search, study = made(tmp_path, stopping=True)
    add(study, point(1e-3))  # fails
    assert drawn(study, search) == {}
    assert figures.write(study.optuna_study, search, tmp_path / "none") == []
    assert not (tmp_path / "none").exists()
    add(study, point(2e-3), rungs={1: 70.0})
    assert set(drawn(study, search)) == {"history", "rungs"}
    with_values(study, 50.0)
    assert set(drawn(study, search)) == {"history", "rungs"}
    with_values(study, *[51.0 + number for number in range(8)])
    assert set(drawn(study, search)) == {"history", "rungs", "slice", "parallel"}
    with_values(study, 60.0)
    assert set(drawn(study, search)) == {"history", "rungs", "slice", "parallel", "importance"}


def test_several_objectives_have_a_front_and_no_rungs(
    tmp_path: Path, several: tuple[Search, Study]
) -> None:
    search, study = made(tmp_path, ERROR, SIZE)
    with_values(study, (50.0, 3.0))
    assert set(drawn(study, search)) == {"history"}
    search, study = several
    assert set(drawn(study, search)) == {"history", "slice", "parallel", "front"}


def test_without_stopping_no_rungs_are_drawn(tmp_path: Path) -> None:
    search, study = made(tmp_path)
    study.remember(point(1e-4), (60.0,), {9: 60.0})
    assert set(drawn(study, search)) == {"history"}


def test_trials_of_the_store_and_stopped_ones_are_told_apart(tmp_path: Path) -> None:
    search, study = made(tmp_path, stopping=True)
    study.remember(point(1e-4), (60.0,), {1: 70.0, 3: 65.0, 9: 60.0})
    study.remember(point(2e-4), None, {1: 61.0})
    with_values(study, 50.0)
    add(study, point(5e-4), rungs={1: 69.0, 3: 58.0})
    add(study, point(6e-4))
    (axes,) = drawn(study, search)["history"].axes
    assert marks(axes) == {
        "complete": [(2.0, 50.0)],
        "from the store": [(0.0, 60.0)],
        "stopped early": [(3.0, 58.0)],
        "from the store, few epochs": [(1.0, 61.0)],
    }
    looks = {(look.marker, look.colour) for look in LOOKS.values()}
    assert len(looks) == 4
    assert axes.get_ylabel() == "MPJPE [mm], validation"


def test_the_best_so_far_counts_complete_trials_alone(tmp_path: Path) -> None:
    search, study = made(tmp_path, stopping=True)
    with_values(study, 55.0, 57.0)
    add(study, point(5e-3), rungs={1: 40.0})
    add(study, point(6e-3))
    study.remember(point(7e-3), (52.0,), {9: 52.0})
    add(study, point(8e-3), rungs={1: 60.0})
    (axes,) = drawn(study, search)["history"].axes
    assert line(axes, "best so far") == [(0, 55), (1, 55), (4, 52), (5, 52)]


def test_the_best_of_what_shall_be_high_is_the_highest(tmp_path: Path) -> None:
    search, study = made(tmp_path, ACCURACY)
    with_values(study, 20.0, 30.0, 25.0)
    (axes,) = drawn(study, search)["history"].axes
    assert [y for _, y in line(axes, "best so far")][:3] == [20, 30, 30]
    assert axes.get_ylabel() == "action accuracy [%]"


def test_a_stopped_trial_far_off_does_not_flatten_the_others(tmp_path: Path) -> None:
    search, study = made(tmp_path, stopping=True)
    with_values(study, 50.0, 54.0)
    add(study, point(5e-3), rungs={1: 500.0})
    (axes,) = drawn(study, search)["history"].axes
    assert marks(axes)["stopped early"] == [(2.0, 56.0)]
    assert axes.get_ylim()[1] < 60


def test_the_base_is_a_line_of_the_history(tmp_path: Path) -> None:
    search, study = made(tmp_path)
    base = search.space.point_of(search.base_config)
    with_values(study, 55.0)
    assert "base" not in [one.get_label() for one in drawn(study, search)["history"].axes[0].lines]
    assert base is not None
    add(study, base, 58.0)
    assert {y for _, y in line(drawn(study, search)["history"].axes[0], "base")} == {58.0}


def test_rungs_are_a_line_for_each_trial(tmp_path: Path) -> None:
    search, study = made(tmp_path, stopping=True)
    add(study, point(1e-3), 50.0, rungs={1: 70.0, 3: 60.0, 9: 50.0})
    add(study, point(2e-3), rungs={1: 75.0, 3: 66.0})
    add(study, point(3e-3), rungs={1: 80.0})
    add(study, point(4e-3))
    (axes,) = drawn(study, search)["rungs"].axes
    lines = [numbers(one.get_xydata()) for one in axes.lines]
    assert lines == [[(1, 70), (3, 60), (9, 50)], [(1, 75), (3, 66)], [(1, 80)]]
    assert marks(axes) == {"complete": [(9, 50)], "stopped early": [(3, 66), (1, 80)]}
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "3", "9"]
    assert line(axes, "best: trial 0") == lines[0]


@pytest.mark.parametrize(
    ("objectives", "values", "joined", "named"),
    [
        (
            (ERROR, SIZE),
            [(50, 9), (40, 12), (50, 8), (60, 8), (70, 5), (45, 20), (40, 12)],
            [(40, 12), (40, 12), (50, 8), (70, 5)],
            ["1, 6", "2", "4"],
        ),
        (
            (ACCURACY, ERROR),
            [(20, 50), (30, 60), (25, 60), (10, 40), (30, 70)],
            [(30, 60), (20, 50), (10, 40)],
            ["1", "0", "3"],
        ),
        (
            (ERROR, ACCURACY),
            [(50, 20), (60, 30), (60, 25), (40, 10), (70, 30)],
            [(40, 10), (50, 20), (60, 30)],
            ["3", "0", "1"],
        ),
    ],
)
def test_the_front_joins_what_nothing_beats(
    tmp_path: Path,
    objectives: tuple[str, str],
    values: list[tuple[float, float]],
    joined: list[tuple[float, float]],
    named: list[str],
) -> None:
    search, study = made(tmp_path, *objectives)
    with_values(study, *values)
    (axes,) = drawn(study, search)["front"].axes
    assert line(axes, "front") == joined
    assert [text.get_text() for text in axes.texts] == named
    assert sorted(marks(axes)["complete"]) == sorted(values)


def test_the_history_of_several_objectives_has_their_dominated_volume(
    several: tuple[Search, Study],
) -> None:
    search, study = several
    error, size, volume = drawn(study, search)["history"].axes
    assert [y for _, y in line(error, "best so far")][:5] == [60, 50, 50, 50, 50]
    assert [y for _, y in line(size, "best so far")][:5] == [5, 5, 5, 5, 5]
    # Only (55, 7) and then (52, 6) are better in both.
    (shares,) = (numbers(one.get_ydata()) for one in volume.lines)
    assert shares == pytest.approx([0, 0, 100 * 10 / 24, 100 * 10 / 24, 100])
    assert size.get_ylabel().split() == ["parameters", "at", "inference", "[M]"]


def test_slices_have_the_dimension_s_own_scale_and_its_own_trials(
    mixed: dict[str, Figure],
) -> None:
    figure = mixed["slice"]
    panels = {axes.get_xlabel(): axes for axes in figure.axes if axes.get_xlabel()}
    assert list(panels) == ["lifter", "mlp blocks", "order", "rate"]
    assert panels["rate"].get_xscale() == "log"
    assert panels["mlp blocks"].get_xscale() == "linear"
    stands = {name: sum(marks(axes).values(), []) for name, axes in panels.items()}
    assert sorted(stands["mlp blocks"]) == [(1.0, 50.0), (3.0, 51.0)]
    assert sorted(stands["rate"]) == [(1e-4, 50.0), (1e-3, 51.0), (1e-2, 52.0)]
    assert [round(x) for x, _ in sorted(stands["order"])] == [0, 0, 1]
    assert caption(figure) == "3 complete trials, without 1 that ended early; ring: the best"


def test_a_dimension_that_no_trial_has_is_not_sliced(tmp_path: Path) -> None:
    search, study = made(tmp_path)
    with_values(study, 50.0, 51.0)
    names = [axes.get_xlabel() for axes in drawn(study, search)["slice"].axes]
    assert "mlp blocks" not in names


def test_parallel_lines_pass_a_dimension_they_lack_beside_its_values(
    mixed: dict[str, Figure],
) -> None:
    figure = mixed["parallel"]
    axes = figure.axes[0]
    (lines,) = axes.collections
    worst, _, best = ([x for x, _ in numbers(path.vertices)] for path in lines.get_paths())
    titles = [text.get_text() for text in axes.get_yticklabels()]
    assert titles == ["lifter", "mlp blocks", "order", "rate", "MPJPE [mm], validation"]
    assert best[1] == 0.0 and worst[1] < -0.1
    assert [best[3], worst[3]] == pytest.approx([0.0, 1.0])
    assert [best[4], worst[4]] == [0.0, 1.0]
    dashes = [text.get_position()[1] for text in axes.texts if text.get_text() == "–"]
    assert dashes == [pytest.approx(1, abs=0.3)]
    assert "3 complete trials, without 1 that ended early" in caption(figure)


@pytest.mark.parametrize(("objective", "sign"), [(ERROR, 1), (ACCURACY, -1)])
def test_what_tells_the_best_from_the_rest_is_important(
    tmp_path: Path, objective: str, sign: int
) -> None:
    search, study = made(tmp_path, objective)
    for number in range(20):  # the best five have an order of their own, the worst five a lifter
        rate = 1e-4 * 1.25 ** (number * 7 % 20)
        order = "random_0" if number < 5 else "raster"
        at = mlp(rate, 2) if number >= 15 else point(rate, order=order)
        add(study, at, 50.0 + sign * number)
    figure = drawn(study, search)["importance"]
    (axes,) = figure.axes
    names = [text.get_text() for text in axes.get_yticklabels()]
    widths = [bar.get_width() for bar in axes.containers[0]]
    shares = dict(zip(names, numbers(widths), strict=True))
    (shuffled,) = axes.collections
    luck = dict(zip(names, [x for x, _ in numbers(shuffled.get_offsets())], strict=True))
    assert set(names) == {"lifter", "mlp blocks", "order", "rate"}
    assert names[-1] == "order"
    assert shares["order"] > luck["order"]
    pale = [to_hex(bar.get_facecolor()) != BASE_COLOUR for bar in axes.containers[0]]
    assert pale == [shares[name] <= luck[name] for name in names]
    assert sum(shares.values()) == pytest.approx(100)
    assert "PED-ANOVA: the best 5 beside all 20 complete trials" in caption(figure)


def test_files_bear_the_search_s_name_and_are_the_same_every_time(
    tmp_path: Path, several: tuple[Search, Study]
) -> None:
    search, study = several
    first, second = (
        figures.write(study.optuna_study, search, tmp_path / name) for name in ("a", "b")
    )
    kinds = ("history", "slice", "parallel", "front")
    assert [path.name for path in first] == [
        f"drawn_{kind}.{suffix}" for kind in kinds for suffix in ("svg", "png")
    ]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
