"""AMASS's files: the way there and back, which way is up and forward, and bad files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hipart.data.amass import BODY, read_amass
from hipart.data.importing import import_files
from hipart.data.labels import Label
from hipart.data.motion import Clip
from hipart.data.retarget import rest_heads, retarget
from hipart.data.sources import amass_source
from tests.data.recordings import amass_arrays, joints, packaged, refuses

KICK = "deepmimic_kick"
HIP, L_KNEE, R_KNEE, L_FOOT, R_FOOT, NECK, HEAD = 0, 5, 2, 6, 3, 9, 10
L_SHOULDER, L_ELBOW, L_WRIST, R_WRIST = 11, 12, 13, 16


def save(path: Path, arrays: dict[str, Any]) -> Path:
    np.savez(path, **arrays)
    return path


def imported(path: Path, fps: float = 30) -> np.ndarray:
    """The 17 joints (T, 17, 3) on the reference body, metres."""
    root, rot = retarget(amass_source(path).recording, rest_heads(), fps)
    return joints(Clip(path.stem, "kick", None, root, rot.astype(np.float32)))


def test_motion_comes_back(tmp_path: Path) -> None:
    clip = packaged()[KICK]
    arrays = amass_arrays(clip)
    assert arrays["gender"].dtype == object
    found = imported(save(tmp_path / "kick_poses.npz", arrays))
    assert len(found) == len(clip)
    apart = np.linalg.norm(found - joints(clip), axis=-1)
    assert np.delete(apart, [NECK, HEAD], axis=1).max() < 0.004
    assert apart.max() < 0.03  # SMPL's neck is one joint, ours two


def test_rates_are_made_one(tmp_path: Path) -> None:
    clip = packaged()[KICK]
    slow = imported(save(tmp_path / "slow.npz", amass_arrays(clip)))
    arrays = amass_arrays(clip, 120)
    arrays["mocap_frame_rate"] = arrays.pop("mocap_framerate")  # SMPL-X's name of it
    fast = imported(save(tmp_path / "fast.npz", arrays))
    assert len(fast) == (len(slow) + 3) // 4
    assert np.abs(fast - slow[::4]).max() < 0.002


def standing(**turns: list[float]) -> dict[str, Any]:
    """Two seconds in AMASS's world, with z up: upright, facing -y, some joints turned."""
    poses = np.zeros((60, 156))
    poses[:, 0] = np.pi / 2
    for bone, turn in turns.items():
        joint = BODY.index(bone)
        poses[:, 3 * joint : 3 * joint + 3] = turn
    trans = np.tile([0.0, 0.0, 0.9], (60, 1))
    trans[:, 1] = np.linspace(0, -1, 60)
    return {"poses": poses, "trans": trans, "mocap_framerate": 30.0}


def test_up_forward_and_left_are_ours(tmp_path: Path) -> None:
    at = imported(save(tmp_path / "stand.npz", standing()))
    first = at[0] - at[0, HIP]
    assert first[HEAD, 1] > 0.6 and first[[L_FOOT, R_FOOT], 1].max() < -0.75
    assert first[L_WRIST, 0] > 0.55 and first[R_WRIST, 0] < -0.55
    assert abs(first[L_WRIST, 1] - first[L_SHOULDER, 1]) < 0.01
    assert first[NECK, 2] > 0.03  # between the ears and the nose
    walked = at[-1, HIP] - at[0, HIP]
    assert walked == pytest.approx([0, 0, 1], abs=0.01)


def test_joints_turn_as_a_body_does(tmp_path: Path) -> None:
    bent = standing(LeftForeArm=[0, -np.pi / 2, 0], LeftLeg=[np.pi / 2, 0, 0])
    at = imported(save(tmp_path / "bent.npz", bent))[0]
    lower = at[L_WRIST] - at[L_ELBOW]
    assert lower[2] > 0.99 * np.linalg.norm(lower)
    shin = at[L_FOOT] - at[L_KNEE]
    assert shin[2] < -0.99 * np.linalg.norm(shin)
    assert at[R_FOOT, 1] < at[L_FOOT, 1] - 0.3


def put(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def edit(arrays: dict[str, Any]) -> None:
        arrays[name] = value

    return edit


def without(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda arrays: arrays.pop(name)


def one_nan(arrays: dict[str, Any]) -> None:
    arrays["poses"][7, 5] = np.nan


BAD = {
    "a shape": (without("poses"), ["lacks poses", "holds no motion", "it has: mocap", "trans"]),
    "no rate": (without("mocap_framerate"), ["lacks mocap_framerate"]),
    "rate": (put("mocap_framerate", np.array(0.0)), ["frame rate", "1 to 1000"]),
    "rates": (put("mocap_framerate", np.array([30.0, 60.0])), ["frame rate", "30."]),
    "a hand": (put("poses", np.zeros((60, 90))), ["poses", "156", "(60, 90)"]),
    "trans": (put("trans", np.zeros((59, 3))), ["trans", "(60, 3)", "(59, 3)"]),
    "millimetres": (put("trans", np.full((60, 3), 9e5)), ["trans is 900000 at frame 0", "1000"]),
    "NaN": (one_nan, ["poses is nan at frame 7"]),
    "text": (put("poses", np.full((60, 156), "a")), ["poses must be numbers"]),
    "pickled": (put("poses", np.array([{}], object)), ["plain arrays", "allow_pickle"]),
    "empty": (lambda a: a.update(poses=a["poses"][:0], trans=a["trans"][:0]), ["holds 0 frames"]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    edit, words = BAD[name]
    arrays = standing()
    edit(arrays)
    path = save(tmp_path / "bad.npz", arrays)
    with pytest.raises(ValueError) as caught:
        read_amass(path)
    for word in words:
        assert word in str(caught.value)


def test_damaged_files_end_in_a_reason(tmp_path: Path) -> None:
    whole = save(tmp_path / "whole.npz", standing()).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged.npz"
    refused = 0
    for _ in range(150):
        data = bytearray(whole)
        headers = [0, data.index(b"trans.npy"), len(data) - 400]
        start = int(rng.choice(headers)) + int(rng.integers(380))
        if rng.integers(3):
            data[start : start + 8] = rng.bytes(8)
        else:
            del data[start:]
        path.write_bytes(bytes(data))
        refused += refuses(imported, path)
    assert refused > 75


def test_one_frame_is_no_movement(tmp_path: Path) -> None:
    arrays = standing()
    arrays |= {"poses": arrays["poses"][:1], "trans": arrays["trans"][:1]}
    path = save(tmp_path / "one.npz", arrays)
    with pytest.raises(
        ValueError, match=r"none of 1 file\(s\)[^\n]*\n  one\.npz: has fewer than two frames"
    ):
        import_files({"one": path}, {"one": Label("stand")}, amass_source)
