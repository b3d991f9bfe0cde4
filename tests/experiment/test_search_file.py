"""Every mistake in a search or a space is refused at load: where, which rule, what is right."""

from pathlib import Path
from typing import NamedTuple

import pytest

from hipart.experiment.errors import ExperimentError
from hipart.experiment.file import load, load_any
from hipart.experiment.search import Search

GOOD = """\
kind: search
title: A good search
base: {prior.epochs: 2}
use: [order]
space:
  - {name: rate, path: prior.learning_rate, range: [1.0e-4, 1.0e-2], log: true}
  - {name: dropout, path: prior.dropout, range: [0.0, 0.5], step: 0.1}
  - name: lifter
    levels:
      - {name: narrow, set: {lifter.model.kind: mlp, lifter.model.width: 16}}
      - {name: wide, set: {lifter.model.kind: mlp, lifter.model.width: 32}}
  - {name: blocks, path: lifter.model.blocks, range: [1, 4], when: {lifter: [wide]}}
objectives: [{stage: evaluate, name: mpjpe_mm}]
also: [{stage: tokenizer, name: dense_usage_pct}]
sampler: {kind: tpe, seed: 1}
stopping: {kind: asha, first_epochs: 1}
proxy: {metric: dense_reconstruction_px}
constraints: [{metric: parameters_m, at_most: 5}]
budget: {trials: 10}
reseed: [tokenizer, prior, lifter]
"""


class Mistake(NamedTuple):
    """Text of the good file, what stands there instead, and what the message must say."""

    right: str
    wrong: str
    said: tuple[str, ...]


RATE = "range: [1.0e-4, 1.0e-2], log: true"
DROPOUT = "{name: dropout, path: prior.dropout, range: [0.0, 0.5], step: 0.1}"
STEPPED = "range: [0.0, 0.5], step: 0.1"
WHEN = "when: {lifter: [wide]}"
OBJECTIVE = "[{stage: evaluate, name: mpjpe_mm}]"
TWO_NUMBERS = ":7: at space[1].range: must be two numbers, the lowest and the highest"
AT_SCALE = "path, range, log, step, levels, when"
WHAT_IS_MEASURED = "decides what results are measured on, and cannot be searched over"


def _scale(text: str) -> tuple[str, str]:
    return "reseed:", f"scales: {{{text}}}\nreseed:"


SPACE_MISTAKES = {
    "empty range": Mistake(
        RATE,
        "range: [1.0e-4, 1.0e-4], log: true",
        (":6: at space.rate.range: is empty", "below the second", "got [0.0001, 0.0001]"),
    ),
    "range upside down": Mistake(
        RATE, "range: [3, 2]", (":6: at space.rate.range: is empty", "got [3, 2]")
    ),
    "logarithm of zero": Mistake(
        RATE,
        "range: [0.0, 1.0e-2], log: true",
        (":6: at space.rate.range: has no logarithm", "must be above 0", "got [0.0, 0.01]"),
    ),
    "logarithm of less than zero": Mistake(
        RATE, "range: [-1, 0.1], log: true", (":6: at space.rate.range: has no logarithm", "-1")
    ),
    "logarithm of what has no ratio": Mistake(
        RATE,
        "range: [1.0e-320, 1.0e-2], log: true",
        (":6: at space.rate.range: is too wide: with `log`", "got [1e-320, 0.01]", "bring its"),
    ),
    "range without an end": Mistake(
        RATE,
        "range: [-1.0e+308, 1.0e+308]",
        (":6: at space.rate.range: is too wide: their distance", "got [-1e+308, 1e+308]"),
    ),
    "whole numbers without an end": Mistake(
        RATE,
        f"range: [-1{'0' * 308}, 1{'0' * 308}], step: 5",
        (":6: at space.rate.range: is too wide: their distance",),
    ),
    "step of a logarithm": Mistake(
        RATE, f"{RATE}, step: 0.001", (":6: at space.rate.step: has no meaning with `log`", "leave")
    ),
    "step without end": Mistake(
        STEPPED,
        "range: [0.0, 0.5], step: 1.0e-300",
        (":7: at space.dropout.range: makes more than 100,000 values", "a larger `step`"),
    ),
    "step beneath all numbers": Mistake(
        STEPPED,
        "range: [-1.0e+308, 1.0e+308], step: 1.0e-311",
        (":7: at space.dropout.range: makes more than 100,000 values", "a larger `step`"),
    ),
    "number beyond all numbers": Mistake(
        STEPPED,
        f"range: [0, 1{400 * '0'}]",
        (":7: at space[1].range: must be two numbers", "the highest; got [0, 1000"),
    ),
    "step beyond the range": Mistake(
        STEPPED,
        "range: [0.0, 0.5], step: 0.6",
        (":7: at space.dropout.step: is out of range", "got 0.6", "allowed above 0, at most 0.5"),
    ),
    "step of zero": Mistake(
        STEPPED,
        "range: [0.0, 0.5], step: 0",
        (":7: at space.dropout.step: is out of range", "got 0;", "above 0, at most 0.5"),
    ),
    "step that is no number": Mistake(
        STEPPED,
        "range: [0.0, 0.5], step: '0.1'",
        (":7: at space[1].step: must be a number", 'got "0.1"', "without quotes"),
    ),
    "range of three": Mistake(
        STEPPED, "range: [0.0, 0.5, 1.0]", (TWO_NUMBERS, "got [0.0, 0.5, 1.0]")
    ),
    "range of one": Mistake(STEPPED, "range: [0.0]", (TWO_NUMBERS, "got [0.0]")),
    "range of words": Mistake(STEPPED, "range: [0.0, half]", (TWO_NUMBERS, '[0.0, "half"]')),
    "range in quotes": Mistake(STEPPED, 'range: [0.0, "0.5"]', (TWO_NUMBERS, "without quotes")),
    "range without end": Mistake(STEPPED, "range: [0.0, .inf]", (TWO_NUMBERS, ".inf]")),
    "range of truth values": Mistake(STEPPED, "range: [false, true]", (TWO_NUMBERS, "true")),
    "path": Mistake(
        "prior.learning_rate",
        "prior.lerning_rate",
        (
            ":6: at space.rate.path: unknown path",
            '"prior.lerning_rate"',
            "did you mean prior.learning_rate?",
        ),
    ),
    "last word of a path": Mistake(
        "path: prior.dropout",
        "path: dropout",
        (":7: at space.dropout.path: unknown path", "mean prior.dropout or regressor.model.drop"),
    ),
    "path in a set": Mistake(
        "lifter.model.kind: mlp, lifter.model.width: 16",
        "lifter.model.kid: mlp, lifter.model.width: 16",
        (
            ":10: at space.lifter.levels.narrow.lifter.model.kid: unknown path",
            "did you mean lifter.model.kind?",
        ),
    ),
    "path of a section": Mistake(
        "path: prior.dropout",
        "path: tokenizer.dense_codebook",
        (
            ":7: at space.dropout.path: is a section",
            '"tokenizer.dense_codebook"',
            "allowed tokenizer.dense_codebook.size, tokenizer.dense_codebook.dim",
        ),
    ),
    "path of another kind": Mistake(
        "lifter.model.blocks",
        "lifter.model.heads",
        (
            ":12: at space.blocks.range.1.lifter.model.heads: unknown name under kind mlp",
            "allowed kind, width, blocks, dropout",
        ),
    ),
    "value that is too high": Mistake(
        RATE,
        "range: [1.0e-4, 2.0], log: true",
        (
            ":6: at space.rate.range.2.0.prior.learning_rate: is out of range",
            "got 2.0",
            "allowed a number above 0 and at most 1",
        ),
    ),
    "value that is too low": Mistake(
        STEPPED,
        "range: [-0.5, 0.5], step: 0.1",
        (":7: at space.dropout.range.-0.5.prior.dropout", "got -0.5", "at least 0 and below 1"),
    ),
    "value that does not go together": Mistake(
        DROPOUT,
        "{name: heads, path: prior.heads, range: [2, 3]}",
        (":7: at space.heads.range.3.prior.heads", "16 must be a multiple of heads 3"),
    ),
    "steps between whole numbers": Mistake(
        "range: [1, 4]", "range: [1, 4], step: 0.5", ("blocks: has the wrong type", "whole number")
    ),
    "whole numbers where any will do": Mistake(
        DROPOUT,
        "{name: weight, path: prior.weight_decay, range: [0, 1]}",
        (
            ":7: at space.weight.range: has whole numbers only, and prior.weight_decay takes any",
            "write [0.0, 1.0]",
        ),
    ),
    "level": Mistake(
        "lifter.model.width: 32",
        "lifter.model.width: 3",
        (
            ":11: at space.lifter.levels.wide.lifter.model.width: is out of range",
            "got 3",
            "at least 4 and at most 4096",
        ),
    ),
    "kind in a level": Mistake(
        "mlp, lifter.model.width: 32",
        "mpl, lifter.model.width: 32",
        (":11: at space.lifter.levels.wide.lifter.model.kind: unknown kind", "did you mean mlp?"),
    ),
    "level twice": Mistake(
        STEPPED,
        "levels: [0.1, 0.1]",
        (":7: at space.dropout.levels: level '0.1' stands here twice", "keep one"),
    ),
    "one number twice": Mistake(
        STEPPED,
        "levels: [0, 0.5, 0.0]",
        (":7: at space.dropout.levels.0.0: level '0.0' is the same as level '0'", "keep one"),
    ),
    "levels of one meaning": Mistake(
        "lifter.model.width: 32",
        "lifter.model.width: 16",
        (":11: at space.lifter.levels.wide: level 'wide' is the same as level 'narrow'",),
    ),
    "no levels": Mistake(STEPPED, "levels: []", (":7: at space[1].levels: must not be empty",)),
    "levels with a step": Mistake(
        STEPPED,
        "levels: [0.1, 0.2], step: 0.1",
        (":7: at space.dropout: levels have no `log` and no `step`", "leave them out"),
    ),
    "both range and levels": Mistake(
        STEPPED,
        "range: [0.0, 0.5], levels: [0.1]",
        (":7: at space.dropout: must have a `range` or `levels`, and not both",),
    ),
    "neither range nor levels": Mistake(
        STEPPED, "log: false", (":7: at space.dropout: must have a `range` or `levels`",)
    ),
    "range without a path": Mistake(
        "path: prior.dropout, ", "", (":7: at space.dropout.path: is required by a range",)
    ),
    "condition on nothing": Mistake(
        "when: {lifter:",
        "when: {liftr:",
        (
            ":12: at space.blocks.when.liftr: unknown dimension to depend on",
            '"liftr"',
            "allowed order, rate, dropout, lifter",
            "did you mean lifter?",
        ),
    ),
    "condition on what comes later": Mistake(
        STEPPED,
        f"{STEPPED}, {WHEN}",
        (
            ":7: at space.dropout.when.lifter: unknown dimension to depend on",
            "it must stand before this one",
            "allowed order, rate",
        ),
    ),
    "condition on itself": Mistake(
        WHEN, "when: {blocks: [wide]}", (":12: at space.blocks.when.blocks", "stand before this")
    ),
    "condition on no level": Mistake(
        "[wide]",
        "[wid]",
        (
            ":12: at space.blocks.when.lifter: unknown level of 'lifter'",
            '"wid"',
            "allowed narrow, wide",
            "did you mean wide?",
        ),
    ),
    "condition on a range": Mistake(
        WHEN,
        "when: {dropout: [wide]}",
        (":12: at space.blocks.when.dropout: only a dimension with levels can be depended on",),
    ),
    "condition without levels": Mistake(
        "[wide]", "[]", (":12: at space[3].when.lifter: must not be empty", "[]")
    ),
    "dimension twice": Mistake(
        "name: dropout", "name: rate", (":6: at space.rate: dimension rate stands here twice",)
    ),
    "path in two dimensions": Mistake(
        f"path: lifter.model.blocks, range: [1, 4], {WHEN}",
        "path: lifter.model.width, range: [8, 16]",
        (
            ":12: at space.blocks: lifter.model.width is changed by 'lifter', too",
            "let it depend on 'lifter' with `when`, or leave one out",
        ),
    ),
    "key of a dimension": Mistake(
        "log: true", "logs: true", (":6: at space[0].logs: unknown name", "did you mean log?")
    ),
    "dimension without a name": Mistake(
        "name: dropout, ", "", (":7: at space[1].name: is required", "allowed text")
    ),
    "seed of a stage that seeds reach": Mistake(
        DROPOUT,
        "{name: luck, path: prior.seed, range: [0, 4]}",
        (
            ":7: at space.luck: prior.seed is set by `seeds`, because `reseed` names it",
            "leave the dimension out",
        ),
    ),
    "dimension of the data": Mistake(
        DROPOUT,
        "{name: places, path: data.placements, range: [1, 4]}",
        (f":7: at space.places: data.placements {WHAT_IS_MEASURED}",),
    ),
    "level of the data": Mistake(
        "lifter.model.width: 16",
        "lifter.model.width: 16, data.sampling: frames",
        (f":8: at space.lifter: data.sampling {WHAT_IS_MEASURED}",),
    ),
    "dimension of the split": Mistake(
        DROPOUT,
        "{name: split, path: evaluation.split, levels: [test, validation]}",
        (f":7: at space.split: evaluation.split {WHAT_IS_MEASURED}",),
    ),
    "scale of a dimension": Mistake(
        STEPPED,
        f"{STEPPED}, scales: {{smok: {{step: 0.2}}}}",
        (":7: at space.dropout.scales.smok: unknown scale", "did you mean smoke?"),
    ),
    "key at a scale of a dimension": Mistake(
        STEPPED,
        f"{STEPPED}, scales: {{paper: {{stp: 0.2}}}}",
        (":7: at space.dropout.scales.paper.stp: unknown name", AT_SCALE, "did you mean step?"),
    ),
    "another name at a scale": Mistake(
        STEPPED,
        f"{STEPPED}, scales: {{paper: {{name: other}}}}",
        (":7: at space.dropout.scales.paper.name: unknown name", AT_SCALE),
    ),
    "range at a scale of a dimension": Mistake(
        STEPPED,
        f"{STEPPED}, scales: {{laptop: {{range: [0.3, 0.2]}}}}",
        (":7: at space.dropout.scales.laptop.range: is empty", "[0.3, 0.2]"),
    ),
    "value at a scale of a dimension": Mistake(
        STEPPED,
        f"{STEPPED}, scales: {{smoke: {{range: [0.0, 2.0]}}}}",
        (":7: at space.dropout.scales.smoke.range.2.0.prior.dropout: is out of range", "below 1"),
    ),
    "dimension of a scale": Mistake(
        *_scale("smoke: {space: {droput: {step: 0.2}}}"),
        (":20: at scales.smoke.space.droput: unknown dimension", "did you mean dropout?"),
    ),
    "dimension of another scale": Mistake(
        *_scale("paper: {space: {droput: {step: 0.2}}}"),
        (":20: at scales.paper.space.droput: unknown dimension", "did you mean dropout?"),
    ),
    "key at a scale": Mistake(
        *_scale("paper: {space: {dropout: {rang: [0.1, 0.2]}}}"),
        (":20: at scales.paper.space.dropout.rang: unknown name", AT_SCALE, "did you mean range?"),
    ),
    "range at a scale": Mistake(
        *_scale("smoke: {space: {dropout: {range: [0.3, 0.2]}}}"),
        (":20: at scales.smoke.space.dropout.range: is empty", "[0.3, 0.2]"),
    ),
    "value at a scale": Mistake(
        *_scale("smoke: {space: {dropout: {range: [0.0, 2.0]}}}"),
        (":20: at scales.smoke.space.dropout.range.2.0.prior.dropout: is out of range", "below 1"),
    ),
    "rest": Mistake(
        "reseed:",
        "rest: [droput]\nreseed:",
        (":20: at rest[0]: unknown dimension", "allowed order, rate, dropout", "mean dropout?"),
    ),
    "rest of a scale": Mistake(
        *_scale("laptop: {rest: [droput]}"),
        (":20: at scales.laptop.rest.droput: unknown dimension", "did you mean dropout?"),
    ),
    "everything rests": Mistake(
        "reseed:",
        "rest: [order, rate, dropout, lifter, blocks]\nreseed:",
        (":5: at space: is empty", "give it a dimension"),
    ),
    "use": Mistake(
        "use: [order]",
        "use: [ordre]",
        (":4: at use[0]: unknown search space", "allowed capacity,", "did you mean order?"),
    ),
    "use twice": Mistake(
        "use: [order]", "use: [order, order]", ("at space.order: two dimensions are called",)
    ),
}

MISTAKES = SPACE_MISTAKES | {
    "stage of an objective": Mistake(
        "stage: evaluate",
        "stage: evalute",
        (":13: at objectives[0].stage: unknown stage", '"evalute"', "did you mean evaluate?"),
    ),
    "objective that no stage reports": Mistake(
        "name: mpjpe_mm",
        "name: mpjpe",
        (
            ":13: at objectives[0].name: unknown metric of stage evaluate",
            '"mpjpe"',
            "allowed mpjpe_mm, p_mpjpe_mm",
            "did you mean mpjpe_mm?",
        ),
    ),
    "goal": Mistake(
        "name: mpjpe_mm",
        "name: mpjpe_mm, goal: max",
        (":13: at objectives[0].goal: contradicts evaluate.mpjpe_mm", '"max"', "allowed min"),
    ),
    "no objectives": Mistake(OBJECTIVE, "[]", (":13: at objectives: must not be empty",)),
    "objective twice": Mistake(
        "also: [{stage: tokenizer, name: dense_usage_pct}]",
        "also: [{stage: evaluate, name: mpjpe_mm}]",
        ("at objectives.evaluate.mpjpe_mm: metric evaluate.mpjpe_mm stands here twice",),
    ),
    "metric in also": Mistake(
        "dense_usage_pct",
        "usage_pct",
        (":14: at also[0].name: unknown metric of stage tokenizer", "mean dense_usage_pct?"),
    ),
    "budget of nothing": Mistake(
        "{trials: 10}", "{}", (":19: at budget: is nothing; give it trials, minutes or device_h",)
    ),
    "budget of a plateau": Mistake(
        "{trials: 10}", "{plateau: {trials: 5}}", (":19: at budget: is nothing",)
    ),
    "no budget": Mistake("budget: {trials: 10}\n", "", ("at budget: is required",)),
    "no trials": Mistake(
        "{trials: 10}",
        "{trials: 0}",
        (":19: at budget.trials: is out of range", "got 0", "a whole number at least 1"),
    ),
    "no time": Mistake(
        "{trials: 10}", "{minutes: 0}", (":19: at budget.minutes", "got 0", "a number above 0")
    ),
    "key of the budget": Mistake(
        "{trials: 10}", "{trails: 10}", (":19: at budget.trails: unknown name", "mean trials?")
    ),
    "sampler": Mistake(
        "kind: tpe",
        "kind: tpee",
        (
            ":15: at sampler.kind: is none of the choices",
            '"tpee"',
            "allowed tpe, random, grid, nsga2, qmc",
            "did you mean tpe?",
        ),
    ),
    "grid without end": Mistake(
        "kind: tpe",
        "kind: grid",
        (
            ":15: at sampler.kind: a grid needs values that can be counted, and rate has none",
            "give it a step or levels",
        ),
    ),
    "stopping by epochs that are searched over": Mistake(
        DROPOUT,
        "{name: epochs, path: lifter.epochs, range: [1, 4]}",
        (":16: at stopping: needs one length of training for all trials, and lifter.epochs is se",),
    ),
    "stopping by two objectives": Mistake(
        OBJECTIVE,
        "[{stage: evaluate, name: mpjpe_mm}, {stage: evaluate, name: p_mpjpe_mm}]",
        (":16: at stopping: judges by one objective of stage evaluate", "leave it out"),
    ),
    "stopping by another stage": Mistake(
        OBJECTIVE,
        "[{stage: tokenizer, name: dense_reconstruction_px}]",
        (":16: at stopping: judges by one objective of stage evaluate",),
    ),
    "stopping after the end": Mistake(
        "first_epochs: 1",
        "first_epochs: 2",
        (":16: at stopping.first_epochs: is out of range", "got 2", "allowed below 2, the epochs"),
    ),
    "kind of stopping": Mistake(
        "kind: asha", "kind: asah", (":16: at stopping.kind", '"asah"', "did you mean asha?")
    ),
    "proxy": Mistake(
        "dense_reconstruction_px",
        "dense_recontruction_px",
        (
            ":17: at proxy.metric: unknown metric of stage tokenizer",
            "did you mean dense_reconstruction_px?",
        ),
    ),
    "share that a proxy keeps": Mistake(
        "dense_reconstruction_px",
        "dense_reconstruction_px, keep: 1.5",
        (":17: at proxy.keep: is out of range", "got 1.5", "a number above 0 and below 1"),
    ),
    "constraint on nothing known": Mistake(
        "metric: parameters_m",
        "metric: parameter_m",
        (
            ":18: at constraints[0].metric: unknown name of something known before training",
            "allowed parameters_m, total_parameters_m, memory_gb, gflops",
            "did you mean parameters_m?",
        ),
    ),
    "constraint without a bound": Mistake(
        ", at_most: 5",
        "",
        (":18: at constraints[0]: bounds nothing", "give it at_most or at_least"),
    ),
    "constraint that cannot hold": Mistake(
        "at_most: 5",
        "at_most: 5, at_least: 6",
        (":18: at constraints[0]: can never hold", "parameters_m at most 5 and at least 6"),
    ),
    "constraints that cannot both hold": Mistake(
        "[{metric: parameters_m, at_most: 5}]",
        "[{metric: latency_ms, at_least: 5}, {metric: latency_ms, at_most: 4}]",
        (
            ":18: at constraints[1]: can never hold beside what is bounded before it",
            "latency_ms at most 4 and at least 5",
        ),
    ),
    "constraint to less than nothing": Mistake(
        "at_most: 5", "at_most: -1", (":18: at constraints[0]: can never hold", "at most -1")
    ),
    "split in base": Mistake(
        "prior.epochs: 2",
        "evaluation.split: test",
        (":3: at base.evaluation.split: is validation while a search chooses", "leave it out"),
    ),
    "split in the base of a scale": Mistake(
        *_scale("paper: {base: {evaluation: {split: test}}}"),
        (":20: at scales.paper.base.evaluation.split: is validation while", "leave it out"),
    ),
    "path in base": Mistake(
        "prior.epochs",
        "prior.epoch",
        (":3: at base.prior.epoch: unknown path", "did you mean prior.epochs?"),
    ),
    "value in base": Mistake(
        "prior.epochs: 2", "prior.epochs: 0", (":3: at base.prior.epochs", "got 0", "at least 1")
    ),
    "seed in base": Mistake(
        "prior.epochs: 2",
        "prior.seed: 2",
        (":3: at base.prior.seed: is set by `seeds`", "leave it out"),
    ),
    "seed twice": Mistake(
        "reseed:", "seeds: [3, 3]\nreseed:", (":20: at seeds: seed 3 stands here twice",)
    ),
    "reseed of no stage": Mistake(
        "[tokenizer, prior, lifter]",
        "[tokeniser]",
        (":20: at reseed[0]: unknown stage", '"tokeniser"', "did you mean tokenizer?"),
    ),
    "scale": Mistake(
        *_scale("smok: {rest: [dropout]}"),
        (
            ":20: at scales.smok: unknown scale",
            "allowed smoke, laptop, workstation, paper",
            "mean smoke?",
        ),
    ),
    "top-level key": Mistake(
        "reseed:", "reseeds:", (":20: at reseeds: unknown name", "did you mean reseed?")
    ),
    "kind": Mistake(
        "kind: search",
        "kind: serch",
        (":1: at kind: unknown kind of experiment", "did you mean search?"),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_refused_with_place_rule_and_remedy(tmp_path: Path, mistake: Mistake) -> None:
    path = tmp_path / "bad.yaml"
    assert mistake.right in GOOD
    path.write_text(GOOD.replace(mistake.right, mistake.wrong, 1))
    message = _refusal(path)
    assert message.startswith(f"{path}:")
    for words in mistake.said:
        assert words in message
    if mistake is not MISTAKES["steps between whole numbers"]:  # neither end of it is one
        assert "\n" not in message, "one mistake, one line"


def test_the_good_search_is_good(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    search = load_any(str(path), "smoke")
    assert isinstance(search, Search)
    names = [one.name for one in search.dimensions]
    assert names == ["order", "rate", "dropout", "lifter", "blocks"]
    assert search.objectives[0].goal == "min"


def test_a_search_is_no_ablation(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    with pytest.raises(ExperimentError, match=r"good\.yaml:?1?: at kind: is a search"):
        load(str(path), "smoke")


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    text = GOOD.replace("range: [1.0e-4, 1.0e-2]", "range: [2, 1]").replace("[wide]", "[wid]")
    path.write_text(text.replace("use: [order]", "rest: [ordre]"))
    lines = _refusal(path).splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        "at rest[0]",
        "at space.rate.range",
        "at space.blocks.when.lifter",
    ]


MINE = """\
title: My own dimensions
dimensions:
  - {name: width, path: tokenizer.width, range: [8, 16], step: 8}
  - name: attention
    levels:
      - {name: few heads, set: {prior.heads: 2}}
      - {name: many heads, set: {prior.heads: 4}}
  - {name: depth, path: prior.blocks, range: [1, 2], when: {attention: many heads}}
"""

MINE_MISTAKES = {
    "syntax": Mistake("[8, 16]", "[8, 16", (":3: at line 3: is not YAML",)),
    "no mapping": Mistake(MINE, "- width\n", (": must hold a mapping", '["width"]')),
    "key": Mistake(
        "dimensions:", "dimension:", (":2: at dimension: unknown name", "mean dimensions?")
    ),
    "key of a dimension": Mistake(
        "step: 8", "stp: 8", (":3: at dimensions[0].stp: unknown name", "did you mean step?")
    ),
    "empty range": Mistake("[8, 16]", "[16, 8]", (":3: at dimensions.width.range: is empty",)),
    "path": Mistake(
        "tokenizer.width",
        "tokenizer.widht",
        (":3: at dimensions.width.path: unknown path", "did you mean tokenizer.width?"),
    ),
    "path in a level": Mistake(
        "{prior.heads: 4}",
        "{prior.heds: 4}",
        (":7: at dimensions.attention.levels.many heads.prior.heds", "did you mean prior.heads?"),
    ),
    "condition": Mistake(
        "attention: many heads}}",
        "attention: many head}}",
        (":8: at dimensions.depth.when.attention", "did you mean many heads?"),
    ),
    "scale": Mistake(
        "step: 8}",
        "step: 8, scales: {papr: {step: 4}}}",
        (":3: at dimensions.width.scales.papr: unknown scale", "did you mean paper?"),
    ),
}


@pytest.mark.parametrize("mistake", MINE_MISTAKES.values(), ids=MINE_MISTAKES)
def test_a_mistake_in_a_used_file_names_that_file(
    tmp_path: Path, mistake: Mistake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spaces = Path("search_spaces")
    spaces.mkdir()
    assert mistake.right in MINE
    (spaces / "mine.yaml").write_text(MINE.replace(mistake.right, mistake.wrong, 1))
    Path("bad.yaml").write_text(GOOD.replace("use: [order]", "use: [order, mine]"))
    message = _refusal(Path("bad.yaml"))
    for words in mistake.said:
        assert words in message
    assert all(line.startswith("search_spaces/mine.yaml") for line in message.splitlines())


def test_an_own_dimension_replaces_the_used_one_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("search_spaces").mkdir()
    Path("search_spaces/mine.yaml").write_text(MINE)
    used = GOOD.replace("use: [order]", "use: [mine]").replace("name: rate", "name: width")
    Path("good.yaml").write_text(used)
    search = load_any("good.yaml", "smoke")
    assert isinstance(search, Search)
    names = [one.name for one in search.dimensions]
    assert names == ["width", "attention", "depth", "dropout", "lifter", "blocks"]
    assert search.space["width"].path == "prior.learning_rate"


def _refusal(path: Path) -> str:
    with pytest.raises(ExperimentError) as refusal:
        load_any(str(path), "smoke")
    return str(refusal.value)
