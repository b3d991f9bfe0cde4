"""Names that are true: what a scale calls otherwise, and words judged against configs."""

from pathlib import Path
from typing import Any

import pytest

from hipart.experiment.design import arms
from hipart.experiment.errors import ExperimentError
from hipart.experiment.file import ablations, load
from hipart.experiment.form import Ablation
from hipart.experiment.scales import SCALES

FILE = """\
kind: ablation
title: A file
base: {data.sampling: sequences}
published: {value: 42.0, unit: mm, place: here}
design: factorial
factors:
  - name: lifter
    base: transformer
    levels:
      - name: MixSTE
        set: {lifter.model.kind: mixste, lifter.model.frames: 9}
        published: {value: 39.3, unit: mm, place: here}
  - name: input
    base: dense levels
    levels:
      - name: 17 joints alone
        set: {lifter.dense_input: none}
        published: {value: 52.1, unit: mm, place: here}
combinations:
  - {levels: [MixSTE, 17 joints alone], published: {value: 42.4, unit: mm, place: here}}
arms:
  - name: twice as long
    set: {lifter.epochs: 50}
    published: {value: 41.0, unit: mm, place: here}
seeds: [0, 1]
metric: {stage: evaluate, name: mpjpe_mm}
claims:
  - says: Dense levels help the transformer
    place: here
    better: base
    worse: input=17 joints alone
  - says: They help MixSTE
    place: here
    better: lifter=MixSTE
    worse: lifter=MixSTE, input=17 joints alone
scales:
  smoke:
    names: {transformer: MLP}
    says: {Dense levels help the transformer: Dense levels help the MLP}
"""
NAMES = "names: {transformer: MLP}"
SAYS = "says: {Dense levels help the transformer: Dense levels help the MLP}"
HELP = "claims:\n"


def loaded(folder: Path, scale: str = "smoke", *changes: tuple[str, str]) -> Ablation:
    text = FILE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "mine.yaml").write_text(text)
    return load(str(folder / "mine.yaml"), scale)


def published(ablation: Ablation) -> dict[str, float | None]:
    return {arm.name: arm.published.value if arm.published else None for arm in arms(ablation)}


def test_what_is_renamed_or_stands_at_a_renamed_base_has_no_published_value(tmp_path: Path) -> None:
    assert published(loaded(tmp_path)) == {
        "base": None,
        "input=17 joints alone": None,
        "lifter=MixSTE": 39.3,
        "lifter=MixSTE, input=17 joints alone": 42.4,
        "twice as long": None,
    }
    both = loaded(tmp_path, "smoke", (NAMES, "names: {transformer: MLP, 17 joints alone: joints}"))
    assert published(both)["lifter=MixSTE, input=joints"] is None
    assert set(published(loaded(tmp_path, "paper")).values()) == {42.0, 52.1, 39.3, 42.4, 41.0}


def test_a_renamed_arm_loses_its_own_value_alone(tmp_path: Path) -> None:
    long = "  smoke:\n", "  paper: {names: {twice as long: long}}\n  smoke:\n"
    ablation = loaded(tmp_path, "paper", long)
    assert published(ablation)["long"] is None
    assert published(ablation)["base"] == 42.0


def test_claims_use_the_written_names_and_follow_the_new_ones(tmp_path: Path) -> None:
    new = (NAMES, "names: {transformer: MLP, 17 joints alone: 'joints, 17 of 161'}")
    ablation = loaded(tmp_path, "smoke", new)
    assert ablation.factors[0].base == "MLP"
    first, second = ablation.claims
    assert first.says == "Dense levels help the MLP"
    assert first.worse == "input=joints, 17 of 161"
    assert second.says == "They help MixSTE"
    names = {arm.name for arm in arms(ablation)}
    assert {one for claim in ablation.claims for one in (claim.better, claim.worse)} <= names


SMALL = """\
    arms:
      - name: transformer, dense levels
        set: {lifter.model: {kind: transformer, width: 16, blocks: 1, heads: 4}}
"""


def test_a_scale_has_arms_of_its_own_and_claims_may_name_them(tmp_path: Path) -> None:
    own = f"  {NAMES.strip()}\n", f"  {NAMES}\n{SMALL}"
    arm = "better: 'transformer, dense levels'"
    claim = HELP, f"{HELP}  - {{says: Small, place: here, {arm}, worse: base}}\n"
    assert arms(loaded(tmp_path, "smoke", own, claim))[-1].name == "transformer, dense levels"
    assert "transformer, dense levels" not in published(loaded(tmp_path, "paper", own, claim))
    wrong = claim[0], claim[1].replace("dense levels'", "dense level'")
    for scale in SCALES:
        with pytest.raises(ExperimentError, match="mean transformer, dense levels"):
            loaded(tmp_path, scale, own, wrong)


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        (NAMES, "names: {transfomer: MLP}",
         ("scales.smoke.names.transfomer: unknown base, level or arm", "mean transformer?")),
        (NAMES, "names: {transformer: MixSTE}",
         ("scales.smoke.names.transformer: is the name of a level of 'lifter'",)),
        (SAYS, "says: {Dense levels help a transformer: Never}",
         ("scales.smoke.says.Dense levels help a transformer: unknown claim",
          "did you mean Dense levels help the transformer?")),
        (SAYS, "says: {Dense levels help the transformer: Dense levels help PoseFormer}",
         ("scales.smoke.says.Dense levels help the transformer: names the lifter 'PoseFormer'",
          'did you mean "Dense levels help MLP"?')),
        (NAMES, "seeds: [0, 1]",
         (":8: at factors.lifter.base: names the lifter 'transformer', and its config has "
          "lifter.model.kind mlp", 'did you mean "MLP"?')),
        (NAMES, "names: {transformer: a Transformer}",
         ("scales.smoke.names.transformer: names the lifter 'Transformer'", 'mean "a MLP"?')),
        (SAYS, "seeds: [0, 1]", (":28: at claims[0].says: names the lifter 'transformer'",)),
        ("name: twice as long", "name: with graph convolutions",
         (":22: at arms.with graph convolutions: names the densifier 'graph convolutions', and its "
          "config has no lifter.dense_input regressed",)),
        ("name: twice as long", "name: by direct MLP regression",
         ("arms.by direct MLP regression: names the densifier 'MLP regression'",)),
        ("name: twice as long", "name: joint offset",
         ("arms.joint offset: names the densifier 'joint offset'",)),
        ("name: twice as long", "name: Classification",
         ("arms.Classification: names the prior 'Classification'", "prior.framework autoregressive",
          'did you mean "autoregression"?')),
        ("name: MixSTE\n", "name: PoseFormer\n",
         ("factors.lifter.levels.PoseFormer: names the lifter 'PoseFormer'", "kind mixste")),
        ("worse: input=17 joints alone", "worse: input=17 joint alone",
         ("claims[0].worse: unknown arm", "did you mean input=17 joints alone?")),
        (NAMES, f"{NAMES}\n    arms: [{{name: X, set: {{lifter.epoch: 2}}}}]",
         ("scales.smoke.arms[0].set.lifter.epoch: unknown path", "lifter.epochs?")),
        (NAMES, f"{NAMES}\n    arms: [{{name: MixSTE alone, set: {{lifter.epochs: 9}}}}]",
         ("scales.smoke.arms.MixSTE alone: names the lifter 'MixSTE'",)),
        ("name: twice as long", "name: 'prior kept, transformer lifter'",
         ("names the lifter 'transformer'", 'mean "prior kept, MLP lifter"?')),
        ("name: twice as long", "name: small prior transformer lifter",
         ("names the lifter 'transformer'",)),
        ("base: dense levels", "base: 17 joints alone",
         ("factors.input.base: is the name of a level of 'input', and not what the base has",)),
    ],
)  # fmt: skip
def test_a_false_name_is_refused(
    tmp_path: Path, right: str, wrong: str, said: tuple[str, ...]
) -> None:
    changes = [(right, wrong)]
    if wrong.endswith("PoseFormer\n"):
        changes += [("[MixSTE,", "[PoseFormer,"), ("lifter=MixSTE", "lifter=PoseFormer")]
        changes += [("help MixSTE", "help")]
    with pytest.raises(ExperimentError) as refusal:
        loaded(tmp_path, "smoke", *changes)
    for words in said:
        assert words in str(refusal.value)


REGRESSED = {"lifter.dense_input": "regressed"}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("an mlp densifies", REGRESSED),
        ("direct regression", REGRESSED),
        ("regression on a graph", REGRESSED | {"regressor.model.kind": "graph"}),
        ("MLPs of width 64", {"lifter.model.width": 64}),
        ("mean pose", REGRESSED | {"regressor.model.kind": "mean_pose"}),
        ("prior transformer of 3 blocks", {"prior.blocks": 3}),
        ("prior without transformer dropout", {"prior.dropout": 0.1}),
        ("a wider transformer in the prior", {"prior.width": 32}),
        ("no action classification", {"tokenizer.lambda_global": 0}),
        ("classification", {"prior.framework": "classification"}),
        ("autoregression with mlp_hidden 32", {"prior.mlp_hidden": 32}),
        ("a diffuse name", {"lifter.epochs": 3}),
    ],
)  # fmt: skip
def test_a_true_name_is_taken(tmp_path: Path, name: str, changes: dict[str, Any]) -> None:
    text = str(changes).replace("'", "")
    arm = "name: twice as long\n    set: {lifter.epochs: 50}"
    assert loaded(tmp_path, "smoke", (arm, f"name: {name}\n    set: {text}"))


@pytest.mark.parametrize("scale", ["smoke", "laptop"])
@pytest.mark.parametrize("name", ablations())
def test_no_published_value_of_a_transformer_stands_beside_an_mlp_by_name(
    name: str, scale: str
) -> None:
    ablation = load(name, scale)
    for factor in ablation.factors:
        if factor.base and "transformer" in factor.base:
            assert ablation.base_config.lifter.model.kind == "transformer"
        if factor.base and "MLP" in factor.base:
            assert arms(ablation)[0].published is None


@pytest.mark.parametrize("name", ["main_results", "lifter_ablation"])
def test_on_a_laptop_a_real_transformer_stands_beside(name: str) -> None:
    own = {arm.name: arm.config.lifter for arm in arms(load(name, "laptop"))}
    assert own["transformer, dense levels"].model.kind == "transformer"
    assert own["transformer, dense levels"].dense_input == "generated"
    assert own["transformer, 17 joints"].dense_input == "none"
    for scale in ("smoke", "paper"):
        assert "transformer, 17 joints" not in {arm.name for arm in arms(load(name, scale))}
