"""Whether names are true: a word for a kind of lifter, densifier or prior needs one of that kind.

Levels, arms, bases of factors and what claims say are judged against the configs that they speak
of. A scale may replace a lifter by a smaller kind, under which the published name stays standing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from hipart.config import PipelineConfig
from hipart.experiment.design import BASE, Arm, arms, place_of
from hipart.experiment.errors import Place, Problem, shown
from hipart.experiment.form import Ablation, Written
from hipart.experiment.levels import Factor, label
from hipart.experiment.paths import value_at

#: A part of the pipeline and its kind: ("lifter", "mlp").
Kind = tuple[str, str]

#: Words, as regular expressions of whole words in any case, and the kinds for which each may stand.
WORDS: dict[str, tuple[Kind, ...]] = {
    "transformers?": (("lifter", "transformer"),),
    "PoseFormer": (("lifter", "poseformer"),),
    "MixSTE": (("lifter", "mixste"),),
    "diffusion": (("lifter", "diffusion"),),
    "MLPs?": (("lifter", "mlp"), ("densifier", "mlp")),
    "MLPs? regressions?": (("densifier", "mlp"),),
    "direct regression": (("densifier", "mlp"),),
    "(?<!direct )(?<!linear )regression": (
        ("densifier", "mlp"),
        ("densifier", "graph"),
        ("densifier", "linear"),
    ),
    "graph convolutions?": (("densifier", "graph"),),
    "linear (?:map|regression)": (("densifier", "linear"),),
    "(?<!action )classification": (("prior", "classification"),),
    "mean pose": (("densifier", "mean_pose"),),
    "joint offsets?": (("densifier", "joint_offset"),),
    "auto-?regressi(?:on|ve)": (("prior", "autoregressive"),),
}
#: Where a word speaks of another part: every prior has a transformer. Up to three words between.
ASIDE = {
    "transformers?": re.compile(
        r"\bprior(?:'s)?(?:\s+[\w-]+){0,3}\s+transformers?\b(?!\s+lifter)"
        r"|\btransformers?(?:\s+[\w-]+){0,3}\s+prior\b",
        re.IGNORECASE,
    )
}
#: What a kind is best called.
CALLED: dict[Kind, str] = {
    ("lifter", "transformer"): "transformer",
    ("lifter", "mlp"): "MLP",
    ("lifter", "poseformer"): "PoseFormer",
    ("lifter", "mixste"): "MixSTE",
    ("lifter", "diffusion"): "diffusion",
    ("densifier", "mlp"): "direct regression",
    ("densifier", "graph"): "graph convolutions",
    ("densifier", "linear"): "linear regression",
    ("densifier", "mean_pose"): "mean pose",
    ("densifier", "joint_offset"): "joint offset",
    ("prior", "classification"): "classification",
    ("prior", "autoregressive"): "autoregression",
}
_PATHS = {
    "lifter": "lifter.model.kind",
    "densifier": "regressor.model.kind",
    "prior": "prior.framework",
}


def problems(written: Written, ablation: Ablation) -> list[Problem]:
    """Every name of an ablation that says what its config has not."""
    said = [*_arms(ablation), *_levels(ablation), *_bases(ablation), *_claims(written, ablation)]
    found = [*_untrue_bases(ablation), *(_false(*one) for one in said)]
    return list(dict.fromkeys(problem for problem in found if problem))


#: A text, where it stands, and configs of which one must be what it names.
_Said = tuple[Place, str, list[PipelineConfig]]


def _arms(ablation: Ablation) -> Iterator[_Said]:
    by_name = {arm.name: arm for arm in arms(ablation)}
    for one in ablation.arms:
        place = _place(ablation, one.name, place_of(ablation, one))
        yield place, one.name, [by_name[one.name].config]


def _levels(ablation: Ablation) -> Iterator[_Said]:
    for arm in arms(ablation):
        for factor, level in arm.levels:
            place = _place(ablation, level, ("factors", factor, "levels", level))
            yield place, level, [arm.config]


def _bases(ablation: Ablation) -> Iterator[_Said]:
    tried = arms(ablation)
    for factor in ablation.factors:
        if factor.base is not None:
            place = _base_place(ablation, factor)
            for arm in _at_base(ablation, factor.name, tried):
                yield place, factor.base, [arm.config]


def _base_place(ablation: Ablation, factor: Factor) -> Place:
    return _place(ablation, factor.base or "", ("factors", factor.name, "base"))


def _untrue_bases(ablation: Ablation) -> Iterator[Problem]:
    """Bases by the name of a level that they are not, or by a number that their value is not."""
    for factor in ablation.factors:
        if factor.base is None:
            if factor.path is None and BASE in (level.name for level in factor.levels):
                rule = f"is what the base is called, which {factor.name!r} gives no name"
                place = _place(ablation, BASE, ("factors", factor.name, "levels", BASE))
                remedy = "give the factor a `base`, or the level another name"
                yield Problem(place, rule, BASE, remedy=remedy)
            continue
        value = value_at(ablation.base_config.model_dump(), factor.path) if factor.path else ()
        is_value = any(_is_called(factor.base, one) for one in value)
        if not is_value and factor.base in [level.name for level in factor.levels]:
            rule = f"is the name of a level of {factor.name!r}, and not what the base has"
            yield Problem(_base_place(ablation, factor), rule, shown(factor.base))
        elif value and not is_value and _number(factor.base) is not None:
            rule = f"is another number than the base's {factor.path}"
            yield Problem(_base_place(ablation, factor), rule, shown(factor.base), label(value[0]))


def _is_called(text: str, value: Any) -> bool:
    return text == label(value) or _number(text) == value


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _claims(written: Written, ablation: Ablation) -> Iterator[_Said]:
    configs = {arm.name: arm.config for arm in arms(ablation)}
    for index, (claim, original) in enumerate(zip(ablation.claims, written.claims, strict=True)):
        place: Place = ("claims", index, "says")
        if original.says in ablation.at_scale.says:
            place = (*ablation.place_at_scale, "says", original.says)
        if {claim.better, claim.worse} <= configs.keys():
            yield place, claim.says, [configs[claim.better], configs[claim.worse]]


def _place(ablation: Ablation, name: str, place: Place) -> Place:
    """Where a name stands: among those of the scale, or at ``place``."""
    if place[0] != "scales":
        for old, new in ablation.at_scale.names.items():
            if new == name:
                return (*ablation.place_at_scale, "names", old)
    return place


def _at_base(ablation: Ablation, factor: str, tried: Iterable[Arm]) -> Iterator[Arm]:
    """The arms that stand at the base in a factor; where one is varied at a time, the base arm."""
    base, *others = tried
    yield base
    if ablation.design == "factorial":
        yield from (arm for arm in others if arm.levels and factor not in dict(arm.levels))


def _false(place: Place, text: str, configs: list[PipelineConfig]) -> Problem | None:
    """The problem of the first word in a text that none of the configs is."""
    had = [_kinds(config) for config in configs]
    for word, kinds in _named(text):
        if not any(here.get(role) == kind for here in had for role, kind in kinds):
            return _problem(place, text, word, kinds[0][0], had[0])
    return None


@cache
def _named(text: str) -> tuple[tuple[str, tuple[Kind, ...]], ...]:
    """The words of a text that stand for kinds, as they stand there."""
    return tuple(
        (match.group(), kinds)
        for pattern, kinds in WORDS.items()
        for match in re.finditer(rf"\b{pattern}\b", _spoken_of(pattern, text), re.IGNORECASE)
    )


def _spoken_of(pattern: str, text: str) -> str:
    """A text without what it says with a word of another part."""
    return ASIDE[pattern].sub("", text) if pattern in ASIDE else text


def _kinds(config: PipelineConfig) -> dict[str, str]:
    """What a config has: its kinds of lifter and prior, and of densifier where one is used."""
    kinds: dict[str, str] = {"lifter": config.lifter.model.kind, "prior": config.prior.framework}
    if config.lifter.dense_input == "regressed":
        kinds["densifier"] = config.regressor.model.kind
    return kinds


def _problem(place: Place, text: str, word: str, role: str, had: Mapping[str, str]) -> Problem:
    kind = had.get(role)
    has = f"{_PATHS[role]} {kind}" if kind else "no lifter.dense_input regressed"
    called = CALLED.get((role, kind or ""))
    remedy = "name what is there"
    if called:
        remedy = f"did you mean {shown(text.replace(word, called))}?"
    remedy += " (a scale has its own `names`, and its own `says` for claims)"
    rule = f"names the {role} {word!r}, and its config has {has}"
    return Problem(place, rule, shown(text), remedy=remedy)
