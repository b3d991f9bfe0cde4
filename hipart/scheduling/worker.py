"""One stage job on one worker: load what it needs, train, publish. The only door to torch."""

import importlib
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import torch

from hipart.config import DataConfig, DetectorConfig
from hipart.data.corpus import Corpus, load_corpus
from hipart.pipeline import StageJob
from hipart.provenance import code_version, machine
from hipart.scheduling.executor import Outcome, Workplace
from hipart.stages.checkpoint import CHECKPOINT
from hipart.stages.context import StageContext
from hipart.store import ArtifactStore

ProgressReport = Callable[[int, int, dict[str, float]], None]


def run_job(job: StageJob, workplace: Workplace, report: ProgressReport) -> Outcome:
    """Do a job and publish its artifact; if another process did it meanwhile, take that."""
    torch.set_num_threads(workplace.threads)
    store = ArtifactStore(workplace.store)
    with store.claim(job) as work:
        done = store.find(job.stage, job.key)
        if done is not None:
            return Outcome(done.metrics, 0.0)
        started, clock = datetime.now(UTC), time.monotonic()
        device = torch.device("cuda" if workplace.use_gpu else "cpu")
        corpus = _corpus(job.config.data, job.config.detector, workplace.motion)
        if corpus.fingerprint != job.identity["data"]:
            raise ValueError(
                f"the data on this worker has fingerprint {corpus.fingerprint}, the run was "
                f"planned on {job.identity['data']}: give every worker the same motion folder"
            )
        stage = importlib.import_module(f"hipart.stages.{job.stage}")
        resumed = (work / CHECKPOINT).exists()
        metrics = stage.train(
            StageContext(
                config=job.config,
                corpus=corpus,
                upstream=_upstream(job, store),
                work=work,
                device=device,
                report=report,
            )
        )
        seconds = time.monotonic() - clock
        (work / CHECKPOINT).unlink(missing_ok=True)
        provenance = {
            **code_version(),
            **machine(),
            "device": _device_name(device),
            "threads": workplace.threads,
            "pid": os.getpid(),
            "started_at": started.isoformat(timespec="seconds"),
            "seconds": round(seconds, 3),
            "resumed": resumed,
            "data": corpus.description,
        }
        return Outcome(store.publish(job, work, metrics, provenance).metrics, seconds)


@lru_cache(maxsize=2)
def _corpus(data: DataConfig, detector: DetectorConfig, motion: Path | None) -> Corpus:
    return load_corpus(data, detector, motion)


def _upstream(job: StageJob, store: ArtifactStore) -> dict[str, Path]:
    """Artifact folders of everything that the job stands on, however far up."""
    found: dict[str, Path] = {}
    open_needs = list(job.needs.items())
    while open_needs:
        stage, key = open_needs.pop()
        artifact = store.find(stage, key)
        if artifact is None:
            raise FileNotFoundError(f"{store.root / stage / key}: needed by {job.name}, not there")
        found[stage] = artifact.path
        open_needs.extend(artifact.identity["needs"].items())
    return found


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
