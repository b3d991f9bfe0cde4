"""Whether a connected Ray cluster can run stage jobs, looked at before any work."""

import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hipart.provenance import code_version, machine
from hipart.runtime import Runtime
from hipart.scheduling.ray_start import start_ray
from hipart.store import ArtifactStore

#: Clocks further apart than this confuse whoever reads times in provenance.
SKEW_S = 5.0
#: How long a node may take to answer.
ANSWER_S = 120.0


@dataclass
class Node:
    """What a node of the cluster says of itself."""

    name: str
    cpus: float
    gpus: float
    device: str = ""
    versions: dict[str, Any] = field(default_factory=dict)
    skew_s: float = 0.0
    problems: list[str] = field(default_factory=list)


def check(runtime: Runtime) -> list[Node]:
    """Every node, with what keeps it from working.

    Raises ``ValueError`` where the store cannot be used from here.
    """
    import ray

    store = ArtifactStore(runtime.store, runtime.store_uri)
    store.prepare()
    start_ray(runtime)
    try:
        nodes = [_ask(ray, one, store) for one in ray.nodes() if one["Alive"]]
    finally:
        ray.shutdown()
    _compare(nodes)
    return nodes


def _ask(ray: Any, described: dict[str, Any], store: ArtifactStore) -> Node:
    """Run a probe on the node, whatever it has free."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    resources = described.get("Resources", {})
    node = Node(
        f"{described['NodeManagerHostname']} ({described['NodeManagerAddress']})",
        resources.get("CPU", 0.0),
        resources.get("GPU", 0.0),
    )
    token = store.root / ".work" / f".probe-{uuid.uuid4().hex}"
    token.write_text("seen from the driver")
    strategy = NodeAffinitySchedulingStrategy(node_id=described["NodeID"], soft=False)
    asked = time.time()
    try:
        answer = ray.get(
            ray.remote(probe)
            .options(num_cpus=0, num_gpus=0, scheduling_strategy=strategy, max_retries=0)
            .remote(str(token), store.uri),
            timeout=ANSWER_S,
        )
    except Exception as error:
        node.problems.append(f"does not answer: {type(error).__name__}: {error}".splitlines()[0])
        return node
    finally:
        token.unlink(missing_ok=True)
    node.device, node.versions = answer["device"], answer["versions"]
    node.problems += answer["problems"]
    # The answer was given somewhere between question and reply: only what is outside is skew.
    early, late = asked - answer["at"], answer["at"] - time.time()
    node.skew_s = max(0.0, early, late)
    return node


def probe(token: str, uri: str | None = None) -> dict[str, Any]:
    """What a node finds when it looks at itself and at the store; runs on the node.

    ``token`` is a file that the driver has put into the store's folder; or, where the store is at
    ``uri``, into its own copy, which nobody else sees.
    """
    import torch

    problem = _problem_of_folder(Path(token)) if uri is None else _problem_of_objects(token, uri)

    device = (
        torch.cuda.get_device_name(0) if torch.cuda.is_available() else f"{os.cpu_count()} cores"
    )
    versions = {**machine()["versions"], **code_version(), "python": machine()["python"]}
    return {
        "device": device,
        "versions": versions,
        "problems": [problem] if problem else [],
        "at": time.time(),
    }


def _problem_of_folder(token: Path) -> str | None:
    store = token.parents[1]
    if not token.exists():
        return f"does not see the store {store}"
    mine = token.with_name(f"{token.name}-{uuid.uuid4().hex}")
    try:
        mine.write_text("written by a node")
        mine.rename(mine.with_suffix(".moved"))
        mine.with_suffix(".moved").unlink()
    except OSError as error:
        return f"cannot write the store {store}: {error.strerror}"
    return None


def _problem_of_objects(token: str, uri: str) -> str | None:
    try:
        ArtifactStore(Path(token).parents[1], uri).prepare()
    except ValueError as error:
        return f"cannot use the store: {error}"
    return None


def _compare(nodes: Sequence[Node]) -> None:
    """Name what differs from the driver, and clocks that are apart."""
    mine = {**machine()["versions"], **code_version(), "python": machine()["python"]}
    for node in nodes:
        for name in ("version", "commit", "torch", "numpy"):
            theirs = node.versions.get(name)
            if node.versions and theirs != mine[name]:
                node.problems.append(f"{name} is {theirs}, here it is {mine[name]}")
        if node.skew_s > SKEW_S:
            node.problems.append(f"its clock is off by {node.skew_s:.0f} s or more")


def described(nodes: Sequence[Node], runtime: Runtime) -> RenderableType:
    """A row for each node, and what is wrong with them."""
    store = runtime.store_uri or str(runtime.store)
    rows = Table("node", "CPU", "GPU", "device", "python", "torch", box=None, header_style="dim")
    for node in nodes:
        rows.add_row(
            node.name,
            f"{node.cpus:g}",
            f"{node.gpus:g}",
            node.device,
            str(node.versions.get("python", "")),
            str(node.versions.get("torch", "")),
        )
    told = [f"{node.name}: {problem}" for node in nodes for problem in node.problems]
    verdict = told or [f"All {len(nodes)} nodes see {store}, can write it, and run the same code."]
    return Group(rows, Text(""), *(Text(line) for line in verdict))
