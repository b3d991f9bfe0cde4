"""Hidden joints: which, where they are then detected, and how often."""

import numpy as np
import pytest

from hipart.config import OcclusionConfig
from hipart.data.occlusion import MARGIN, occlude

RNG = np.random.default_rng(0)
EXACT = (500 + 100 * RNG.standard_normal((400, 17, 2))).astype(np.float32)
DETECTED = (EXACT + RNG.standard_normal(EXACT.shape)).astype(np.float32)


def views(**settings: object) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(occlude(DETECTED, EXACT, OcclusionConfig(**settings)))


def box() -> tuple[np.ndarray, np.ndarray]:
    low, high = EXACT.min(axis=1), EXACT.max(axis=1)
    margin = MARGIN * (high - low)
    return low - margin, high + margin


def test_nothing_is_hidden_by_default() -> None:
    ((seen, hidden),) = views()
    assert (seen == DETECTED).all()
    assert not hidden.any()


@pytest.mark.parametrize(
    "settings",
    [{"kind": "mask", "ratio": 0.4}, {"kind": "crop", "ratio": 0.3}, {"kind": "patch"}],
)
def test_visible_joints_stay_and_hidden_ones_stay_in_the_box(settings: dict) -> None:
    low, high = box()
    for seen, hidden in views(**settings):
        assert (seen[~hidden] == DETECTED[~hidden]).all()
        assert hidden.any()
        moved = np.where(hidden[..., None], seen, EXACT)
        assert (moved >= low[:, None] - 1e-3).all()
        assert (moved <= high[:, None] + 1e-3).all()


@pytest.mark.parametrize("ratio", [0.0, 0.2, 0.8])
def test_a_mask_hides_its_share(ratio: float) -> None:
    ((_, hidden),) = views(kind="mask", ratio=ratio)
    assert hidden.mean() == pytest.approx(ratio, abs=0.03)


def test_a_larger_crop_hides_the_same_joints_and_more() -> None:
    ((_, small),) = views(kind="crop", ratio=0.15)
    ((_, large),) = views(kind="crop", ratio=0.3)
    assert (large | ~small).all()
    assert large.sum() > small.sum()


def test_a_patch_stands_on_every_joint_once() -> None:
    found = views(kind="patch", patch_px=40.0)
    assert len(found) == 17
    for joint, (_, hidden) in enumerate(found):
        assert hidden[:, joint].all()
        away = np.abs(EXACT - EXACT[:, joint : joint + 1]).max(axis=2)
        assert (hidden == (away <= 20)).all()


def test_the_seed_decides() -> None:
    for kind in ("mask", "crop"):
        first, again = (views(kind=kind, ratio=0.3)[0][0] for _ in range(2))
        assert (first == again).all()
        assert (first != views(kind=kind, ratio=0.3, seed=1)[0][0]).any()
