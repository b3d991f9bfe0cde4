"""What a detector is shown: where the joints of a person truly are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hipart.data.samples import Samples

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Truth:
    """N camera frames: joints in the image, pixels, and before the camera, mm from the hip.

    ``follows`` says which rows show the frame after that of the row before them.
    """

    exact_2d: Floats  # (N, 17, 2)
    target_3d: Floats  # (N, 17, 3)
    follows: Mask  # (N,)
    fps: float

    def __len__(self) -> int:
        return len(self.exact_2d)

    def rows(self, chosen: slice) -> "Truth":
        """Some of the rows."""
        return Truth(self.exact_2d[chosen], self.target_3d[chosen], self.follows[chosen], self.fps)


def truth_of(samples: Samples, fps: float) -> Truth:
    """What samples, taken ``fps`` times a second, show."""
    follows = np.zeros(len(samples), bool)
    same = samples.sequence[1:] == samples.sequence[:-1]
    follows[1:] = same & (samples.frame[1:] == samples.frame[:-1] + 1)
    return Truth(samples.exact_2d, samples.target_3d, follows, fps)
