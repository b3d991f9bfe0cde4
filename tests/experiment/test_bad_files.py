"""Every mistake a file can hold is refused at load: where, which rule, what, and the right name."""

from pathlib import Path
from typing import NamedTuple

import pytest

from hipart.experiment.errors import ExperimentError
from hipart.experiment.file import load

GOOD = """\
kind: ablation
title: A good file
base: {tokenizer.epochs: 3}
design: one_at_a_time
factors:
  - {name: size, path: tokenizer.sparse_codebook.size, levels: [16, 64]}
  - name: order
    levels:
      - {name: by index, set: {prior.order: raster}}
seeds: [0, 1]
reseed: [tokenizer, prior]
metric: {stage: evaluate, name: mpjpe_mm, goal: min}
also: [{stage: tokenizer, name: dense_usage_pct}]
"""


class Mistake(NamedTuple):
    """Text of the good file, what stands there instead, and what the message must say."""

    right: str
    wrong: str
    said: tuple[str, ...]
    scale: str = "smoke"
    preset: str | None = None


SIZE = "{name: size, path: tokenizer.sparse_codebook.size, levels: [16, 64]}"
ORDER = "{name: by index, set: {prior.order: raster}}"
FACTORS = GOOD[GOOD.index("factors:") : GOOD.index("seeds:")]
EPOCHS = "tokenizer.epochs: 3"

ALSO = "also: [{stage: tokenizer, name: dense_usage_pct}]"
CLAIM = "claims: [{says: it helps, place: Table 1, better: base, worse: WORSE}]"

TOO_DEEP = (":1: at notes: is nested more than 20 deep", "must not contain its own alias")

MISTAKES = {
    "arm of a claim": Mistake(
        ALSO,
        CLAIM.replace("WORSE", "order=by indx"),
        ("claims[0].worse: unknown arm", "did you mean order=by index?"),
    ),
    "metric of a claim": Mistake(
        ALSO,
        CLAIM.replace("}]", ", metric: {stage: evaluate, name: mpjpe}}]"),
        ("claims[0].metric.name: unknown metric", "mpjpe_mm"),
    ),
    "factor of the paper's layout": Mistake(
        ALSO,
        "paper_layout: {columns: sise}",
        ("paper_layout.columns: unknown factor", "did you mean size?"),
    ),
    "paper's layout of no factorial design": Mistake(
        ALSO,
        "paper_layout: {columns: size}",
        ("paper_layout.columns: takes a factor of a factorial design",),
    ),
    "kind of figure": Mistake(
        ALSO, "figures: [curve]", ("figures[0]", '"curve"', "did you mean curves?")
    ),
    "level that a scale changes": Mistake(
        ALSO,
        "scales: {laptop: {sets: {by indx: {prior.width: 8}}}}",
        ("sets.by indx: unknown level or arm", "did you mean by index?"),
    ),
    "path of what a scale changes": Mistake(
        ALSO,
        "scales: {laptop: {sets: {by index: {prior.widht: 8}}}}",
        ("sets.by index.prior.widht: unknown path", "did you mean prior.width?"),
    ),
    "path in base": Mistake(
        EPOCHS,
        "tokenizer.epoch: 3",
        (":3: at base.tokenizer.epoch: unknown path", "did you mean tokenizer.epochs?"),
    ),
    "path in factor": Mistake(
        "tokenizer.sparse_codebook.size",
        "tokenizer.sparse_codebok.size",
        (
            ":6: at factors[0].path: unknown path",
            "tokenizer.sparse_codebok.size",
            "did you mean tokenizer.sparse_codebook.size?",
        ),
    ),
    "path in set": Mistake(
        "prior.order: raster",
        "prior.ordre: raster",
        (":9: at factors[1].levels[0].set.prior.ordre", "did you mean prior.order?"),
    ),
    "last word of a path": Mistake(
        EPOCHS,
        "warmup_steps: 3",
        ("base.warmup_steps", "did you mean tokenizer.warmup_steps or prior.warmup_steps or"),
    ),
    "path inside a section": Mistake(
        EPOCHS,
        "tokenizer.sparse_codebook: {sise: 8}",
        ("base.tokenizer.sparse_codebook.sise", "did you mean tokenizer.sparse_codebook.size?"),
    ),
    "path of another kind": Mistake(
        EPOCHS,
        "lifter.model.mlp_ratio: 2",
        (
            "base.lifter.model.mlp_ratio: unknown name under kind mlp",
            "kind, width, blocks, dropout",
        ),
    ),
    "value for a section": Mistake(
        EPOCHS, "detector: exact", ("base.detector: is a section", '"exact"', "mapping of kind")
    ),
    "path given twice": Mistake(
        EPOCHS,
        "tokenizer.sparse_codebook: {size: 8}, tokenizer.sparse_codebook.size: 9",
        ("base.tokenizer.sparse_codebook.size: is given twice", "got 9"),
    ),
    "wrong type": Mistake(
        "[16, 64]",
        "[16, [64]]",
        (":6: at factors.size.levels.[64].tokenizer", "got [64]", "allowed a whole number"),
    ),
    "a number that is no choice": Mistake(
        "base: {tokenizer.epochs: 3}",
        "base: {tokenizer.levels: [47]}",
        ("at base.tokenizer.levels.0", "got 47", "allowed 48, 96, 192"),
    ),
    "float for a whole number": Mistake(
        EPOCHS, "tokenizer.epochs: 3.0", ("base.tokenizer.epochs", "got 3.0", "a whole number")
    ),
    "truth value for a number": Mistake(
        EPOCHS, "tokenizer.encoder_blocks: true", ("encoder_blocks", "got true", "whole number")
    ),
    "yes for a truth value": Mistake(
        EPOCHS,
        "prior.tied_logits: yes",
        ("base.prior.tied_logits", '"yes"', "allowed true or false", "write true or false"),
    ),
    "number as text": Mistake(
        EPOCHS,
        'tokenizer.learning_rate: "1e-4"',
        ("base.tokenizer.learning_rate", 'got "1e-4"', "write it without quotes: 0.0001"),
    ),
    "infinity": Mistake(
        EPOCHS, "tokenizer.weight_decay: .inf", ("base.tokenizer.weight_decay", "finite")
    ),
    "out of range": Mistake(
        "[16, 64]",
        "[16, 1]",
        ("at factors.size.levels.1.tokenizer.sparse_codebook.size", "got 1", "at least 2"),
    ),
    "does not go together": Mistake(
        EPOCHS, "prior.heads: 3", ("base.prior.heads", "must be a multiple of heads 3")
    ),
    "order": Mistake(
        "raster",
        "rastr",
        (
            ":9: at factors.order.levels.by index.set.prior.order: unknown order",
            '"rastr"',
            "allowed center_to_periphery, raster",
            "did you mean raster?",
        ),
    ),
    "choice": Mistake(
        EPOCHS,
        "lifter.dense_input: exactly",
        (
            "base.lifter.dense_input",
            '"exactly"',
            "generated, regressed, exact, none",
            "mean exact?",
        ),
    ),
    "kind of a section": Mistake(
        EPOCHS,
        "lifter.model.kind: mpl",
        (
            "base.lifter.model.kind: unknown kind",
            '"mpl"',
            "diffusion, mixste, mlp, poseformer, transformer",
            "mean mlp?",
        ),
    ),
    "level changes nothing": Mistake(
        "raster",
        "center_to_periphery",
        (":9: at factors.order.levels.by index.set", "'order=by index' changes nothing", "center"),
    ),
    "equal names": Mistake(
        ORDER,
        f"{ORDER}\n      - {{name: by index, set: {{prior.epochs: 9}}}}",
        ("factors.order.levels.by index", "'order=by index' has the name of another", "9"),
    ),
    "equal configs": Mistake(
        ORDER,
        f"{ORDER}\n      - {{name: again, set: {{prior.order: raster}}}}",
        (":10: at factors.order.levels.again", "'order=again' is the same as arm 'order=by index'"),
    ),
    "value twice": Mistake("[16, 64]", "[16, 16]", ("factors.size.levels.16", "'size=16'")),
    "factor twice": Mistake("name: order", "name: size", ("at factors", "size stands here 2")),
    "stage": Mistake(
        "stage: evaluate",
        "stage: evalute",
        (":12: at metric.stage: unknown stage", '"evalute"', "did you mean evaluate?"),
    ),
    "metric": Mistake(
        "name: mpjpe_mm",
        "name: mpjpe",
        (":12: at metric.name: unknown metric of stage evaluate", '"mpjpe"', "mean mpjpe_mm?"),
    ),
    "metric in also": Mistake(
        "dense_usage_pct",
        "usage_pct",
        (":13: at also[0].name", '"usage_pct"', "did you mean dense_usage_pct?"),
    ),
    "goal": Mistake("goal: min", "goal: max", ("at metric.goal: contradicts", '"max"', "min")),
    "duplicate key": Mistake(
        "title: A good file", "title: A\ntitle: B", (":3: at line 3", 'duplicate key "title"', "B")
    ),
    "duplicate path": Mistake(EPOCHS, f"{EPOCHS}, {EPOCHS}", (":3:", "tokenizer.epochs")),
    "top-level key": Mistake(
        "reseed:", "reseeds:", (":11: at reseeds: unknown name", "did you mean reseed?")
    ),
    "key of a level": Mistake(
        "set: {",
        "sets: {}, set: {",
        ("at factors[1].levels[0].sets: unknown name", "did you mean set?"),
    ),
    "missing key": Mistake("title: A good file\n", "", ("at title: is required",)),
    "no levels": Mistake("[16, 64]", "[]", (":6: at factors[0].levels: must not be empty", "[]")),
    "no factors": Mistake(FACTORS, "", ("at factors: is required by design one_at_a_time",)),
    "no seeds": Mistake("seeds: [0, 1]", "seeds: []", (":10: at seeds: must not be empty", "[]")),
    "seed twice": Mistake("seeds: [0, 1]", "seeds: [0, 0]", (":10: at seeds: seed 0 stands",)),
    "stage without a seed": Mistake(
        "reseed: [tokenizer, prior]",
        "reseed: [tokenizer, evaluate]",
        (":11: at reseed[1]: unknown seed", '"evaluate"', "prior, regressor, lifter"),
    ),
    "reseed of no stage": Mistake(
        "reseed: [tokenizer, prior]",
        "reseed: [tokeniser]",
        (":11: at reseed[0]: unknown stage", '"tokeniser"', "did you mean tokenizer?"),
    ),
    "seeds that reach nothing": Mistake(
        "reseed: [tokenizer, prior]", "reseed: []", (":11: at reseed: must name the stages", "[]")
    ),
    "seed set twice": Mistake(
        EPOCHS, "tokenizer.seed: 3", ("base.tokenizer.seed: is set by `seeds`", "leave it out")
    ),
    "scale": Mistake(
        "", "", ("at --scale: unknown scale", '"smok"', "did you mean smoke?"), scale="smok"
    ),
    "scale in the file": Mistake(
        "seeds:",
        "scales: {papr: {seeds: [0]}}\nseeds:",
        (":10: at scales.papr: unknown scale", "did you mean paper?"),
    ),
    "factor of a scale": Mistake(
        "seeds:",
        "scales: {paper: {levels: {sise: [0]}}}\nseeds:",
        ("at scales.paper.levels.sise: unknown factor", "did you mean size?"),
    ),
    "level kept at a scale": Mistake(
        "seeds:",
        "scales: {paper: {levels: {order: [by indx]}}}\nseeds:",
        ("at scales.paper.levels.order[0]: unknown level", "did you mean by index?"),
    ),
    "levels of a scale": Mistake(
        "seeds:",
        "scales: {smoke: {levels: {size: [{value: 8, publishd: 3}]}}}\nseeds:",
        ("at scales.smoke.levels.size.levels[0].publishd: unknown name", "did you mean published?"),
    ),
    "form of a scale's levels": Mistake(
        "seeds:",
        "scales: {smoke: {levels: {size: [{name: a, set: {prior.epochs: 9}}]}}}\nseeds:",
        ("at scales.smoke.levels.size.levels: a factor has a `path`", "not both"),
    ),
    "value at a scale": Mistake(
        "seeds:",
        "scales: {smoke: {base: {tokenizer.epochs: 0}}}\nseeds:",
        ("at scales.smoke.base.tokenizer.epochs", "got 0", "at least 1"),
    ),
    "preset": Mistake(
        "", "", ("at --preset: unknown preset", '"textbok"', "mean textbook?"), preset="textbok"
    ),
    "preset in the file": Mistake(
        "seeds:", "preset: budge\nseeds:", (":10: at preset: unknown preset", "mean budget?")
    ),
    "presets that contradict": Mistake(
        "seeds:",
        "preset: textbook\nseeds:",
        ("at --preset: contradicts", '"budget"', "allowed textbook"),
        preset="budget",
    ),
    "design": Mistake(
        "one_at_a_time",
        "one_at_time",
        (":4: at design", '"one_at_time"', "factorial, arms", "did you mean one_at_a_time?"),
    ),
    "a control that is a level": Mistake(
        "seeds:",
        f"arms: [{ORDER}]\nseeds:",
        (":10: at arms.by index.set: arm 'by index' is the same as arm 'order=by index'",),
    ),
    "a control with a seed of its own": Mistake(
        "seeds:",
        "arms: [{name: other, set: {prior.seed: 9}}]\nseeds:",
        (":10: at arms[0].set.prior.seed: is set by `seeds`",),
    ),
    "combinations of factors that are varied one at a time": Mistake(
        "seeds:",
        "combinations:\n  - levels: ['16', by index]\n"
        "    published: {value: 1, unit: mm, place: x}\nseeds:",
        (":10: at combinations: has no meaning", "use factors"),
    ),
    "factors among arms": Mistake(
        "one_at_a_time",
        f"arms\narms: [{ORDER}]",
        (":6: at factors: has no meaning", "use arms"),
    ),
    "plain levels without a path": Mistake(
        SIZE,
        "{name: size, levels: [16, 64]}",
        (":6: at factors[0].levels: level 16 is a plain value", "give these levels a `path`"),
    ),
    "path and named levels": Mistake(
        SIZE, f"{{name: size, path: prior.order, levels: [{ORDER}]}}", ("factors[0]", "not both")
    ),
    "unit": Mistake(
        "seeds:",
        "published: {value: 42, unit: cm, place: here}\nseeds:",
        (":10: at published.unit: must be the unit of the metric mpjpe_mm", '"cm"', "allowed mm"),
    ),
    "unit of a value of its own metric": Mistake(
        "seeds:",
        "published: {value: 42, unit: mm, place: here, metric: pck_pct}\nseeds:",
        (":10: at published.unit: must be the unit of the metric pck_pct", "allowed %"),
    ),
    "metric of a published value": Mistake(
        "seeds:",
        "published: {value: 42, unit: mm, place: here, metric: n_mpjpe}\nseeds:",
        (":10: at published.metric: unknown metric of stage evaluate", "mean n_mpjpe_mm?"),
    ),
    "syntax": Mistake("seeds: [0, 1]", "seeds: [0, 1", (":11: at line 11: is not YAML",)),
    "nested without end": Mistake("kind:", f"notes: {'[' * 5000 + ']' * 5000}\nkind:", TOO_DEEP),
    "an anchor of itself": Mistake("kind:", "notes: &a [*a]\nkind:", TOO_DEEP),
    "a mapping of itself": Mistake("base: {", "base: &a {prior.order: *a, ", (":3: at base: is",)),
    "key of many": Mistake("base: {", "base: {[a]: 1, ", (":3: at base: has a key", "got a list")),
    "key that is a number": Mistake(
        "base: {", "base: {3: 1, ", (":3: at base.3: has a key that is no text; got 3",)
    ),
    "key of a scale": Mistake(
        "seeds:",
        "scales: {laptop: {seedz: [0]}}\nseeds:",
        (":10: at scales.laptop.seedz: unknown name", "allowed base, seeds", "did you mean seeds?"),
    ),
    "key of an arm of a scale": Mistake(
        "seeds:",
        "scales: {laptop: {arms: [{name: a, set: {prior.width: 8}, publishd: 4}]}}\nseeds:",
        ("scales.laptop.arms[0].publishd: unknown name", "did you mean published?"),
    ),
    "plain level that is true": Mistake(ORDER, "true", ("levels: level true is a plain value",)),
    "date for a text": Mistake("A good file", "2020-01-01", (":2: at title: ", "got 2020-01-01;")),
    "no number": Mistake(
        EPOCHS, "tokenizer.learning_rate: .nan", ("must be finite; got .nan; allowed a number",)
    ),
    "name of another arm": Mistake(
        "[16, 64]",
        "[16, 64, 64]",
        ('has the name of another arm: {"tokenizer.sparse_codebook.size": 64};',),
    ),
    "base twice": Mistake(
        "[16, 64]",
        "[32, 32, 64]",
        (":6: at factors.size.levels.32: is the base's", "as another level is", "keep one"),
    ),
    "base alone": Mistake(
        "[16, 64]",
        "[32]",
        (":6: at factors.size.levels: are the base's alone", "rest it at this scale"),
    ),
    "not a mapping": Mistake(GOOD, "- a\n- b\n", ("must hold a mapping", '["a", "b"]')),
    "empty": Mistake(GOOD, "", ("must hold a mapping", "null")),
    "kind": Mistake(
        "kind: ablation",
        "kind: ablations",
        (":1: at kind: unknown kind of experiment", '"ablations"', "allowed ablation, search"),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_refused_with_place_rule_and_remedy(tmp_path: Path, mistake: Mistake) -> None:
    path = tmp_path / "bad.yaml"
    assert mistake.right in GOOD
    path.write_text(GOOD.replace(mistake.right, mistake.wrong, 1) if mistake.right else GOOD)
    with pytest.raises(ExperimentError) as refusal:
        load(str(path), mistake.scale, mistake.preset)
    message = str(refusal.value)
    for words in (str(path), *mistake.said):
        assert words in message
    assert "\n" not in message, "one mistake, one line"


def test_the_good_file_is_good(tmp_path: Path) -> None:
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    assert load(str(path), "smoke").title == "A good file"


def test_a_misspelt_experiment_names_the_nearest() -> None:
    with pytest.raises(ExperimentError) as refusal:
        load("codebok_ablation", "smoke")
    message = str(refusal.value)
    assert "codebok_ablation: unknown experiment" in message
    assert "did you mean codebook_ablation?" in message


def test_a_missing_file_names_the_nearest_experiment() -> None:
    with pytest.raises(ExperimentError, match=r"nowhere/order_ablatin\.yaml: unknown file.*mean o"):
        load("nowhere/order_ablatin.yaml", "smoke")


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    text = GOOD.replace(EPOCHS, "tokenizer.epoch: 3, prior.epoch: 4").replace("[16, 64]", "[]")
    path.write_text(text.replace("levels: []", "levels: [1]").replace("goal: min", "goal: max"))
    with pytest.raises(ExperimentError) as refusal:
        load(str(path), "smoke")
    assert len(str(refusal.value).splitlines()) == len(refusal.value.problems) == 3
