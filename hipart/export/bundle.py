"""The best trial of an experiment as a folder that predicts without the platform."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from hipart.experiment.design import Trial
from hipart.experiment.form import Ablation
from hipart.export.model_card import model_card
from hipart.jobs import jobs
from hipart.pipeline import FINAL_STAGE, PIPELINE, Metric
from hipart.predictor import CONFIG, WEIGHTS, BundleFacts, read_facts
from hipart.store import Artifact, ArtifactStore

#: Stages whose weights a prediction needs.
WEIGHTED = ("tokenizer", "prior", "lifter")


@dataclass(frozen=True)
class Candidate:
    """A finished trial that can predict, and its value of the metric."""

    trial: Trial
    artifacts: dict[str, Artifact]
    value: float


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
    best = best_trial(store, trials, data_fingerprint, stage, chosen)
    weights = save(_weights(best.artifacts))
    lineage = _lineage(ablation, best, data_fingerprint, f"{stage}/{chosen.name}")
    files = {
        WEIGHTS: weights,
        CONFIG: (_facts(best, weights).model_dump_json(indent=1) + "\n").encode(),
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
    names = sorted(f"{stage.name}/{m.name}" for stage in PIPELINE.values() for m in stage.metrics)
    raise ValueError(f"metric {text!r} is reported by no stage; there are {', '.join(names)}")


def best_trial(
    store: ArtifactStore,
    trials: Sequence[Trial],
    data_fingerprint: str,
    stage: str,
    metric: Metric,
) -> Candidate:
    """The finished trial with the best value. Raises ValueError if there is none."""
    candidates = []
    for trial in trials:
        needed = jobs(trial.config, data_fingerprint, trial.targets)
        found = {name: store.find(job.stage, job.key) for name, job in needed.items()}
        artifacts = {name: artifact for name, artifact in found.items() if artifact is not None}
        can_predict = trial.config.lifter.dense_input == "none" or (
            "prior" in needed and trial.config.densify.plain
        )
        finished = len(artifacts) == len(needed) and FINAL_STAGE in needed
        if can_predict and finished and stage in artifacts:
            value = artifacts[stage].metrics.get(metric.name, math.nan)
            if not math.isnan(value):
                candidates.append(Candidate(trial, artifacts, value))
    if not candidates:
        raise ValueError(
            f"no finished trial that can predict has {stage}/{metric.name} "
            f"({len(trials)} trials; one whose lifter takes exact or regressed dense poses "
            "can't predict, nor can one with something in densify.exact or densify.samples): "
            "run the experiment at this scale first"
        )
    pick = min if metric.goal == "min" else max
    return pick(candidates, key=lambda candidate: candidate.value)


def _weights(artifacts: Mapping[str, Artifact]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for stage in WEIGHTED:
        if stage in artifacts:
            file = artifacts[stage].file(WEIGHTS)
            try:
                tensors |= {f"{stage}.{name}": w for name, w in load_file(file).items()}
            except (OSError, SafetensorError) as error:
                raise _damaged(file, error) from None
    return tensors


def _facts(best: Candidate, weights: bytes) -> BundleFacts:
    count = None
    if "tokenizer" in best.artifacts:
        file = best.artifacts["tokenizer"].file(WEIGHTS)
        with safe_open(file, framework="pt") as header:
            facts = header.metadata() or {}
        if "num_actions" not in facts:
            raise _damaged(file, "no num_actions in its header")
        count = int(facts["num_actions"])
    measured = best.artifacts[FINAL_STAGE].metrics
    return BundleFacts(
        config=best.trial.config,
        actions=tuple(sorted({n.partition("/")[2] for n in measured if "/" in n})),
        num_actions=count,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
    )


def _lineage(
    ablation: Ablation, best: Candidate, data_fingerprint: str, metric: str
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
        "chosen_by": {"metric": metric, "value": best.value},
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


def _damaged(file: Path, error: object) -> ValueError:
    return ValueError(
        f"{file}: cannot be read ({error}). Remove the folder {file.parent} and run the "
        "experiment again to have the job trained anew."
    )


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
