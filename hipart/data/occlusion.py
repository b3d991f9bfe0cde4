"""Hidden joints at test time: what a detector says about a joint that it cannot see.

There are no images here, so occlusion is simulated on joints: a joint under a mask is detected
anywhere in what is left of the person's box, one beyond a crop at the crop's edge.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hipart.config import OcclusionConfig

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: The person's box is this much wider than the joints, on each side.
MARGIN = 0.1
#: A mask takes whole cells of a grid of this many by this many over the box.
CELLS = 8


def occlude(
    detected: Floats, exact: Floats, config: OcclusionConfig
) -> Iterator[tuple[Floats, Mask]]:
    """Views of the same samples: detections (N, 17, 2) in pixels, and which joints are hidden.

    ``mask`` and ``crop`` give one view; ``patch`` gives one for every joint that the square is
    centred on. ``exact`` tells where joints are, ``detected`` what is seen of those not hidden.
    """
    generator = np.random.default_rng([config.seed, 7])
    low, high = exact.min(axis=1), exact.max(axis=1)
    margin = MARGIN * (high - low)
    low, high = low - margin, high + margin
    if config.kind == "mask":
        yield _masked(detected, exact, low, high, config.ratio, generator)
    elif config.kind == "crop":
        yield _cropped(detected, exact, low, high, config.ratio, generator)
    elif config.kind == "patch":
        for joint in range(exact.shape[1]):
            away = np.abs(exact - exact[:, joint : joint + 1]).max(axis=2)
            hidden = away <= config.patch_px / 2
            yield _anywhere(detected, hidden, low, high, generator), hidden
    else:
        yield detected, np.zeros(detected.shape[:2], bool)


def _masked(
    detected: Floats,
    exact: Floats,
    low: Floats,
    high: Floats,
    ratio: float,
    generator: np.random.Generator,
) -> tuple[Floats, Mask]:
    count = round(ratio * CELLS**2)
    cells = generator.random((len(exact), CELLS**2)).argsort(axis=1) < count
    place = (exact - low[:, None]) / (high - low)[:, None]
    index = np.clip((place * CELLS).astype(int), 0, CELLS - 1)
    hidden: Mask = np.take_along_axis(cells, index[..., 1] * CELLS + index[..., 0], axis=1)
    return _anywhere(detected, hidden, low, high, generator), hidden


def _cropped(
    detected: Floats,
    exact: Floats,
    low: Floats,
    high: Floats,
    ratio: float,
    generator: np.random.Generator,
) -> tuple[Floats, Mask]:
    """Cut ``ratio`` of the box off one of its four sides, drawn per sample."""
    side = generator.integers(0, 4, len(exact))
    rows, axis = np.arange(len(exact)), side % 2
    low, high = low.copy(), high.copy()
    cut = ratio * (high - low)[rows, axis]
    from_low = side < 2
    low[rows[from_low], axis[from_low]] += cut[from_low]
    high[rows[~from_low], axis[~from_low]] -= cut[~from_low]
    outside = (exact < low[:, None]) | (exact > high[:, None])
    hidden: Mask = np.asarray(outside.any(axis=2))
    at_edge = np.clip(detected, low[:, None], high[:, None])
    return np.where(hidden[..., None], at_edge, detected).astype(np.float32), hidden


def _anywhere(
    detected: Floats, hidden: Mask, low: Floats, high: Floats, generator: np.random.Generator
) -> Floats:
    chance = generator.random(detected.shape)
    somewhere = low[:, None] + chance * (high - low)[:, None]
    return np.where(hidden[..., None], somewhere, detected).astype(np.float32)
