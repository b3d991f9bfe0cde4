"""What a job stands on: found, looked at once, and still the same when the job is done."""

from collections.abc import Mapping
from pathlib import Path

from hipart.jobs import StageJob
from hipart.pipeline import stage_of
from hipart.store import Artifact, ArtifactStore


class LackingError(Exception):
    """Something that a job needs is gone or damaged, and has to be done again."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(why)
        self.key = key


#: Artifacts that this process has found whole, as their files then were.
_whole: dict[Path, list[tuple[str, int, int]]] = {}


def upstream(job: StageJob, store: ArtifactStore) -> dict[str, Path]:
    """Artifact folders of everything that the job stands on, however far up, by their names in it.

    Raises ``LackingError`` where one is gone, or damaged; that one is set aside.
    """
    found: dict[str, Path] = {}
    open_needs = list(job.needs.items())
    while open_needs:
        name, key = open_needs.pop()
        if name in found:
            continue
        artifact = store.find(stage_of(name), key)
        if artifact is None:
            raise LackingError(key, f"{name}/{key[:8]} is not in the store")
        _check(artifact, store)
        found[name] = artifact.path
        open_needs.extend(artifact.identity["needs"].items())
    return found


def _check(artifact: Artifact, store: ArtifactStore) -> None:
    """Look at every byte that a job stands on, again if a file changed; set damage aside."""
    state = _state(artifact.path)
    if _whole.get(artifact.path) == state:
        return
    why = artifact.damage()
    if why is not None:
        aside = store.set_aside(artifact, why)
        where = f", moved to {aside}" if aside else ""
        raise LackingError(artifact.key, f"{artifact.stage}/{artifact.key[:8]}: {why}{where}")
    _whole[artifact.path] = state


def check_unchanged(folders: Mapping[str, Path]) -> None:
    """What a job was made from has to be what was found whole before."""
    for stage, folder in folders.items():
        if _whole.get(folder) != _state(folder):
            raise LackingError(folder.name, f"{stage}/{folder.name[:8]} changed meanwhile")


def _state(folder: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of the last change of every file."""
    try:
        states = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
    except FileNotFoundError:
        return []
    return [(name, state.st_size, state.st_mtime_ns) for name, state in states]
