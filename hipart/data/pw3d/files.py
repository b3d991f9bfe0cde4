"""What a test set of 3DPW is made of: settings, and the user's files found beneath a folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args, get_type_hints

from hipart.data.levels import Coarsening
from hipart.data.pw3d.detections import DARKPOSE
from hipart.data.pw3d.detections import WHERE_FROM as DARKPOSE_FROM
from hipart.data.pw3d.frames import FOLDER, Frames, sequence_files
from hipart.data.pw3d.frames import WHERE_FROM as SEQUENCES_FROM
from hipart.data.pw3d.sequences import GENDERS
from hipart.data.regressor import REGRESSOR
from hipart.data.regressor import WHERE_FROM as REGRESSOR_FROM
from hipart.data.userfiles import located

NEUTRAL = "neutral"
#: SMPL's model files by gender; their archives spell them in both ways.
MODEL = ("basicModel_{}_lbs_10_207_0_v1.0.0.pkl", "basicmodel_{}_lbs_10_207_0_v1.0.0.pkl")
MODELS_FROM = (
    "SMPL's models of m and f come from https://smpl.is.tue.mpg.de/ (version 1.0.0), the neutral "
    "one from https://smplify.is.tue.mpg.de/"
)
#: Folders between the one given and 3DPW's.
DEEPEST = 3


@dataclass(frozen=True)
class Settings:
    """What a test set of 3DPW is.

    ``root`` is the point that the 3D joints are relative to, and that a prediction must be made
    relative to before it is compared: ``h36m_pelvis`` the regressed Hip (Pose2Mesh), ``hips_mid``
    the middle of RHip and LHip (mmhuman3d, 3DNBF). ``detections`` says whose 2D joints a lifter is
    given. ``body`` is the model of each person's gender, as 3DPW was made, or ``neutral`` for all.
    ``coarsening`` has to be that of the corpus that a model was trained on.
    """

    frames: Frames = "all"
    root: Literal["h36m_pelvis", "hips_mid"] = "h36m_pelvis"
    detections: Literal["exact", "openpose", "darkpose"] = "openpose"
    body: Literal["gendered", "neutral"] = "gendered"
    coarsening: Coarsening = "exact_binary"

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            if (value := getattr(self, name)) not in get_args(kind):
                raise ValueError(f"{name} {value!r}: allowed are {', '.join(get_args(kind))}")

    def model(self, gender: str) -> str:
        """Which SMPL model a person has."""
        return NEUTRAL if self.body == NEUTRAL else gender


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

    def all(self) -> tuple[Path, ...]:
        """Every file."""
        single = (self.regressor, *self.models.values(), *sum(self.darkpose.values(), ()))
        return (*(path for _, path in self.sequences), *single)


def find_files(root: Path, settings: Settings) -> Files:
    """All that a test set needs, wherever it lies beneath ``root``.

    The neutral body is always needed: points of the mesh are put in order on it. ValueError names
    what is missing and where people get it.
    """
    sequences = sequence_files(_folder(root), settings.frames)
    genders = dict.fromkeys((*map(settings.model, GENDERS), NEUTRAL))
    spelt = {gender: tuple(name.format(gender) for name in MODEL) for gender in genders}
    splits = dict(sequences) if settings.detections == "darkpose" else ()
    pairs = {s: tuple(name.format(split=s) for name in DARKPOSE) for s in splits}
    wanted = (REGRESSOR, *sum(spelt.values(), ()), *sum(pairs.values(), ()))
    there = located(root, wanted)
    models = {
        gender: there[name] for gender, names in spelt.items() for name in names if name in there
    }
    for missing, where_from in (
        ([REGRESSOR] if REGRESSOR not in there else [], REGRESSOR_FROM),
        ([spelt[gender][0] for gender in genders if gender not in models], MODELS_FROM),
        ([n for pair in pairs.values() for n in pair if n not in there], DARKPOSE_FROM),
    ):
        if missing:
            raise ValueError(f"{root}: lacks {', '.join(missing)}; {where_from}")
    darkpose = {split: (there[one], there[two]) for split, (one, two) in pairs.items()}
    return Files(sequences, models, there[REGRESSOR], darkpose)


def _folder(root: Path) -> Path:
    """The folder that ``sequenceFiles`` lies in."""
    if root.name == FOLDER:
        return root.parent
    for depth in range(DEEPEST + 1):
        found = sorted(root.glob("*/" * depth + FOLDER))
        if found:
            return found[0].parent
    raise ValueError(f"{root}: has no folder {FOLDER}; {SEQUENCES_FROM}")
