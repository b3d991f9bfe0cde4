"""A motion folder written clip by clip, which ``--data`` reads."""

import json
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np

from hipart.data.fetching import FULL
from hipart.data.motion import (
    BONE_PARENTS,
    BONES,
    CONVENTIONS,
    UNREADABLE,
    Clip,
    check_motion,
    motion_files,
)
from hipart.data.splits import Rule, persons_needed

MADE_BY = "hipart-search data import"
PREVIEW = "preview.png"
#: What is stored of each clip.
ARRAYS = ("root", "rot")
#: How ``--split`` is given.
SplitChoice = Literal["auto", "person", "time"]


@dataclass(frozen=True)
class ImportedClip:
    """What is known of a clip once it is written: all but its numbers."""

    name: str
    label: str
    cmu_subject: str | None
    frames: int

    def __len__(self) -> int:
        return self.frames


@dataclass(frozen=True)
class Imported:
    """Clips at ``fps``; the rates, units and reference poses of their files; what was left out."""

    clips: tuple[ImportedClip, ...]
    fps: float
    rates: Mapping[str, int]
    units: Mapping[str, int]
    dropped: int
    left_out: Mapping[str, str]


def check_out(out: Path, force: bool) -> None:
    """Refuse to write where something else is. ``force``: replace what this module has made."""
    if out.is_dir() and not any(out.iterdir()):
        return
    if not out.exists():
        return
    arrays, description = motion_files(out)
    ended_between = not description.exists()
    if not made_here(out) or (ended_between and list(out.iterdir()) != [arrays]):
        raise ValueError(f"{out}: exists and is not empty; choose another --out")
    if not force:
        raise ValueError(f"{out}: holds an earlier import; replace it with --force")


def made_here(out: Path, kind: str = "") -> bool:
    """Whether this module wrote the motion in a folder, from files of this kind or of any."""
    arrays, description = motion_files(out)
    if not description.exists():
        return _holds_clips(arrays)  # an earlier import that ended between its files
    try:
        about = json.loads(description.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    made_by = f"{MADE_BY} {kind}".rstrip()
    return isinstance(about, dict) and str(about.get("made_by")).startswith(made_by)


def _holds_clips(arrays: Path) -> bool:
    """Whether an archive holds what ``MotionWriter.add`` writes of clips, and nothing else."""
    try:
        with zipfile.ZipFile(arrays) as archive:
            entries = set(archive.namelist())
    except UNREADABLE:
        return False
    clips = {entry.rpartition("/")[0] for entry in entries}
    return bool(entries) and entries == {_entry(clip, one) for clip in clips for one in ARRAYS}


def _entry(clip: str, array: str) -> str:
    return f"{clip}/{array}.npy"


class MotionWriter:
    """Writes a motion folder clip by clip; nothing is in its place before all is written.

    ``with MotionWriter(out) as writer``: ``add`` each clip, then ``finish``. OSError of a full disk
    says how to go on; what was begun is removed. Who is stopped while ``finish`` moves the files
    leaves the arrays without a description, which ``check_out`` takes for an earlier import.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._partial = out.absolute().parent / f".{out.name}.partial"

    def __enter__(self) -> Self:
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True)
        self._archive = zipfile.ZipFile(
            motion_files(self._partial)[0], "w", zipfile.ZIP_DEFLATED, allowZip64=True
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._archive.close()
        except (OSError, ValueError):  # what could not be written is to be removed
            self._archive.fp = None
        shutil.rmtree(self._partial, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in FULL:
            raise ValueError(
                f"{self._out}: the disk is full ({error.strerror}); make room and give the same "
                "command again. What was there before is as it was"
            ) from None

    def add(self, clip: Clip) -> None:
        """Write the numbers of a clip, as ``numpy.savez_compressed`` does."""
        for name, array in zip(ARRAYS, (clip.root, clip.rot.astype(np.float16)), strict=True):
            with self._archive.open(_entry(clip.name, name), "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)

    def finish(self, imported: Imported, kind: str, split: SplitChoice = "auto") -> None:
        """Write what the clips are, check all, and put the folder in its place."""
        arrays, description = motion_files(self._partial)
        self._archive.close()
        about = _about(imported, kind, chosen_split(imported.clips, split))
        description.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        check_motion(self._partial)
        self._out.mkdir(parents=True, exist_ok=True)
        # What is described is what is there: between the two there is no description.
        for stale in (PREVIEW, description.name):
            (self._out / stale).unlink(missing_ok=True)
        for path in (arrays, description):
            path.replace(self._out / path.name)


def excerpt(folder: Path, clips: Iterable[ImportedClip], out: Path) -> None:
    """A motion folder ``out`` with only these clips of a folder, split in time."""
    wanted = {clip.name: clip for clip in clips}
    about = json.loads(motion_files(folder)[1].read_text(encoding="utf-8"))
    found = Imported(tuple(wanted.values()), about["fps"], {}, {}, 0, {})
    with MotionWriter(out) as writer, np.load(motion_files(folder)[0]) as stored:
        for name, clip in wanted.items():
            arrays = (stored[f"{name}/{array}"] for array in ARRAYS)
            writer.add(Clip(name, clip.label, clip.cmu_subject, *arrays))
        writer.finish(found, "excerpt", "time")


def chosen_split(clips: Iterable[ImportedClip], split: SplitChoice) -> Rule:
    """How clips are split: by person where every clip's is known and there are enough of them.

    ValueError where that is asked for and cannot be.
    """
    problem = persons_needed("person", [clip.cmu_subject for clip in clips])
    if split == "auto":
        return "time" if problem else "person"
    if split == "person" and problem:
        raise ValueError(f"--split person: {problem}; --labels has a column subject for them")
    return split


def _about(imported: Imported, kind: str, split: Rule) -> dict[str, Any]:
    clips = {
        clip.name: {"label": clip.label, "cmu_subject": clip.cmu_subject, "frames": len(clip)}
        for clip in imported.clips
    }
    frame: dict[str, Any] = {"fps": imported.fps, "bones": BONES, "parents": BONE_PARENTS}
    frame |= CONVENTIONS | ({"split": split} if split != "time" else {})
    return frame | {"made_by": f"{MADE_BY} {kind}", "clips": clips}
