"""A folder of recordings made into a motion folder, which ``--data`` reads."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from hipart.data.labels import Label
from hipart.data.motion import MAX_CLIPS, MAX_FRAMES, MAX_TRAVEL_M, Clip
from hipart.data.motion_writer import Imported, ImportedClip
from hipart.data.retarget import FPS, Recording, rest_heads, retarget
from hipart.data.sources import Source

#: Nobody's hips are faster for more than a moment: if they are, units are mixed.
MAX_SPEED_M_S = 20.0
#: Files beside AMASS's motion that hold a person's shape.
NO_MOTION = r"^shape$|_stagei$"
#: ``progress(done, total)``: files.
Progress = Callable[[int, int], None]


def find_files(folder: Path, ending: str) -> dict[str, Path]:
    """Files below a folder by clip: the file's stem, with its folders where two share it."""
    if not folder.is_dir():
        what = "is a file; give the folder that it lies in" if folder.exists() else "no such folder"
        raise ValueError(f"{folder}: {what}")
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
            check_name(name)
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


def check_name(name: str) -> None:
    """ValueError for a name that cannot be written down."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError("has a name that is no UTF-8; give it another one") from None


def reasons(left_out: Mapping[str, str], most: int = 20) -> str:
    """A line for each reason, with the files that have it; only the first reasons if many."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        by_reason.setdefault(reason, []).append(name)
    lines = [f"  {_few(names)}: {reason}" for reason, names in by_reason.items()]
    return "\n".join(lines[:most] + [f"  and {len(lines) - most} more"] * (len(lines) > most))


def _few(names: list[str]) -> str:
    first = names[0].encode(errors="backslashreplace").decode()
    return first + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _clip(name: str, label: Label, found: Recording, fps: float) -> Clip:
    _check_movement(len(found.seconds), fps)
    root, rot = retarget(found, rest_heads(), fps)
    _check_movement(len(root), fps)
    if not (np.abs(root).max() <= MAX_TRAVEL_M and np.isfinite(rot).all()):
        raise ValueError(
            f"the hips are {np.abs(root).max():.0f} m away from the origin; at most "
            f"{MAX_TRAVEL_M:g} m are read: do positions and offsets have one unit?"
        )
    speeds = np.linalg.norm(np.diff(root, axis=0), axis=1) * fps
    if np.median(speeds) > MAX_SPEED_M_S:
        raise ValueError(
            f"the hips move at {np.median(speeds):.0f} m/s; at most {MAX_SPEED_M_S:g} m/s are a "
            "person's: do positions and offsets have one unit?"
        )
    return Clip(name, label.text, label.subject, root, rot.astype(np.float32))


def _check_movement(frames: int, fps: float) -> None:
    """ValueError for too few frames: of a recording, and once more at the wanted rate."""
    if frames < 2:
        raise ValueError(
            f"has fewer than two frames at the wanted rate of {fps:g} fps, which is no movement"
        )


def by_label(clips: Iterable[ImportedClip]) -> dict[str, tuple[int, int]]:
    """Clips and frames of each label."""
    found: dict[str, tuple[int, int]] = {}
    for clip in clips:
        count, frames = found.get(clip.label, (0, 0))
        found[clip.label] = count + 1, frames + len(clip)
    return dict(sorted(found.items()))
