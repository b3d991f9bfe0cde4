"""What a test set of 3DPW is made of: settings, and the user's files found beneath a folder."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from hipart.data.pw3d import detections
from hipart.data.pw3d.frames import FOLDER, Frames, sequence_files
from hipart.data.pw3d.frames import WHERE_FROM as PW3D_FROM
from hipart.data.pw3d.sequences import GENDERS
from hipart.data.smpl import VERTICES
from hipart.skeleton import NUM_JOINTS

Floats = NDArray[np.float64]

REGRESSOR = "J_regressor_h36m_correct.npy"
REGRESSOR_FROM = f"{REGRESSOR} comes with Pose2Mesh"
NEUTRAL = "neutral"
#: SMPL's model files by gender; they are spelt in both cases.
MODEL = "basicmodel_{gender}_"
#: Of several files of a gender those of this version are taken: later ones have other shapes.
VERSION = "v1.0.0"
MODELS_FROM = (
    "basicModel_m_lbs_10_207_0_v1.0.0.pkl and basicModel_f_... come from "
    "https://smpl.is.tue.mpg.de/, basicModel_neutral_... from https://smplify.is.tue.mpg.de/"
)
#: Has 51,000 images and nothing that is read.
NOT_LOOKED_IN = "imageFiles"
#: What a regressor's row may sum to beside 1.
ROUNDING = 0.01


@dataclass(frozen=True)
class Settings:
    """What a test set of 3DPW is.

    ``root`` is the point that the 3D joints are relative to, and that a prediction must be made
    relative to before it is compared: ``h36m_pelvis`` the regressed Hip (Pose2Mesh), ``hips_mid``
    the middle of RHip and LHip (mmhuman3d, 3DNBF). ``detections`` says whose 2D joints a lifter is
    given. ``body`` is the model of each person's gender, as 3DPW was made, or ``neutral`` for all.
    """

    frames: Frames = "all"
    root: Literal["h36m_pelvis", "hips_mid"] = "h36m_pelvis"
    detections: Literal["exact", "openpose", "darkpose"] = "openpose"
    body: Literal["gendered", "neutral"] = "gendered"

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            if (value := getattr(self, name)) not in get_args(kind):
                raise ValueError(f"{name} {value!r}: allowed are {', '.join(get_args(kind))}")

    def model(self, gender: str) -> str:
        """Which SMPL model a person has."""
        return NEUTRAL if self.body == "neutral" else gender


@dataclass(frozen=True)
class Files:
    """Where the user's files are.

    ``sequences`` with the split of each; ``models`` by gender (m, f, neutral); ``regressor`` is
    ``J_regressor_h36m_correct.npy``; ``darkpose`` by split the detections and their annotations.
    """

    sequences: Sequence[tuple[str, Path]]
    models: Mapping[str, Path]
    regressor: Path
    darkpose: Mapping[str, tuple[Path, Path]]


def find_files(root: Path, settings: Settings) -> Files:
    """All that a test set needs, wherever it lies beneath ``root``.

    ValueError names what is missing and where people get it.
    """
    held = list(_walk(root))
    folders = {path.parent.parent for path in held if path.parent.name == FOLDER}
    if len(folders) != 1:
        told = ", ".join(map(str, sorted(folders))) or "none"
        raise ValueError(f"{root}: must hold one folder {FOLDER}, found {told}; {PW3D_FROM}")
    sequences = sequence_files(folders.pop(), settings.frames)
    models = models_among(held)
    needed = dict.fromkeys(settings.model(gender) for gender in GENDERS)
    if missing := [f"basicModel_{gender}_*.pkl" for gender in needed if gender not in models]:
        raise ValueError(f"{root}: lacks {' and '.join(missing)}; {MODELS_FROM}")
    darkpose = {}
    if settings.detections == "darkpose":
        for split in dict(sequences):
            names = [name.format(split=split) for name in detections.DARKPOSE]
            first, second = (_one(root, held, name, detections.WHERE_FROM) for name in names)
            darkpose[split] = first, second
    used = {gender: models[gender] for gender in needed}
    return Files(sequences, used, _one(root, held, REGRESSOR, REGRESSOR_FROM), darkpose)


def find_models(root: Path) -> dict[str, Path]:
    """SMPL's model files beneath ``root`` by gender: m, f and neutral, those that are there."""
    return models_among(_walk(root))


def models_among(paths: Iterator[Path] | Sequence[Path]) -> dict[str, Path]:
    """The model file of each gender among ``paths``: of several one of version 1.0.0."""
    held, found = list(paths), {}
    for gender in (*GENDERS, NEUTRAL):
        start = MODEL.format(gender=gender)
        fitting = [p for p in held if p.name.lower().startswith(start) and p.suffix == ".pkl"]
        if fitting:
            found[gender] = min(fitting, key=lambda path: (VERSION not in path.name, path))
    return found


def read_regressor(path: Path) -> Floats:
    """The regressor (17, 6890) of Human3.6M's joints from SMPL's vertices. ValueError."""
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path}: cannot be read ({error}); {REGRESSOR_FROM}") from None
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu":
        raise ValueError(f"{path}: must be one array of numbers; {REGRESSOR_FROM}")
    if found.shape != (NUM_JOINTS, VERTICES):
        raise ValueError(f"{path}: must have shape {(NUM_JOINTS, VERTICES)}, found {found.shape}")
    found = np.asarray(found, np.float64)
    sums = found.sum(axis=1)
    if not (np.abs(sums - 1) <= ROUNDING).all():
        raise ValueError(
            f"{path}: each joint's weights must add up to 1, found {np.round(sums, 3).tolist()}"
        )
    return found


def _walk(root: Path) -> Iterator[Path]:
    """Files and folders beneath a folder, in order."""
    if not root.is_dir():
        raise ValueError(f"{root}: is no folder")
    for folder, inner, files in os.walk(root):
        inner[:] = sorted(name for name in inner if name != NOT_LOOKED_IN)
        names = (*inner, *sorted(files))
        yield from (Path(folder) / name for name in names if not name.startswith("."))


def _one(root: Path, held: Sequence[Path], name: str, where_from: str) -> Path:
    for path in held:
        if path.name == name:
            return path
    raise ValueError(f"{root}: lacks {name}; {where_from}")
