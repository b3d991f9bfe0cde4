"""Which trial is exported: the best one that can predict, or why there is none."""

import math
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from hipart.data.names import nearest, shown
from hipart.experiment.design import Trial
from hipart.jobs import jobs
from hipart.pipeline import FINAL_STAGE, PIPELINE, Metric
from hipart.store import Artifact, ArtifactStore

#: Stages whose weights a lifter of the detected joints alone needs to predict.
LIFTER_ALONE = ("lifter",)
#: The same of one that takes generated points.
WITH_GENERATION = ("tokenizer", "prior", "lifter")


@dataclass(frozen=True)
class Candidate:
    """A finished trial that can predict, and its value of the metric."""

    trial: Trial
    artifacts: dict[str, Artifact]
    #: NaN where the stage that reports it is lost.
    value: float
    #: Stages that a bundle needs, or that report the metric, and the store has no more.
    lost: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its arm and seed, in words."""
        return f"arm {self.trial.arm.name}, seed {self.trial.seed}"

    @property
    def models(self) -> tuple[str, ...]:
        """Stages whose weights it needs to predict."""
        return _models(self.trial)


def find_metric(text: str) -> tuple[str, Metric]:
    """The stage and the metric of ``NAME``, ``STAGE/NAME`` or either with ``/ACTION``."""
    first, _, rest = text.partition("/")
    stages = [first] if first in PIPELINE else reversed(PIPELINE)
    wanted = rest if first in PIPELINE else text
    for stage in stages:
        for metric in PIPELINE[stage].metrics:
            if metric.name == wanted.partition("/")[0]:
                return stage, metric._replace(name=wanted)
    names = {f"{stage.name}/{m.name}": m.name for stage in PIPELINE.values() for m in stage.metrics}
    near = nearest(text, [*names, *names.values()])
    raise ValueError(
        f"metric {text!r} is reported by no stage{near}; there are {', '.join(sorted(names))}"
    )


def of_arm(trials: Sequence[Trial], arm: str) -> list[Trial]:
    """The trials of an arm. Raises ValueError if there is none of this name."""
    found = [trial for trial in trials if trial.arm.name == arm]
    if not found:
        names = dict.fromkeys(trial.arm.name for trial in trials)
        raise ValueError(
            f"--arm: unknown arm {arm!r}{nearest(arm, names)}; there are {shown(names)}"
        )
    return found


def candidates(
    store: ArtifactStore,
    trials: Sequence[Trial],
    data_fingerprint: str,
    stage: str,
    metric: Metric,
) -> list[Candidate]:
    """The finished trials that can predict, with their values of a stage's metric.

    One is finished here if it is evaluated: what else a table reports of it, no bundle holds.
    Raises ValueError if there is none.
    """
    found: list[Candidate] = []
    reported: dict[str, None] = {}
    stages: dict[str, None] = {}
    able = [trial for trial in trials if _can_predict(trial)]
    for trial in able:
        needed = jobs(trial.config, data_fingerprint, trial.targets)
        if FINAL_STAGE in needed.targets:
            stages |= dict.fromkeys(needed)
        if FINAL_STAGE not in needed.targets or stage not in needed:
            continue
        held = {name: store.find(job.stage, job.key) for name, job in needed.items()}
        artifacts = {name: artifact for name, artifact in held.items() if artifact is not None}
        if FINAL_STAGE not in artifacts:
            continue
        wanted = dict.fromkeys((*_models(trial), stage))
        lost = tuple(name for name in wanted if name not in artifacts)
        metrics = artifacts[stage].metrics if stage in artifacts else {}
        reported |= dict.fromkeys(metrics)
        value = metrics.get(metric.name, math.nan)
        if stage in lost or not math.isnan(value):
            found.append(Candidate(trial, artifacts, value, lost))
    if able and stage not in stages:
        raise ValueError(_no_stage(stage, metric.name, stages))
    if not found:
        raise ValueError(_why_none(len(trials), len(able), stage, metric.name, reported))
    return found


def _why_none(trials: int, able: int, stage: str, metric: str, reported: Collection[str]) -> str:
    """Why no trial can be exported, of which some are ``able`` to predict."""
    if not able:
        return (
            f"none of the {trials} trials can predict: their lifters take exact or regressed dense "
            "poses, or there is something in densify.exact or densify.samples"
        )
    if reported and metric not in reported:
        near = nearest(metric, reported)
        return f"{stage} has no {metric!r} in these trials{near}; it has {shown(reported)}"
    return (
        f"no finished trial that can predict has {stage}/{metric} ({able} of {trials} trials could "
        "predict): run the experiment at this scale, which says why one fails"
    )


def _no_stage(stage: str, metric: str, stages: Collection[str]) -> str:
    """Why no trial has a metric whose stage is none of theirs, the ``stages`` of evaluated ones."""
    if not stages:
        return (
            "no trial here that can predict is ever evaluated, and no other is exported: the "
            f"experiment asks for no metric of stage {FINAL_STAGE}"
        )
    here = [one for name, one in PIPELINE.items() if name in stages]
    others = [f"{one.name}/{other.name}" for one in here for other in one.metrics]
    return (
        f"no trial here that can predict has a stage {stage}, so none has {stage}/{metric}; "
        f"ask for one of {shown(others)}"
    )


def best_of(
    store: ArtifactStore, found: Sequence[Candidate], stage: str, metric: Metric
) -> Candidate:
    """The best one. Raises ValueError if a bundle of it lacks something: no other is meant."""
    pick = min if metric.goal == "min" else max
    named = f"{stage}/{metric.name}"
    known = [one for one in found if stage not in one.lost]
    unknown = [one for one in found if stage in one.lost]
    best = unknown[0] if unknown else pick(known, key=lambda one: one.value)
    if not best.lost:
        return best
    told = (
        f"which is the best by {named} cannot be told: the store has lost {_row(best.lost)} "
        f"of {best.name}"
        if unknown
        else f"the best by {named} is {best.name} ({best.value:.4g}), but the store has lost its "
        f"{_row(best.lost)}, without which it cannot predict"
    )
    others = [one for one in known if not one.lost and one.trial.arm.name != best.trial.arm.name]
    other = ""
    if others:
        next_best = pick(others, key=lambda one: one.value)
        other = (
            f". Or export another arm with --arm {shlex.quote(next_best.trial.arm.name)} "
            f"({next_best.value:.4g})"
        )
    raise ValueError(f"{told}. {remedy(store, best)}{other}.")


def _models(trial: Trial) -> tuple[str, ...]:
    return LIFTER_ALONE if trial.config.lifter.dense_input == "none" else WITH_GENERATION


def _can_predict(trial: Trial) -> bool:
    takes = trial.config.lifter.dense_input
    return takes == "none" or (takes == "generated" and trial.config.densify.plain)


def _row(names: Sequence[str]) -> str:
    return " and ".join(names)


def remedy(store: ArtifactStore, trial: Candidate, damaged: Path | None = None) -> str:
    """How what a trial lacks is trained again: what is evaluated has to be so once more."""
    gone = [] if damaged is None else [str(damaged)]
    places = [str(store.root), *([store.uri] if store.uri else [])]
    gone += [f"{place}/{FINAL_STAGE}/{trial.artifacts[FINAL_STAGE].key}" for place in places]
    folders = "folder" if len(gone) == 1 else "folders"
    return (
        f"To have it trained again, remove the {folders} {_row(gone)}, since what is evaluated "
        "need not be run, and run the experiment again"
    )
