"""Poses for the page's viewer: what lifters were given, what they made of it, and the truth."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from hipart.pipeline import FINAL_STAGE
from hipart.report.model import Content
from hipart.session import Session
from hipart.skeleton import LEVEL_NAMES, NUM_JOINTS, PARENTS, levels_of
from hipart.store import Artifact

EXAMPLES = "examples.safetensors"
#: Arms whose poses are shown, and samples of each.
ARMS, SAMPLES = 6, 6


def poses(session: Session, artifacts: Mapping[str, Artifact], made: Content) -> dict[str, Any]:
    """Some samples of the base and of the best arms: input, levels, lifted and true poses."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    place = {row.arm: row.cells[0].mean for row in made.rows}
    sign = 1 if made.columns[0].goal == "min" else -1
    best = sorted(
        (row.arm for row in made.rows[1:] if place[row.arm] is not None),
        key=lambda arm: sign * (place[arm] or 0.0),
    )
    wanted = [made.rows[0].arm, *best][:ARMS]
    arms: dict[str, list[dict[str, Any]]] = {}
    for trial, chain in zip(session.trials, session.jobs, strict=True):
        job = chain.get(FINAL_STAGE)
        if trial.arm.name not in wanted or trial.arm.name in arms or job is None:
            continue
        if job.key not in artifacts:
            continue
        with suppress(OSError, SafetensorError):  # of an older version, or damaged
            arms[trial.arm.name] = _samples(load_file(artifacts[job.key].file(EXAMPLES)))
    count = min((len(samples) for samples in arms.values()), default=0)
    split = session.ablation.base_config.evaluation.split
    return {
        "arms": [{"name": arm, "samples": arms[arm]} for arm in wanted if arms.get(arm)],
        "samples": count,
        "split": split,
        "parents": PARENTS,
    }


def _samples(arrays: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Samples spread over those that are kept; 3D in millimetres."""
    count = len(arrays["target"])
    samples = []
    for at in sorted({round(place * (count - 1) / (SAMPLES - 1)) for place in range(SAMPLES)}):
        points = arrays["input"][at]
        start, levels = NUM_JOINTS, {}
        for level in levels_of(len(points)):
            levels[LEVEL_NAMES[level]] = _listed(points[start : start + level])
            start += level
        lifted, truth = 1000 * arrays["lifted"][at], 1000 * arrays["target"][at]
        samples.append(
            {
                "joints": _listed(points[:NUM_JOINTS]),
                "hidden": [int(joint) for joint in arrays["hidden"][at].nonzero()[0]],
                "levels": levels,
                "lifted": _listed(lifted),
                "truth": _listed(truth),
                "error": round(float(((lifted - truth) ** 2).sum(-1).__pow__(0.5).mean()), 1),
            }
        )
    return samples


def _listed(points: Any) -> list[list[float]]:
    return [[float(f"{value:.4g}") for value in point] for point in points.tolist()]
