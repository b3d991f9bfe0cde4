"""A search that is killed goes on: no trial twice, none lost, one MLflow run each."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest

from tests.test_crash import mlflow_runs, provenances

pytestmark = pytest.mark.slow

TRIALS = 30
SEARCH = """\
kind: search
title: A search to be killed
base: {lifter.epochs: 9}
use: [order, lifter]
space:
  - {name: rate, path: lifter.learning_rate, range: [1.0e-4, 1.0e-2], log: true}
objectives: [{stage: evaluate, name: mpjpe_mm}]
sampler: {kind: tpe, seed: 3, startup: 6}
stopping: {kind: asha, reduction: 3}
budget: {trials: 30}
"""
COMMAND = [sys.executable, "-m", "hipart.cli", "run", "killed.yaml", "--scale", "smoke"]


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        COMMAND,
        cwd=folder,
        env=os.environ | {"HIPART_CHECKPOINT_SECONDS": "0.2", "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def kill_after(folder: Path, evaluations: int) -> None:
    """Run until so many trials were judged, then kill everything at once."""
    process = start(folder)
    while len(list(folder.glob(".hipart/store/evaluate/*"))) < evaluations:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_three_kills_lose_no_trial_and_repeat_none(tmp_path: Path) -> None:
    (tmp_path / "killed.yaml").write_text(SEARCH)
    before: dict[str, str] = {}
    for evaluations in (3, 15, 25):
        kill_after(tmp_path, evaluations)
        after = provenances(tmp_path)
        assert before.items() <= after.items(), "a finished job was trained again"
        before = after
    process = start(tmp_path)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert before.items() <= provenances(tmp_path).items(), "a finished job was trained again"
    assert f"Search: {TRIALS} trials" in output

    storage = f"sqlite:///{tmp_path}/.hipart/optuna.db"
    (summary,) = optuna.get_all_study_summaries(storage)
    study = optuna.load_study(study_name=summary.study_name, storage=storage)
    trials = [one for one in study.trials if "point" in one.user_attrs]
    points = [json.dumps(one.user_attrs["point"], sort_keys=True) for one in trials]
    assert len(trials) == len(set(points)) == TRIALS
    assert {one.state.name for one in study.trials} <= {"COMPLETE", "PRUNED", "FAIL"}
    assert {one.state.name for one in trials} == {"COMPLETE", "PRUNED"}

    runs = mlflow_runs(tmp_path)
    assert len(runs) == len({name for name, _ in runs})
    assert {status for _, status in runs} == {"FINISHED"}
    assert len([name for name, _ in runs if name.startswith("trial:")]) == TRIALS
