"""Simulated detections have the statistics that their settings name."""

import numpy as np
import pytest

from hipart.config import DetectorConfig
from hipart.data import detector
from hipart.data.detector import EXTREMITIES, confusable, describe, hide
from hipart.data.truth import Truth
from hipart.skeleton import NUM_JOINTS

COUNT = 20_000
BODY = sorted(set(range(NUM_JOINTS)) - set(EXTREMITIES))


@pytest.fixture(scope="module")
def exact() -> np.ndarray:
    person = np.random.default_rng(0).uniform([400, 300], [600, 700], (NUM_JOINTS, 2))
    return np.tile(person.astype(np.float32), (COUNT, 1, 1))


def detect(
    exact: np.ndarray, config: DetectorConfig, chance: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Of single frames whose depth nobody asks for."""
    flat = np.zeros((*exact.shape[:2], 3), np.float32)
    shown = Truth(exact, flat, np.zeros(len(exact), bool), 30.0)
    return detector.detect(shown, config, chance)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_core_is_gaussian_with_the_asked_deviation(exact: np.ndarray) -> None:
    config = DetectorConfig(noise_px=5, extremity_factor=2, occlusion_probability=0)
    detected, hidden = detect(exact, config, rng())
    error = detected - exact
    assert not hidden.any()
    assert np.allclose(error[:, BODY].std(axis=(0, 2)), 5, rtol=0.03)
    assert np.allclose(error[:, EXTREMITIES].std(axis=(0, 2)), 10, rtol=0.03)
    assert np.abs(error.mean(axis=0)).max() < 0.3


def test_a_footer_says_what_is_hidden_of_what() -> None:
    assert "joints hidden in 30% of samples and drifting 25 px" in describe(DetectorConfig())


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_the_share_of_occluded_samples(exact: np.ndarray, probability: float) -> None:
    share = hide(exact, probability, rng()).any(axis=1).mean()
    assert share == pytest.approx(probability, abs=0.02)


def test_something_stays_visible_and_every_joint_is_hidden_at_times(exact: np.ndarray) -> None:
    hidden = hide(exact, 1.0, rng())
    assert hidden.any(axis=0).all()
    assert 1 < hidden.sum(axis=1).mean() < NUM_JOINTS / 2


def test_hidden_joints_drift_further_and_with_heavier_tails(exact: np.ndarray) -> None:
    config = DetectorConfig(noise_px=1, occlusion_probability=0.5, occlusion_drift_px=25)
    detected, hidden = detect(exact, config, rng())
    error = np.linalg.norm(detected - exact, axis=2)
    assert np.median(error[hidden]) > 10 * np.median(error[~hidden])
    assert np.percentile(error[hidden], 99) > 4 * np.median(error[hidden])
    none = detect(exact, config.model_copy(update={"occlusion_drift_px": 0.0}), rng())[0]
    assert np.linalg.norm(none - exact, axis=2)[hidden].max() < 10


def test_a_hidden_joint_slides_towards_one_it_may_be_taken_for() -> None:
    two = np.zeros((COUNT, NUM_JOINTS, 2), np.float32)
    two[:, 13] = [100, 0]  # the left wrist, alone to the right
    config = DetectorConfig(noise_px=0, occlusion_probability=1, occlusion_drift_px=20)
    detected, hidden = detect(two, config, rng())
    assert detected[hidden[:, 13], 13, 0].mean() < 90


def test_confusable_joints_are_others() -> None:
    table = confusable()
    assert table.shape == (NUM_JOINTS, 3)
    assert not (table == np.arange(NUM_JOINTS)[:, None]).any()
    assert set(table[12]) == {11, 13, 15}, "left elbow: shoulder, wrist, right elbow"


def test_an_exact_detector_is_exact(exact: np.ndarray) -> None:
    config = DetectorConfig(kind="exact")
    detected, hidden = detect(exact, config, rng())
    assert np.array_equal(detected, exact)
    assert detected is not exact
    assert not hidden.any()
    assert "SIMULATED" not in describe(config)


def test_the_same_generator_gives_the_same_detections(exact: np.ndarray) -> None:
    one, two, other = (detect(exact, DetectorConfig(), rng(seed))[0] for seed in (0, 0, 1))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_no_samples_no_detections(exact: np.ndarray) -> None:
    detected, hidden = detect(exact[:0], DetectorConfig(), rng())
    assert detected.shape == (0, NUM_JOINTS, 2)
    assert hidden.shape == (0, NUM_JOINTS)


def test_the_footer_names_every_parameter() -> None:
    text = describe(DetectorConfig())
    for word in ("SIMULATED", "5 px", "1.6", "30%", "25 px", "seed 0"):
        assert word in text
