"""The README.md of a bundle: what it is, how good, what for, and what not for."""

from typing import Any

from hipart.config import PipelineConfig
from hipart.experiment.scales import caveat
from hipart.markdown import escape
from hipart.pipeline import PIPELINE, PROFILE

_CARD = """\
# {experiment}: {arm}, seed {seed}

Lifts 17 detected 2D joints of one person to 3D{how}. {what}
Trained by hipart-search at scale `{scale}`; {chosen}.{caveat}

## Predict
```
hipart-search predict THIS_FOLDER --input poses.npz --out predicted.npz
```
or, in Python, `Predictor.load(folder).predict(poses, (width, height))` of `hipart.predictor`.
* In: `poses` (N, 17, 2), pixels; `image_size` (2,), width and height. Joints: 0 hip, 1-3 right
  leg, 4-6 left leg, 7 spine, 8 thorax, 9 neck, 10 head, 11-13 left arm, 14-16 right arm.
* Out: `pose_3d_mm` (N, 17, 3), millimetres from the root joint, axes of the camera (x right,
  y down, z forward){outputs}.

## Measured
On the test split, where the name of a metric does not say otherwise.

| metric | value |
|---|---|
{rows}

## Data
Corpus `{corpus}`, fingerprint `{data}`; 2D joints from a `{detector}` detector.

## Intended use and limits
For research on 2D-to-3D lifting. {limits} Poses, bodies and cameras unlike those of the training
corpus are lifted worse, and no measure of certainty is given. Not for decisions about people:
not for surveillance, nor medical or safety-critical use.

## Licence and lineage
{terms} `lineage.json` holds the key, identity, metrics and provenance
of every stage; `config.json` holds every setting.
"""
_PAPER = (
    '"HiPART: Hierarchical Pose AutoRegressive Transformer for Occluded 3D Human Pose Estimation" '
    "(CVPR 2025)"
)
_GENERATES = f"An independent implementation of {_PAPER}."
_LIFTS_ALONE = (
    "It sees these joints alone and generates no dense points: a lifter such as others are "
    f"compared with, and no implementation of {_PAPER}."
)
_OPEN = (
    "Code and weights: Apache License 2.0. The training corpus keeps its sources' terms: bodies "
    "are MakeHuman's (CC0); the packaged motion is from DeepMimic as distributed with Bullet (MIT, "
    "zlib) and from the CMU Graphics Lab Motion Capture Database (mocap.cs.cmu.edu, funded by NSF "
    "EIA-0196217), which may be used freely but not resold."
)
_LICENSED = (
    "Code: Apache License 2.0. The weights were trained on {names}, and SMPL's model, which are "
    "licensed to persons, mostly for research alone: what their terms say of what is derived from "
    "them goes for these weights, so read them before passing anything on. No sample of a data set "
    "is in this folder."
)
_LICENSED_SETS = {"h36m": "Human3.6M", "3dpw": "Human3.6M, measured on 3DPW"}
_SIMULATED = (
    "The 2D joints it was trained and measured on are **simulated detections**: exact "
    "projections with synthetic noise and occlusion. Expect other errors behind a real detector."
)
_EXACT = (
    "The 2D joints it was trained and measured on are **exact projections**, without any noise. "
    "Expect larger errors behind a real detector."
)
_GIVEN = (
    "The 2D joints it was trained and measured on are a detector's that came with the data. Expect "
    "other errors behind another one."
)
_LIMITS = {"simulated": _SIMULATED, "exact": _EXACT, "given": _GIVEN}


def model_card(lineage: dict[str, Any], config: PipelineConfig) -> str:
    """Markdown for a bundle's lineage and config."""
    dense = config.lifter.dense_input != "none"
    said = caveat(lineage["scale"])
    return _CARD.format(
        **{name: lineage[name] for name in ("seed", "scale", "data")},
        **{name: escape(lineage[name]) for name in ("experiment", "arm")},
        what=_GENERATES if dense else _LIFTS_ALONE,
        chosen=_chosen(lineage),
        caveat=f"\n\n**{said}**" if said else "",
        how=" by way of 48 and 96 generated 2D joints" if dense else "",
        outputs="; `dense_2d` (N, 48, 2) and `fine_2d` (N, 96, 2), pixels" if dense else "",
        rows="\n".join(_rows(lineage["stages"])),
        corpus=config.data.corpus,
        detector=config.detector.kind,
        limits=_LIMITS[config.detector.kind],
        terms=_terms(config.data.corpus),
    )


def _chosen(lineage: dict[str, Any]) -> str:
    """Among which trials it was chosen, and what that does to the number it was chosen by."""
    chosen = lineage["chosen_by"]
    count, named = chosen["trials"], f"`{chosen['metric']}`"
    of = f"of arm {escape(lineage['arm'])} of" if chosen["of_arm"] else "of"
    those = f"{of} *{escape(lineage['title'])}* that can predict"
    if count == 1:
        return f"the one finished trial {those}"
    told = f"chosen by {named} among the {count} finished trials {those}"
    if _is_of_test(chosen["metric"], lineage["stages"]):
        told += ". **That is a choice on the test split, so this value flatters the model**"
    return told


def _is_of_test(metric: str, stages: dict[str, Any]) -> bool:
    """Whether a metric, ``STAGE/NAME`` perhaps with an action behind, is over test samples."""
    stage, name, *_ = metric.split("/")
    (title,) = (one.title for one in PIPELINE[stage].metrics if one.name == name)
    elsewhere = any(word in title for word in ("training", "validation"))
    return not elsewhere and stage != PROFILE.name and not _split(stages[stage])


def _terms(corpus: str) -> str:
    if corpus == "open":
        return _OPEN
    return _LICENSED.format(names=_LICENSED_SETS[corpus])


def _rows(stages: dict[str, Any]) -> list[str]:
    return [
        f"| {metric.title}{'' if metric.of_training else _split(found)} (`{stage}/{metric.name}`) "
        f"| {found['metrics'][metric.name]:.2f} {metric.unit} |"
        for stage, found in stages.items()
        if stage in PIPELINE  # and no variant of one
        for metric in PIPELINE[stage].metrics
        if metric.name in found["metrics"]
    ]


def _split(found: dict[str, Any]) -> str:
    split = found["provenance"].get("split", "test")
    return "" if split == "test" else f", {split} split"
