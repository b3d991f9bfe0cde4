"""A folder of recordings made into a motion folder, which ``--data`` reads."""

import json
import re
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np

from hipart.data import amc_recording
from hipart.data.amass import read_amass
from hipart.data.amc import read_amc
from hipart.data.asf import Asf, read_asf
from hipart.data.bvh import Bvh, read_bvh
from hipart.data.bvh_recording import RestPose, recording, unit_of
from hipart.data.fetching import FULL
from hipart.data.labels import Label
from hipart.data.motion import (
    BONE_PARENTS,
    BONES,
    CONVENTIONS,
    MAX_CLIPS,
    MAX_FRAMES,
    MAX_TRAVEL_M,
    Clip,
    check_motion,
    motion_files,
)
from hipart.data.retarget import (
    FPS,
    Recording,
    rest_heads,
    retarget,
    starts_in_reference_pose,
)
from hipart.data.rigs import ACCLAIM, CMU, Rig
from hipart.data.splits import Rule, persons_needed

MADE_BY = "hipart-search data import"
PREVIEW = "preview.png"
#: Nobody's hips are faster for more than a moment: if they are, units are mixed.
MAX_SPEED_M_S = 20.0
#: Files beside AMASS's motion that hold a person's shape.
NO_MOTION = r"^shape$|_stagei$"
#: How ``--split`` is given.
SplitChoice = Literal["auto", "person", "time"]
#: ``progress(done, total)``: files.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Source:
    """What a file held: a recording, its frames a second, its unit, and what was dropped."""

    recording: Recording
    fps: float
    unit: str
    dropped: bool = False


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


def bvh_source(path: Path, rig: Rig = CMU, rest: RestPose = "offsets") -> Source:
    """A BVH file, without a pose of reference in its first frame."""
    return as_source(read_bvh(path), rig, rest)


def as_source(file: Bvh, rig: Rig = CMU, rest: RestPose = "offsets") -> Source:
    """The same of a file that has been read."""
    clip = recording(file, rig, rest)
    dropped = starts_in_reference_pose(clip, rest == "first-frame")
    if dropped:
        turned = {bone: turn[1:] for bone, turn in clip.turned.items()}
        clip = Recording(clip.seconds[:-1], clip.hips[1:], clip.leg, turned, clip.straight)
    return Source(clip, file.fps, unit_of(clip.leg), dropped)


def amass_source(path: Path) -> Source:
    """An AMASS file."""
    return Source(*read_amass(path), "metres")


@dataclass(frozen=True)
class AcclaimReader:
    """Reads an AMC file with the ASF file beside it, without a pose of reference at its start.

    A file that does not say its rate has that in ``rates``, or ``rate``. Frames that clips
    of ``fps`` frames a second skip are not turned into poses at all.
    """

    rig: Rig = ACCLAIM
    rate: float = amc_recording.FPS
    rates: Mapping[Path, float | None] | None = None
    fps: float = FPS

    def __call__(self, path: Path) -> Source:
        """The movement in metres."""
        skeleton = amc_recording.skeleton_of(path)
        try:
            asf = _read_asf(skeleton, skeleton.stat().st_mtime_ns)
        except ValueError as error:
            raise ValueError(f"{skeleton.name}: {error}") from None
        amc = read_amc(path, asf)
        rate = amc.fps or (self.rates or {}).get(path) or self.rate
        step = round(rate / self.fps)
        step = step if step > 1 and step * self.fps == rate else 1
        begin, unit = amc_recording.recording(asf, amc.rows(slice(2)), self.rig, rate)
        dropped = starts_in_reference_pose(begin)
        rows = amc.rows(slice(int(dropped), None, step))
        clip, unit = amc_recording.recording(asf, rows, self.rig, rate / step)
        return Source(clip, rate, unit, dropped)


@lru_cache(maxsize=4)
def _read_asf(path: Path, _: int) -> Asf:
    """A skeleton, which many takes share; the second argument is when it was written."""
    return read_asf(path)


def find_files(folder: Path, ending: str) -> dict[str, Path]:
    """Files below a folder by clip: the file's stem, with its folders where two share it."""
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    every = sorted(path for path in folder.rglob("[!.]*") if path.is_file())
    wanted = [path for path in every if path.suffix.lower() == ending]
    paths = [path for path in wanted if not re.search(NO_MOTION, path.stem)]
    if not 1 <= len(paths) <= MAX_CLIPS:
        endings = Counter(path.suffix.lower() or "no ending" for path in every)
        held = ", ".join(f"{count} of {one}" for one, count in endings.most_common(5))
        raise ValueError(
            f"{folder}: must hold 1 to {MAX_CLIPS} files of {ending}, found {len(paths)}; "
            f"it holds {held or 'no file'}"
        )
    shared = Counter(path.stem for path in paths)
    found: dict[str, Path] = {}
    for path in paths:
        full = "-".join(path.relative_to(folder).with_suffix("").parts)
        name = path.stem if shared[path.stem] == 1 else full
        if name in found:
            raise ValueError(f"{found[name]} and {path} would both be the clip {name}")
        found[name] = path
    return found


def import_files(
    files: Mapping[str, Path],
    labels: Mapping[str, Label],
    read: Callable[[Path], Source],
    fps: float = FPS,
    progress: Progress = lambda *_: None,
    keep: Callable[[Clip], None] = lambda _: None,
) -> Imported:
    """Read every file, carry it over to the reference body, and hand each clip to ``keep``.

    No clip is held after that. A file that cannot be used is left out with the reason. ValueError
    if that is all of them.
    """
    clips: list[ImportedClip] = []
    sources: list[tuple[str, str, bool]] = []
    left_out: dict[str, str] = {}
    frames = 0
    for done, (name, path) in enumerate(files.items()):
        progress(done, len(files))
        try:
            source = read(path)
            clip = _clip(name, labels[name], source.recording, fps)
        except (ValueError, OSError, MemoryError) as error:
            left_out[path.name if path.stem == name else name] = str(error) or "too large"
            continue
        frames += len(clip)
        if frames > MAX_FRAMES:
            raise ValueError(
                f"the clips up to {name} have {frames} frames at {fps:g} fps; a motion folder may "
                f"have {MAX_FRAMES}: import fewer files, or with a lower --fps"
            )
        keep(clip)
        clips.append(ImportedClip(name, clip.label, clip.cmu_subject, len(clip)))
        sources.append((f"{source.fps:.4g}", source.unit, source.dropped))
    progress(len(files), len(files))
    if not clips:
        raise ValueError(f"none of {len(files)} file(s) could be imported\n" + reasons(left_out))
    rates, units, dropped = zip(*sources, strict=True)
    return Imported(tuple(clips), fps, Counter(rates), Counter(units), sum(dropped), left_out)


def reasons(left_out: Mapping[str, str], most: int = 20) -> str:
    """A line for each reason, with the files that have it; only the first reasons if many."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        by_reason.setdefault(reason, []).append(name)
    lines = [f"  {_few(names)}: {reason}" for reason, names in by_reason.items()]
    return "\n".join(lines[:most] + [f"  and {len(lines) - most} more"] * (len(lines) > most))


def _few(names: list[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _clip(name: str, label: Label, found: Recording, fps: float) -> Clip:
    if len(found.seconds) < 2:
        raise ValueError("has one frame, which is no movement")
    root, rot = retarget(found, rest_heads(), fps)
    if not (np.abs(root).max() <= MAX_TRAVEL_M and np.isfinite(rot).all()):
        raise ValueError(
            f"the hips are {np.abs(root).max():.0f} m away from the origin; at most "
            f"{MAX_TRAVEL_M:g} m are read: do positions and offsets have one unit?"
        )
    speeds = np.linalg.norm(np.diff(root, axis=0), axis=1) * fps
    if len(speeds) and np.median(speeds) > MAX_SPEED_M_S:
        raise ValueError(
            f"the hips move at {np.median(speeds):.0f} m/s; at most {MAX_SPEED_M_S:g} m/s are a "
            "person's: do positions and offsets have one unit?"
        )
    return Clip(name, label.text, label.subject, root, rot.astype(np.float32))


def check_out(out: Path, force: bool) -> None:
    """Refuse to write where something else is. ``force``: replace what this module has made."""
    if out.is_dir() and not any(out.iterdir()):
        return
    if not out.exists():
        return
    if not _is_ours(out):
        raise ValueError(f"{out}: exists and is not empty; choose another --out")
    if not force:
        raise ValueError(f"{out}: holds an earlier import; replace it with --force")


def _is_ours(out: Path) -> bool:
    _, description = motion_files(out)
    try:
        about = json.loads(description.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(about, dict) and str(about.get("made_by")).startswith(MADE_BY)


class MotionWriter:
    """Writes a motion folder clip by clip: it appears with both files, or not at all.

    ``with MotionWriter(out) as writer``: ``add`` each clip, then ``finish``. OSError of a full disk
    says how to go on; what was begun is removed.
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
        for name, array in (("root", clip.root), ("rot", clip.rot.astype(np.float16))):
            entry = f"{clip.name}/{name}.npy"
            with self._archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)

    def finish(self, imported: Imported, kind: str, split: SplitChoice = "auto") -> None:
        """Write what the clips are, check all, and put the folder in its place."""
        arrays, description = motion_files(self._partial)
        self._archive.close()
        about = _about(imported, kind, chosen_split(imported.clips, split))
        description.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        check_motion(self._partial)
        self._out.mkdir(parents=True, exist_ok=True)
        (self._out / PREVIEW).unlink(missing_ok=True)
        for path in (arrays, description):
            path.replace(self._out / path.name)


def excerpt(folder: Path, clips: Iterable[ImportedClip], out: Path) -> None:
    """A motion folder ``out`` with only these clips of a folder, split in time."""
    wanted = {clip.name: clip for clip in clips}
    about = json.loads(motion_files(folder)[1].read_text(encoding="utf-8"))
    found = Imported(tuple(wanted.values()), about["fps"], {}, {}, 0, {})
    with MotionWriter(out) as writer, np.load(motion_files(folder)[0]) as stored:
        for name, clip in wanted.items():
            arrays = (stored[f"{name}/{array}"] for array in ("root", "rot"))
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


def by_label(clips: Iterable[ImportedClip]) -> dict[str, tuple[int, int]]:
    """Clips and frames of each label."""
    found: dict[str, tuple[int, int]] = {}
    for clip in clips:
        count, frames = found.get(clip.label, (0, 0))
        found[clip.label] = count + 1, frames + len(clip)
    return dict(sorted(found.items()))
