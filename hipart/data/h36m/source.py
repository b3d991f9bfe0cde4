"""Human3.6M from the files that people have: VideoPose3D's archives, Pose2Mesh's bodies, SMPL."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hipart.data.h36m.annotations import NOBODY, Annotated, read_annotations
from hipart.data.h36m.archives import FPS, NUM_CAMERAS, as_17, cut, read_poses_2d, read_poses_3d
from hipart.data.h36m.cameras import cameras_of
from hipart.data.h36m.files import Files
from hipart.data.h36m.fit import MOST_FIT_MM, fit_mm, posed
from hipart.data.h36m.join import check_join
from hipart.data.h36m.mirror import MIRROR, mirrored
from hipart.data.h36m.sequences import (
    ACTIONS,
    DAMAGED,
    DROPPED,
    SUBJECTS,
    action_of,
    side_of,
)
from hipart.data.h36m.views import IMAGE_SIZE, before, flipped
from hipart.data.levels import BodyLevels, Coarsening, body_levels
from hipart.data.prepared import RECIPES, Piece, as_samples, pieces
from hipart.data.regressor import read_regressor
from hipart.data.samples import Samples, runs
from hipart.data.smpl import SmplPoints, read_smpl
from hipart.data.splits import Side
from hipart.data.userfiles import digest
from hipart.skeleton import LEVELS

Integers = NDArray[np.int64]
Name = tuple[str, str]
Say = Callable[[str], None]

#: Why a body is not used, or not there.
MISFIT = f"fit worse than {MOST_FIT_MM:g} mm"
NO_BODY = "no body"
_FLOATS = ("detected_2d", "exact_2d", "dense_2d", "fine_2d", "finest_2d", "target_3d")


@dataclass(frozen=True, eq=False)
class _Planned:
    """A piece: the frames (N,) of a sequence, rising, and the bodies that fit to some of them.

    ``first`` is the number of its first run of frames before its first camera, in ``sequence``.
    """

    frames: Integers
    bodies: Annotated
    first: int

    @cached_property
    def runs(self) -> Integers:
        """In which run (N,) without a gap each frame is, from 0."""
        return runs(self.frames)

    @property
    def number_of_runs(self) -> int:
        """How many runs there are before each camera."""
        return int(self.runs[-1]) + 1


class H36mSource:
    """All files read and held against each other; samples are made from them piece by piece.

    A piece is a sequence before its four cameras, one camera after the other. What trains are the
    frames that have a body that fits; with ``mirror`` their mirror images follow, as before four
    more cameras. What tests is every frame that has joints and detections, as published numbers
    are of all of them; dense points are NaN where no body fits. Raises ValueError for files that
    are damaged or do not belong together.
    """

    def __init__(
        self,
        files: Files,
        detections: str = "cpn",
        coarsening: Coarsening = "exact_binary",
        mirror: bool = False,
        say: Say = lambda _: None,
    ) -> None:
        self._files, self._detections, self._coarsening = files, detections, coarsening
        self._mirror = mirror
        say(f"reading {files.poses_3d.name} and {files.poses_2d.name}")
        self._poses = read_poses_3d(files.poses_3d)
        self._detected = read_poses_2d(files.poses_2d)
        say(f"reading {files.smpl.name}")
        self._model = read_smpl(files.smpl)
        self._regressor = read_regressor(files.regressor)
        #: Frames that are no samples, and test frames that have no dense points, by the reason.
        self.left_out: Counter[str] = Counter()
        self.without_body: Counter[str] = Counter()
        self._bodies: dict[Name, Annotated] = {}
        for subject, (joints, bodies) in files.annotations.items():
            say(f"reading the bodies of {subject}")
            annotated = read_annotations(subject, joints, bodies)
            self._bodies |= {(subject, name): one for name, one in annotated.items()}
        say("holding the files against each other")
        self._check_join()
        self._plans: dict[Name, _Planned] = {}
        for name in self._names():
            self._plan(name)
        if not any(side_of(subject) == "train" for subject, _ in self._plans):
            raise ValueError(
                "nothing to train on: no frame of a training subject has joints, detections and a "
                "body that fits"
            )

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """A piece for each sequence."""
        return pieces(
            (" ".join(name), side_of(name[0]), len(plan.frames) * self._views(name[0]))
            for name, plan in self._plans.items()
        )

    @cached_property
    def origin(self) -> Mapping[str, Any]:
        """Files and settings."""
        return {
            "recipe": RECIPES["h36m"],
            "files": {name: digest(path) for name, path in self._files.all().items()},
            "coarsening": self._coarsening,
            "mirror": self._mirror,
            "fit_mm": MOST_FIT_MM,
        }

    @property
    def about(self) -> Mapping[str, Any]:
        """As ``Source.about``."""
        names = [" ".join(name) for name in self._plans]
        subjects = {name[0] for name in self._plans}
        counts: Counter[Side] = Counter()
        for (subject, _), plan in self._plans.items():
            counts[side_of(subject)] += len(plan.frames)
        without = self.without_body.total()
        return {
            "corpus": "h36m",
            "action_names": ACTIONS,
            "subject_names": SUBJECTS,
            "clip_names": names,
            "damaged": [name for name in map(" ".join, DAMAGED) if name in names],
            "image_size": IMAGE_SIZE,
            "fps": FPS,
            "cameras": NUM_CAMERAS,
            "detections": self._detections,
            "without_body": {why: count for why, count in self.without_body.items() if count},
            "description": (
                f"Human3.6M, {', '.join(s for s in SUBJECTS if s in subjects)}: {len(names)} "
                f"sequences before four cameras, {counts['train']} bodies train, "
                f"{counts['test']} frames test, {without} of them without a body, 2D by "
                f"{self._detections}, dense points of SMPL bodies within {MOST_FIT_MM:g} mm of the "
                f"markers ({self._coarsening})"
            ),
        }

    @cached_property
    def levels(self) -> BodyLevels:
        """The dense points on SMPL's mesh."""
        rest = self._model.template
        return body_levels(self._model.faces, rest, self._regressor @ rest, self._coarsening)

    def samples(self, piece: Piece) -> Samples:
        """As ``Source.samples``."""
        subject, sequence = name = split_name(piece.name)
        plan = self._plans[name]
        frames, bodies = plan.frames, plan.bodies
        joints = self._poses[name][frames].astype(np.float64)
        number = list(self._plans).index(name)
        points = np.full((len(frames), sum(LEVELS), 3), np.nan)
        points[np.searchsorted(frames, bodies.frame)] = self._points(bodies)
        detected = [as_17(view[frames]) for view in self._detected[name]]
        pairs = [*zip(cameras_of(subject), detected, strict=True)]
        seen = [before(camera, joints, points, flat) for camera, flat in pairs]
        if self._views(subject) > len(seen):
            # The mirrored world before the same cameras is the mirror image of what they see.
            points = self._points(mirrored(bodies, self._model)) * MIRROR
            seen += [flipped(before(camera, joints, points, flat)) for camera, flat in pairs]
        made: dict[str, NDArray[Any]] = {
            key: np.concatenate(views)
            for key, views in zip(_FLOATS, zip(*seen, strict=True), strict=True)
        }
        views, count = len(seen), len(frames)
        camera_ids = np.repeat(np.arange(views), count)
        made |= {
            "action": np.full(views * count, ACTIONS.index(action_of(sequence))),
            "subject": np.full(views * count, SUBJECTS.index(subject)),
            "clip": np.full(views * count, number),
            "camera": camera_ids,
            "frame": np.tile(frames, views),
            "sequence": plan.first + plan.number_of_runs * camera_ids + np.tile(plan.runs, views),
        }
        return as_samples(made)

    def _views(self, subject: str) -> int:
        """Of each body: mirror images are views, too."""
        return NUM_CAMERAS * (2 if self._mirror and side_of(subject) == "train" else 1)

    def _points(self, bodies: Annotated) -> NDArray[np.float64]:
        """Dense points (T, 336, 3) in the world, metres."""
        if not len(bodies):
            return np.empty((0, sum(LEVELS), 3))
        return posed(self._dense, bodies) + bodies.trans[:, None]

    def _check_join(self) -> None:
        numbered = {
            name: dict(zip(bodies.frame.tolist(), bodies.joints, strict=True))
            for name, bodies in self._bodies.items()
            if name not in DROPPED
        }
        wrong = check_join(numbered, self._poses)
        if wrong:
            raise ValueError(
                f"{self._files.poses_3d} and the annotations do not hold the same joints: "
                + "; ".join(map(str, wrong[:5]))
            )

    def _names(self) -> Iterator[Name]:
        """The sequences that can become pieces: what has bodies trains, what has joints tests."""
        for subject in SUBJECTS:
            of = self._bodies if side_of(subject) == "train" else self._poses
            yield from (name for name in of if name[0] == subject)
        for name in DROPPED:
            self.left_out["dropped by all"] += len(self._bodies.get(name, ()))

    def _plan(self, name: Name) -> None:
        """Which frames of a sequence become samples, if any; what is left out is counted."""
        tests = side_of(name[0]) == "test"
        bodies = self._bodies.get(name, NOBODY)
        if name not in self._detected:
            self.left_out["no detections"] += len(self._poses[name]) if tests else len(bodies)
            return
        where = f"{self._files.poses_2d}: {' '.join(name)}"
        count = len(self._poses[name])
        self._detected[name] = cut(self._detected[name], count, where)
        there = bodies.frame < count
        fits = fit_mm(self._joints, bodies) <= MOST_FIT_MM
        kept = bodies.only(there & fits)
        misfits = int((there & ~fits).sum())
        if tests:
            self.without_body[MISFIT] += misfits
            self.without_body[NO_BODY] += count - int(there.sum())
        else:
            self.left_out["beyond the motion"] += int((~there).sum())
            self.left_out[MISFIT] += misfits
        frames = np.arange(count) if tests else kept.frame
        if len(frames):
            first = max((self._after(one) for one in self._plans.items()), default=0)
            self._plans[name] = _Planned(frames, kept, first)

    def _after(self, planned: tuple[Name, _Planned]) -> int:
        """The number after the last run of a piece."""
        (subject, _), plan = planned
        return plan.first + plan.number_of_runs * self._views(subject)

    @cached_property
    def _dense(self) -> SmplPoints:
        return self._model.averaging(self.levels.means)

    @cached_property
    def _joints(self) -> SmplPoints:
        return self._model.averaging(self._regressor)


def split_name(name: str) -> Name:
    """A clip's subject and sequence."""
    subject, sequence = name.split(" ", 1)
    return subject, sequence
