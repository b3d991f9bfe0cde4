"""What in a workspace's store no experiment asks for any more, and how to be rid of it."""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table

from hipart.config import DataConfig
from hipart.data.corpus import fingerprint
from hipart.experiment.errors import ExperimentError
from hipart.experiment.file import available, is_search
from hipart.experiment.scales import PRESETS, SCALES
from hipart.pipeline import PROFILE
from hipart.runtime import Runtime
from hipart.scheduling.journal import journals
from hipart.search.candidates import Candidate, Chain
from hipart.search.rules import Rules
from hipart.search.session import SearchSession, read_search
from hipart.session import read_session
from hipart.store import Artifact, ArtifactStore, StoreError

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


@dataclass(frozen=True)
class Leftovers:
    """All of them, of the data that were looked at."""

    found: list[Leftover]
    #: How many artifacts were trained on other data.
    of_other_data: int


def leftovers(runtime: Runtime) -> Leftovers:
    """Artifacts, damaged ones and begun jobs that no experiment of here asks for, at any scale.

    Experiments are those that ``hipart-search list`` names, searches with every trial of their
    studies. What was trained on other data than the runtime's is only counted. Raises
    ``ValueError`` for a store that others share, whose experiments nobody can see from here, and
    for an experiment that cannot be read.
    """
    if runtime.shared_store is not None:
        raise ValueError(
            f"{runtime.shared_store}: others may ask for what it holds, so it is not cleaned; "
            "only a workspace's own store is"
        )
    store = ArtifactStore(runtime.store)
    wanted, data = _wanted(runtime)
    unwanted = [one for one in store.artifacts() if one.key not in wanted]
    mine = [one for one in unwanted if _data_of(one) in data]
    found = [_leftover(artifact.path, artifact.stage) for artifact in mine]
    found += [_leftover(path, "damaged") for path in _folders(store.root / ASIDE)]
    found += [
        _leftover(path, "begun")
        for path in _folders(store.root / WORK)
        if path.name.rpartition("-")[2] not in wanted
    ]
    return Leftovers(found, len(unwanted) - len(mine))


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
        return "Everything of these data in the store is asked for by some experiment."
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


def others_said(number: int) -> str:
    """That so many artifacts were trained on other data."""
    if number == 1:
        return "1 artifact of other data stays; name its data with --data"
    return f"{number} artifacts of other data stay; name their data with --data"


def sized(size: float) -> str:
    """Bytes as a person says them."""
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            break
        size /= 1000
    return f"{size:.3g} {unit}"


def _wanted(runtime: Runtime) -> tuple[set[str], set[str]]:
    """The keys of all jobs that any experiment asks for, and the fingerprints of these data.

    An experiment has a fingerprint of its own where it gives the corpus another name.
    """
    keys: set[str] = set()
    data = {fingerprint(DataConfig(), runtime.data)}
    for name in available():
        for scale in SCALES:
            for its_data, asked in (_searched if is_search(name) else _asked)(name, scale, runtime):
                data.add(its_data)
                keys.update(asked)
    return keys, data


def _asked(name: str, scale: str, runtime: Runtime) -> Iterator[tuple[str, Iterable[str]]]:
    """Those of an ablation: as its file says, and under every preset that it leaves open."""
    for preset in (None, *PRESETS):
        try:
            session = read_session(name, scale, preset, runtime)
        except ExperimentError:  # it has a preset of its own
            if preset is None:
                raise
            continue
        yield session.fingerprint, session.distinct


def _searched(name: str, scale: str, runtime: Runtime) -> Iterator[tuple[str, Iterable[str]]]:
    for preset in (None, *PRESETS):
        try:
            session = read_search(name, scale, preset, runtime)
        except ExperimentError:
            if preset is None:
                raise
            continue
        yield session.fingerprint, _drawn(session) if session.is_begun else ()


def _drawn(session: SearchSession) -> Iterator[str]:
    """The jobs of the base and of every trial that a study has drawn."""
    study = session.open_study(looking_on=True)
    profiled = Rules(session.search.constraints).need_profile
    yield from _measuring(session.base, session, profiled)
    for record in study.records.values():
        try:
            candidate = session.candidates.of(record.point)
        except ExperimentError:  # refused by the config: there are no jobs of it
            continue
        if record.state != "refused":
            yield from _measuring(candidate, session, profiled)
        elif profiled:
            yield from _keys(session.candidates.chains(candidate.config, (PROFILE.name,)))


def _measuring(candidate: Candidate, session: SearchSession, profiled: bool) -> Iterator[str]:
    """A candidate's jobs: in full, up to each rung, on the test split, and its profile."""
    made = session.candidates
    yield from _keys(candidate.chains)
    yield from _keys(made.on_test(candidate))
    for rung in range(len(session.search.rungs)):
        yield from _keys(made.up_to(candidate, rung))
    if profiled:
        yield from _keys(made.chains(candidate.config, (PROFILE.name,)))


def _keys(chains: Iterable[Chain]) -> Iterator[str]:
    return (job.key for chain in chains for job in chain.values())


def _data_of(artifact: Artifact) -> str | None:
    """The fingerprint of what it was trained on; None if nobody can tell."""
    try:
        return artifact.identity.get("data")
    except StoreError:
        return None


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.is_dir()) if folder.is_dir() else []


def _leftover(path: Path, kind: str) -> Leftover:
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return Leftover(path, kind, size)
