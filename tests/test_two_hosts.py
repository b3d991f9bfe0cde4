"""Two hosts on this machine, each with a name, an address and a Ray node of its own."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from hipart.store import ArtifactStore
from tests.environment import unmeasured

TOOL = Path(__file__).resolve().parents[1] / "tools/two_hosts.sh"

pytestmark = pytest.mark.slow


def namespaces(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["ip", "netns", *command], capture_output=True, text=True, check=False)


@pytest.fixture(autouse=True)
def _allowed() -> None:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    name = f"hipart-probe-{os.getpid()}"
    try:
        made = namespaces("add", name)
        namespaces("del", name)
    except FileNotFoundError:
        pytest.skip("there is no ip command here")
    if made.returncode:
        pytest.skip(f"network namespaces are not allowed here: {made.stderr.strip()}")


def start(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [str(TOOL), str(folder)],
        env=unmeasured() | {"BIN": str(Path(sys.executable).parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_both_hosts_see_the_store_and_do_jobs(tmp_path: Path) -> None:
    run = start(tmp_path)
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output
    told = " ".join(output.split())
    for host in ("alpha (10.77.0.1)", "beta (10.77.0.2)", "All 2 nodes see"):
        assert host in told
    artifacts = ArtifactStore(tmp_path / "workspace/store").artifacts()
    jobs = Counter(one.provenance["host"] for one in artifacts)
    assert set(jobs) == {"alpha", "beta"}
    assert jobs.total() == 46
    figure = tmp_path / "results/codebook_ablation/figures/codebook_ablation_schedule.svg"
    for host in jobs:
        assert f"{host}, cpu: {jobs[host]} job" in figure.read_text()
    assert f"-{run.pid}" not in namespaces("list").stdout


def test_a_run_that_is_ended_leaves_no_host_behind(tmp_path: Path) -> None:
    run = start(tmp_path)
    assert run.stdout is not None
    assert any(" started on worker" in line for line in run.stdout)
    processes = namespaces("pids", f"hipart-beta-{run.pid}").stdout.split()
    assert processes
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=30)
    assert run.returncode == 128 + signal.SIGTERM
    assert f"-{run.pid}" not in namespaces("list").stdout
    assert [one for one in processes if Path("/proc", one, "exe").exists()] == []
