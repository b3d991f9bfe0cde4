"""A crash costs nothing: kill -9 of everything at once, then the same command again."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.processes import family

pytestmark = pytest.mark.slow

#: Long enough in each stage to be killed in the middle of it, after a checkpoint.
EXPERIMENT = """\
kind: ablation
title: An ablation to be killed
design: one_at_a_time
base:
  tokenizer.epochs: 60
  prior.epochs: 40
  lifter.epochs: 300
factors:
  - name: sparse codebook size
    path: tokenizer.sparse_codebook.size
    levels: [16]
seeds: [0]
metric: {stage: evaluate, name: mpjpe_mm}
"""
#: What is killed, one after another.
STAGES = ("tokenizer", "prior", "lifter")
COMMAND = [sys.executable, "-m", "hipart.cli", "run", "killed.yaml", "--scale", "smoke"]


def start(folder: Path) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    (folder / "killed.yaml").write_text(EXPERIMENT)
    environment = os.environ | {"HIPART_CHECKPOINT_SECONDS": "0.2", "COLUMNS": "200"}
    return subprocess.Popen(
        COMMAND,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(folder: Path) -> str:
    process = start(folder)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def kill_in(folder: Path, stage: str) -> None:
    """Run until a job of the stage has a checkpoint, then kill driver, Ray and workers at once.

    Workers of a killed process group would live for up to two seconds more, until they miss
    their node, and a job as short as these would be done by then.
    """
    process = start(folder)
    while not list(folder.glob(f".hipart/store/.work/{stage}-*/checkpoint.safetensors")):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    for pid in family(process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate()


def provenances(folder: Path) -> dict[str, str]:
    return {
        str(path.parent): path.read_text()
        for path in folder.glob(".hipart/store/[!.]*/*/provenance.json")
    }


def mlflow_runs(folder: Path) -> list[tuple[str, str]]:
    """(deterministic id, status) of every run in the mirror."""
    with sqlite3.connect(folder / ".hipart" / "mlflow.db") as database:
        return database.execute(
            "select t.value, r.status from runs r join tags t on t.run_uuid = r.run_uuid "
            "where t.key = 'hipart.id' and r.lifecycle_stage = 'active'"
        ).fetchall()


def test_three_kills_change_nothing(tmp_path: Path) -> None:
    finish(tmp_path / "quiet")
    killed = tmp_path / "killed"
    before: dict[str, str] = {}
    for stage in STAGES:
        kill_in(killed, stage)
        after = provenances(killed)
        assert before.items() <= after.items(), "a finished job was trained again"
        before = after
    output = finish(killed)
    after = provenances(killed)
    assert before.items() <= after.items(), "a finished job was trained again"
    told = re.search(r"10 stage jobs: trained (\d+) now, reused (\d+)", " ".join(output.split()))
    assert told is not None, output
    assert int(told[2]) == len(before)

    tables = [
        (tmp_path / name / "results/killed/table.csv").read_bytes() for name in ("quiet", "killed")
    ]
    assert tables[0] == tables[1]
    resumed = {
        Path(name).parent.name for name, text in after.items() if json.loads(text)["resumed"]
    }
    assert resumed == set(STAGES), "each kill must have left a checkpoint that was taken up"

    runs = mlflow_runs(killed)
    trials, jobs = 2, 2 * 5
    assert len(after) == jobs
    assert len(runs) == len({name for name, _ in runs}) == 1 + trials + jobs
    assert {status for _, status in runs} == {"FINISHED"}
