"""Spaces: what exists where, and that points and configurations stand for each other."""

import random
from collections.abc import Mapping
from itertools import pairwise, product
from pathlib import Path

import pytest
from pydantic import ValidationError

from hipart.config import PipelineConfig
from hipart.experiment.dimension import MOST_VALUES, Dimension, at_scale
from hipart.experiment.errors import ExperimentError
from hipart.experiment.file import folders, load_any
from hipart.experiment.paths import with_changes
from hipart.experiment.scales import SCALES
from hipart.experiment.search import Search
from hipart.experiment.space import Point, Space
from tests.timing import processor_time

PACKAGED = sorted(path.stem for path in folders("search_spaces")[0].glob("*.yaml"))
SMALL = {"lifter.model.kind": "mlp", "lifter.model.width": 8, "lifter.model.blocks": 1}

LIFTER = {
    "name": "lifter",
    "levels": [
        {"name": "mlp", "set": {"lifter.model.kind": "mlp", "lifter.model.dropout": 0.2}},
        {"name": "transformer", "set": {"lifter.model.kind": "transformer"}},
        {"name": "none", "set": {"lifter.model.kind": "mlp", "lifter.dense_input": "none"}},
    ],
}
HEADS = {"name": "heads", "path": "lifter.model.heads", "levels": [2, 3, 6]}
RATIO = {"name": "ratio", "path": "lifter.model.mlp_ratio", "range": [1, 4]}
NESTED = [
    LIFTER,
    {"name": "dropout", "path": "lifter.model.dropout", "levels": [0, 0.5]}
    | {"when": {"lifter": ["mlp", "none"]}},
    HEADS | {"when": {"lifter": "transformer"}},
    RATIO | {"when": {"lifter": "transformer", "heads": ["2", "3"]}},
    {"name": "decay", "path": "prior.weight_decay", "range": [0.0, 0.3], "step": 0.1},
]


def _space(*dimensions: Mapping[str, object], base: Mapping[str, object] = SMALL) -> Space:
    config = with_changes(PipelineConfig(), base)
    return Space(config, tuple(map(Dimension.model_validate, dimensions)))


def _random(space: Space, luck: random.Random) -> Point:
    point: Point = {}
    for dimension in space.dimensions:
        if dimension.exists(point):
            point[dimension.name] = dimension.at(luck.random())
    return point


def _search(tmp_path: Path, use: list[str], scale: str, more: str = "") -> Search:
    path = tmp_path / "search.yaml"
    path.write_text(
        f"kind: search\ntitle: Some spaces\nuse: [{', '.join(use)}]\n"
        f"objectives: [{{stage: evaluate, name: mpjpe_mm}}]\nbudget: {{trials: 3}}\n{more}"
    )
    search = load_any(str(path), scale)
    assert isinstance(search, Search)
    return search


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", PACKAGED)
def test_every_packaged_space_is_good_at_every_scale(tmp_path: Path, name: str, scale: str) -> None:
    assert _search(tmp_path, [name], scale).dimensions


@pytest.mark.parametrize("scale", SCALES)
def test_a_configuration_tells_its_point(tmp_path: Path, scale: str) -> None:
    space = _search(tmp_path, PACKAGED, scale).space
    luck = random.Random(0)
    for _ in range(2000):
        point = _random(space, luck)
        assert space.contains(point)
        assert space.point_of(space.config(point)) == point


def test_the_base_of_quick_search_stands_in_its_space() -> None:
    search = load_any("quick_search", "laptop")
    assert isinstance(search, Search)
    point = search.space.point_of(search.base_config)
    assert point is not None
    assert search.space.config(point) == search.base_config


def test_a_dimension_exists_where_its_condition_holds_and_nowhere_else() -> None:
    space = _space(*NESTED)

    def names(point: Point) -> list[str]:
        return [one.name for one in space.existing(point)]

    assert names({"lifter": "mlp"}) == ["lifter", "dropout", "decay"]
    assert names({"lifter": "none"}) == ["lifter", "dropout", "decay"]
    assert names({"lifter": "transformer"}) == ["lifter", "heads", "decay"]
    assert names({"lifter": "transformer", "heads": "3"}) == ["lifter", "heads", "ratio", "decay"]
    assert names({"lifter": "transformer", "heads": "6"}) == ["lifter", "heads", "decay"]
    luck = random.Random(1)
    drawn = [_random(space, luck) for _ in range(300)]
    for point in drawn:
        transformer = point["lifter"] == "transformer"
        assert ("heads" in point) == transformer
        assert ("dropout" in point) == (not transformer)
        assert ("ratio" in point) == (transformer and point["heads"] != "6")
        assert space.contains(point)
        assert space.point_of(space.config(point)) == point


def test_a_space_contains_what_is_whole_and_has_values_of_its_own() -> None:
    space = _space(*NESTED)
    good: Point = {"lifter": "transformer", "heads": "2", "ratio": 3, "decay": 0.1}
    assert space.contains(good)
    assert not space.contains(good | {"lifter": "mlp"}), "others exist there"
    assert not space.contains(good | {"heads": "6"}), "ratio is idle there"
    assert not space.contains(good | {"heads": "4"})
    assert not space.contains(good | {"ratio": 5})
    assert not space.contains(good | {"ratio": 1.5})
    assert not space.contains(good | {"ratio": "3"})
    assert not space.contains(good | {"decay": 0.15}), "between steps"
    assert not space.contains(good | {"width": 3})
    assert not space.contains({name: good[name] for name in ("lifter", "heads", "decay")})
    assert not space.contains({})


def test_a_configuration_outside_of_the_space_has_no_point() -> None:
    space = _space(*NESTED)
    inside = {"lifter.model.kind": "mlp", "lifter.model.dropout": 0.2, "prior.weight_decay": 0.1}
    config = with_changes(space.base, inside)
    assert space.point_of(config) is None, "0.2 is no level of dropout"
    config = with_changes(config, {"lifter.model.dropout": 0.5})
    assert space.point_of(config) == {"lifter": "mlp", "dropout": "0.5", "decay": 0.1}
    for changes in ({"prior.weight_decay": 0.15}, {"lifter.model.kind": "diffusion"}):
        assert space.point_of(with_changes(config, changes)) is None


def test_a_level_is_recognised_by_what_the_dimensions_after_it_leave_of_it() -> None:
    """``dropout`` overrules what ``lifter`` sets, so the lifter is known by its kind."""
    space = _space(*NESTED)
    point: Point = {"lifter": "mlp", "dropout": "0.5", "decay": 0.1}
    config = space.config(point)
    assert config.lifter.model.dropout == 0.5
    assert space.point_of(config) == point


def test_what_all_levels_that_match_leave_open_is_decided_by_the_one_that_sets_most() -> None:
    dense = [
        {"name": "some", "set": {"prior.epochs": 5}},
        {"name": "none", "set": {"prior.epochs": 5, "lifter.dense_input": "none"}},
    ]
    space = _space({"name": "dense", "levels": dense})
    for name in ("some", "none"):
        assert space.point_of(space.config({"dense": name})) == {"dense": name}


def test_zero_is_a_level_of_a_setting_that_takes_any_number() -> None:
    space = _space({"name": "dropout", "path": "prior.dropout", "levels": [0, 0.25, 0.5]})
    assert [space.point_of(space.config(one)) for one in space.points() or ()] == [
        {"dropout": "0"},
        {"dropout": "0.25"},
        {"dropout": "0.5"},
    ]


def test_true_and_one_are_two_levels() -> None:
    space = _space({"name": "tied", "path": "prior.tied_logits", "levels": [True, False]})
    assert space.point_of(space.base) == {"tied": "true"}
    blocks = _space({"name": "blocks", "path": "prior.local_blocks", "levels": [1, 2]})
    assert blocks.point_of(blocks.base) == {"blocks": "1"}


def test_a_dimension_overrules_the_one_it_depends_on() -> None:
    depth = {"name": "depth", "path": "lifter.model.blocks", "range": [2, 4]}
    size = [
        {"name": "small", "set": {"lifter.model.blocks": 1, "lifter.model.width": 16}},
        {"name": "own", "set": {"lifter.model.blocks": 2, "lifter.model.width": 32}},
    ]
    space = _space({"name": "size", "levels": size}, depth | {"when": {"size": "own"}})
    own = space.config({"size": "own", "depth": 4}).lifter.model
    small = space.config({"size": "small"}).lifter.model
    assert (own.blocks, own.width) == (4, 32)
    assert (small.blocks, small.width) == (1, 16)


def _counted(space: Space) -> list[Point]:
    """Every combination of values, without the dimensions that do not exist in it."""
    found: dict[str, Point] = {}
    for values in product(*[one.values() or [] for one in space.dimensions]):
        everything = dict(zip([one.name for one in space.dimensions], values, strict=True))
        point: Point = {}
        for one in space.dimensions:
            if all(point.get(name) in levels for name, levels in one.when.items()):
                point[one.name] = everything[one.name]
        found.setdefault(repr(point), point)
    return list(found.values())


@pytest.mark.parametrize("use", [["codebook"], ["order", "codebook"], ["capacity"]])
@pytest.mark.parametrize("scale", SCALES)
def test_points_of_packaged_spaces_are_counted(tmp_path: Path, use: list[str], scale: str) -> None:
    space = _search(tmp_path, use, scale).space
    points = list(space.points() or ())
    assert points == _counted(space)
    assert space.size == len(points)


def test_points_of_a_conditional_space_are_counted() -> None:
    space = _space(*NESTED)
    points = list(space.points() or ())
    # Two levels of dropout for each of two lifters; heads 2 and 3 with four ratios each, and 6.
    assert len(points) == (2 * 2 + 2 * 4 + 1) * 4 == space.size
    assert points == _counted(space)
    assert all(map(space.contains, points))
    assert all(space.point_of(space.config(one)) == one for one in points)


def test_a_space_with_a_continuous_range_is_not_counted() -> None:
    space = _space({"name": "rate", "path": "prior.learning_rate", "range": [1e-4, 1e-2]}, HEADS)
    assert space.points() is None
    assert space.size is None


def test_a_space_is_counted_and_not_walked() -> None:
    """Three numbers of 100,000 values each make more points than can be walked."""
    paths = ("prior.warmup_steps", "tokenizer.warmup_steps", "regressor.warmup_steps")
    space = _space(*({"name": one, "path": one, "range": [1, MOST_VALUES]} for one in paths))
    assert space.size == MOST_VALUES**3


def _luckily_conditional(luck: random.Random) -> Space:
    """A small space in which dimensions depend on up to two others before them."""
    dimensions: list[Mapping[str, object]] = []
    for number in range(luck.randint(1, 6)):
        before = luck.sample(range(number), min(number, luck.randint(0, 2)))
        when = {
            f"d{one}": sorted(luck.sample(["0", "1", "2"], luck.randint(1, 2)))
            for one in before
            if "levels" in dimensions[one]
        }
        kind, values = ("levels", [0, 1, 2]) if luck.random() < 0.8 else ("range", [1, 4])
        named = {"name": f"d{number}", "path": "prior.blocks", "when": when, kind: values}
        dimensions.append(named)
    return _space(*dimensions)


def test_conditions_of_any_shape_are_counted_as_they_are_walked() -> None:
    luck = random.Random(0)
    for _ in range(300):
        space = _luckily_conditional(luck)
        assert space.size == len(list(space.points() or ())) == len(_counted(space))


def test_long_chains_of_conditions_are_counted_and_not_walked() -> None:
    """Each exists at three of ten levels of the one before it: of n there are 7 (1 + ... + 3^(n-2))
    points that end earlier, and 10 * 3^(n-1) that do not."""
    chain: list[dict[str, object]] = [
        {"name": f"d{one}", "path": "prior.blocks", "levels": list(range(10))} for one in range(60)
    ]
    for before, one in pairwise(chain):
        one["when"] = {str(before["name"]): ["0", "1", "2"]}
    space = _space(*chain)
    with processor_time() as took:
        size = space.size
    assert size == 7 * (3**59 - 1) // 2 + 10 * 3**59
    assert took.seconds < 0.5


def test_many_pairs_are_counted_one_after_the_other() -> None:
    """Also where all that others depend on stand before all of these."""
    pairs = range(30)
    first = [{"name": f"a{one}", "path": "prior.blocks", "levels": [0, 1]} for one in pairs]
    then = [
        {"name": f"b{one}", "path": "prior.blocks", "range": [1, 3], "when": {f"a{one}": "1"}}
        for one in pairs
    ]
    space = _space(*first, *then)
    with processor_time() as took:
        assert space.size == 4**30
    assert took.seconds < 0.5


def test_of_a_logarithm_no_step_is_asked_for() -> None:
    steps = {"name": "steps", "path": "lifter.steps", "range": [1, 200_000], "log": True}
    space = _space(steps)
    assert space.size is None
    assert space["steps"].at(0.5) == 447


KINDS = {
    "whole": ({"range": [1, 4]}, "int", [1, 2, 3, 4]),
    "whole steps": ({"range": [4, 16], "step": 4}, "int", [4, 8, 12, 16]),
    "steps that end before the range": ({"range": [1, 6], "step": 2}, "int", [1, 3, 5]),
    "whole and log": ({"range": [1, 4], "log": True}, "int", [1, 2, 3, 4]),
    "any": ({"range": [0.0, 1.0]}, "float", None),
    "any from a whole one": ({"range": [0, 0.5]}, "float", None),
    "log": ({"range": [1e-4, 1e-1], "log": True}, "float", None),
    "steps": ({"range": [0.0, 0.4], "step": 0.1}, "float", [0.0, 0.1, 0.2, 0.3, 0.4]),
    "steps of a whole range": ({"range": [0, 1], "step": 0.5}, "float", [0.0, 0.5, 1.0]),
    "levels": ({"levels": [4, 8, 2]}, "levels", ["4", "8", "2"]),
}


@pytest.mark.parametrize(("form", "kind", "values"), KINDS.values(), ids=KINDS)
def test_what_the_values_of_a_dimension_are(
    form: dict[str, object], kind: str, values: list[float] | None
) -> None:
    one = Dimension.model_validate({"name": "x", "path": "prior.blocks"} | form)
    assert one.kind == kind
    found = one.values()
    if values is None or found is None:
        assert found is values
    else:
        assert found == (values if kind != "float" else pytest.approx(values))
        assert all(map(one.contains, found))
    luck = random.Random(0)
    drawn = [one.at(luck.random()) for _ in range(2000)]
    assert all(map(one.contains, drawn))
    assert all(isinstance(value, {"int": int, "float": float}.get(kind, str)) for value in drawn)
    if found is not None:
        assert {repr(value) for value in drawn} == {repr(value) for value in found}
    if one.range is not None:
        low, high = one.range
        assert all(not one.contains(outside) for outside in (low - 1, high + 1, "1", True, None))


@pytest.mark.parametrize("form", [KINDS["any"][0], KINDS["log"][0]], ids=["any", "log"])
def test_a_share_is_where_a_value_stands(form: dict[str, object]) -> None:
    one = Dimension.model_validate({"name": "x", "path": "prior.weight_decay"} | form)
    for share in (0.0, 0.1, 0.5, 0.9, 1.0):
        assert one.share(one.at(share)) == pytest.approx(share)


def test_the_ends_of_a_logarithm_are_those_that_were_written() -> None:
    """3 * (9 / 3) ** 1 may be more than 9 by its last digit."""
    luck = random.Random(0)
    for _ in range(1000):
        low, high = luck.uniform(1e-6, 1e-3), luck.choice([1.0, 0.29, luck.uniform(0.1, 1.0)])
        form = {"name": "x", "path": "prior.learning_rate", "range": [low, high], "log": True}
        one = Dimension.model_validate(form)
        assert one.at(0.0) == low
        assert high * (1 - 1e-12) < float(one.at(1.0)) <= high


def test_shares_follow_the_scale_of_a_dimension() -> None:
    path = {"name": "x", "path": "prior.weight_decay"}
    log = Dimension.model_validate(path | {"range": [1e-4, 1e-2], "log": True})
    assert log.at(0.5) == pytest.approx(1e-3)
    assert log.share(1e-3) == pytest.approx(0.5)
    even = Dimension.model_validate(path | {"range": [0.0, 0.5]})
    assert even.at(0.5) == 0.25
    levels = Dimension.model_validate(path | {"levels": [1, 2, 3]})
    assert [levels.share(one) for one in levels.names] == [0.0, 0.5, 1.0]


def test_values_that_can_be_counted_have_equal_shares() -> None:
    one = Dimension.model_validate({"name": "x", "path": "prior.blocks", "range": [1, 4]})
    drawn = [one.at((number + 0.5) / 400) for number in range(400)]
    assert [drawn.count(value) for value in (1, 2, 3, 4)] == [100] * 4
    assert [one.at(share) for share in (0.0, 1.0)] == [1, 4]
    assert [one.share(value) for value in (1, 4)] == [0.0, 1.0]


WIDTH = {"name": "width", "path": "tokenizer.width", "range": [64, 256], "step": 32}


def test_a_dimension_is_another_at_a_scale() -> None:
    one = Dimension.model_validate(
        WIDTH | {"scales": {"smoke": {"range": [8, 16], "step": 8}, "laptop": {"levels": [16, 32]}}}
    )
    smoke, laptop = at_scale(one, "smoke", {}), at_scale(one, "laptop", {})
    assert (smoke.range, smoke.step, smoke.levels) == ((8, 16), 8, None)
    assert (laptop.range, laptop.step, laptop.names) == (None, None, ["16", "32"])
    assert at_scale(one, "paper", {}) == one


def test_the_experiment_overrules_the_dimension_at_a_scale() -> None:
    one = Dimension.model_validate(WIDTH | {"scales": {"smoke": {"levels": [16, 32]}}})
    overruled = at_scale(one, "smoke", {"width": {"range": [8, 24]}, "other": {"step": 2}})
    assert (overruled.range, overruled.step, overruled.levels) == ((8, 24), None, None)
    stepped = at_scale(one, "paper", {"width": {"step": 64}})
    assert (stepped.range, stepped.step) == ((64, 256), 64)
    with pytest.raises(ValidationError):
        at_scale(one, "paper", {"width": {"rang": [1, 2]}})


def test_a_search_overrules_and_rests_dimensions_at_a_scale(tmp_path: Path) -> None:
    more = """\
scales:
  laptop:
    space: {prior blocks: {levels: [1, 3]}}
    rest: [encoder blocks, mlp width]
"""
    use = ["capacity", "lifter"]
    laptop = _search(tmp_path, use, "laptop", more)
    paper = _search(tmp_path, use, "paper", more)
    assert laptop.space["prior blocks"].names == ["1", "3"]
    assert paper.space["prior blocks"].range == (4, 16)
    gone = {one.name for one in paper.dimensions} - {one.name for one in laptop.dimensions}
    # The laptop's lifters leave diffusion out, and so its sampling steps.
    assert gone == {"encoder blocks", "mlp width", "sampling steps"}


def test_what_depends_on_a_resting_dimension_rests_too(tmp_path: Path) -> None:
    search = _search(tmp_path, ["order", "lifter"], "paper", "rest: [lifter]\n")
    assert [one.name for one in search.dimensions] == ["order"]


def test_a_point_that_the_config_forbids_is_refused() -> None:
    space = _space({"name": "heads", "path": "prior.heads", "range": [1, 8]})
    assert space.config({"heads": 4}).prior.heads == 4
    with pytest.raises(ExperimentError, match="64 must be a multiple of heads 3"):
        space.config({"heads": 3})
