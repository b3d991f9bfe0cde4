"""What a file asks for, and what is found for it."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hipart.predictor import POSE


class Asked(NamedTuple):
    """Poses (N, 17, 2) in pixels, and what else a file says of them, not checked any further."""

    poses: NDArray[Any]
    #: Width and height.
    image_size: tuple[int, ...] | None = None
    #: The film of each pose.
    sequence: NDArray[Any] | None = None


class Found(NamedTuple):
    """The poses that were asked for, and everything that ``Predictor.predict`` returned."""

    poses: NDArray[Any]
    answers: dict[str, NDArray[np.float32]]

    @property
    def joints_mm(self) -> NDArray[np.float32]:
        """(N, 17, 3): x right, y down, z away from the camera."""
        return self.answers[POSE]

    @property
    def upright_mm(self) -> NDArray[np.float32]:
        """The same with y up and z towards the camera, as animation programs have it."""
        return self.joints_mm * np.array([1, -1, -1], np.float32)
