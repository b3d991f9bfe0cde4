"""3DPW's files looked over."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from hipart.data.findings import Finding, tried
from hipart.data.pw3d.files import Settings, find_files
from hipart.data.pw3d.source import Pw3dSource


def examine(root: Path) -> list[Finding]:
    """What each test set that can be made of the files beneath ``root`` lacks, or holds."""
    if not root.is_dir():
        return [Finding("missing", f"{root}: no such folder")]
    return [one for frames in ("all", "occ") for one in tried(partial(_test_set, root, frames))]


def _test_set(root: Path, frames: str) -> Iterator[Finding]:
    settings = Settings(frames=frames)  # type: ignore[arg-type]
    try:
        files = find_files(root, settings)
    except ValueError as error:
        yield Finding("missing", str(error))
        return
    yield Finding("good", str(Pw3dSource(files, settings).about["description"]))
