"""A folder of recordings made into a motion folder, which ``--data`` reads."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hipart.data.amass import read_amass
from hipart.data.bvh import Bvh, read_bvh
from hipart.data.bvh_recording import recording, unit_of
from hipart.data.labels import Label
from hipart.data.motion import (
    BONE_PARENTS,
    BONES,
    CONVENTIONS,
    MAX_CLIPS,
    MAX_FRAMES,
    MAX_TRAVEL_M,
    Clip,
    motion_files,
    read_motion,
)
from hipart.data.retarget import (
    FPS,
    Recording,
    rest_heads,
    retarget,
    starts_in_reference_pose,
)
from hipart.data.rigs import CMU, Rig

MADE_BY = "hipart-search data import"
PREVIEW = "preview.png"
#: Nobody's hips are faster for more than a moment: if they are, units are mixed.
MAX_SPEED_M_S = 20.0
#: Files beside AMASS's motion that hold a person's shape.
NO_MOTION = r"^shape$|_stagei$"
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
class Imported:
    """Clips at ``fps``; the rates, units and reference poses of their files; what was left out."""

    clips: tuple[Clip, ...]
    fps: float
    rates: Mapping[str, int]
    units: Mapping[str, int]
    dropped: int
    left_out: Mapping[str, str]


def bvh_source(path: Path, rig: Rig = CMU) -> Source:
    """A BVH file, without a pose of reference in its first frame."""
    return as_source(read_bvh(path), rig)


def as_source(file: Bvh, rig: Rig = CMU) -> Source:
    """The same of a file that has been read."""
    clip = recording(file, rig)
    dropped = starts_in_reference_pose(clip)
    if dropped:
        turned = {bone: turn[1:] for bone, turn in clip.turned.items()}
        clip = Recording(clip.seconds[:-1], clip.hips[1:], clip.leg, turned, clip.straight)
    return Source(clip, file.fps, unit_of(clip.leg), dropped)


def amass_source(path: Path) -> Source:
    """An AMASS file."""
    return Source(*read_amass(path), "metres")


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
) -> Imported:
    """Read every file and carry it over to the reference body.

    A file that cannot be used is left out with the reason. ValueError if that is all of them.
    """
    clips: list[Clip] = []
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
        clips.append(clip)
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


def write(imported: Imported, out: Path, kind: str) -> None:
    """Write the folder: it appears with both files, and reads as any motion folder does."""
    partial = out.absolute().parent / f".{out.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    arrays, description = motion_files(partial)
    held: dict[str, Any] = {}
    for clip in imported.clips:
        held[f"{clip.name}/root"] = clip.root
        held[f"{clip.name}/rot"] = clip.rot.astype(np.float16)
    np.savez_compressed(arrays, **held)
    description.write_text(json.dumps(_about(imported, kind), indent=1) + "\n", encoding="utf-8")
    read_motion(partial)
    out.mkdir(parents=True, exist_ok=True)
    (out / PREVIEW).unlink(missing_ok=True)
    for path in (arrays, description):
        path.replace(out / path.name)
    partial.rmdir()


def _about(imported: Imported, kind: str) -> dict[str, Any]:
    clips = {
        clip.name: {"label": clip.label, "cmu_subject": clip.cmu_subject, "frames": len(clip)}
        for clip in imported.clips
    }
    frame = {"fps": imported.fps, "bones": BONES, "parents": BONE_PARENTS} | CONVENTIONS
    return frame | {"made_by": f"{MADE_BY} {kind}", "clips": clips}


def by_label(clips: Iterable[Clip]) -> dict[str, tuple[int, int]]:
    """Clips and frames of each label."""
    found: dict[str, tuple[int, int]] = {}
    for clip in clips:
        count, frames = found.get(clip.label, (0, 0))
        found[clip.label] = count + 1, frames + len(clip)
    return dict(sorted(found.items()))
