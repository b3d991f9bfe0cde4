"""3DPW, 3DPW-Occ and the frames of 3DPW-AdvOcc as test sets, from the user's own files."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hipart.data.levels import body_levels
from hipart.data.prepared import Piece, as_samples, pieces
from hipart.data.pw3d.detections import joints, openpose, read_darkpose
from hipart.data.pw3d.files import NEUTRAL, Files, Settings, find_files
from hipart.data.pw3d.frames import JOINTS_14, SEQUENCES, shown
from hipart.data.pw3d.image import SIZE, into
from hipart.data.pw3d.sequences import FPS, Recording, read_sequence
from hipart.data.regressor import read_regressor
from hipart.data.samples import Samples
from hipart.data.smpl import SmplPoints, read_smpl
from hipart.data.userfiles import digest
from hipart.skeleton import LEVELS, NUM_JOINTS

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CORPUS = "3dpw"
#: Raised when other samples are made of the same files.
RECIPE = 1
MM_PER_M = 1000.0
#: Bodies that are posed at once.
AT_ONCE = 256
#: The joints whose middle each root is.
ROOTS = {"h36m_pelvis": (0,), "hips_mid": (1, 4)}
NAMES = {"all": "3DPW", "occ": "3DPW-Occ", "advocc": "frames of 3DPW-AdvOcc"}
DETECTORS = {
    "exact": "exact 2D joints, no detector",
    "openpose": "OpenPose's detections in 3DPW's own files",
    "darkpose": "DarkPose's detections in Pose2Mesh's files",
}


class Levels(Protocol):
    """Points of a mesh as means of its vertices, at three levels: ``hipart.data.levels``."""

    @property
    def means(self) -> Any:
        """Weights (336, V), a scipy.sparse matrix: rows of the 48, 96 and 192 points."""
        ...


@dataclass(frozen=True, eq=False)
class _Planned:
    """A piece: the frames (N,) of one person of a sequence that become samples."""

    split: str
    path: Path
    clip: int
    person: int
    frames: Integers
    #: Of each frame (N,): a number of its own for every run without a gap.
    run: Integers


class Pw3dSource:
    """A test set of 3DPW, one piece for each person of each sequence.

    Every sequence file is read and checked at once, but nothing of it is kept: it is read again
    for its pieces. ``levels`` are made of the neutral body, as those of Human3.6M are, if they are
    not given: the points' order hangs on it. Raises ValueError that names the file and what is
    wrong with it.
    """

    def __init__(
        self, files: Files, settings: Settings | None = None, levels: Levels | None = None
    ) -> None:
        self._files, self._given = files, levels
        self._settings = settings or Settings()
        self._regressor = read_regressor(files.regressor)
        darkpose = files.darkpose if self._settings.detections == "darkpose" else {}
        self._darkpose = {split: read_darkpose(*pair) for split, pair in darkpose.items()}
        self._last: tuple[Path, Recording] | None = None
        self._bodies: dict[str, SmplPoints] = {}
        #: Persons in frames that are left out, by the reason.
        self.left_out: Counter[str] = Counter()
        self._sizes: list[tuple[int, int]] = []
        self._plans: dict[str, _Planned] = {}
        for split, path in files.sequences:
            self._plan(split, path)
        if not self._plans:
            raise ValueError(f"{NAMES[self._settings.frames]}: nobody is left; {self._told_out()}")

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """All pieces, in the order of the sequences."""
        return pieces((name, "test", len(one.frames)) for name, one in self._plans.items())

    @cached_property
    def origin(self) -> Mapping[str, Any]:
        """Files by name with their digests, and settings."""
        return {
            "recipe": RECIPE,
            "settings": asdict(self._settings),
            "files": {path.name: digest(path) for path in self._files.all()},
            "levels": _digest_of(self.levels),
        }

    @cached_property
    def levels(self) -> Levels:
        """The dense points on SMPL's mesh."""
        if self._given is not None:
            return self._given
        body = read_smpl(self._files.models[NEUTRAL])
        joints = self._regressor @ body.template
        return body_levels(body.faces, body.template, joints, self._settings.coarsening)

    @property
    def about(self) -> Mapping[str, Any]:
        """As ``Source`` says; beside it ``frames``, ``root``, ``joints``, ``left_out`` and more.

        ``joints`` are those that errors are measured over, ``image_sizes`` (width, height) the
        real images of each clip. There are no actions: all samples are of one, so that a mean of
        actions is the mean of frames that others report.
        """
        settings = self._settings
        count = sum(len(one.frames) for one in self._plans.values())
        people = 1 + max(one.person for one in self._plans.values())
        sequences = f"{len(self._files.sequences)} of {SEQUENCES[settings.frames]} sequences"
        return {
            "corpus": CORPUS,
            "action_names": ["all"],
            "subject_names": [f"person {number}" for number in range(people)],
            "clip_names": [path.stem for _, path in self._files.sequences],
            "damaged": [],
            "image_size": list(SIZE),
            "fps": FPS,
            "detections": DETECTORS[settings.detections],
            "description": (
                f"{NAMES[settings.frames]}, {sequences}, {count} persons in frames, "
                f"{settings.body} SMPL bodies ({settings.coarsening}), root {settings.root}, "
                f"{len(JOINTS_14)} joints; "
                f"{DETECTORS[settings.detections]}; {self._told_out()}"
            ),
            "frames": settings.frames,
            "root": settings.root,
            "root_joints": list(ROOTS[settings.root]),
            "joints": list(JOINTS_14),
            "left_out": dict(self.left_out),
            "image_sizes": [list(size) for size in self._sizes],
        }

    def samples(self, piece: Piece) -> Samples:
        """The samples of a piece."""
        plan = self._plans[piece.name]
        recording = self._recording(plan.path)
        count = len(plan.frames)
        blocks = range(0, count, AT_ONCE)
        points = np.concatenate(
            [self._points(recording, plan.person, plan.frames[at : at + AT_ONCE]) for at in blocks]
        )
        if not (points[..., 2] > 0).all():
            raise ValueError(
                f"{plan.path}: person {plan.person}: poses and jointPositions do not agree: the "
                "body lies behind the camera"
            )
        pixels = into(recording.project(points), recording.size)
        ends = np.cumsum((NUM_JOINTS, *LEVELS))
        exact, dense, fine, finest = np.split(pixels, ends[:-1], axis=1)
        nothing = np.zeros(count)
        return as_samples(
            {
                "detected_2d": self._detected(recording, plan, exact),
                "exact_2d": exact,
                "dense_2d": dense,
                "fine_2d": fine,
                "finest_2d": finest,
                "target_3d": MM_PER_M * self._relative(points[:, :NUM_JOINTS]),
                "action": nothing,
                "subject": nothing + plan.person,
                "clip": nothing + plan.clip,
                "camera": nothing,
                "frame": plan.frames,
                "sequence": plan.run,
            }
        )

    def _plan(self, split: str, path: Path) -> None:
        recording = self._recording(path)
        clip = len(self._sizes)
        self._sizes.append(recording.size)
        for number, person in enumerate(recording.persons):
            if self._settings.model(person.gender) not in self._files.models:
                raise ValueError(
                    f"{path}: person {number} needs the SMPL model {person.gender!r}; there are "
                    f"{', '.join(self._files.models) or 'none'} (body='neutral' takes the neutral "
                    "one for all)"
                )
            used, why_not = shown(recording, person, self._settings.frames)
            if self._settings.detections != "exact":
                _, enough = joints(self._keypoints(split, recording, number))
                why_not["without a detection"] = int((used & ~enough).sum())
                used &= enough
            self.left_out.update({why: count for why, count in why_not.items() if count})
            frames = np.flatnonzero(used)
            if len(frames):
                start = 1 + max((int(one.run[-1]) for one in self._plans.values()), default=-1)
                run = start + np.cumsum(np.diff(frames, prepend=frames[0] - 1) > 1)
                run = np.asarray(run, np.int64)
                name = f"{recording.name} person {number}"
                if name in self._plans:
                    raise ValueError(f"{path}: there is another sequence {recording.name}")
                self._plans[name] = _Planned(split, path, clip, number, frames, run)

    def _points(self, recording: Recording, person: int, frames: Integers) -> Floats:
        """Joints and the points of all levels (N, 353, 3) in the camera's frame, metres."""
        who = recording.persons[person]
        points = self._body(who.gender).points(who.pose[frames], who.betas)
        return recording.see(points + who.at[frames, None], frames)

    def _detected(self, recording: Recording, plan: _Planned, exact: Floats) -> Floats:
        """The joints (N, 17, 2) that a lifter is given, px of the virtual image."""
        if self._settings.detections == "exact":
            return exact
        keypoints = self._keypoints(plan.split, recording, plan.person)[plan.frames]
        found, _ = joints(keypoints)
        return into(found, recording.size)

    def _relative(self, joints_m: Floats) -> Floats:
        """Joints (N, 17, 3) relative to the root."""
        root = ROOTS[self._settings.root]
        return np.asarray(joints_m - joints_m[:, root].mean(axis=1, keepdims=True))

    def _recording(self, path: Path) -> Recording:
        if self._last is None or self._last[0] != path:
            self._last = path, read_sequence(path)
        return self._last[1]

    def _keypoints(self, split: str, recording: Recording, person: int) -> Floats:
        """Whose keypoints (T, 17, 3) a lifter is given."""
        if self._settings.detections != "darkpose":
            return openpose(recording, person)
        if split not in self._darkpose:
            raise ValueError(f"there are no detections of DarkPose for the split {split}")
        return self._darkpose[split].keypoints(recording, person)

    def _body(self, gender: str) -> SmplPoints:
        """The joints and the points of all levels on a person's model."""
        name = self._settings.model(gender)
        if name not in self._bodies:
            weights = sparse.vstack([sparse.csr_matrix(self._regressor), self.levels.means])
            model = read_smpl(self._files.models[name])
            self._bodies[name] = model.averaging(sparse.csr_matrix(weights))
        return self._bodies[name]

    def _told_out(self) -> str:
        """How many persons in frames are left out, and why."""
        told = [f"{count} {why}" for why, count in self.left_out.items()]
        return f"left out are {', '.join(told)}" if told else "nobody is left out"


def find(root: Path, settings: Settings | None = None, levels: Levels | None = None) -> Pw3dSource:
    """The test set of the files that lie beneath ``root``, in whatever folders.

    ValueError names what is missing and where people get it, or what is wrong with a file.
    """
    settings = settings or Settings()
    return Pw3dSource(find_files(root, settings), settings, levels)


def _digest_of(levels: Levels) -> str:
    """Of what a coarsening is: which vertices are averaged to what, by what weights."""
    entries = levels.means.tocoo()
    order = np.lexsort((entries.col, entries.row))
    found = hashlib.sha256(repr(entries.shape).encode())
    for array, kind in ((entries.row, "<i8"), (entries.col, "<i8"), (entries.data, "<f4")):
        found.update(array[order].astype(kind).tobytes())
    return found.hexdigest()[:16]
