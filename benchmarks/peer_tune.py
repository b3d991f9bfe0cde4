"""Plain Ray Tune, as its users run it: with its defaults, and at its best."""

import contextlib
import io
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def run_tune(
    trainable: Any, space: Mapping[str, Any], workers: int, folder: Path, best: bool
) -> list[dict[str, Any]]:
    """The last result of every trial of a grid.

    ``best``: actors are reused and no files are logged. Otherwise as Tune comes.
    """
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1" if best else "0"
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    from ray import tune

    with contextlib.redirect_stdout(io.StringIO()):
        results = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            param_space=dict(space),
            tune_config=tune.TuneConfig(
                max_concurrent_trials=workers, reuse_actors=best, num_samples=1
            ),
            run_config=tune.RunConfig(
                storage_path=str(folder),
                name=f"tune{time.time_ns()}",
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(
                    checkpoint_at_end=False, checkpoint_frequency=0
                ),
            ),
        ).fit()
    # Without its loggers Tune counts every trial as an error, but holds its last result.
    return [dict(result.metrics or {}) for result in results]


def idle_trainable() -> Any:
    """A class trainable that does nothing but say when it did."""
    from ray import tune

    class Idle(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:
            pass

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            return True

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            pass

        def load_checkpoint(self, checkpoint: Any) -> None:
            pass

        def step(self) -> dict[str, Any]:
            return {"mpjpe_mm": 1.0, "at": time.time(), "done": True}

    return Idle
