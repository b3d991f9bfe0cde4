"""What in a workspace's store no experiment asks for any more, and how to be rid of it."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table

from hipart.experiment.errors import ExperimentError
from hipart.experiment.file import available, is_search
from hipart.experiment.scales import PRESETS, SCALES
from hipart.runtime import Runtime
from hipart.scheduling.journal import journals
from hipart.search.session import SearchSession, read_search
from hipart.session import read_session
from hipart.store import ArtifactStore

#: Folders of a store in which nothing is finished: what was set aside, what was begun.
ASIDE, WORK = ".damaged", ".work"
_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Leftover:
    """A folder that nobody asks for."""

    path: Path
    #: Its stage, or what else it is.
    kind: str
    size: int


def leftovers(runtime: Runtime) -> list[Leftover]:
    """Artifacts, damaged ones and begun jobs that no experiment of here asks for, at any scale.

    Experiments are those that ``hipart-search list`` names, searches with every trial of their
    studies. Raises ``ValueError`` for a store that others share, whose experiments nobody can see
    from here, and for an experiment that cannot be read.
    """
    if runtime.shared_store is not None:
        raise ValueError(
            f"{runtime.shared_store}: others may ask for what it holds, so it is not cleaned; "
            "only a workspace's own store is"
        )
    store = ArtifactStore(runtime.store)
    wanted = _wanted(runtime)
    found = [
        _leftover(artifact.path, artifact.stage)
        for artifact in store.artifacts()
        if artifact.key not in wanted
    ]
    found += [_leftover(path, "damaged") for path in _folders(store.root / ASIDE)]
    found += [
        _leftover(path, "begun")
        for path in _folders(store.root / WORK)
        if path.name.rpartition("-")[2] not in wanted
    ]
    return found


def free(found: list[Leftover], runtime: Runtime) -> int:
    """Remove them; the bytes that are free now. Raises ``ValueError`` while a command runs here."""
    running = [one.name for one in journals(runtime.journals) if one.runs]
    if running:
        raise ValueError(f"{running[0]} is running in {runtime.workspace}: clean it afterwards")
    for one in found:
        gone = one.path.with_name(f".gone-{one.path.name}")  # no artifact is ever half there
        one.path.rename(gone)
        shutil.rmtree(gone)
    return sum(one.size for one in found)


def described(found: list[Leftover]) -> RenderableType:
    """How many there are of each kind, and how large they are."""
    if not found:
        return "Everything in the store is asked for by some experiment."
    rows = Table("what", "folders", "size", box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in rows.columns[1:]:
        column.justify = "right"
    for kind in dict.fromkeys(one.kind for one in found):
        mine = [one.size for one in found if one.kind == kind]
        rows.add_row(kind, str(len(mine)), sized(sum(mine)))
    total = sized(sum(one.size for one in found))
    rows.add_row("all", str(len(found)), total, style="bold")
    note = "No experiment that `hipart-search list` names asks for these, at any scale or preset."
    return Group(rows, "", note)


def sized(size: float) -> str:
    """Bytes as a person says them."""
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            break
        size /= 1000
    return f"{size:.3g} {unit}"


def _wanted(runtime: Runtime) -> set[str]:
    """The keys of all jobs that any experiment asks for."""
    return {
        key
        for name in available()
        for scale in SCALES
        for key in (_searched if is_search(name) else _asked)(name, scale, runtime)
    }


def _asked(name: str, scale: str, runtime: Runtime) -> Iterator[str]:
    """Those of an ablation: as its file says, and under every preset that it leaves open."""
    yield from read_session(name, scale, None, runtime).distinct
    for preset in PRESETS:
        try:
            yield from read_session(name, scale, preset, runtime).distinct
        except ExperimentError:  # it has one of its own
            continue


def _searched(name: str, scale: str, runtime: Runtime) -> Iterator[str]:
    for preset in (None, *PRESETS):
        try:
            session = read_search(name, scale, preset, runtime)
        except ExperimentError:
            if preset is None:
                raise
            continue
        if session.is_begun:
            yield from _drawn(session)


def _drawn(session: SearchSession) -> Iterator[str]:
    """The jobs of the base and of every trial: in full, up to each rung, and on the test split."""
    made = session.candidates
    study = session.open_study(looking_on=True)
    for candidate in (session.base, *(made.of(one.point) for one in study.records.values())):
        rungs = range(len(session.search.rungs))
        chains = [*candidate.chains, *made.on_test(candidate)]
        chains += [chain for rung in rungs for chain in made.up_to(candidate, rung)]
        for chain in chains:
            yield from (job.key for job in chain.values())


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.is_dir()) if folder.is_dir() else []


def _leftover(path: Path, kind: str) -> Leftover:
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return Leftover(path, kind, size)
