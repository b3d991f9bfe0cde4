"""Two commands on one store at the same moment: each job once, the same table."""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hipart.data.corpus import fingerprint
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.jobs import jobs
from hipart.runtime import Runtime
from hipart.scheduling.executor import Workplace
from hipart.scheduling.graph import StageGraph
from hipart.scheduling.inline import InlineExecutor
from hipart.store import ArtifactStore
from tests.faulty_stages.tokenizer import COUNTED_SEED
from tests.test_crash import mlflow_runs

pytestmark = pytest.mark.slow

SEEDS = range(COUNTED_SEED, COUNTED_SEED + 40)

#: A few trials that share most of their stages.
EXPERIMENT = """\
kind: ablation
title: Two at once
design: one_at_a_time
factors:
  - {name: order, path: prior.order, levels: [raster]}
seeds: [0, 1]
reseed: [lifter]
metric: {stage: evaluate, name: mpjpe_mm}
"""
COMMAND = [sys.executable, "-m", "hipart.cli", "run", "two.yaml", "--scale", "smoke"]


def _drive(folder: Path, start: Any) -> None:
    base = base_at_scale("smoke")
    runtime = Runtime(folder)
    workplace = Workplace.of(runtime, "tests.faulty_stages")
    graph = StageGraph(
        ArtifactStore(runtime.store), InlineExecutor(workplace, lambda _: None), lambda _: None
    )
    for seed in SEEDS:
        config = with_changes(base, {"tokenizer.seed": seed})
        graph.ensure(jobs(config, fingerprint(base.data), ("tokenizer",)))
    start.wait()
    graph.run()
    assert not graph.errors


def test_drivers_at_the_same_jobs_train_each_once(tmp_path: Path) -> None:
    ArtifactStore(Runtime(tmp_path).store).prepare()
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(3)
    drivers = [spawn.Process(target=_drive, args=(tmp_path, start)) for _ in range(3)]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join(120)
    assert [driver.exitcode for driver in drivers] == [0, 0, 0]
    trained = (tmp_path / "store/trained.log").read_text().split()
    assert sorted(map(int, trained)) == list(SEEDS)


def two_commands(folder: Path, environment: Mapping[str, str], *options: str) -> None:
    """Give the same command in ``folder/one`` and ``folder/two`` at once: the same table."""
    folders = [folder / name for name in ("one", "two")]
    processes = []
    for place in folders:
        place.mkdir()
        (place / "two.yaml").write_text(EXPERIMENT)
        processes.append(
            subprocess.Popen(
                [*COMMAND, "--executor", "inline", *options],
                cwd=place,
                env={**os.environ, "COLUMNS": "200", **environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    tables = [(place / "results/two/table.csv").read_bytes() for place in folders]
    assert tables[0] == tables[1]


def test_two_commands_on_one_workspace_print_the_same_table(tmp_path: Path) -> None:
    two_commands(tmp_path, {"HIPART_WORKSPACE": str(tmp_path / "one/.hipart")})
    runs = mlflow_runs(tmp_path / "one")
    assert len(runs) == len({name for name, _ in runs})
    assert {status for _, status in runs} == {"FINISHED"}
