"""An adaptive search as Ray Tune's users write it: its Tuner, OptunaSearch, ASHA, at its best.

A trial trains all its stages one after another, then its lifter from rung to rung, each going on
where the one before ended. Actors are reused, nothing is logged to files.
"""

import contextlib
import importlib
import io
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.peer_tune import corpus_of
from hipart.experiment.search import Search
from hipart.jobs import StageJob
from hipart.search.candidates import Candidates


@dataclass
class Searched:
    """What a search of Tune's did."""

    seconds: float
    #: Stage jobs that it trained, rungs of lifters counted one by one.
    trained: Counter[str]
    best: float
    trials: int


def search_with_tune(search: Search, fingerprint: str, workers: int, folder: Path) -> Searched:
    """As many trials as the search's budget names, drawn by the same sampler of Optuna's."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    import optuna
    from ray import tune
    from ray.tune.schedulers import AsyncHyperBandScheduler
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    metric, rungs = search.objectives[0], search.rungs
    sampler = optuna.samplers.TPESampler(
        n_startup_trials=search.sampler.startup,
        multivariate=True,
        group=True,
        seed=search.sampler.seed,
    )
    assert search.stopping is not None
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        results = tune.Tuner(
            tune.with_resources(_trainable(search, fingerprint), {"cpu": 1}),
            tune_config=tune.TuneConfig(
                search_alg=OptunaSearch(
                    space=partial(_suggest, search),
                    metric=metric.name,
                    mode=str(metric.goal),
                    sampler=sampler,
                ),
                scheduler=AsyncHyperBandScheduler(
                    time_attr="epochs",
                    metric=metric.name,
                    mode=str(metric.goal),
                    max_t=rungs[-1],
                    grace_period=rungs[0],
                    reduction_factor=search.stopping.reduction,
                ),
                num_samples=search.budget.trials or 1,
                max_concurrent_trials=workers,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                storage_path=str(folder), name=f"search{time.time_ns()}", verbose=0
            ),
        ).fit()
    seconds = time.perf_counter() - start
    trained: Counter[str] = Counter()
    best = float("inf")
    for result in results:
        found = dict(result.metrics or {})
        rung = rungs.index(found["epochs"]) + 1
        trained.update(["tokenizer", "prior", "densify"])
        trained.update({"lifter": rung, "evaluate": rung})
        if found["epochs"] == rungs[-1]:
            best = min(best, found[metric.name])
    return Searched(seconds, trained, best, len(results))


def _suggest(search: Search, trial: Any) -> dict[str, Any]:
    from hipart.search.drawing import suggested

    point: dict[str, Any] = {}
    for dimension in search.dimensions:
        if dimension.exists(point):
            point[dimension.name] = suggested(trial, dimension)
    return {"point": point}


def _trainable(search: Search, fingerprint: str) -> Any:
    from ray import tune

    class Trial(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:
            import torch

            from hipart.scheduling.allocator import keep_freed_memory

            torch.set_num_threads(1)
            keep_freed_memory()
            self._candidates = Candidates(search, fingerprint)
            self._folder: Path | None = None
            self.reset_config(config)

        def reset_config(self, config: dict[str, Any]) -> bool:
            self.cleanup()
            self._folder = Path(tempfile.mkdtemp())
            self._candidate = self._candidates.of(config["point"])
            self._rung = 0
            self._done: dict[str, Path] = {}
            return True

        def step(self) -> dict[str, Any]:
            (chain,) = self._candidates.up_to(self._candidate, self._rung)
            metrics: dict[str, float] = {}
            for name, job in chain.items():
                if name not in self._done or name in ("lifter", "evaluate"):
                    metrics = self._train(name, job)
            epochs = search.rungs[self._rung]
            self._rung += 1
            return {**metrics, "epochs": epochs, "done": self._rung == len(search.rungs)}

        def _train(self, name: str, job: StageJob) -> Mapping[str, float]:
            import torch

            from hipart.stages.checkpoint import CHECKPOINT, STATE
            from hipart.stages.context import StageContext

            assert self._folder is not None
            work = self._folder / name
            work.mkdir(exist_ok=True)
            if (work / STATE).exists():
                (work / STATE).replace(work / CHECKPOINT)
            context = StageContext(
                config=job.config,
                corpus=corpus_of(job.config.data, job.config.detector),
                upstream=dict(self._done),
                work=work,
                device=torch.device("cpu"),
                report=lambda *_: None,
                resumable=job.resumable,
            )
            metrics = importlib.import_module(f"hipart.stages.{name}").train(context)
            self._done[name] = work
            return dict(metrics)

        def cleanup(self) -> None:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            pass

        def load_checkpoint(self, checkpoint: Any) -> None:
            pass

    return Trial
