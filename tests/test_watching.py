"""Looking on at a run from other terminals."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environment import unmeasured

pytestmark = pytest.mark.slow

RUN = ["run", "codebook_ablation", "--scale", "smoke", "--executor", "inline"]
WATCH = ["watch", "codebook_ablation", "--scale", "smoke"]


def start(folder: Path, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "hipart.cli", *words],
        cwd=folder,
        env=unmeasured(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def said(folder: Path, *words: str) -> str:
    process = start(folder, *words)
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 0, output
    return output


@pytest.fixture
def running(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A run in its folder, of which one job is done."""
    run = start(tmp_path, *RUN)
    assert run.stdout is not None
    for line in run.stdout:
        if " done in " in line:
            break
    yield run
    run.kill()
    run.wait()


def test_who_looks_on_sees_what_the_runner_says_and_disturbs_nothing(
    tmp_path: Path, running: "subprocess.Popen[str]"
) -> None:
    watched, killed, stopped = (start(tmp_path, *WATCH) for _ in range(3))
    assert stopped.stdout is not None
    stopped.stdout.readline()
    stopped.send_signal(signal.SIGINT)
    (now,) = json.loads(said(tmp_path, "status", "--json"))
    assert (now["state"], now["experiment"], now["pid"]) == (
        "running", "codebook_ablation", running.pid,
    )  # fmt: skip
    assert now["waiting"] + now["running"] + now["done"] == 46
    killed.kill()
    assert stopped.wait(timeout=20) == 0
    output, _ = running.communicate(timeout=100)
    assert running.returncode == 0, output
    told, _ = watched.communicate(timeout=20)
    assert watched.returncode == 0, told
    killed.wait()
    lines = told.splitlines()
    assert lines[-1].endswith("finished")
    assert "0 waiting · 0 running · 0 reused · 46 done" in lines[-1]
    # Jobs with their counts, as the runner's own lines have them.
    done = re.compile(r"(\w+ [0-9a-f]{8} done in .*? \d+ done)")
    assert done.findall(told)
    assert set(done.findall(told)) <= set(done.findall(output))
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", told)
    (then,) = json.loads(said(tmp_path, "status", "--json"))
    assert (then["state"], then["done"], then["left_s"]) == ("finished", 46, None)


def test_a_run_that_was_killed_is_said_to_be(
    tmp_path: Path, running: "subprocess.Popen[str]"
) -> None:
    running.send_signal(signal.SIGKILL)
    running.wait()
    watched = start(tmp_path, *WATCH)
    told, _ = watched.communicate(timeout=20)
    assert watched.returncode == 1
    assert "killed: the same command goes on where it was" in told
    assert "killed" in said(tmp_path, "status")


def test_where_nothing_was_run_there_is_nothing_to_watch(tmp_path: Path) -> None:
    watched = start(tmp_path, *WATCH)
    told, _ = watched.communicate(timeout=20)
    assert watched.returncode == 2
    assert "codebook_ablation was not run at scale smoke in" in told
    assert "Nothing was run in" in said(tmp_path, "status")
