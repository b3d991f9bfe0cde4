"""Stage jobs on one worker: load what they need, train, publish. The only door to torch."""

import importlib
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import torch

from hipart.config import DataConfig, DetectorConfig
from hipart.data.corpus import Corpus, load_corpus
from hipart.jobs import StageJob
from hipart.provenance import code_version, machine
from hipart.scheduling.allocator import enlarge_pages, keep_freed_memory
from hipart.scheduling.beginning import Member, begin, forget_beginning
from hipart.scheduling.executor import Failure, Outcome, Result, Workplace, reason
from hipart.scheduling.upstream import LackingError, check_unchanged, upstream
from hipart.stages.context import Report, StageContext
from hipart.stages.fit import Interrupted
from hipart.stages.training import IndivisibleError
from hipart.store import ArtifactStore, without_space

#: ``report(job, step, total, metrics)``: where a job stands.
JobReport = Callable[[StageJob, int, int, dict[str, float]], None]

#: After a job of so many seconds its memory, which the next one takes, is put in order.
LONG_S = 5.0
#: What this worker took to start, where it has.
_start_up: dict[str, float] = {}


def warm(workplace: Workplace, jobs: Sequence[StageJob], began: float) -> None:
    """Load what these jobs will need before the first is given: stages, and the first one's data.

    ``began`` is when the worker did, by ``time.perf_counter``. Whatever fails here fails again, and
    is told, where a job needs it.
    """
    _settle(workplace)
    code_version()  # as of now: the checkout may change while jobs run
    _machine()
    for name in dict.fromkeys(job.stage for job in jobs):
        importlib.import_module(f"{workplace.stages}.{name}")
    if jobs:
        _corpus(jobs[0].config.data, jobs[0].config.detector, workplace.data)
    _start_up["worker_s"] = round(time.perf_counter() - began, 3)


def _settle(workplace: Workplace) -> None:
    torch.set_num_threads(workplace.threads)
    keep_freed_memory()


def run_job(job: StageJob, workplace: Workplace, report: Report) -> Outcome:
    """Do one job; raises ``RuntimeError`` with the reason if it fails."""
    (result,) = run_jobs([job], workplace, lambda _, *where: report(*where))
    if isinstance(result, Failure):
        raise RuntimeError(result.error)
    return result


def run_jobs(jobs: Sequence[StageJob], workplace: Workplace, report: JobReport) -> list[Result]:
    """Do the jobs of an array and publish each; what another process did meanwhile is taken.

    A member that fails fails alone. Where an array does not fit into the device's memory, its
    halves are trained one after the other; where a single job does not, each of its steps is
    computed in twice as many micro-batches, until they have one sample each.
    """
    _settle(workplace)
    store = ArtifactStore(workplace.store, workplace.store_uri)
    results: dict[str, Result] = {}
    with ExitStack() as claims:
        folders: dict[str, Path] = {}
        # In one order in every process, so that no two of them wait for each other.
        for job in sorted(jobs, key=lambda job: job.name):
            if job not in store:
                folders[job.key] = claims.enter_context(store.claim(job))
            done = store.find(job.stage, job.key)
            if done is not None:
                results[job.key] = Outcome(done.metrics, 0.0)
        missing = [job for job in jobs if job.key not in results]
        reports = _reports(missing, report)
        members = [Member(job, folders[job.key], reports[job.key]) for job in missing]
        if members:
            results |= _attempt(members, workplace, store)
    return [results[job.key] for job in jobs]


def _attempt(
    members: Sequence[Member], workplace: Workplace, store: ArtifactStore, micro_batches: int = 1
) -> dict[str, Result]:
    alone = len(members) == 1
    try:
        return _train(members, workplace, store, micro_batches)
    except Exception as error:
        full = isinstance(error, torch.OutOfMemoryError)
        smaller = full and micro_batches < _batch_size(members[0].job)
        if isinstance(error, Interrupted) or (alone and not smaller):
            return {member.job.key: _failure(error, member, store) for member in members}
        size = -(-len(members) // 2) if full else 1
    # The handler is left, so the error's frames no longer hold the tensors of the array.
    torch.cuda.empty_cache()
    results: dict[str, Result] = {}
    for start in range(0, len(members), size):
        some = members[start : start + size]
        results |= _attempt(some, workplace, store, 2 * micro_batches if alone else 1)
    return results


def _batch_size(job: StageJob) -> int:
    """Of the training that a job is; 1 where it is none."""
    size: int = getattr(getattr(job.config, job.stage, None), "batch_size", 1)
    return size


def _train(
    members: Sequence[Member], workplace: Workplace, store: ArtifactStore, micro_batches: int
) -> dict[str, Result]:
    """Train one job, or several together, and publish each."""
    first = members[0].job
    started, clock = datetime.now(UTC), time.perf_counter()
    corpus = _corpus_of(first, workplace.data)
    loaded = time.perf_counter()
    stage = importlib.import_module(f"{workplace.stages}.{first.stage}")
    imported = time.perf_counter()
    begun = [begin(member, store) for member in members]
    device = _device(workplace)
    contexts = [_context(member, corpus, device, store, micro_batches) for member in members]
    alone = len(members) == 1
    metrics = [stage.train(contexts[0])] if alone else stage.train_array(contexts)
    seconds = time.perf_counter() - imported
    shared = {
        **_circumstances(workplace, device),
        "started_at": started.isoformat(timespec="milliseconds"),
        "seconds": round(seconds / len(members), 3),
        "array": len(members),
        "array_seconds": round(seconds, 3),
        "startup": {
            **_start_up,
            "data_s": round(loaded - clock, 3),
            "import_s": round(imported - loaded, 3),
        },
        "data": corpus.description,
    }
    results: dict[str, Result] = {}
    for member, context, own, how in zip(members, contexts, metrics, begun, strict=True):
        forget_beginning(member)
        provenance = shared | context.facts | how
        share = seconds / len(members)
        results[member.job.key] = _published(store, member, context, own, provenance, share)
    if device.type == "cpu" and seconds >= LONG_S:
        enlarge_pages()
    return results


def _device(workplace: Workplace) -> torch.device:
    """The GPU where the run asks for one; none where tests only pretend that nodes have some."""
    real = workplace.use_gpu and not os.environ.get("HIPART_PRETEND_GPUS")
    return torch.device("cuda" if real else "cpu")


def _context(
    member: Member, corpus: Corpus, device: torch.device, store: ArtifactStore, micro_batches: int
) -> StageContext:
    return StageContext(
        config=member.job.config,
        corpus=corpus,
        upstream=upstream(member.job, store),
        work=member.work,
        device=device,
        report=member.report,
        resumable=member.job.resumable,
        micro_batches=micro_batches,
    )


def _circumstances(workplace: Workplace, device: torch.device) -> dict[str, Any]:
    """Code, machine and process, for the provenance."""
    return {
        **code_version(),
        **_machine(),
        "device": _device_name(device),
        "threads": workplace.threads,
        "pid": os.getpid(),
    }


def _published(
    store: ArtifactStore,
    member: Member,
    context: StageContext,
    metrics: dict[str, float],
    provenance: dict[str, Any],
    seconds: float,
) -> Result:
    try:
        check_unchanged(context.upstream)
        return Outcome(store.publish(member.job, member.work, metrics, provenance).metrics, seconds)
    except Exception as error:
        return _failure(error, member, store)


def _reports(jobs: Sequence[StageJob], report: JobReport) -> dict[str, Report]:
    """A report for each member; the first one's also stands for those that say nothing."""
    spoken: set[str] = set()

    def of(job: StageJob) -> Report:
        def tell(step: int, total: int, metrics: dict[str, float]) -> None:
            spoken.add(job.key)
            report(job, step, total, metrics)
            for other in jobs if job is jobs[0] else ():
                if other.key not in spoken:
                    report(other, step, total, metrics)

        return tell

    return {job.key: of(job) for job in jobs}


def _corpus_of(job: StageJob, folder: Path | None) -> Corpus:
    corpus = _corpus(job.config.data, job.config.detector, folder)
    if corpus.fingerprint != job.identity["data"]:
        raise ValueError(
            f"the data on this worker has fingerprint {corpus.fingerprint}, the run was "
            f"planned on {job.identity['data']}: give every worker the same --data folder"
        )
    return corpus


@lru_cache(maxsize=2)
def _corpus(data: DataConfig, detector: DetectorConfig, folder: Path | None) -> Corpus:
    return load_corpus(data, detector, folder)


_machine = cache(machine)


def _failure(error: Exception, member: Member, store: ArtifactStore) -> Failure:
    if isinstance(error, Interrupted):
        store.leave(member.job, member.work)
    written = sum(path.stat().st_size for path in member.work.rglob("*") if path.is_file())
    # Its files once more: a checkpoint is written beside the old one.
    full = without_space(error, store.root, 2 * written)
    if full is not None:
        return Failure(full)
    if isinstance(error, LackingError):
        return Failure(str(error), lacks=error.key)
    if isinstance(error, torch.OutOfMemoryError | IndivisibleError):
        return Failure(_too_large(error, member.job))
    return Failure(reason(error), interrupted=isinstance(error, Interrupted))


def _too_large(error: Exception, job: StageJob) -> str:
    """What can be said of a job that does not fit into the device's memory, and done about it."""
    remedy, tried = "use a larger device or a smaller model", ""
    if isinstance(error, IndivisibleError):
        remedy = f"lower {job.stage}.batch_size or use a larger device"
    elif _batch_size(job) > 1:
        tried = ", not even with micro-batches of one sample"
    return (
        f"does not fit into the device's memory{tried}, and how much it needs cannot be told: "
        f"{remedy}; {reason(error)}"
    )


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
