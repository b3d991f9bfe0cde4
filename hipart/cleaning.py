"""What in a workspace's store no experiment asks for any more, and how to be rid of it."""

import json
import shutil
import uuid
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
from hipart.pipeline import PIPELINE
from hipart.runtime import Runtime
from hipart.scheduling.journal import journals
from hipart.search.session import read_search
from hipart.session import read_session
from hipart.store import ArtifactStore
from hipart.store.leases import FolderPlace

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
    #: How many folders are of other data.
    of_other_data: int
    #: How many begun jobs do not say of what data they are, and may be of other data.
    unsaid: int
    #: Experiments, each with a scale, that cannot be had there and so ask for nothing.
    not_had: list[str]


def leftovers(runtime: Runtime) -> Leftovers:
    """Artifacts, damaged ones and begun jobs that no experiment of here asks for, at any scale.

    Experiments are those that ``hipart-search list`` names, searches with every trial of their
    studies. What is of other data than the runtime's is only counted. Raises ``ValueError`` for a
    store that others share, whose experiments nobody can see from here, and for an experiment that
    cannot be read at any scale.
    """
    if runtime.shared_store is not None:
        raise ValueError(
            f"{runtime.shared_store}: others may ask for what it holds, so it is not cleaned; "
            "only a workspace's own store is"
        )
    # What is finished while studies are read may be of trials that are not in them yet.
    there = list(_folders_in(ArtifactStore(runtime.store)))
    wanted, data, not_had = _wanted(runtime)
    found, unsaid, of_other_data = list[Leftover](), list[Leftover](), 0
    for path, kind in ((path, kind) for path, kind, key in there if key not in wanted):
        its_data = _data_of(path)
        if its_data in data:
            found.append(_leftover(path, kind))
        elif its_data is not None:
            of_other_data += 1
        elif kind != "begun":
            found.append(_leftover(path, "damaged"))
        elif path.name.startswith("."):  # what was half removed, or half copied
            found.append(_leftover(path, kind))
        else:
            unsaid.append(_leftover(path, kind))
    if of_other_data:
        return Leftovers(found, of_other_data, len(unsaid), not_had)
    return Leftovers(found + unsaid, 0, 0, not_had)


def check_idle(runtime: Runtime) -> None:
    """Raises ``ValueError`` while a command runs here, or anybody does a job of this store."""
    running = [one.name for one in journals(runtime.journals) if one.runs]
    if running:
        raise ValueError(f"{running[0]} is running in {runtime.workspace}: clean it afterwards")
    for lease in FolderPlace(runtime.store / ".leases").living():
        raise ValueError(
            f"{lease}: somebody is doing this job, for another workspace: clean this one "
            "afterwards. If the machine that did it is gone, remove the file"
        )


def free(found: list[Leftover], runtime: Runtime) -> int:
    """Remove them; the bytes that are free now. Raises ``ValueError`` where it is not idle here."""
    check_idle(runtime)
    freed = 0
    for one in found:
        # Not among artifacts, of which none is ever half there; what is left of it is found again.
        gone = runtime.store / WORK / f".gone-{uuid.uuid4().hex}"
        try:
            gone.parent.mkdir(exist_ok=True)
            one.path.rename(gone)
            shutil.rmtree(gone)
        except OSError as error:
            raise ValueError(
                f"{one.path}: cannot be removed ({error.strerror}); freed {sized(freed)} before it"
            ) from None
        freed += one.size
    return freed


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


def remarks(left: Leftovers, runtime: Runtime) -> Iterator[str]:
    """What stays though nobody asks for it, and who could not be asked."""
    packaged = "" if runtime.data is None else ", or nothing for the packaged motion"
    if left.of_other_data == 1:
        yield f"1 folder of other data stays; name its data with --data{packaged}"
    elif left.of_other_data:
        yield (
            f"{left.of_other_data} folders of other data stay; "
            f"name their data with --data{packaged}"
        )
    if left.unsaid:
        begun = "begun job does" if left.unsaid == 1 else "begun jobs do"
        yield f"{left.unsaid} {begun} not say of what data, and may be of other data: left"
    for one in left.not_had:
        yield f"{one} cannot be read: nothing is kept for it; `show` says why"


def sized(size: float) -> str:
    """Bytes as a person says them."""
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            break
        size /= 1000
    return f"{size:.3g} {unit}"


def _wanted(runtime: Runtime) -> tuple[set[str], set[str], list[str]]:
    """The keys of all jobs that any experiment asks for, and the fingerprints of these data.

    An experiment has a fingerprint of its own where it gives the corpus another name. Behind them
    those experiments that cannot be had at a scale.
    """
    keys: set[str] = set()
    data = {fingerprint(DataConfig(), runtime.data)}
    not_had: list[str] = []
    for name in available():
        refused: dict[str, ExperimentError] = {}
        for scale in SCALES:
            try:
                asked = _asked(name, scale, runtime)
            except ExperimentError as error:
                refused[scale] = error
                continue
            for its_data, its_keys in asked:
                data.add(its_data)
                keys.update(its_keys)
        if len(refused) == len(SCALES):
            raise next(iter(refused.values()))
        not_had += [f"{name} at scale {scale}" for scale in refused]
    return keys, data, not_had


def _asked(name: str, scale: str, runtime: Runtime) -> list[tuple[str, Iterable[str]]]:
    """Those of an experiment at a scale: as its file says, and under every preset left open."""
    read = _searched if is_search(name) else _ablated
    found, refused = [], list[ExperimentError]()
    for preset in (None, *PRESETS):
        try:
            found.append(read(name, scale, preset, runtime))
        except ExperimentError as error:  # it has a preset of its own
            refused.append(error)
    if not found:
        raise refused[0]
    return found


def _ablated(
    name: str, scale: str, preset: str | None, runtime: Runtime
) -> tuple[str, Iterable[str]]:
    session = read_session(name, scale, preset, runtime)
    return session.fingerprint, session.distinct


def _searched(
    name: str, scale: str, preset: str | None, runtime: Runtime
) -> tuple[str, Iterable[str]]:
    session = read_search(name, scale, preset, runtime)
    if not session.is_begun:
        return session.fingerprint, ()
    asked = session.jobs(session.look_at_study())
    return session.fingerprint, (job.key for job in asked)


def _folders_in(store: ArtifactStore) -> Iterator[tuple[Path, str, str]]:
    """Every folder of a store, what it is, and by which key it is asked for, if by any."""
    for artifact in store.artifacts():
        yield artifact.path, artifact.stage, artifact.key
    for path in _folders(store.root / ASIDE):
        yield path, "damaged", ""
    for path in _folders(store.root / WORK):
        yield path, "begun", path.name.rpartition("-")[2]
    for path in (path for stage in PIPELINE for path in _folders(store.root / stage)):
        if path.name.startswith("."):
            yield path, "begun", ""


def _data_of(folder: Path) -> str | None:
    """The fingerprint of the data that a job is of; None if its folder does not say."""
    try:
        data = json.loads((folder / "identity.json").read_bytes())["data"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return data if isinstance(data, str) else None


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.is_dir()) if folder.is_dir() else []


def _leftover(path: Path, kind: str) -> Leftover:
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return Leftover(path, kind, size)
