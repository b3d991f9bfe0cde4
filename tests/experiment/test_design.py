"""Arms and trials of the three designs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hipart.experiment.design import arms, trials
from hipart.experiment.errors import ExperimentError
from hipart.experiment.file import Ablation, load
from hipart.jobs import jobs
from tests.timing import processor_time

HEAD = """\
kind: ablation
title: A test
seeds: [3, 5]
reseed: [prior]
metric: {stage: evaluate, name: mpjpe_mm}
"""
Write = Callable[[str], Ablation]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str, scale: str = "smoke") -> Ablation:
        path = tmp_path / "test.yaml"
        path.write_text(HEAD + text)
        return load(str(path), scale)

    return written


def test_the_base_is_the_level_that_equals_it_and_takes_its_published_value(write: Write) -> None:
    base, other = arms(
        write("""
design: one_at_a_time
factors:
  - name: size
    path: tokenizer.dense_codebook.size
    levels: [{value: 32, published: {value: 42, unit: mm, place: Table 1}}, 64]
""")
    )
    assert (base.name, base.factor, base.changes) == ("base", None, {})
    assert base.published is not None
    assert base.published.value == 42
    assert (other.name, other.factor, other.level) == ("size=64", "size", "64")
    assert other.changes == {"tokenizer.dense_codebook.size": 64}
    assert other.config.tokenizer.dense_codebook.size == 64
    assert other.published is None


def test_the_base_keeps_its_own_published_value(write: Write) -> None:
    base, _ = arms(
        write("""
design: one_at_a_time
published: {value: 41, unit: mm, place: text}
factors:
  - name: size
    path: tokenizer.dense_codebook.size
    levels: [{value: 32, published: {value: 42, unit: mm, place: Table 1}}, 64]
""")
    )
    assert base.published is not None
    assert base.published.value == 41


def test_a_level_may_be_a_whole_section_with_a_name(write: Write) -> None:
    _, other = arms(
        write("""
design: one_at_a_time
factors:
  - name: lifter
    path: lifter.model
    levels: [{name: small, value: {kind: transformer, width: 8, heads: 2, blocks: 1}}]
""")
    )
    assert other.name == "lifter=small"
    assert other.changes["lifter.model.kind"] == "transformer"
    assert other.config.lifter.model.width == 8


def test_a_factorial_crosses_plain_levels_as_listed_and_named_ones_with_the_base(
    write: Write,
) -> None:
    found = arms(
        write("""
design: factorial
factors:
  - {name: size, path: tokenizer.dense_codebook.size, levels: [16, 32]}
  - {name: order, levels: [{name: by index, set: {prior.order: raster}}]}
""")
    )
    names = ["base", "size=16", "size=16, order=by index", "order=by index"]
    assert sorted(arm.name for arm in found) == sorted(names)
    both = next(arm for arm in found if arm.factor == "size, order")
    assert (both.level, both.config.prior.order) == ("16, by index", "raster")
    assert both.config.tokenizer.dense_codebook.size == 16


def test_a_factorial_level_of_the_base_is_kept_under_another_kind(write: Write) -> None:
    found = arms(
        write("""
design: factorial
factors:
  - {name: kind, path: lifter.model.kind, levels: [mlp, transformer]}
  - {name: width, path: lifter.model.width, levels: [32, 96]}
base: {lifter.model.width: 96}
scales: {smoke: {levels: {width: [96]}}}
""")
    )
    assert [arm.name for arm in found] == ["base", "kind=transformer"]
    assert found[1].config.lifter.model.width == 96


@pytest.mark.parametrize("design", ["one_at_a_time", "factorial"])
def test_factors_may_have_controls_beside_them(write: Write, design: str) -> None:
    ablation = write(f"""
design: {design}
factors:
  - {{name: size, path: tokenizer.dense_codebook.size, levels: [16, 32]}}
arms: [{{name: 17 joints, set: {{lifter.dense_input: none}}}}]
scales: {{smoke: {{sets: {{17 joints: {{lifter.epochs: 5}}}}}}}}
""")
    *_, control = arms(ablation)
    assert [arm.name for arm in arms(ablation)] == ["base", "size=16", "17 joints"]
    assert (control.factor, control.level) == (None, None)
    assert control.config.lifter.epochs == 5


@pytest.mark.parametrize(
    ("stage", "name", "alone"),
    [
        ("evaluate", "mpjpe_mm", ["lifter", "evaluate", "profile"]),
        ("probe", "locality", ["tokenizer", "probe", "profile"]),
    ],
)
def test_a_side_stage_trains_nothing_that_an_arm_does_without(
    write: Write, stage: str, name: str, alone: list[str]
) -> None:
    written = write("""
also: [{stage: profile, name: gflops}]
claims:
  - says: Dense points are alike
    place: Table 1
    better: base
    worse: 17 joints
    metric: {stage: probe, name: matched_cosine}
design: arms
arms: [{name: 17 joints, set: {lifter.dense_input: none}}]
""")
    measured = written.metric.model_copy(update={"stage": stage, "name": name})
    values = {field: getattr(written, field) for field in Ablation.model_fields}
    base, control, *_ = trials(Ablation(**values | {"metric": measured}))
    assert "probe" in jobs(base.config, "d", base.targets)
    assert "profile" in jobs(base.config, "d", base.targets)
    assert list(jobs(control.config, "d", control.targets)) == alone


def test_a_named_level_that_changes_nothing_is_refused_in_a_factorial(write: Write) -> None:
    text = """
design: factorial
factors:
  - {name: size, path: tokenizer.dense_codebook.size, levels: [16, 32]}
  - {name: order, levels: [{name: same, set: {prior.order: center_to_periphery}}]}
"""
    with pytest.raises(ExperimentError, match="'order=same' changes nothing"):
        write(text)


def test_arms_may_be_written_out(write: Write) -> None:
    ablation = write("""
design: arms
arms:
  - {name: raster, set: {prior.order: raster}, published: {value: 43.1, unit: mm, place: Table 4}}
  - {name: both, set: {prior: {order: raster, epochs: 9}}}
""")
    assert [arm.name for arm in arms(ablation)] == ["base", "raster", "both"]
    assert arms(ablation)[2].changes == {"prior.order": "raster", "prior.epochs": 9}


@pytest.mark.parametrize("text", ["base, set: {prior.epochs: 9}", "same, set: {prior.epochs: 1}"])
def test_an_arm_is_not_the_base(write: Write, text: str) -> None:
    with pytest.raises(ExperimentError, match="base"):
        write(f"design: arms\narms: [{{name: {text}}}]\n")


def test_a_seed_reaches_the_stages_that_are_named(write: Write) -> None:
    found = trials(write("design: arms\narms: [{name: raster, set: {prior.order: raster}}]\n"))
    assert [(trial.seed, trial.arm.name) for trial in found] == [
        (3, "base"),
        (3, "raster"),
        (5, "base"),
        (5, "raster"),
    ]
    assert [trial.config.prior.seed for trial in found] == [3, 3, 5, 5]
    assert {trial.config.tokenizer.seed for trial in found} == {0}


def test_a_scale_overlays_base_seeds_and_levels(write: Write) -> None:
    ablation = write("""
design: one_at_a_time
base: {tokenizer.epochs: 7}
factors:
  - name: size
    path: tokenizer.dense_codebook.size
    levels: [64, 128]
  - name: order
    levels:
      - {name: by index, set: {prior.order: raster}}
      - {name: long, set: {prior.epochs: 9}}
  - {name: dim, path: tokenizer.dense_codebook.dim, levels: [4]}
scales:
  smoke:
    base: {prior.epochs: 2}
    seeds: [1]
    levels: {size: [8], order: [long], dim: []}
""")
    assert [arm.name for arm in arms(ablation)] == ["base", "size=8", "order=long"]
    assert ablation.seeds == (1,)
    base = ablation.base_config
    assert (base.tokenizer.epochs, base.prior.epochs) == (7, 2)


def test_of_an_arm_with_the_name_of_one_and_the_config_of_another_the_first_speaks(
    write: Write,
) -> None:
    text = """
design: arms
arms:
  - {name: raster, set: {prior.order: raster}}
  - {name: long, set: {prior.epochs: 9}}
  - {name: long, set: {prior.order: raster}}
  - {name: raster, set: {prior.epochs: 9}}
"""
    with pytest.raises(ExperimentError) as refusal:
        write(text)
    rules = [problem.rule for problem in refusal.value.problems]
    assert rules == [
        "arm 'long' is the same as arm 'raster'",
        'arm \'raster\' has the name of another arm: {"prior.order": "raster"}',
    ]


def test_seeds_differ_by_trial_and_equal_sections_are_one_object(write: Write) -> None:
    ablation = write("design: arms\narms: [{name: raster, set: {prior.order: raster}}]\n")
    first, second, other, _ = trials(ablation)
    assert first.config.tokenizer is second.config.tokenizer is other.config.tokenizer
    assert first.config.lifter is second.config.lifter
    assert (first.config.prior.seed, other.config.prior.seed) == (3, 5)
    assert first.config == type(first.config).model_validate(first.config.model_dump())


def test_a_thousand_arms_take_no_time_each(write: Write) -> None:
    text = """
design: factorial
factors:
  - {name: epochs, path: prior.epochs, levels: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}
  - {name: beta, path: tokenizer.commitment_weight, levels: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}
  - {name: width, path: lifter.model.width, levels: [4, 5, 6, 7, 8, 9, 10, 11, 12, 13]}
"""
    with processor_time() as took:
        made = trials(write(text))
    assert len(made) == 2 * 1001  # the base stands beside them
    assert took.seconds < 3.0


BOOKS = """
design: factorial
factors:
  - {name: sparse, path: tokenizer.sparse_codebook.size, levels: [32, 16, 8]}
  - {name: dense, path: tokenizer.dense_codebook.size, levels: [32, 16, 8]}
"""
EPOCHS = """
design: factorial
factors:
  - {name: epochs, path: lifter.epochs, levels: [1, 4]}
"""
CELLS = """
combinations:
  - {levels: [sparse=16, dense=8], published: {value: 1, unit: mm, place: here}}
  - {levels: [sparse=8, dense=16], published: {value: 2, unit: mm, place: here}}
"""


def test_a_published_cell_is_told_by_factors_and_levels(write: Write) -> None:
    found = {arm.name: arm.published for arm in arms(write(BOOKS + CELLS)) if arm.published}
    values = {name: published.value for name, published in found.items() if published}
    assert values == {"sparse=16, dense=8": 1, "sparse=8, dense=16": 2}


def test_a_published_cell_of_a_level_that_rests_is_no_other_one(write: Write) -> None:
    rests = "scales: {smoke: {levels: {dense: [32, 16]}}}\n"
    found = [arm.name for arm in arms(write(BOOKS + CELLS + rests)) if arm.published]
    assert found == ["sparse=8, dense=16"]


def test_a_published_cell_is_that_of_the_file_where_a_scale_has_other_levels(write: Write) -> None:
    cell = "combinations: [{levels: ['4', '32'], published: {value: 1, unit: mm, place: here}}]\n"
    found = arms(
        write(f"""
design: factorial
factors:
  - {{name: A, path: lifter.epochs, levels: [1, 4]}}
  - {{name: B, path: lifter.batch_size, levels: [16, 32]}}
scales: {{smoke: {{levels: {{B: [4, 16]}}}}}}
{cell}""")
    )
    assert "A=4, B=4" in [arm.name for arm in found]
    assert not any(arm.published for arm in found)


def test_a_published_cell_may_name_a_level_of_the_base(write: Write) -> None:
    cell = "  - {levels: [sparse=32, dense=16], published: {value: 3, unit: mm, place: here}}\n"
    found = {arm.name: arm.published for arm in arms(write(BOOKS + CELLS + cell))}
    published = found["dense=16"]
    assert published is not None and published.value == 3


def test_a_published_cell_stays_where_a_scale_moves_the_base(write: Write) -> None:
    """What a level has beside the file's base is of another cell there."""
    text = (
        EPOCHS
        + """\
  - name: flip
    levels:
      - {name: "always", set: {evaluation.flip: true}, published: {value: 1, unit: mm, place: here}}
combinations: [{levels: ["4", always], published: {value: 2, unit: mm, place: here}}]
base: {lifter.epochs: 1}
scales: {smoke: {base: {lifter.epochs: 4}}}
"""
    )
    found = {arm.name: arm.published and arm.published.value for arm in arms(write(text))}
    assert found == {
        "base": None,
        "epochs=1": None,
        "epochs=1, flip=always": None,
        "flip=always": 2,
    }


def test_a_level_s_own_number_is_of_the_base_as_it_is_written(write: Write) -> None:
    """Where a scale moves the base of another factor, the level stands elsewhere."""
    text = (
        EPOCHS
        + """\
  - name: batch
    path: lifter.batch_size
    levels: [16, {value: 32, published: {value: 1, unit: mm, place: here}}]
base: {lifter.epochs: 1, lifter.batch_size: 16}
"""
    )
    as_written = {arm.name for arm in arms(write(text)) if arm.published}
    assert as_written == {"batch=32"}
    for base in ("lifter.epochs: 4", "lifter.epochs: 4, lifter.batch_size: 32"):
        moved = text + f"scales: {{smoke: {{base: {{{base}}}}}}}\n"
        assert not any(arm.published for arm in arms(write(moved)))
    own = text + "scales: {smoke: {base: {lifter.batch_size: 8}}}\n"
    assert {arm.name for arm in arms(write(own)) if arm.published} == {"batch=32"}


def test_of_two_published_cells_that_are_one_at_a_scale_the_one_that_says_more_holds(
    write: Write,
) -> None:
    more = """
  - {name: kind, path: lifter.learning_rate, levels: [1.0e-3, 2.0e-3]}
base: {lifter.learning_rate: 1.0e-3}
combinations:
  - {levels: [sparse=16, dense=8, kind=0.001], published: {value: 1, unit: mm, place: here}}
  - {levels: [sparse=16, dense=8], published: {value: 2, unit: mm, place: here}}
"""
    found = {arm.name: arm.published for arm in arms(write(BOOKS.rstrip() + more))}
    published = found["sparse=16, dense=8"]
    assert published is not None and published.value == 1


@pytest.mark.parametrize("name", ["a=b", "="])
def test_a_factor_is_told_from_its_level(write: Write, name: str) -> None:
    with pytest.raises(ExperimentError, match="has an equals sign, which stands before a level"):
        write(BOOKS.replace("name: sparse", f"name: '{name}'"))


def test_a_level_is_not_called_as_the_base_is(write: Write) -> None:
    """In a grid one would stand for the other."""
    text = """
design: one_at_a_time
factors: [{name: flip, levels: [{name: base, set: {evaluation.flip: true}}]}]
"""
    with pytest.raises(ExperimentError, match="is what the base is called, which 'flip' gives no"):
        write(text)
    write(text.replace("name: flip,", "name: flip, base: never,"))


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        (
            "['16', '8']",
            'is a level of more than one factor; got "16"; allowed sparse=16, dense=16',
        ),
        ("[sparse=16, dense=8]", "is the same cell as combinations[0]"),
        ("[sparse=16, sparse=8]", "factor sparse stands here 2 times"),
        ("[sparse=16, dense=4]", 'unknown level; got "dense=4"'),
    ],
)
def test_a_published_cell_that_is_not_one_is_refused(write: Write, levels: str, said: str) -> None:
    more = f"  - {{levels: {levels}, published: {{value: 3, unit: mm, place: here}}}}\n"
    with pytest.raises(ExperimentError) as refusal:
        write(BOOKS + CELLS + more)
    assert said in str(refusal.value)


@pytest.mark.parametrize("design", ["one_at_a_time", "factorial"])
def test_a_design_in_which_all_is_the_base_is_refused(write: Write, design: str) -> None:
    one = "factors: [{name: size, path: tokenizer.sparse_codebook.size, levels: [32]}]\n"
    with pytest.raises(ExperimentError, match="the factor compares nothing"):
        arms(write(f"design: {design}\n{one}"))


@pytest.mark.parametrize(
    ("at_smoke", "line"),
    [
        ("levels: {size: [32]}", "scales.smoke.levels.size: are the base's alone"),
        ("levels: {size: [16, 16]}", "scales.smoke.levels.size.16: arm 'size=16' has the name"),
        ("levels: {size: [16, 1]}", "scales.smoke.levels.size.1.tokenizer.sparse_codebook.size"),
        ("sets: {long: {lifter.epochs: 0}}", "scales.smoke.sets.long.lifter.epochs"),
        ("sets: {long: {lifter.batch_size: 2}}", "arms.long.set.lifter.epochs"),
    ],
)
def test_a_mistake_of_a_scale_is_told_at_its_own_place(
    write: Write, at_smoke: str, line: str
) -> None:
    epochs = 0 if "batch" in at_smoke else 3
    with pytest.raises(ExperimentError) as refusal:
        write(f"""
design: one_at_a_time
factors: [{{name: size, path: tokenizer.sparse_codebook.size, levels: [32, 16]}}]
arms: [{{name: long, set: {{lifter.epochs: {epochs}}}}}]
scales: {{smoke: {{{at_smoke}}}}}
""")
    assert f"at {line}" in str(refusal.value)
    assert (":10:" if "scales" in line else ":9:") in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("' '", "has blanks alone"),
        ('"x\\n"', "has a line break or a tab"),
        ("'x '", "begins or ends with a blank"),
        ('"\\e[31mx"', "has the control character"),
    ],
)
def test_a_name_that_cannot_be_read_is_refused(write: Write, name: str, said: str) -> None:
    with pytest.raises(ExperimentError, match=said):
        write(f"design: arms\narms: [{{name: {name}, set: {{lifter.epochs: 3}}}}]\n")


@pytest.mark.parametrize(
    ("word", "said"),
    [("'16'", "is the name of a level of 'size'"), ("'64'", "is another number than the base's")],
)
def test_a_base_by_a_value_that_it_has_not_is_refused(write: Write, word: str, said: str) -> None:
    factor = "{name: size, base: %s, path: tokenizer.sparse_codebook.size, levels: [32, 16]}"
    with pytest.raises(ExperimentError, match=said):
        write(f"design: one_at_a_time\nfactors: [{factor % word}]\n")
    for own in ("32", "3.2e1"):
        assert write(f"design: one_at_a_time\nfactors: [{factor % repr(own)}]\n")
