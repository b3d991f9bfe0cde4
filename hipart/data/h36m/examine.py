"""Human3.6M's files looked over: each by itself, and then one against the other."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hipart.data.findings import Finding, tried
from hipart.data.h36m.annotations import Annotated, file_names, read_annotations
from hipart.data.h36m.archives import POSES_2D, POSES_3D, Floats, cut, read_poses_2d, read_poses_3d
from hipart.data.h36m.cameras import cameras_of
from hipart.data.h36m.fit import MOST_FIT_MM, fit_mm
from hipart.data.h36m.join import check_join
from hipart.data.h36m.sequences import (
    DAMAGED,
    DROPPED,
    SUBJECTS,
    TEST_SUBJECTS,
    TRAIN_SUBJECTS,
    side_of,
)
from hipart.data.regressor import REGRESSOR, read_regressor
from hipart.data.regressor import WHERE_FROM as REGRESSOR_FROM
from hipart.data.samples import runs
from hipart.data.smpl import read_smpl
from hipart.data.userfiles import located

Name = tuple[str, str]

#: What a projection may differ from the file of exact 2D, pixels.
SAME_PX = 0.01
ARCHIVES_FROM = (
    "made by VideoPose3D's data/prepare_data_h36m.py from Human3.6M (vision.imar.ro/human3.6m, on "
    "registration); DATASETS.md of VideoPose3D says how"
)
DETECTIONS_FROM = "linked in DATASETS.md of VideoPose3D"
ANNOTATIONS_FROM = "linked in the README of Pose2Mesh (Human36M annotations)"
SMPL_FROM = (
    "basicModel_neutral_lbs_10_207_0_v1.0.0.pkl of smplify.is.tue.mpg.de, on registration; give it "
    "with --smpl"
)


class _Look:
    """What was read so far."""

    def __init__(self, root: Path, smpl: Path | None) -> None:
        self.root, self.smpl = root, smpl
        annotations = sum((file_names(subject) for subject in SUBJECTS), ())
        names = (POSES_3D, REGRESSOR, *POSES_2D.values(), *annotations)
        self.there = located(root, names)
        self.poses: dict[Name, Floats] = {}
        self.bodies: dict[Name, Annotated] = {}

    def motion(self) -> Iterator[Finding]:
        """The 3D archive, and what it lacks."""
        if POSES_3D not in self.there:
            yield Finding("missing", f"{POSES_3D}: {ARCHIVES_FROM}")
            return
        self.poses = read_poses_3d(self.there[POSES_3D])
        frames = sum(len(one) for one in self.poses.values())
        subjects = [s for s in SUBJECTS if any(name[0] == s for name in self.poses)]
        told = f"{len(self.poses)} sequences of {', '.join(subjects)}, {frames:,} frames"
        yield Finding("good", f"{POSES_3D}: {told}")
        for group, use in ((TRAIN_SUBJECTS, "train"), (TEST_SUBJECTS, "test")):
            if not set(group) & set(subjects):
                yield Finding("wrong", f"{POSES_3D}: holds none of {', '.join(group)} to {use} on")

    def detections(self) -> Iterator[Finding]:
        """Every 2D archive that is there; at least one has to be."""
        if not any(name in self.there for name in POSES_2D.values()):
            names = ", ".join(POSES_2D.values())
            yield Finding("missing", f"one of {names}: {DETECTIONS_FROM}")
        for detector, name in POSES_2D.items():
            if name in self.there:
                yield from tried(partial(self._detections, detector, name))

    def _detections(self, detector: str, name: str) -> Iterator[Finding]:
        path = self.there[name]
        views = read_poses_2d(path)
        for sequence, poses in self.poses.items():
            if sequence in views:
                where = f"{path}: {' '.join(sequence)}"
                cut(views[sequence], len(poses), where)
        lacking = [" ".join(one) for one in self.poses if one not in views]
        yield Finding("good", f"{name}: {len(views)} sequences before four cameras")
        if lacking:
            yield Finding("wrong", f"{name}: lacks {lacking[0]} ({len(lacking)} sequences in all)")
        if detector == "gt" and self.poses:
            yield from self._exact(name, views)

    def _exact(self, name: str, views: dict[Name, tuple[Floats, ...]]) -> Iterator[Finding]:
        """The cameras held against the file of exact 2D."""
        worst, where = 0.0, ""
        for sequence in self.poses.keys() & views.keys():
            for camera, written in zip(cameras_of(sequence[0]), views[sequence], strict=True):
                made = camera.project(camera.see(self.poses[sequence]))
                apart = float(np.abs(made - written[: len(made)]).max(initial=0))
                if apart > worst:
                    worst, where = apart, f"{' '.join(sequence)}, camera {camera.name}"
        if worst > SAME_PX:
            yield Finding(
                "wrong",
                f"{name}: projected 3D joints lie up to {worst:.3g} px off it ({where}; at most "
                f"{SAME_PX:g} px allowed): it is of other cameras, or without their lenses",
            )
        else:
            yield Finding("good", f"{name}: projected 3D joints equal it within {worst:.2g} px")

    def annotations(self) -> Iterator[Finding]:
        """Pose2Mesh's joints and bodies, by themselves and against VideoPose3D's."""
        for subject in SUBJECTS:
            names = file_names(subject)
            missing = [name for name in names if name not in self.there]
            if missing:
                yield Finding("missing", f"{', '.join(missing)}: {ANNOTATIONS_FROM}")
            else:
                yield from tried(partial(self._annotations, subject, *names))

    def _annotations(self, subject: str, joints: str, bodies: str) -> Iterator[Finding]:
        held = read_annotations(subject, self.there[joints], self.there[bodies])
        named = {(subject, name): one for name, one in held.items()}
        count = sum(len(one) for one in named.values())
        yield Finding("good", f"{bodies}: {len(named)} sequences, {count:,} bodies")
        numbered = {
            name: dict(zip(one.frame.tolist(), one.joints, strict=True))
            for name, one in named.items()
            if name not in DROPPED and self.poses
        }
        for mismatch in check_join(numbered, self.poses):
            yield Finding("wrong", f"{joints} against {POSES_3D}: {mismatch}")
        self.bodies |= named

    def model(self) -> Iterator[Finding]:
        """SMPL, the regressor, and both against the markers."""
        if REGRESSOR not in self.there:
            yield Finding("missing", f"{REGRESSOR}: {REGRESSOR_FROM}")
        if self.smpl is None or not self.smpl.is_file():
            yield Finding("missing", f"SMPL's neutral model: {SMPL_FROM}")
        if self.smpl is None or not self.smpl.is_file() or REGRESSOR not in self.there:
            return
        regressor = read_regressor(self.there[REGRESSOR])
        points = read_smpl(self.smpl).averaging(regressor)
        yield Finding("good", f"{self.smpl.name}: an SMPL model")
        fits = {name: fit_mm(points, one) for name, one in self.bodies.items() if len(one)}
        if not fits:
            return
        every = np.concatenate([*fits.values()])
        told = f"its joints lie {np.median(every):.1f} mm from the markers (median)"
        if np.median(every) > MOST_FIT_MM:
            yield Finding("wrong", f"{self.smpl.name}: {told}, {MOST_FIT_MM:g} mm are allowed")
        else:
            left = int((every > MOST_FIT_MM).sum())
            yield Finding("good", f"{self.smpl.name}: {told}; {left} bodies are left out")
            yield from self._frames({name: fit <= MOST_FIT_MM for name, fit in fits.items()})

    def _frames(self, fits: Mapping[Name, NDArray[np.bool_]]) -> Iterator[Finding]:
        """How many test frames have a body that fits, and how long training goes on without gap."""
        used = {name: self.bodies[name].frame[kept] for name, kept in fits.items()}
        tested = [name for name in self.poses if side_of(name[0]) == "test"]
        frames = sum(len(self.poses[name]) for name in tested)
        with_body = sum(
            int((used[name] < len(self.poses[name])).sum()) for name in tested if name in used
        )
        yield Finding(
            "note",
            f"{frames - with_body:,} of {frames:,} test frames have no body that fits: they are "
            "tested on, without errors of dense points",
        )
        longest = max(
            (
                int(np.bincount(runs(frame)).max())
                for name, frame in used.items()
                if side_of(name[0]) == "train" and len(frame)
            ),
            default=0,
        )
        yield Finding(
            "note",
            f"up to {longest} frames to train on follow one another; windows of temporal lifters "
            "end where one is missing",
        )

    def usable(self) -> Iterator[Finding]:
        """What can be run with what is there."""
        subjects = [s for s in SUBJECTS if any(name[0] == s for name in self.bodies)]
        detectors = [name for name, file in POSES_2D.items() if file in self.there]
        both = [set(group) & set(subjects) for group in (TRAIN_SUBJECTS, TEST_SUBJECTS)]
        if self.poses and detectors and all(both) and REGRESSOR in self.there and self.smpl:
            told = f"a corpus of {', '.join(subjects)} with the detections {', '.join(detectors)}"
        else:
            told = "nothing yet: it takes joints, detections, bodies of both splits and SMPL"
        yield Finding("note", f"can be prepared: {told}")

    def known(self) -> Iterator[Finding]:
        """What is known to be damaged or left out."""
        for name in DROPPED:
            yield Finding("note", f"{' '.join(name)} is left out, as everybody does")
        damaged = [" ".join(name) for name in DAMAGED if name in self.poses]
        if damaged:
            yield Finding(
                "note",
                f"{', '.join(damaged)}: the markers have moved; errors are given with and without",
            )


def examine(root: Path, smpl: Path | None) -> list[Finding]:
    """Everything that can be said of the files beneath ``root``."""
    if not root.is_dir():
        return [Finding("missing", f"{root}: no such folder")]
    look = _Look(root, smpl)
    checks = (look.motion, look.detections, look.annotations, look.model, look.usable, look.known)
    return [one for check in checks for one in tried(check)]
