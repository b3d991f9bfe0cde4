"""Faults at random moments of real runs: of drivers, workers, nodes, the store and MLflow."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from hipart.scheduling.ray_start import WORKER_NICENESS
from tests.chaos.simulated import FAULTS, WEIGHTS
from tests.mlflow_server import Server
from tests.processes import processes

#: Each round is another experiment in the same workspace, with seeds of its own.
EXPERIMENT = """\
kind: ablation
title: Round {number}
design: factorial
factors:
  - {{name: size, path: tokenizer.sparse_codebook.size, levels: [16]}}
  - {{name: rate, path: lifter.learning_rate, levels: [0.01, 0.02]}}
seeds: [{first}, {second}]
reseed: [tokenizer, prior, lifter]
metric: {{stage: evaluate, name: mpjpe_mm}}
"""
NODES = 2
STORE = ".hipart/store"


class Cloud:
    """A Ray cluster of a head without work and some nodes, which can be lost."""

    def __init__(self) -> None:
        os.environ["RAY_worker_niceness"] = WORKER_NICENESS  # noqa: SIM112
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        self.raise_()

    def raise_(self) -> None:
        """Start the head and all nodes."""
        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        self._nodes = [self._cluster.add_node(num_cpus=1) for _ in range(NODES)]

    def drop(self) -> None:
        """End everything."""
        ray.shutdown()
        self._cluster.shutdown()

    @property
    def address(self) -> str:
        """Where drivers find it."""
        return str(self._cluster.address)

    def lose(self, number: int) -> None:
        """Lose a node without a word; another comes."""
        self._cluster.remove_node(self._nodes.pop(number), allow_graceful=False)
        self._nodes.append(self._cluster.add_node(num_cpus=1))

    def workers(self) -> list[int]:
        """Processes that do jobs."""
        raylets = {node.all_processes["raylet"][0].process.pid for node in self._nodes}
        return [pid for pid, parent, name in processes() if parent in raylets and "Pool" in name]


class Storm:
    """One seeded storm over one workspace; it watches what is published meanwhile."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.rounds = 0
        self.faults: Counter[str] = Counter()
        #: How often each artifact was spoilt on purpose, and every provenance that was seen of it.
        self.spoilt: Counter[str] = Counter()
        self.seen: dict[str, list[str]] = {}
        self._random = random.Random(seed)
        self._drivers: list[subprocess.Popen[bytes]] = []
        self._round_done = True
        self.mlflow = Server(folder)
        self._returning: threading.Thread | None = None
        self._over = threading.Event()

    def rage(self, faults: int) -> None:
        """Strike so often while experiments run, one after the other; then let them end."""
        self._cloud = Cloud()
        self.mlflow.start()
        self.mlflow.wait()
        watching = threading.Thread(target=self._watch)
        watching.start()
        try:
            while self.faults.total() < faults:
                self._drive()
                time.sleep(self._random.uniform(0.02, 0.4))
                self._strike()
            for driver in self._drivers:
                driver.wait(300)
            shutil.rmtree(self.folder / STORE / FAULTS, ignore_errors=True)  # nobody met them
            if self._returning is not None:
                self._returning.join()
            self.mlflow.wait()
            for number in range(self.rounds):
                finish(self.folder, number, self._cloud.address, self.mlflow.address)
        finally:
            self._over.set()
            watching.join()
            for driver in self._drivers:
                driver.kill()
            if self._returning is not None:
                self._returning.join()
            self.mlflow.kill()
            self._cloud.drop()

    def _drive(self) -> None:
        """See that somebody drives; the next experiment, where the last one is done."""
        ended = [driver for driver in self._drivers if driver.poll() is not None]
        self._drivers = [driver for driver in self._drivers if driver.poll() is None]
        self._round_done = self._round_done or any(not driver.returncode for driver in ended)
        if not self._drivers:
            if self._round_done:
                self.rounds += 1
                self._round_done = False
            self._begin()

    def _begin(self) -> None:
        self._drivers.append(
            start(self.folder, self.rounds - 1, self._cloud.address, self.mlflow.address)
        )

    def _strike(self) -> None:
        """One fault, if there is anything that it can strike at this moment."""
        kinds: dict[str, tuple[float, Callable[[], bool]]] = {
            "worker killed": (8, lambda: self._signal_worker(signal.SIGKILL)),
            "worker given notice": (8, lambda: self._signal_worker(signal.SIGTERM)),
            "loss not finite": (4, lambda: self._lay("nan")),
            "disk full": (4, lambda: self._lay("full")),
            "out of memory": (4, lambda: self._lay("oom")),
            "worker hangs": (1, lambda: self._lay("hang")),
            "weights damaged": (8, lambda: self._spoil(WEIGHTS)),
            "numbers damaged": (6, lambda: self._spoil("metrics.json")),
            "artifact removed": (4, lambda: self._spoil(None)),
            "MLflow killed": (2, self._kill_mlflow),
            "second driver": (2, self._second_driver),
            "driver killed": (2, lambda: self._signal_driver(signal.SIGKILL)),
            "driver stopped": (1, lambda: self._signal_driver(signal.SIGINT)),
            "node lost": (1, self._lose_node),
            "head lost": (0.2, self._lose_head),
        }
        (kind,) = self._random.choices(list(kinds), [weight for weight, _ in kinds.values()])
        if kinds[kind][1]():
            self.faults[kind] += 1

    def _signal_worker(self, what: signal.Signals) -> bool:
        workers = self._cloud.workers()
        if not workers:
            return False
        return _signal(self._random.choice(workers), what)

    def _signal_driver(self, what: signal.Signals) -> bool:
        if not self._drivers or not self._cloud.workers():
            return False
        driver = self._random.choice(self._drivers)
        if what is signal.SIGKILL:
            os.killpg(driver.pid, what)
            driver.wait()
            return True
        return _signal(driver.pid, what)

    def _second_driver(self) -> bool:
        if len(self._drivers) != 1:
            return False
        self._begin()
        return True

    def _lay(self, kind: str) -> bool:
        """A fault that the next simulated step meets."""
        folder = self.folder / STORE / FAULTS
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            return False
        (folder / f"{self.faults.total()}.{kind}").touch()
        return True

    def _spoil(self, name: str | None) -> bool:
        """Change a byte of a file of a finished job, or take the whole job away."""
        artifacts = sorted(_artifacts(self.folder))
        if not artifacts:
            return False
        artifact = self._random.choice(artifacts)
        self._look()
        self.spoilt[artifact.name] += 1
        try:
            if name is None:
                gone = self.folder / f"gone-{self.faults.total()}"
                artifact.rename(gone)
                shutil.rmtree(gone)
            else:
                content = bytearray((artifact / name).read_bytes())
                content[len(content) // 2] ^= 1
                (artifact / name).write_bytes(content)
        except FileNotFoundError:  # it was set aside in this moment
            return False
        return True

    def _kill_mlflow(self) -> bool:
        """Its server is away for some seconds."""
        if not self.mlflow.serves():
            return False
        self.mlflow.kill()
        self._returning = threading.Timer(self._random.uniform(1, 5), self.mlflow.start)
        self._returning.start()
        return True

    def _lose_node(self) -> bool:
        self._cloud.lose(self._random.randrange(NODES))
        return True

    def _lose_head(self) -> bool:
        """Its drivers can't go on; another cluster comes."""
        self._cloud.drop()
        for driver in self._drivers:
            driver.terminate()
        for driver in self._drivers:
            driver.wait(120)
        self._cloud.raise_()
        return True

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self._look()

    def _look(self) -> None:
        """Take note of every finished job as it is now."""
        for artifact in _artifacts(self.folder):
            try:
                text = (artifact / "provenance.json").read_text()
            except FileNotFoundError:
                continue
            known = self.seen.setdefault(artifact.name, [])
            if text not in known:
                known.append(text)


def start(folder: Path, number: int, address: str, mlflow: str | None) -> "subprocess.Popen[bytes]":
    """Drive a round of experiments, mirrored to a server where there is one."""
    file = folder / f"round{number}.yaml"
    file.write_text(EXPERIMENT.format(number=number, first=2 * number, second=2 * number + 1))
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment["HIPART_LEASE_SECONDS"] = "6"
    if mlflow is not None:
        environment["MLFLOW_TRACKING_URI"] = mlflow
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [os.getcwd(), *_pythonpath()]))
    with (folder / "drivers.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.driver", str(file), address],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def finish(folder: Path, number: int, address: str, mlflow: str | None = None) -> None:
    """Drive a round to its end, undisturbed."""
    driver = start(folder, number, address, mlflow)
    try:
        if driver.wait(300):
            raise AssertionError(f"round {number} failed:\n{(folder / 'drivers.log').read_text()}")
    finally:
        driver.kill()


def _artifacts(folder: Path) -> Iterator[Path]:
    return (path.parent for path in (folder / STORE).glob("[!.]*/*/metrics.json"))


def _signal(pid: int, what: signal.Signals) -> bool:
    try:
        os.kill(pid, what)
    except ProcessLookupError:
        return False
    return True


def _pythonpath() -> list[str]:
    return [os.environ.get("PYTHONPATH", "")]
