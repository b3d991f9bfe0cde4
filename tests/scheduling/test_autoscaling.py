"""The cluster of ``ray_cluster.yaml``, with pretended machines, grows and shrinks with a run."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import ray
from ruamel.yaml import YAML

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
HEAD_ID = "f" * 51 + "00000"
#: Ray decides once in a process whether it asks for tokens, so none of this is in the tests' own.
ENVIRONMENT = os.environ | {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
WATCH = """\
import sys, time, ray
ray.init(address=sys.argv[1], log_to_driver=False)
while True:
    print(sum(one["Alive"] and "GPU" in one["Resources"] for one in ray.nodes()), flush=True)
    time.sleep(0.2)
"""
COMMANDS = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray")


def pretended(address: str) -> dict[str, Any]:
    """The cluster as described, but for its provider, with small machines that leave soon."""
    described = YAML(typ="safe").load(ROOT / "ray_cluster.yaml")
    head, worker = (described["available_node_types"][name] for name in ("head", "gpu_worker"))
    provider = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"
    return {
        **described,
        "max_workers": 2,
        "idle_timeout_minutes": 0.05,
        "provider": {
            "type": "external",
            "module": provider,
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
            "gcs_address": address,
            "launch_multiple": True,
            "head_node_id": HEAD_ID,
        },
        "docker": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        "rsync_filter": [],
        "available_node_types": {
            "ray.head.default": {**head, "node_config": {}, "max_workers": 0},
            "gpu_worker": {
                **worker,
                "node_config": {},
                "max_workers": 2,
                "resources": {"CPU": 1, "GPU": 1, "object_store_memory": 10**8},
            },
        },
        "head_node_type": "ray.head.default",
        **{f"{name}_commands": [] for name in (*COMMANDS, "worker_start_ray")},
    }


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A head with the autoscaler, alone."""
    with closing(socket.create_server(("", 0))) as free:
        port = free.getsockname()[1]
    address = f"{ray.util.get_node_ip_address()}:{port}"
    config = tmp_path / "pretended.json"
    config.write_text(json.dumps(pretended(address)))
    sockets = tempfile.mkdtemp(prefix="ray")  # their names may not be long
    command = [
        *(str(Path(sys.executable).with_name("ray")), "start", "--head", "--block"),
        *(f"--port={port}", "--num-cpus=0", "--num-gpus=0", "--include-dashboard=false"),
        *(f"--temp-dir={sockets}", f"--autoscaling-config={config}"),
    ]
    environment = {
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "RAY_FAKE_CLUSTER": "1",
        "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
        "HIPART_PRETEND_GPUS": "1",
    }
    with (tmp_path / "head.log").open("wb") as log:
        head = subprocess.Popen(
            command, env=ENVIRONMENT | environment, stdout=log, stderr=log, start_new_session=True
        )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(address.rsplit(":", 1), timeout=1).close()
            break
        except OSError:
            time.sleep(0.2)
    yield address
    os.killpg(head.pid, signal.SIGKILL)
    head.wait()
    shutil.rmtree(sockets, ignore_errors=True)


def _numbers(file: Path) -> list[int]:
    return [int(word) for word in file.read_text().split() if word.isdigit()]


def test_it_grows_for_a_run_and_shrinks_again(address: str, tmp_path: Path) -> None:
    run = subprocess.Popen(
        [
            *(sys.executable, "-m", "hipart.cli", "run", "codebook_ablation", "--scale", "smoke"),
            *("--address", address, "--gpus-per-job", "1", "--array", "1"),
            *("--autoscale", "--workers", "2"),
        ],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seen = tmp_path / "sizes"
    with seen.open("wb") as log:
        watch = subprocess.Popen(
            [sys.executable, "-c", WATCH, address], env=ENVIRONMENT, stdout=log, stderr=log
        )
    try:
        output, _ = run.communicate(timeout=300)
        deadline = time.monotonic() + 120
        while (sizes := _numbers(seen))[-1:] != [0]:
            assert time.monotonic() < deadline, sizes
            time.sleep(0.2)
    finally:
        run.kill()
        watch.kill()
    assert run.returncode == 0, output
    assert "trained 46 now" in " ".join(output.split())
    assert max(sizes) == 2
    assert sizes[-1] == 0
