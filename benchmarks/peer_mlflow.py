"""The same trials as MLflow runs, and MLflow's way to a mean per arm.

Logging ten thousand runs by MLflow's client takes many minutes, so they are written straight into
the tables of its sqlite database, in one transaction; reading them is MLflow's own API alone.
"""

import sqlite3
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

EXPERIMENT = "made up"
_AT_MS = 1_767_225_600_000


@dataclass(frozen=True)
class Run:
    """What MLflow holds of a trial."""

    name: str
    metrics: Mapping[str, float]
    params: Mapping[str, str]
    tags: Mapping[str, str]


def write(database: Path, runs: Iterable[Run]) -> None:
    """A database that MLflow has made, with these runs in it."""
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{database}")
    experiment = mlflow.create_experiment(EXPERIMENT)
    rows: dict[str, list[tuple[object, ...]]] = {
        name: [] for name in ("runs", "metrics", "latest_metrics", "params", "tags")
    }
    for number, run in enumerate(runs):
        run_id = f"{number:032x}"
        head = (run_id, run.name, "UNKNOWN", "", "", "someone", "FINISHED", _AT_MS, _AT_MS, "")
        rows["runs"].append((*head, "active", f"{database.parent}/{run_id}", experiment, None))
        for name, value in run.metrics.items():
            rows["metrics"].append((name, value, _AT_MS, run_id, 0, 0))
            rows["latest_metrics"].append((name, value, _AT_MS, 0, 0, run_id))
        rows["params"] += [(name, value, run_id) for name, value in run.params.items()]
        tags = {**run.tags, "mlflow.runName": run.name}
        rows["tags"] += [(name, value, run_id) for name, value in tags.items()]
    with sqlite3.connect(database) as connection:
        for table, some in rows.items():
            marks = ", ".join("?" * len(some[0]))
            connection.executemany(f"insert into {table} values ({marks})", some)
    connection.close()


def mean_per_arm(database: Path, metric: str) -> tuple[dict[str, float], float]:
    """The mean of a metric for every arm, and the seconds that it took; imports are not in them."""
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{database}")
    started = time.perf_counter()
    found = mlflow.search_runs(experiment_names=[EXPERIMENT])
    means = found.groupby("params.arm")[f"metrics.{metric}"].mean()
    ended = time.perf_counter()
    if len(found) < 1:
        sys.exit("no runs were found")
    return dict(means.items()), ended - started
