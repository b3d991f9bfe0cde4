"""The best trial of an experiment as a folder that predicts without the platform."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from hipart.experiment.design import Trial
from hipart.experiment.form import Ablation
from hipart.export.choice import Candidate, best_of, candidates, find_metric, remedy
from hipart.export.model_card import model_card
from hipart.pipeline import FINAL_STAGE
from hipart.predictor import CONFIG, WEIGHTS, BundleFacts, read_facts
from hipart.store import ArtifactStore


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
    told = remedy(store, best, damaged=file.parent)
    return ValueError(f"{file}: cannot be read ({error}). {told}.")


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
