"""A user's files of Human3.6M, found beneath a folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hipart.data.h36m.annotations import file_names
from hipart.data.h36m.archives import POSES_2D, POSES_3D
from hipart.data.h36m.sequences import SUBJECTS, TEST_SUBJECTS, TRAIN_SUBJECTS
from hipart.data.regressor import REGRESSOR
from hipart.data.userfiles import located


@dataclass(frozen=True)
class Files:
    """Where a user's files are."""

    poses_3d: Path
    poses_2d: Path
    regressor: Path
    smpl: Path
    #: Joints and bodies, by subject.
    annotations: Mapping[str, tuple[Path, Path]]

    def all(self) -> dict[str, Path]:
        """Every file by its name."""
        some = (self.poses_3d, self.poses_2d, self.regressor, self.smpl)
        return {path.name: path for path in (*some, *sum(self.annotations.values(), ()))}


def find(root: Path, smpl: Path, detections: str = "cpn") -> Files:
    """The files beneath ``root``. ValueError that lists what is missing and where it is had."""
    if detections not in POSES_2D:
        raise ValueError(f"no detections {detections!r}; there are {', '.join(POSES_2D)}")
    annotated = {subject: file_names(subject) for subject in SUBJECTS}
    single = (POSES_3D, POSES_2D[detections], REGRESSOR)
    there = located(root, (*single, *sum(annotated.values(), ())))
    missing = [name for name in single if name not in there]
    whole = {s: names for s, names in annotated.items() if there.keys() >= set(names)}
    for group in (TRAIN_SUBJECTS, TEST_SUBJECTS):
        if not whole.keys() & set(group):
            missing += annotated[group[0]]
    if not smpl.is_file():
        raise ValueError(f"{smpl}: no such file; --smpl names SMPL's basicModel_neutral_*.pkl")
    if missing:
        raise ValueError(
            f"{root}: lacks {', '.join(missing)}; `hipart-search data doctor h36m --root {root}` "
            "says where they are had"
        )
    return Files(
        there[POSES_3D],
        there[POSES_2D[detections]],
        there[REGRESSOR],
        smpl,
        {subject: (there[one], there[two]) for subject, (one, two) in whole.items()},
    )
