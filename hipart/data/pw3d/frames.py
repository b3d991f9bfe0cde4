"""Which sequences, persons and frames of 3DPW make a test set.

Sources: Pose2Mesh ``data/3dpw2coco.py`` (frames with a valid camera and a joint in the image) and
``data/PW3D/dataset.py`` (14 joints); PARE ``pare/core/constants.py`` and 3DNBF
``data_converters/pw3d_occ.py`` (3DPW-Occ); 3DNBF ``exps_r50/3dpw_advocc`` (every 30th frame).
"""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hipart.data.pw3d.sequences import Person, Recording

Mask = NDArray[np.bool_]
Frames = Literal["all", "occ", "advocc"]

FOLDER = "sequenceFiles"
SPLITS = ("train", "validation", "test")
#: The joints of 17 that errors are measured over: all but Hip, Spine and Neck/Nose.
JOINTS_14 = (1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16)
#: What 3DPW-Occ's sequences are called before their number, in any split.
OCCLUDED = (
    *("courtyard_backpack", "courtyard_basketball", "courtyard_bodyScannerMotions"),
    *("courtyard_box", "courtyard_golf", "courtyard_jacket", "courtyard_laceShoe"),
    *("downtown_stairs", "flat_guitar", "flat_packBags", "outdoors_climbing"),
    *("outdoors_crosscountry", "outdoors_fencing", "outdoors_freestyle", "outdoors_golf"),
    *("outdoors_parcours", "outdoors_slalom"),
)
#: How many sequences there are to be found: 24 of 60 test, 23 of 60 are occluded.
SEQUENCES = {"all": 24, "occ": 23, "advocc": 24}
#: 3DPW-AdvOcc looks at every 30th frame of the test set, one a second.
ADVOCC_STEP = 30
#: A person whose joint is nearer to the camera than this, metres, is left out: points behind it
#: have no pixels, and the mesh reaches beyond its joints.
NEAREST_M = 0.3
WHERE_FROM = (
    "3DPW's sequenceFiles.zip comes from https://virtualhumans.mpi-inf.mpg.de/3DPW/ after its "
    "licence is agreed to"
)


def sequence_files(root: Path, frames: Frames) -> tuple[tuple[str, Path], ...]:
    """The split and file of every sequence of a test set, in order, of a folder of 3DPW.

    ValueError says which folder has none, and where people get them.
    """
    found = []
    for split in SPLITS if frames == "occ" else ("test",):
        folder = root / FOLDER / split
        files = sorted(folder.glob("[!.]*.pkl"))  # a Mac leaves others beside them
        if not files:
            raise ValueError(f"{folder}: holds no .pkl of a sequence; {WHERE_FROM}")
        found += [(split, file) for file in files if frames != "occ" or is_occluded(file.stem)]
    if not found:
        raise ValueError(f"{root / FOLDER}: has no sequence of 3DPW-Occ; {WHERE_FROM}")
    return tuple(found)


def is_occluded(sequence: str) -> bool:
    """Whether a sequence is one of 3DPW-Occ: by its name without the number at its end."""
    return sequence.rpartition("_")[0] in OCCLUDED


def shown(recording: Recording, person: Person, frames: Frames) -> tuple[Mask, dict[str, int]]:
    """Which frames (T,) of a sequence show a person, and how many do not, by the reason.

    The camera's pose has to be valid, all of SMPL's 24 joints before it and one of them in the
    image. ``advocc`` takes every 30th frame of these sequences, counted from their first.
    """
    asked = np.zeros(len(recording), bool)
    asked[:: ADVOCC_STEP if frames == "advocc" else 1] = True
    valid = asked & person.valid
    seen = np.zeros_like(valid)
    index = np.flatnonzero(valid)
    joints = recording.see(person.joints[index], index)
    before = (joints[..., 2] >= NEAREST_M).all(axis=1)
    pixels = recording.project(joints[before])
    inside = ((pixels >= 0) & (pixels < np.array(recording.size))).all(axis=2)
    seen[index[before]] = np.any(inside, axis=1)
    return seen, {
        "without a valid camera pose": int((asked & ~valid).sum()),
        "not in the image": int((valid & ~seen).sum()),
    }
