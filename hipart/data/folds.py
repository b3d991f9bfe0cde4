"""Training samples in parts of whole clips: a model can be asked about what it did not see."""

import numpy as np
from numpy.typing import NDArray

from hipart.data.samples import Integers


def parts_of(clip: Integers, folds: int) -> NDArray[np.int64]:
    """The part, counted from 1, of each sample (N,) by its ``clip`` (N,).

    A clip is in one part with all its placements, cameras and mirror images: neighbouring frames
    are nearly equal, and so is a pose from another side. Clips go to the part that has the fewest
    samples so far, those of the most samples first, the earlier of equal ones: a fixed rule, no
    chance in it. A clip that is longer than a part should be makes parts uneven.

    Raises ValueError where there are fewer clips than parts.
    """
    clips, sizes = np.unique(clip, return_counts=True)
    if folds > len(clips):
        raise ValueError(
            f"densify.folds (or prior.fold) cuts the {len(clip)} training samples into {folds} "
            f"parts of whole clips, and they come of {len(clips)}; "
            + (f"take at most {len(clips)}" if len(clips) > 1 else "set it to null")
        )
    held = np.zeros(folds, np.int64)
    part = np.empty(len(clips), np.int64)
    for index in np.argsort(-sizes, kind="stable"):
        part[index] = held.argmin()
        held[part[index]] += sizes[index]
    return part[np.searchsorted(clips, clip)] + 1
