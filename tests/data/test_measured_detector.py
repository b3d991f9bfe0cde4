"""The profile h36m draws the errors that were measured on Human3.6M, of bodies as they stand."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from hipart.config import DataConfig, DetectorConfig
from hipart.data.body import bodies, pose
from hipart.data.corpus import load_corpus
from hipart.data.detector import describe, detect
from hipart.data.measured_detector import (
    BEHIND,
    MEASURED,
    RADIUS_MM,
    behind,
    correlate,
    errors_of,
    measured_errors,
    misses,
)
from hipart.data.motion import read_motion
from hipart.data.open_corpus import lay_out
from hipart.data.truth import Truth, truth_of
from hipart.skeleton import JOINTS, NUM_JOINTS, OTHER_SIDE, PARENTS

H36M = DetectorConfig(profile="h36m")
DRAWN = 100_000


@pytest.fixture(scope="module")
def packaged() -> Truth:
    """The training frames of the packaged corpus, as drawn by default."""
    corpus = load_corpus(DataConfig(), DetectorConfig(kind="exact"))
    return truth_of(corpus.train, corpus.fps["train"])


@pytest.fixture(scope="module")
def many(packaged: Truth) -> Truth:
    """As many frames as the issue asks for, each alone: the corpus several times over."""
    row = np.arange(DRAWN) % len(packaged)
    alone = np.zeros(DRAWN, bool)
    return Truth(packaged.exact_2d[row], packaged.target_3d[row], alone, packaged.fps)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_errors_agree_with_the_measured_ones_within_five_percent(many: Truth) -> None:
    drawn, measured = errors_of(many, *detect(many, H36M, rng())), measured_errors()
    assert np.allclose(drawn.spread, measured.spread, rtol=0.05)
    # A mean of nearly nothing is judged by the spread around it.
    assert (np.abs(drawn.mean - measured.mean) < 0.05 * measured.spread + 1e-6).all()
    assert np.allclose(100 - drawn.outliers, 100 - measured.outliers, rtol=0.05)
    assert np.allclose(drawn.outliers, measured.outliers, rtol=0.05, atol=0.1)


def test_errors_grow_with_the_person(packaged: Truth) -> None:
    far = replace(packaged, exact_2d=packaged.exact_2d / 2)
    near, small = (detect(truth, H36M, rng())[0] - truth.exact_2d for truth in (packaged, far))
    assert np.allclose(near / 2, small, atol=1e-3)


def test_outliers_are_mirrored_or_missed(many: Truth) -> None:
    detected, outliers = detect(many, H36M, rng())
    box = np.ptp(many.exact_2d, axis=1)
    root, scale = np.sqrt(box.prod(axis=1)), box.max(axis=1) / 256
    off = np.linalg.norm(detected - many.exact_2d, axis=2)
    least, most = misses()[:, None] * root[:, None]
    missed = outliers & (off >= least - 1e-3) & (off <= most + 1e-3)
    other = np.linalg.norm(detected - many.exact_2d[:, list(OTHER_SIDE)], axis=2)
    mirrored = outliers & (other < 20 * scale[:, None])
    assert (outliers == (missed | mirrored)).all()
    wrist, foot, neck = (JOINTS.index(joint) for joint in ("RWrist", "RFoot", "Neck"))
    assert mirrored[:, foot].mean() == pytest.approx(0.07 * 6 / 11, rel=0.1)
    assert mirrored[:, wrist].mean() > 0.1 * 3 / 13 * 0.9
    assert missed[:, neck].mean() == pytest.approx(0.02, rel=0.1)


def test_what_is_missed_is_behind_the_body_where_enough_is(many: Truth) -> None:
    _, outliers = detect(many, H36M, rng())
    row, joint = np.indices(outliers.shape).reshape(2, -1)
    covered = behind(many, row, joint).reshape(outliers.shape)
    for name in ("RWrist", "LElbow", "LKnee"):
        at = JOINTS.index(name)
        assert outliers[covered[:, at], at].mean() > 5 * outliers[~covered[:, at], at].mean()


def test_a_hand_behind_the_back_is_hidden_and_one_before_it_is_not() -> None:
    """Standing, seen from the front at 1 px a mm: x right, y down, z away from the camera."""
    mm = np.zeros((2, NUM_JOINTS, 3), np.float32)
    spread = {"RKnee": (-100, 400), "LKnee": (100, 400), "Spine": (0, -250), "Thorax": (0, -500)}
    spread |= {"Neck": (0, -600), "Head": (0, -700), "RElbow": (-300, -300), "LElbow": (300, -300)}
    for name, place in spread.items():
        mm[:, JOINTS.index(name), :2] = place
    wrist = JOINTS.index("RWrist")
    mm[:, wrist] = [[20, -200, 300], [20, -200, -300]]
    truth = Truth(mm[..., :2] + 500, mm, np.zeros(2, bool), 30.0)
    assert behind(truth, np.array([0, 1]), np.array([wrist, wrist])).tolist() == [True, False]


def test_the_tables_are_those_of_the_packaged_body_and_corpus(packaged: Truth) -> None:
    row, joint = np.indices((len(packaged), NUM_JOINTS)).reshape(2, -1)
    share = behind(packaged, row, joint).reshape(-1, NUM_JOINTS).mean(axis=0)
    assert np.allclose(share, [BEHIND[name] for name in JOINTS], rtol=0.05, atol=0.001)

    track, body = lay_out(read_motion(None)), bodies()["reference"]
    some = rng().choice(len(track.root), 200, replace=False)
    points = 1000 * pose(track.root[some], track.rotations[some], body.levels).swapaxes(1, 2)
    skin = points[:, -len(body.points) :]
    away = []
    for end, start in list(enumerate(PARENTS))[1:]:
        bone = points[:, end] - points[:, start]
        from_start = skin - points[:, start, None]
        along = (from_start * bone[:, None]).sum(-1) / (bone**2).sum(-1)[:, None]
        nearest = along.clip(0, 1)[..., None] * bone[:, None]
        away.append(np.linalg.norm(from_start - nearest, axis=-1))
    distances = np.stack(away, axis=-1)
    closest, which = distances.min(axis=-1), distances.argmin(axis=-1)
    for at, name in enumerate(JOINTS[1:]):
        radius = RADIUS_MM[name] if name in RADIUS_MM else RADIUS_MM[name[1:]]
        assert np.median(closest[which == at]) == pytest.approx(radius, rel=0.15)


def test_errors_of_a_sequence_are_correlated_and_no_smaller(packaged: Truth) -> None:
    length, runs = 200, 100
    follows = np.arange(length * runs) % length > 0
    row = np.zeros(length * runs, int)
    still = Truth(packaged.exact_2d[row], packaged.target_3d[row], follows, 30.0)
    hip = 0  # never an outlier

    def error(config: DetectorConfig) -> np.ndarray:
        drawn = detect(still, config, rng())[0] - still.exact_2d
        return drawn[:, hip, 0].reshape(runs, length)

    lagged = error(H36M)
    assert np.corrcoef(lagged[:, 1:].ravel(), lagged[:, :-1].ravel())[0, 1] == pytest.approx(
        np.exp(-1 / 30 / 0.1), abs=0.02
    )
    alone = error(DetectorConfig(profile="h36m", correlation_s=0.0))
    assert abs(np.corrcoef(alone[:, 1:].ravel(), alone[:, :-1].ravel())[0, 1]) < 0.03
    assert lagged.std() == pytest.approx(alone.std(), rel=0.05)


def test_runs_go_on_over_what_is_drawn_at_once() -> None:
    """The autoregression written down row by row."""
    follows = rng(1).random(500) < 0.9
    fresh, last = rng(2).standard_normal((500, 3), np.float32), np.ones(3, np.float32)
    expected, before = [], last
    for row, goes_on in zip(fresh, follows, strict=True):
        before = 0.8 * before + 0.6 * row if goes_on else row
        expected.append(before)
    drawn = fresh.copy()
    correlate(drawn, follows, 0.8, last)
    assert np.allclose(drawn, expected, atol=1e-5)


def test_the_same_seed_gives_the_same_detections(packaged: Truth) -> None:
    one, two, other = (detect(packaged, H36M, rng(seed))[0] for seed in (0, 0, 1))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_the_footer_says_what_is_simulated() -> None:
    text = describe(H36M)
    for word in ("SIMULATED", "Human3.6M", "0.1 s", "seed 0"):
        assert word in text
    assert "every frame's alone" in describe(DetectorConfig(profile="h36m", correlation_s=0.0))


def test_every_joint_was_measured() -> None:
    assert set(MEASURED) == set(JOINTS) == set(BEHIND)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"profile": "h36m", "noise_px": 3.0}, "noise_px 3 is of profile uniform"),
        ({"profile": "uniform", "correlation_s": 0.5}, "correlation_s 0.5 is of profile h36m"),
    ],
)
def test_a_setting_of_the_other_profile_is_refused(settings: dict, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        DetectorConfig(**settings)
