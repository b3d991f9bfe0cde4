"""``hipart-search doctor``: what this machine can run, and what stands in the way."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from hipart.provenance import code_version, machine
from hipart.runtime import Runtime

Finding = tuple[str, str]


@dataclass(frozen=True)
class Examined:
    """A fact about this machine; a ``problem`` would stop a run."""

    what: str
    found: str
    problem: bool = False


def examine(runtime: Runtime) -> list[Examined]:
    """Every fact, and everything that here would stop a run."""
    told = []
    for check in (_machine, _devices, _versions, _data, lambda: _store(runtime)):
        try:
            told += [Examined(what, found) for what, found in check()]
        except Exception as error:  # a doctor reports what a run would die of
            told.append(Examined(_name(check), f"{type(error).__name__}: {error}", problem=True))
    return told


def described(told: Sequence[Examined]) -> RenderableType:
    """A row for each."""
    rows = Table("what", "found", box=None, header_style="dim", padding=(0, 2, 0, 0))
    for one in told:
        style = "red" if one.problem else ""
        rows.add_row(Text(one.what, style), Text(one.found, style))
    return rows


def _name(check: Callable[..., object]) -> str:
    return check.__name__.strip("_<>").replace("lambda", "store")


def _machine() -> Iterator[Finding]:
    facts = machine()
    yield "host", f"{facts['host']}, {facts['platform']}"
    yield "cores", str(os.cpu_count())
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    yield "memory", f"{pages / 2**30:.1f} GiB"


def _devices() -> Iterator[Finding]:
    import torch

    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    yield "GPUs", ", ".join(names) or "none: jobs run on the CPU, scale laptop is meant for that"


def _versions() -> Iterator[Finding]:
    code = code_version()
    commit = f", commit {code['commit'][:12]}" if code["commit"] else ""
    changed = " with uncommitted changes" if code["dirty"] else ""
    yield "hipart-search", f"{code['version']}{commit}{changed}"
    yield "python", str(machine()["python"])
    for name, version in machine()["versions"].items():
        yield name, version or "not installed"


def _data() -> Iterator[Finding]:
    from hipart.config import DataConfig
    from hipart.data.corpus import fingerprint

    yield "open corpus", f"packaged, fingerprint {fingerprint(DataConfig())}"


def _store(runtime: Runtime) -> Iterator[Finding]:
    from hipart.store import ArtifactStore

    store = ArtifactStore(runtime.store, runtime.store_uri)
    store.prepare()
    yield "store", f"{store.name}: writable, {sum(1 for _ in store.artifacts())} artifacts"
    yield "disk", f"{shutil.disk_usage(store.root).free / 2**30:.1f} GiB free"
