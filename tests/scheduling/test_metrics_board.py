"""Every query of the Grafana boards has an answer where Prometheus watched a cluster."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).resolve().parents[2]
BOARDS = sorted((ROOT / "dashboards/grafana").glob("*.json"))
PANELS = [
    (board.stem, panel["title"], target["expr"].replace("$__rate_interval", "20s"))
    for board in BOARDS
    for panel in json.loads(board.read_text())["panels"]
    for target in panel["targets"]
]
#: The second finds in the store what the first has trained.
EXPERIMENTS = ("codebook_ablation", "order_ablation")
#: Ray decides once in a process whether it asks for tokens, so none of this is in the tests' own.
#: Without clusters Ray listens on loopback alone; it tells its numbers every second.
ENVIRONMENT = os.environ | {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_metrics_report_interval_ms": "1000",
    "PYTHONPATH": str(ROOT),
}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="there is no prometheus"),
    pytest.mark.skipif(
        find_spec("opencensus") is None, reason="only ray[default] exports: the extra `metrics`"
    ),
]


@dataclass(frozen=True)
class Watched:
    """A Prometheus, and from when to when the cluster did something."""

    address: str
    began: float
    ended: float
    #: Jobs that each command trained and reused, as it says itself.
    trained: tuple[int, ...]
    reused: tuple[int, ...]

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """The series that a panel would draw of that time."""
        query = {"query": expression, "start": self.began, "end": self.ended, "step": 1}
        with urlopen(f"http://{self.address}/api/v1/query_range?{urlencode(query)}") as answer:
            result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return result

    def last(self, expression: str) -> float:
        """The last number of the only series."""
        (series,) = self.ask(expression)
        return float(series["values"][-1][1])


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A cluster of one machine that has run two ablations, as Prometheus saw it."""
    folder = tmp_path_factory.mktemp("watched")
    head, dashboard, exported, prometheus = free_ports(4)
    with ExitStack() as ends:
        sockets = Path(tempfile.mkdtemp(prefix="ray"))  # their names may not be long
        ends.callback(shutil.rmtree, sockets, ignore_errors=True)
        ray = [sys.executable, "-c", "from ray.scripts.scripts import main; main()"]
        start(
            ends,
            folder / "head.log",
            *(*ray, "start", "--head", "--block", f"--port={head}", "--num-cpus=1"),
            *("--num-gpus=0", f"--temp-dir={sockets}", "--include-dashboard=true"),
            *(f"--dashboard-port={dashboard}", f"--metrics-export-port={exported}"),
        )
        # What Ray writes of where its nodes export; it does when they do.
        targets = sockets / "prom_metrics_service_discovery.json"
        wait_for(lambda: targets.exists() and f":{exported}" in targets.read_text(), folder)
        assert all(
            target.startswith("127.0.0.1:")
            for group in json.loads(targets.read_text())
            for target in group["targets"]
        )
        config = {
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [{"job_name": "ray", "file_sd_configs": [{"files": [str(targets)]}]}],
        }
        (folder / "prometheus.json").write_text(json.dumps(config))
        address = f"127.0.0.1:{prometheus}"
        start(
            ends,
            folder / "prometheus.log",
            *("prometheus", f"--config.file={folder}/prometheus.json"),
            *(f"--storage.tsdb.path={folder}/data", f"--web.listen-address={address}"),
        )
        began = time.time()
        outputs = [run(name, f"127.0.0.1:{head}", folder) for name in EXPERIMENTS]
        time.sleep(3)  # its last numbers come through
        counts = [re.search(r"trained (\d+) now, reused (\d+)", output) for output in outputs]
        trained, reused = zip(*[map(int, one.groups()) for one in counts if one], strict=True)
        yield Watched(address, began, time.time(), trained, reused)


def run(experiment: str, cluster: str, folder: Path) -> str:
    """What a command says that runs an experiment on the cluster."""
    options = ("--scale", "smoke", "--address", cluster)
    done = subprocess.run(
        [sys.executable, "-m", "hipart.cli", "run", experiment, *options],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return " ".join(done.stdout.split())


def free_ports(count: int) -> list[int]:
    """Different ports of loopback that nobody uses."""
    with ExitStack() as held:
        made = [
            held.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
            for _ in range(count)
        ]
        return [one.getsockname()[1] for one in made]


def start(ends: ExitStack, log: Path, *command: str) -> None:
    """A process that ends with the test, with all that it started."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, env=ENVIRONMENT, stdout=file, stderr=file, start_new_session=True
        )
    ends.callback(process.wait)
    ends.callback(os.killpg, process.pid, signal.SIGKILL)


def wait_for(holds: Any, folder: Path) -> None:
    """Until something holds, for at most a minute."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, (folder / "head.log").read_text()
        time.sleep(0.2)


@pytest.mark.parametrize(("board", "title", "expression"), PANELS)
def test_a_panel_has_something_to_show(
    watched: Watched, board: str, title: str, expression: str
) -> None:
    assert watched.ask(expression), f"{board}: {title}"


def test_what_is_told_is_what_happened(watched: Watched) -> None:
    for state, counts in (("finished", watched.trained), ("reused", watched.reused)):
        assert watched.last(f'sum(ray_hipart_jobs{{state="{state}"}})') == counts[-1] > 0
    assert watched.last('sum(ray_hipart_jobs{state=~"waiting|running|failed"})') == 0
    assert watched.last("sum(ray_hipart_job_seconds_count)") == sum(watched.trained)
    assert watched.last("sum(ray_hipart_saved_seconds_total)") > 0
    stages = watched.ask("sum by (stage) (ray_hipart_steps_total)")
    assert {one["metric"]["stage"] for one in stages} >= {"tokenizer", "prior", "lifter"}
    assert 1e8 < watched.last("max(ray_hipart_device_memory_bytes)") < 1e11
