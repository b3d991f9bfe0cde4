"""A cluster of several nodes: one is lost in the middle, and the table is the same."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from hipart.scheduling.ray_start import WORKER_NICENESS

pytestmark = pytest.mark.slow

RUN = ("run", "codebook_ablation", "--scale", "smoke")


def start(folder: Path, *options: str, command: Sequence[str] = RUN) -> subprocess.Popen[str]:
    folder.mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "hipart.cli", *command, *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def table(folder: Path) -> bytes:
    return (folder / "results/codebook_ablation/table.csv").read_bytes()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> object:
    """A head without anything for jobs, and three nodes with a pretended GPU each."""
    monkeypatch.setenv("HIPART_PRETEND_GPUS", "1")
    monkeypatch.setenv("RAY_worker_niceness", WORKER_NICENESS)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "num_gpus": 0})
    yield made
    ray.shutdown()
    made.shutdown()


def test_a_lost_node_costs_its_jobs_a_try_and_the_table_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    nodes = [cluster.add_node(num_cpus=1, num_gpus=1) for _ in range(3)]
    options = ("--address", cluster.address, "--gpus-per-job", "1", "--array", "1")
    quiet = start(tmp_path / "quiet", *options)
    output, _ = quiet.communicate(timeout=300)
    assert quiet.returncode == 0, output
    folder = tmp_path / "lossy"
    run = start(folder, *options)
    deadline = time.monotonic() + 240
    while len(list(folder.glob(".hipart/store/*/*/metrics.json"))) < 6:
        assert run.poll() is None, run.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    cluster.remove_node(nodes[1], allow_graceful=False)
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output
    assert table(folder) == table(tmp_path / "quiet")
    assert os.environ["HIPART_PRETEND_GPUS"]


def test_nodes_that_come_later_are_waited_for(cluster: Cluster, tmp_path: Path) -> None:
    """As an autoscaler brings them; without --autoscale a share that fits nowhere is refused."""
    refused = start(tmp_path / "refused", "--address", cluster.address, "--gpus-per-job", "1")
    output, _ = refused.communicate(timeout=120)
    assert refused.returncode == 2
    assert "the largest node has 0 CPU and 0 GPU" in " ".join(output.split())
    options = ("--address", cluster.address, "--gpus-per-job", "1", "--autoscale", "--workers", "2")
    run = start(tmp_path / "later", *options)
    time.sleep(8)
    assert run.poll() is None
    assert list((tmp_path / "later").glob(".hipart/store/*/*/metrics.json")) == []
    cluster.add_node(num_cpus=1, num_gpus=1)
    alone = start(tmp_path / "alone", command=("cluster", "check"))
    output, _ = alone.communicate(timeout=120)
    assert "All 1 nodes" in output, "a cluster on this machine is joined only if asked for"
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output
    assert "trained 46 now" in " ".join(output.split())
