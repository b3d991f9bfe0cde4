"""The arrays that every corpus yields."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hipart.data.splits import Side
from hipart.skeleton import NUM_JOINTS

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]


def runs(frame: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """In which run (N,) without a gap each of these rising frames (N,) is, from 0."""
    return np.cumsum(np.diff(frame, prepend=frame[:1] - 1) != 1)


@dataclass(frozen=True)
class Samples:
    """N camera frames. 2D in pixels; 3D in the camera frame, millimetres, relative to the hip.

    ``detected_2d`` is what a lifter gets to see, ``exact_2d`` the projection it stands for.
    ``action``, ``subject``, ``clip`` index the corpus's name tables; ``frame`` counts in the clip.
    Rows of one ``sequence`` are one performance before one camera, without a gap between its
    frames. Where whole sequences were drawn, they lie one after another, each with its consecutive
    frames in order. Dense, fine and finest points are NaN in test frames that no body fits.
    """

    detected_2d: Floats  # (N, 17, 2)
    exact_2d: Floats  # (N, 17, 2)
    dense_2d: Floats  # (N, 48, 2)
    fine_2d: Floats  # (N, 96, 2)
    finest_2d: Floats  # (N, 192, 2)
    target_3d: Floats  # (N, 17, 3)
    action: Integers  # (N,)
    subject: Integers  # (N,)
    clip: Integers  # (N,)
    camera: Integers  # (N,)
    frame: Integers  # (N,)
    sequence: Integers  # (N,)

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def fitted(self) -> NDArray[np.bool_]:
        """Which samples (N,) have dense points: those that a body was fitted to."""
        return ~np.isnan(self.dense_2d[:, 0, 0])

    def take(self, index: NDArray[Any] | slice) -> "Samples":
        """The rows that ``index`` selects (integers, a mask or a slice)."""
        return Samples(**{field.name: getattr(self, field.name)[index] for field in fields(self)})


@dataclass(frozen=True, eq=False)
class Corpus:
    """All sides of a split, the name tables, and what to print about them.

    Compared and hashed as an object, so that what is derived from it can be kept beside it.
    """

    train: Samples
    test: Samples
    #: None where nothing is held out of training.
    validation: Samples | None
    action_names: tuple[str, ...]
    subject_names: tuple[str, ...]
    clip_names: tuple[str, ...]
    #: Width and height, pixels.
    image_size: tuple[int, int]
    #: Frames a second of each side: a test set may have another rate than what trains for it.
    fps: Mapping[Side, float]
    #: Of the motion and body files; see ``hipart.data.corpus.fingerprint``.
    fingerprint: str
    #: One line for a table's footer.
    description: str
    #: Names of clips whose markers are known to be wrong; published numbers include them.
    damaged: frozenset[str] = frozenset()
    #: Over which joints errors are measured.
    joints: tuple[int, ...] = tuple(range(NUM_JOINTS))
    #: Joints whose middle predictions are made relative to; empty where they stay as they are,
    #: relative to a hip that is predicted, too.
    root: tuple[int, ...] = ()
    #: Whether bodies were fitted to a part of the test frames alone: dense points of the others
    #: are NaN, and errors are given over those that have a body, too.
    partly_fitted: bool = False

    def side(self, side: Side) -> Samples:
        """The samples of a side. ValueError where that is validation and nothing is held out."""
        found = {"train": self.train, "test": self.test, "validation": self.validation}[side]
        if found is None:
            raise ValueError(
                "there are no validation samples, for nothing is held out of training; "
                "set data.validation_samples"
            )
        return found

    def sound(self, samples: Samples) -> NDArray[np.bool_]:
        """Which of some samples (N,) are of no damaged clip."""
        damaged = [at for at, name in enumerate(self.clip_names) if name in self.damaged]
        return ~np.isin(samples.clip, damaged)
