"""The best trial of an experiment as a folder that predicts without the platform."""

import hashlib
import json
import math
import os
import shlex
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from hipart.data.names import nearest, shown
from hipart.experiment.design import Trial
from hipart.experiment.form import Ablation
from hipart.export.model_card import model_card
from hipart.jobs import jobs
from hipart.pipeline import FINAL_STAGE, PIPELINE, Metric
from hipart.predictor import CONFIG, WEIGHTS, BundleFacts, read_facts
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


def export_bundle(
    store: ArtifactStore,
    ablation: Ablation,
    trials: Sequence[Trial],
    data_fingerprint: str,
    metric: str,
    out: Path,
    finish: Callable[[Path], None] = lambda folder: None,
) -> Path:
    """Write the best finished trial by ``metric`` (``NAME`` or ``STAGE/NAME``) as a bundle.

    Trials that lift exact dense poses are no candidates, nor those with exact tokens or parts: for
    a new image nobody has these. A prediction decodes once, so means of samples are none, either.
    ``finish`` may add to the bundle before it appears, or raise so that it doesn't.
    A bundle that is there already is replaced; raises ValueError for any other ``out``.
    """
    out = out.absolute()
    if out.exists() and not _is_bundle(out):
        raise ValueError(f"{out}: exists and is no bundle of ours; choose another --out")
    stage, chosen = find_metric(metric)
    found = candidates(store, trials, data_fingerprint, stage, chosen)
    best = best_of(store, found, stage, chosen)
    weights = save(_weights(store, best))
    chosen_by = {
        "metric": f"{stage}/{chosen.name}",
        "value": best.value,
        "trials": len(found),
        "of_arm": len({trial.arm.name for trial in trials}) == 1,
    }
    lineage = _lineage(ablation, best, data_fingerprint, chosen_by)
    files = {
        WEIGHTS: weights,
        CONFIG: (_facts(store, best, weights).model_dump_json(indent=1) + "\n").encode(),
        "lineage.json": (json.dumps(lineage, indent=1) + "\n").encode(),
        "README.md": model_card(lineage, best.trial.config).encode(),
    }
    _write(out, files, finish)
    return out


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
    able = [trial for trial in trials if _can_predict(trial)]
    for trial in able:
        needed = jobs(trial.config, data_fingerprint, trial.targets)
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
        f"no finished trial that can predict has {stage}/{metric} ({able} of {trials} trials can "
        "predict): run the experiment at this scale first"
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
    raise ValueError(f"{told}. {_remedy(store, best)}{other}.")


def _models(trial: Trial) -> tuple[str, ...]:
    return LIFTER_ALONE if trial.config.lifter.dense_input == "none" else WITH_GENERATION


def _can_predict(trial: Trial) -> bool:
    takes = trial.config.lifter.dense_input
    return takes == "none" or (takes == "generated" and trial.config.densify.plain)


def _row(names: Sequence[str]) -> str:
    return " and ".join(names)


def _remedy(store: ArtifactStore, trial: Candidate, damaged: Path | None = None) -> str:
    """How what a trial lacks is trained again: what is evaluated has to be so once more."""
    gone = [] if damaged is None else [str(damaged)]
    places = [str(store.root), *([store.uri] if store.uri else [])]
    gone += [f"{place}/{FINAL_STAGE}/{trial.artifacts[FINAL_STAGE].key}" for place in places]
    folders = "folder" if len(gone) == 1 else "folders"
    return (
        f"To have it trained again, remove the {folders} {_row(gone)}, since what is evaluated "
        "need not be run, and run the experiment again"
    )


def _weights(store: ArtifactStore, best: Candidate) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for stage in best.models:
        file = best.artifacts[stage].file(WEIGHTS)
        try:
            tensors |= {f"{stage}.{name}": w for name, w in load_file(file).items()}
        except (OSError, SafetensorError) as error:
            raise _damaged(store, best, file, error) from None
    return tensors


def _facts(store: ArtifactStore, best: Candidate, weights: bytes) -> BundleFacts:
    count = None
    if "tokenizer" in best.models:
        file = best.artifacts["tokenizer"].file(WEIGHTS)
        with safe_open(file, framework="pt") as header:
            facts = header.metadata() or {}
        if "num_actions" not in facts:
            raise _damaged(store, best, file, "no num_actions in its header")
        count = int(facts["num_actions"])
    measured = best.artifacts[FINAL_STAGE].metrics
    return BundleFacts(
        config=best.trial.config,
        actions=tuple(sorted({n.partition("/")[2] for n in measured if "/" in n})),
        num_actions=count,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
    )


def _lineage(
    ablation: Ablation, best: Candidate, data_fingerprint: str, chosen_by: dict[str, Any]
) -> dict[str, Any]:
    """Where every number in the bundle comes from."""
    return {
        "experiment": ablation.name,
        "title": ablation.title,
        "scale": ablation.scale,
        "preset": ablation.preset,
        "arm": best.trial.arm.name,
        "seed": best.trial.seed,
        "changes": best.trial.arm.changes,
        "chosen_by": chosen_by,
        "data": data_fingerprint,
        "commit": best.artifacts[FINAL_STAGE].provenance.get("commit"),
        "stages": {
            stage: {
                "key": artifact.key,
                "identity": artifact.identity,
                "metrics": artifact.metrics,
                "provenance": artifact.provenance,
            }
            for stage, artifact in best.artifacts.items()
        },
    }


def _damaged(store: ArtifactStore, best: Candidate, file: Path, error: object) -> ValueError:
    remedy = _remedy(store, best, damaged=file.parent)
    return ValueError(f"{file}: cannot be read ({error}). {remedy}.")


def _is_bundle(folder: Path) -> bool:
    try:
        read_facts(folder)
    except ValueError:
        return False
    return True


def _write(out: Path, files: Mapping[str, bytes], finish: Callable[[Path], None]) -> None:
    """Make the folder appear whole, in the place of an older bundle if there is one."""
    fresh, old = (out.with_name(f".{out.name}.{what}-{os.getpid()}") for what in ("new", "old"))
    try:
        fresh.mkdir(parents=True)
        for name, content in files.items():
            (fresh / name).write_bytes(content)
        finish(fresh)
        if out.exists():
            out.rename(old)
        fresh.rename(out)
    except OSError as error:
        if old.exists() and not out.exists():
            old.rename(out)
        raise ValueError(f"{out}: cannot be written ({error.strerror})") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
