"""The cluster of ray_cluster.yaml, with Ray's own pretended provider: it grows with a run."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ruamel.yaml import YAML

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
WORKERS = 2


def pretended() -> dict[str, Any]:
    """The cluster file's nodes under Ray's fake provider, which starts them on this machine."""
    fake = Path(ray.__file__).parent / "autoscaler/_private/fake_multi_node/example.yaml"
    config = YAML(typ="safe").load(fake)
    cluster = YAML(typ="safe").load(ROOT / "ray_cluster.yaml")
    types = {
        name: {**one, "node_config": {}} for name, one in cluster["available_node_types"].items()
    }
    types["ray.head.default"] = {**types.pop(cluster["head_node_type"]), "max_workers": 0}
    # Every job has a node of its own, so that two have to come.
    for one in types.values():
        one["resources"] = {kind: min(1, count) for kind, count in one["resources"].items()}
    config["available_node_types"] = types
    config["max_workers"] = cluster["max_workers"]
    config["upscaling_speed"] = cluster["upscaling_speed"]
    config["idle_timeout_minutes"] = 0.1
    return config


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A head with the autoscaler beside it; everything of it ends with the test."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file = tmp_path / "cluster.json"
    file.write_text(json.dumps(pretended()))
    with tempfile.TemporaryDirectory(prefix="ray-") as session:  # paths of sockets are short
        command = [
            *(str(Path(sys.executable).with_name("ray")), "start", "--head", f"--port={port}"),
            *(f"--autoscaling-config={file}", "--num-cpus=0", "--num-gpus=0"),
            *("--include-dashboard=false", f"--temp-dir={session}", "--disable-usage-stats"),
        ]
        environment = os.environ | {
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            "RAY_FAKE_CLUSTER": "1",
            "HIPART_PRETEND_GPUS": "1",
        }
        subprocess.run(command, env=environment, check=True, capture_output=True)
        yield f"127.0.0.1:{port}"
        ray.shutdown()
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if session.encode() in process.read_bytes():
                    os.kill(int(process.parent.name), signal.SIGKILL)
            except (OSError, ProcessLookupError):
                continue


def gpu_nodes() -> int:
    return sum(one["Alive"] and one["Resources"].get("GPU", 0) > 0 for one in ray.nodes())


def test_nodes_come_with_the_jobs_and_go_when_they_are_done(address: str, tmp_path: Path) -> None:
    ray.init(address=address, log_to_driver=False)
    assert gpu_nodes() == 0
    command = [
        *(sys.executable, "-m", "hipart.cli", "run", "codebook_ablation", "--scale", "smoke"),
        *("--address", address, "--gpus-per-job", "1", "--array", "1"),
        *("--autoscale", "--workers", str(WORKERS)),
    ]
    folder = tmp_path / "run"
    folder.mkdir()
    run = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    most = 0
    while run.poll() is None:
        most = max(most, gpu_nodes())
        time.sleep(0.2)
    output = run.communicate()[0]
    assert run.returncode == 0, output
    assert "trained 30 now" in " ".join(output.split())
    assert most == WORKERS
    deadline = time.monotonic() + 120
    while gpu_nodes():
        assert time.monotonic() < deadline, "idle nodes must go"
        time.sleep(0.5)
