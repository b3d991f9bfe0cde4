"""Recorded motion: reading and checking a motion folder, and splitting its clips in time.

A motion folder holds ``clips.json`` (what the clips are) and ``clips.npz`` (two arrays a clip);
docs/data.md describes both. The packaged motion has the same form.
"""

import json
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hipart.data.splits import RULES, Rule, persons_needed

Floats = NDArray[np.float32]

OPEN = Path(__file__).parent / "open"
MAX_CLIPS = 10_000
MAX_FRAMES = 2_000_000
MAX_BYTES = 1 << 30
MAX_TRAVEL_M = 1_000.0
MAX_TURN_RAD = 4 * np.pi
MAX_FPS = 240
#: Of recordings, which become clips of a lower rate.
MAX_RATE_HZ = 1_000.0
#: What numpy raises for a broken file or for one that would need unpickling.
UNREADABLE = (
    *(OSError, EOFError, ValueError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error),
    tokenize.TokenError,  # numpy's, of an array's damaged header
)
#: Bones of the CMU MotionBuilder rig, in array order, and the index of each one's parent.
BONES = (
    *("Hips", "LHipJoint", "LeftUpLeg", "LeftLeg", "LeftFoot", "LeftToeBase"),
    *("LowerBack", "Spine", "Spine1", "LeftShoulder", "LeftArm", "LeftForeArm", "LeftHand"),
    *("Neck", "Neck1", "Head", "RightShoulder", "RightArm", "RightForeArm", "RightHand"),
    *("RHipJoint", "RightUpLeg", "RightLeg", "RightFoot", "RightToeBase"),
)
BONE_PARENTS = (
    *(-1, 0, 1, 2, 3, 4, 0, 6, 7, 8, 9, 10, 11),
    *(8, 13, 14, 8, 16, 17, 18, 0, 20, 21, 22, 23),
)
CONVENTIONS = {"up": "y", "facing": "+z", "left": "+x", "root_unit": "metre"}


@dataclass(frozen=True)
class Clip:
    """One recording. ``root`` (T, 3) metres; ``rot`` (T, 25, 3) radians, axis-angle, local."""

    name: str
    label: str
    cmu_subject: str | None
    root: Floats
    rot: Floats

    def __len__(self) -> int:
        return len(self.root)


@dataclass(frozen=True)
class Motion:
    """All clips of a folder, by name."""

    clips: tuple[Clip, ...]
    fps: float
    split: Rule = "time"


def motion_files(folder: Path | None) -> tuple[Path, Path]:
    """The arrays and the description of a motion folder, or of the packaged motion."""
    if folder is None:
        return OPEN / "motion.npz", OPEN / "motion.json"
    return folder / "clips.npz", folder / "clips.json"


def read_motion(folder: Path | None = None) -> Motion:
    """Read a motion folder (None: the packaged motion) and check all of it.

    Raises ValueError that names the file, the clip, the rule and the value found.
    """
    about = _description_of(folder)
    return Motion(tuple(_clips(folder, about)), float(about["fps"]), about.get("split", "time"))


def check_motion(folder: Path) -> None:
    """Raise the ValueError that ``read_motion`` would, holding one clip at a time."""
    for _ in _clips(folder, _description_of(folder)):
        pass


def _description_of(folder: Path | None) -> dict[str, Any]:
    for path in motion_files(folder):
        if not path.is_file():
            raise ValueError(
                f"{path}: no such file; a motion folder holds clips.npz and clips.json"
            )
    return _read_description(motion_files(folder)[1])


def _clips(folder: Path | None, about: dict[str, Any]) -> Iterator[Clip]:
    arrays, _ = motion_files(folder)
    with _open_npz(arrays) as stored:
        _same_names(arrays, set(stored.files), about["clips"])
        for item in sorted(about["clips"].items()):
            yield _read_clip(arrays, stored, *item)


def _open_npz(path: Path) -> np.lib.npyio.NpzFile:
    """Open an .npz so that nothing in it is unpickled and nothing huge is unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(int(member.file_size) for member in archive.infolist())
        if unpacked > MAX_BYTES:
            raise ValueError(f"unpacks to {unpacked} bytes; at most {MAX_BYTES} are read")
        stored: np.lib.npyio.NpzFile = np.load(path, allow_pickle=False)
    except UNREADABLE as error:
        raise ValueError(f"{path}: not a readable .npz of plain arrays ({error})") from error
    return stored


def _read_description(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(about, dict):
        raise ValueError(f"{path}: the top level must be an object, found {type(about).__name__}")
    missing = {"fps", "bones", "parents", "clips"} - about.keys()
    if missing:
        raise ValueError(f"{path}: missing key {', '.join(sorted(missing))}; see docs/data.md")
    fps = about["fps"]
    if isinstance(fps, bool) or not isinstance(fps, int | float) or not 1 <= fps <= MAX_FPS:
        raise ValueError(f"{path}: fps must be a number from 1 to {MAX_FPS}, found {fps!r}")
    _check_bones(path, about["bones"], about["parents"])
    for key, value in CONVENTIONS.items():
        if about.get(key, value) != value:
            raise ValueError(f"{path}: {key} must be {value!r}, found {about[key]!r}")
    _check_clips(path, about["clips"])
    _check_split(path, about.get("split", "time"), about["clips"])
    return about


def _check_bones(path: Path, bones: Any, parents: Any) -> None:
    if not isinstance(bones, list) or tuple(bones) != BONES:
        found = {str(bone) for bone in bones} if isinstance(bones, list) else set()
        unknown, missing = sorted(found - set(BONES)), [b for b in BONES if b not in found]
        raise ValueError(
            f"{path}: bones must be the {len(BONES)} bones of the CMU MotionBuilder rig in their "
            f"order; unknown: {', '.join(unknown)[:200] or 'none'}; "
            f"missing: {', '.join(missing) or 'none'}; order: {', '.join(BONES)}"
        )
    if not isinstance(parents, list) or tuple(parents) != BONE_PARENTS:
        raise ValueError(f"{path}: parents must be {list(BONE_PARENTS)}, found {parents!r:.200}")


def _check_clips(path: Path, clips: Any) -> None:
    if not isinstance(clips, dict) or not 1 <= len(clips) <= MAX_CLIPS:
        count = len(clips) if isinstance(clips, dict) else type(clips).__name__
        raise ValueError(
            f"{path}: clips must be an object of 1 to {MAX_CLIPS} named clips, found {count}"
        )
    for name, entry in clips.items():
        if not isinstance(entry, dict):
            raise ValueError(f"{path}: clip {name!r} must be an object, found {entry!r:.80}")
        label, subject = entry.get("label"), entry.get("cmu_subject")
        if not isinstance(label, str) or not label:
            raise ValueError(f"{path}: clip {name!r}: label must be a text, found {label!r:.80}")
        if subject is not None and not isinstance(subject, str):
            raise ValueError(
                f"{path}: clip {name!r}: cmu_subject must be a text or null, found {subject!r:.80}"
            )
        frames = entry.get("frames")
        if not isinstance(frames, int) or isinstance(frames, bool) or frames < 1:
            raise ValueError(
                f"{path}: clip {name!r}: frames must be a count of 1 or more, found {frames!r:.80}"
            )
    total = sum(entry["frames"] for entry in clips.values())
    if total > MAX_FRAMES:
        raise ValueError(f"{path}: {total} frames in all; at most {MAX_FRAMES} are read at once")


def _check_split(path: Path, split: Any, clips: Mapping[str, Any]) -> None:
    if split not in RULES:
        raise ValueError(
            f"{path}: split must be one of {', '.join(RULES)} or left out, found {split!r:.80}"
        )
    problem = persons_needed(split, [entry.get("cmu_subject") for entry in clips.values()])
    if problem:
        raise ValueError(f"{path}: split is {split!r}, and {problem}")


def _same_names(path: Path, found: set[str], clips: Mapping[str, Any]) -> None:
    wanted = {f"{name}/{array}" for name in clips for array in ("root", "rot")}
    for problem, names in (("lacks", wanted - found), ("has unknown", found - wanted)):
        if names:
            listed = ", ".join(sorted(names)[:5])
            raise ValueError(
                f"{path}: {problem} {len(names)} array(s): {listed}; every clip of the .json has "
                "NAME/root and NAME/rot, and nothing else is in the file"
            )


def _read_clip(path: Path, stored: Mapping[str, Any], name: str, entry: dict[str, Any]) -> Clip:
    where = f"{path}: clip {name!r}"
    try:
        root, rot = (np.asarray(stored[f"{name}/{array}"]) for array in ("root", "rot"))
    except (*UNREADABLE, KeyError) as error:
        raise ValueError(f"{where}: not a readable array of plain numbers ({error})") from error
    rules = (
        ("root", root, (3,), MAX_TRAVEL_M, "metres"),
        ("rot", rot, (len(BONES), 3), MAX_TURN_RAD, "radians"),
    )
    for label, array, shape, limit, unit in rules:
        wanted = (entry["frames"], *shape)
        if array.shape != wanted:
            raise ValueError(
                f"{where}: {label} must have shape {wanted} (frames as in the .json), "
                f"found {array.shape}"
            )
        if array.dtype.kind != "f":
            raise ValueError(f"{where}: {label} must be floating point, found {array.dtype}")
        if not np.isfinite(array).all():
            frame = int(np.argwhere(~np.isfinite(array))[0, 0])
            raise ValueError(f"{where}: {label} has a NaN or infinity at frame {frame}")
        if np.abs(array).max() > limit:
            raise ValueError(
                f"{where}: {label} must be {unit} of size at most {limit:.4g}, "
                f"found {np.abs(array).max():.4g}"
            )
    numbers = root.astype(np.float32), rot.astype(np.float32)
    return Clip(name, entry["label"], entry.get("cmu_subject"), *numbers)
