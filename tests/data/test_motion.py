"""Motion folders: what is read, and what is said about a bad one."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hipart.data.motion import BONE_PARENTS, BONES, OPEN, check_motion, read_motion

Edit = Callable[[dict[str, Any], dict[str, Any]], None]


def write_folder(folder: Path, edit: Edit = lambda about, arrays: None) -> Path:
    """Two small valid clips, then changed by ``edit``."""
    rng = np.random.default_rng(0)
    about: dict[str, Any] = {
        "fps": 30,
        "bones": list(BONES),
        "parents": list(BONE_PARENTS),
        "clips": {
            name: {"label": label, "cmu_subject": None, "frames": frames}
            for name, label, frames in (("one", "walk", 100), ("two", "run", 80))
        },
    }
    arrays: dict[str, Any] = {}
    for name, entry in about["clips"].items():
        frames = entry["frames"]
        arrays[f"{name}/root"] = rng.normal(0, 0.1, (frames, 3)).astype(np.float32) + [0, 1, 0]
        arrays[f"{name}/rot"] = rng.normal(0, 0.2, (frames, 25, 3)).astype(np.float16)
    edit(about, arrays)
    folder.mkdir(exist_ok=True)
    (folder / "clips.json").write_text(json.dumps(about))
    np.savez(folder / "clips.npz", **arrays)
    return folder


def in_clip(name: str, value: Any) -> Edit:
    """An edit that replaces one array of clip ``one``."""

    def edit(about: dict[str, Any], arrays: dict[str, Any]) -> None:
        arrays[f"one/{name}"] = value

    return edit


def in_entry(**changes: Any) -> Edit:
    """An edit of clip ``one``'s entry in the description."""

    def edit(about: dict[str, Any], arrays: dict[str, Any]) -> None:
        about["clips"]["one"] |= changes

    return edit


def in_about(**changes: Any) -> Edit:
    """An edit of the description's top level."""

    def edit(about: dict[str, Any], arrays: dict[str, Any]) -> None:
        about.update(changes)

    return edit


def without(key: str) -> Edit:
    """An edit that drops an array or a key of the description."""

    def edit(about: dict[str, Any], arrays: dict[str, Any]) -> None:
        about.pop(key, None)
        arrays.pop(key, None)

    return edit


def one_nan() -> np.ndarray:
    root = np.zeros((100, 3), np.float32)
    root[7, 1] = np.nan
    return root


BAD = {
    "NaN": (in_clip("root", one_nan()), "npz", ["'one'", "root", "NaN", "frame 7"]),
    "wrong bones": (in_clip("rot", np.zeros((100, 24, 3))), "npz", ["'one'", "rot", "24", "25"]),
    "wrong length": (in_clip("root", np.zeros((99, 3))), "npz", ["'one'", "root", "99", "100"]),
    "integers": (in_clip("root", np.zeros((100, 3), int)), "npz", ["'one'", "root", "int64"]),
    "degrees": (in_clip("rot", np.full((100, 25, 3), 90.0)), "npz", ["'one'", "radians", "90"]),
    "millimetres": (in_clip("root", np.full((100, 3), 9e3)), "npz", ["'one'", "metres", "9000"]),
    "pickled": (in_clip("rot", np.array([{}], object)), "npz", ["'one'", "allow_pickle"]),
    "array missing": (without("two/rot"), "npz", ["lacks", "two/rot"]),
    "array unknown": (in_clip("fingers", np.zeros(3)), "npz", ["unknown", "one/fingers"]),
    "empty clip": (in_entry(frames=0), "json", ["'one'", "frames", "0"]),
    "too many frames": (in_entry(frames=3_000_000), "json", ["3000080", "2000000"]),
    "no label": (in_entry(label=""), "json", ["'one'", "label", "''"]),
    "subject number": (in_entry(cmu_subject=7), "json", ["'one'", "cmu_subject", "7"]),
    "no clips": (in_about(clips={}), "json", ["clips", "found 0"]),
    "clip no object": (in_about(clips={"one": 3}), "json", ["'one'", "3"]),
    "key missing": (without("bones"), "json", ["missing", "bones"]),
    "fps zero": (in_about(fps=0), "json", ["fps", "240", "0"]),
    "z up": (in_about(up="z"), "json", ["up", "'y'", "'z'"]),
    "parents": (in_about(parents=[0] * 25), "json", ["parents", "-1"]),
    "split": (in_about(split="persons"), "json", ["split", "time, person", "'persons'"]),
    "by nobody": (in_about(split="person"), "json", ["'person'", "2 clip(s) do not say whose"]),
    "unknown bone": (in_about(bones=["Tail", *BONES[1:]]), "json", ["Tail", "missing: Hips"]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_folder_is_refused_by_file_clip_rule_and_value(tmp_path: Path, name: str) -> None:
    edit, ending, words = BAD[name]
    folder = write_folder(tmp_path / "bad", edit)
    with pytest.raises(ValueError) as caught:
        read_motion(folder)
    for word in (f"clips.{ending}", *words):
        assert word in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"no archive at all"])
def test_a_broken_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    folder = write_folder(tmp_path / "bad")
    (folder / "clips.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"clips\.npz: not a readable"):
        read_motion(folder)


def test_a_torn_archive_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "bad")
    content = bytearray((folder / "clips.npz").read_bytes())
    content[400:4000] = bytes(3600)
    (folder / "clips.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"clips\.npz: clip 'one': not a readable array"):
        read_motion(folder)


@pytest.mark.parametrize("missing", ["clips.npz", "clips.json"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    folder = write_folder(tmp_path / "bad")
    (folder / missing).unlink()
    with pytest.raises(ValueError, match=missing.replace(".", r"\.")):
        read_motion(folder)


@pytest.mark.parametrize("text", ["{", "[1]", "\x00"])
def test_a_broken_description_is_refused(tmp_path: Path, text: str) -> None:
    folder = write_folder(tmp_path / "bad")
    (folder / "clips.json").write_text(text)
    with pytest.raises(ValueError, match=r"clips\.json"):
        read_motion(folder)


def test_the_packaged_motion_is_a_motion_folder(tmp_path: Path) -> None:
    for ending in ("npz", "json"):
        shutil.copy(OPEN / f"motion.{ending}", tmp_path / f"clips.{ending}")
    copied, packaged = read_motion(tmp_path), read_motion()
    assert [clip.name for clip in copied.clips] == [clip.name for clip in packaged.clips]
    assert len(packaged.clips) == 17
    assert packaged.fps == 30


def test_clips_come_sorted_by_name_whatever_their_order(tmp_path: Path) -> None:
    def reverse(about: dict[str, Any], arrays: dict[str, Any]) -> None:
        about["clips"] = dict(reversed(about["clips"].items()))

    clips = read_motion(write_folder(tmp_path / "folder", reverse)).clips
    assert [clip.name for clip in clips] == ["one", "two"]
    assert clips[0].root.dtype == clips[0].rot.dtype == np.float32


def test_three_persons_can_be_split(tmp_path: Path) -> None:
    def edit(about: dict[str, Any], arrays: dict[str, Any]) -> None:
        about["split"] = "person"
        about["clips"]["three"] = dict(about["clips"]["two"])
        arrays |= {f"three/{name}": arrays[f"two/{name}"] for name in ("root", "rot")}
        for name, clip in about["clips"].items():
            clip["cmu_subject"] = name if wanted == 3 else "one"

    wanted = 3
    assert read_motion(write_folder(tmp_path / "good", edit)).split == "person"
    check_motion(tmp_path / "good")
    wanted = 1
    with pytest.raises(ValueError, match=r"there are 1 person\(s\); one for each side, 3"):
        check_motion(write_folder(tmp_path / "bad", edit))
