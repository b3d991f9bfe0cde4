"""A bundle as MLflow's ``pyfunc`` loads it: named in MLmodel, imported where hipart is installed.

``{"poses": (N, 17, 2) pixels, "image_size": (2,) width and height}`` in, (N, 17, 3) millimetres
from the root joint out. A temporal lifter takes the poses for consecutive frames of one film.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hipart.predictor import Floats, Predictor

INPUTS = ("poses", "image_size")


class BundleModel:
    """What MLflow calls."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def predict(self, arrays: Mapping[str, NDArray[Any]]) -> Floats:
        """Lift; raises ValueError for other arrays than the signature's."""
        missing = [name for name in INPUTS if name not in arrays]
        if missing:
            raise ValueError(f"no array {missing[0]!r}; needed are {INPUTS}")
        poses, size = (np.asarray(arrays[name]) for name in INPUTS)
        return self._predictor.predict(poses, tuple(size.tolist()))["pose_3d_mm"]


def _load_pyfunc(data_path: str) -> BundleModel:
    """What MLflow looks for in this module."""
    return BundleModel(Predictor.load(Path(data_path)))
