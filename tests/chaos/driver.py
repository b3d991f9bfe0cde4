"""``hipart-search run`` over simulated stages: ``python -m tests.chaos.driver FILE ADDRESS``."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from hipart import runner
from hipart.jobs import StageJob
from hipart.runtime import Runtime
from hipart.scheduling.events import Listener
from hipart.scheduling.executor import Executor
from hipart.scheduling.ray_pool import RayPool
from hipart.session import open_work

STAGES = "tests.chaos.stages"
WATCHDOG_S = 4.0


def executor_for(
    runtime: Runtime, to_train: Sequence[StageJob], _tell: Listener, most: int = 0
) -> Executor:
    """Always Ray: the faults are those of its processes."""
    return RayPool(runtime, most or max(1, len(to_train)), to_train, STAGES)


def main() -> int:
    """Run one experiment in the current folder."""
    experiment, address = sys.argv[1:]
    runner.executor_for = executor_for
    runtime = Runtime(
        Path(".hipart"),
        address=address,
        executor="ray",
        workers=2,
        watchdog_s=WATCHDOG_S,
        mlflow=os.environ.get("MLFLOW_TRACKING_URI"),
    )
    work = open_work(experiment, None, "smoke", None, runtime)
    return 0 if runner.run(work, Console(force_terminal=False, width=200)) else 1


if __name__ == "__main__":
    sys.exit(main())
