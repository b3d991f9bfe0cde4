"""Plain Ray Tune, as its users run it: with its defaults, and at its best.

A trial trains all its stages one after another, with the same stage code as ours, in a temporary
folder of its own. What our workers set of the C library's allocator is theirs: Tune's have it only
where it is lent to them, which leaves scheduling alone to be compared.
"""

import contextlib
import importlib
import io
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from hipart.jobs import StageJob

Trials = Sequence[Mapping[str, StageJob]]


def run_tune(
    trainable: Any, space: Mapping[str, Any], workers: int, folder: Path, best: bool
) -> list[dict[str, Any]]:
    """The last result of every trial of a grid.

    ``best``: actors are reused and nothing is logged to files. Otherwise as Tune comes.
    """
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1" if best else "0"
    from ray import tune

    with contextlib.redirect_stdout(io.StringIO()):
        results = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            param_space=dict(space),
            tune_config=tune.TuneConfig(
                max_concurrent_trials=workers, reuse_actors=best, num_samples=1
            ),
            run_config=tune.RunConfig(
                storage_path=str(folder), name=f"tune{time.time_ns()}", verbose=0
            ),
        ).fit()
    # Without its loggers Tune calls every trial an error, but it holds each last result.
    return [dict(result.metrics or {}) for result in results]


def time_trials(
    trials: Trials, workers: int, folder: Path, best: bool, lent: bool = False
) -> tuple[float, list[float]]:
    """Seconds that Tune takes for these trials, and their errors in millimetres, in order.

    ``lent``: its processes keep freed memory, as our workers do.
    """
    from ray import tune

    start = time.perf_counter()
    space = {"trial": tune.grid_search(list(range(len(trials))))}
    results = run_tune((_class if best else _function)(trials, lent), space, workers, folder, best)
    seconds = time.perf_counter() - start
    found = {int(result["config"]["trial"]): float(result["mpjpe_mm"]) for result in results}
    return seconds, [found[number] for number in range(len(trials))]


def idle_trainable() -> Any:
    """A class trainable that does nothing but say when it did."""

    def step(_: Mapping[str, Any]) -> dict[str, Any]:
        return {"mpjpe_mm": 1.0, "at": time.time()}

    return _trainable(step)


def _class(trials: Trials, lent: bool) -> Any:
    """At its best: the process lives on, with torch imported and the data at hand."""

    def step(config: Mapping[str, Any]) -> dict[str, Any]:
        return {"mpjpe_mm": train_trial(trials[config["trial"]], lent)}

    return _trainable(step)


def _function(trials: Trials, lent: bool) -> Any:
    """As Tune's first page shows it."""

    def train(config: Mapping[str, Any]) -> None:
        from ray import tune

        tune.report({"mpjpe_mm": train_trial(trials[config["trial"]], lent)})

    return train


def _trainable(once: Any) -> Any:
    from ray import tune

    class Trial(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:
            self.own = config

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.own = new_config
            return True

        def step(self) -> dict[str, Any]:
            return {**once(self.own), "done": True}

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            pass

        def load_checkpoint(self, checkpoint: Any) -> None:
            pass

    return Trial


def train_trial(chain: Mapping[str, StageJob], lent: bool) -> float:
    """Every stage of a trial, one after another; its error in millimetres."""
    import torch

    from hipart.scheduling.allocator import keep_freed_memory
    from hipart.stages.context import StageContext

    torch.set_num_threads(1)
    if lent:
        keep_freed_memory()
    metrics: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        done: dict[str, Path] = {}
        for name, job in chain.items():
            work = Path(folder) / name
            work.mkdir()
            context = StageContext(
                config=job.config,
                corpus=corpus_of(job.config.data, job.config.detector),
                upstream=dict(done),
                work=work,
                device=torch.device("cpu"),
                report=lambda *_: None,
            )
            metrics = importlib.import_module(f"hipart.stages.{name}").train(context)
            done[name] = work
    return metrics["mpjpe_mm"]


@lru_cache(maxsize=2)
def corpus_of(data: Any, detector: Any) -> Any:
    """The corpus, made once in each process."""
    from hipart.data.corpus import load_corpus

    return load_corpus(data, detector)
