"""Motion in AMASS's files: rotations of the SMPL body's joints, without the body.

AMASS: Mahmood et al., "AMASS: Archive of Motion Capture as Surface Shapes", ICCV 2019. Of SMPL no
more is used than what its papers say in words: the tree of its joints, and a rest pose with the
arms out to the sides and the legs down. Its bones' lengths are licensed with the model, so limbs
are aligned with these plain directions, and the root is taken as it is, in metres.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hipart.data.motion import MAX_BYTES, MAX_FRAMES, MAX_RATE_HZ, MAX_TRAVEL_M
from hipart.data.retarget import SIDES, Recording, hip_centre, leg_length, rest_heads

Floats = NDArray[np.float64]

#: The body's joints in the order of ``poses``, by the bones that take their rotations.
BODY = (
    *("Hips", "LeftUpLeg", "RightUpLeg", "LowerBack", "LeftLeg", "RightLeg", "Spine"),
    *("LeftFoot", "RightFoot", "Spine1", "LeftToeBase", "RightToeBase", "Neck"),
    *("LeftShoulder", "RightShoulder", "Head", "LeftArm", "RightArm"),
    *("LeftForeArm", "RightForeArm", "LeftHand", "RightHand"),
)
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
#: Numbers a frame: the body alone, with SMPL's hands, SMPL-H, SMPL-X.
WIDTHS = (66, 72, 156, 165)
RATES = ("mocap_framerate", "mocap_frame_rate")
MAX_TURN_RAD = 100.0
#: The world has z up and a person in the rest pose stands in it facing -y; ours has y up.
UPRIGHT = Rotation.from_euler("x", -90, degrees=True)


def read_amass(path: Path) -> tuple[Recording, float]:
    """The movement in a file, metres, and its frames a second. ValueError says what is wrong."""
    held = _arrays(path)
    poses, trans = _numbers(held, "poses", MAX_TURN_RAD), _numbers(held, "trans", MAX_TRAVEL_M)
    if poses.ndim != 2 or poses.shape[1] not in WIDTHS:
        raise ValueError(f"poses must have shape (T, one of {WIDTHS}), found {poses.shape}")
    if trans.shape != (len(poses), 3):
        raise ValueError(f"trans must have shape {(len(poses), 3)}, found {trans.shape}")
    if not 1 <= len(poses) <= MAX_FRAMES:
        raise ValueError(f"holds {len(poses)} frames; 1 to {MAX_FRAMES} are read")
    rate = _numbers(held, next(name for name in RATES if name in held), MAX_RATE_HZ)
    if rate.size != 1 or not 1 <= rate.item() <= MAX_RATE_HZ:
        raise ValueError(f"the frame rate must be 1 to {MAX_RATE_HZ:g} Hz, found {rate!r:.80}")
    return recording(poses[:, : 3 * len(BODY)], trans, rate.item()), rate.item()


def recording(poses: Floats, trans: Floats, fps: float) -> Recording:
    """Axis-angles (T, 66) of the body and positions (T, 3), metres, z up, as a recording."""
    every: list[Rotation] = []
    for joint, parent in enumerate(PARENTS):
        local = Rotation.from_rotvec(poses[:, 3 * joint : 3 * joint + 3])
        every.append((every[parent] if parent >= 0 else UPRIGHT) * local)
    turned = dict(zip(BODY, every, strict=True))
    straight: dict[str, Floats] = {}
    for side, outward in zip(SIDES, (1.0, -1.0), strict=True):
        straight |= {side + bone: np.array([0.0, -1.0, 0.0]) for bone in ("UpLeg", "Leg")}
        straight |= {side + bone: np.array([outward, 0.0, 0.0]) for bone in ("Arm", "ForeArm")}
    heads = rest_heads()
    hips = UPRIGHT.apply(trans) + turned["Hips"].apply(hip_centre(heads))
    return Recording(np.arange(len(poses)) / fps, hips, leg_length(heads), turned, straight)


def _arrays(path: Path) -> Mapping[str, Any]:
    """The three arrays that are wanted, and nothing that would need unpickling."""
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {one.filename.removesuffix(".npy"): one.file_size for one in archive.infolist()}
        wanted = [name for name in ("poses", "trans", *RATES) if name in sizes]
        total = sum(sizes[name] for name in wanted)
        if total > MAX_BYTES:
            raise ValueError(f"unpacks to {total} bytes; at most {MAX_BYTES} are read")
        with np.load(path, allow_pickle=False) as stored:
            held = {name: stored[name] for name in wanted}
    except Exception as error:  # whatever bytes at random make of a zip file and of numpy
        raise ValueError(f"is not a readable .npz of plain arrays ({error})") from None
    lacking = [name for name in ("poses", "trans") if name not in held]
    if not any(name in held for name in RATES):
        lacking.append(RATES[0])
    if lacking:
        raise ValueError(
            f"lacks {', '.join(lacking)}, so it holds no motion; it has: {', '.join(sorted(sizes))}"
        )
    return held


def _numbers(held: Mapping[str, Any], name: str, most: float) -> Floats:
    array = np.asarray(held[name])
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name} must be numbers, found {array.dtype}")
    array = array.astype(np.float64)
    bad = np.argwhere(~(np.abs(array) <= most))
    if len(bad):
        value, where = array[tuple(bad[0])], f" at frame {bad[0][0]}" if array.ndim else ""
        raise ValueError(f"{name} is {value:g}{where}; sizes up to {most:g} are read")
    return array
