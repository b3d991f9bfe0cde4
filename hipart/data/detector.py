"""Simulated 2D detections. No image is seen: errors are drawn to resemble a detector's.

The profile ``h36m`` is that of ``measured_detector``. Under ``uniform`` every joint gets Gaussian
noise, more at wrists and ankles. In a share of the samples something is hidden, a rectangle or a
limb; a hidden joint slides towards a joint that a detector may mistake for it (a neighbour along
the limb, or its mirror image), and scatters with heavy tails.
"""

import math

import numpy as np
from numpy.typing import NDArray

from hipart.config import DetectorConfig
from hipart.data.measured_detector import simulate
from hipart.data.truth import Truth
from hipart.skeleton import LEFT, NUM_JOINTS, PARENTS, RIGHT

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

EXTREMITIES = (3, 6, 13, 16)
#: What hiding a limb hides: knee and foot, or elbow and wrist.
LIMBS = ([2, 3], [5, 6], [12, 13], [15, 16])
#: Degrees of freedom of Student's t: tails heavy enough for gross errors, finite variance.
TAIL = 3.0
#: Sides of the hiding rectangle as shares of the person's larger side.
RECTANGLE = (0.15, 0.5)
ROWS_AT_ONCE = 1 << 15


def detect(truth: Truth, config: DetectorConfig, rng: np.random.Generator) -> tuple[Floats, Mask]:
    """Detections (N, 17, 2) px of true joints, and which were hidden or taken for another (N, 17).

    A function of its arguments alone: the same generator state gives the same detections.
    """
    exact = truth.exact_2d
    if config.kind == "exact" or not len(exact):
        return exact.copy(), np.zeros(exact.shape[:2], bool)
    if config.profile == "h36m":
        step_s = 1 / truth.fps
        correlation = math.exp(-step_s / config.correlation_s) if config.correlation_s else 0.0
        parts = list(simulate(truth, correlation, rng))
    else:
        parts = [
            _simulate(exact[start : start + ROWS_AT_ONCE], config, rng)
            for start in range(0, len(exact), ROWS_AT_ONCE)
        ]
    detected, hidden = zip(*parts, strict=True)
    return np.concatenate(detected), np.concatenate(hidden)


def detect_again(truth: Truth, config: DetectorConfig, side: int, epoch: int) -> Floats:
    """Detections (N, 17, 2) px of a side's joints as an epoch of training sees them.

    A function of seed, side, epoch and place among the samples, and so the same after a restart;
    other ones than ``detect`` gives for what is generated, lifted and measured.
    """
    return detect(truth, config, np.random.default_rng([config.seed, side, 1, epoch]))[0]


def describe(config: DetectorConfig) -> str:
    """What a table's footer says about the detections."""
    if config.kind == "exact":
        return "exact 2D joints, no detector"
    again = ", in training anew every epoch" if config.training_draws == "every_epoch" else ""
    if config.profile == "h36m":
        together = (
            f"correlated over {config.correlation_s:g} s of a sequence"
            if config.correlation_s
            else "every frame's alone"
        )
        return (
            "SIMULATED detections: errors, mirrored and missed joints as measured on Human3.6M, "
            f"growing with the person, {together}, seed {config.seed}{again}"
        )
    return (
        f"SIMULATED detections: noise {config.noise_px:g} px (wrists and ankles "
        f"x{config.extremity_factor:g}), joints hidden in {config.occlusion_probability:.0%} of "
        f"samples and drifting {config.occlusion_drift_px:g} px, seed {config.seed}{again}"
    )


def _simulate(
    exact: Floats, config: DetectorConfig, rng: np.random.Generator
) -> tuple[Floats, Mask]:
    scale = np.full(NUM_JOINTS, config.noise_px, np.float32)
    scale[list(EXTREMITIES)] *= config.extremity_factor
    noise = scale[:, None] * rng.standard_normal(exact.shape, np.float32)
    hidden = hide(exact, config.occlusion_probability, rng)
    detected = exact + noise
    row, joint = np.nonzero(hidden)
    detected[row, joint] += _drift(exact, row, joint, config.occlusion_drift_px, rng)
    return detected, hidden


def hide(exact: Floats, probability: float, rng: np.random.Generator) -> Mask:
    """Joints (N, 17) that are hidden: each sample with this probability, by rectangle or limb."""
    count = len(exact)
    occluded, by_limb = rng.random(count) < probability, rng.random(count) < 0.5
    size = np.ptp(exact, axis=1).max(axis=1)[:, None]
    half = size * rng.uniform(*RECTANGLE, (count, 2)) / 2
    around = exact[np.arange(count), rng.integers(NUM_JOINTS, size=count)]
    centre = around + half * rng.uniform(-1, 1, (count, 2))
    rectangle = (np.abs(exact - centre[:, None]) <= half[:, None]).all(axis=2)
    limbs = np.zeros((len(LIMBS), NUM_JOINTS), bool)
    for row, joints in enumerate(LIMBS):
        limbs[row, joints] = True
    limb = limbs[rng.integers(len(LIMBS), size=count)]
    return np.asarray(np.where(by_limb[:, None], limb, rectangle) & occluded[:, None])


def _drift(
    exact: Floats,
    row: NDArray[np.intp],
    joint: NDArray[np.intp],
    drift: float,
    rng: np.random.Generator,
) -> Floats:
    """Displacement (M, 2) of hidden joints: towards a confusable joint, never past it; scatter."""
    table = confusable()
    choice = table[joint, rng.integers(table.shape[1], size=len(joint))]
    way = exact[row, choice] - exact[row, joint]
    distance = np.linalg.norm(way, axis=1, keepdims=True) + 1e-6
    slide = np.minimum(drift * np.abs(rng.standard_t(TAIL, (len(joint), 1))) / distance, 1)
    scatter = drift / 2 * rng.standard_t(TAIL, way.shape)
    return np.asarray(slide * way + scatter, dtype=np.float32)


def confusable() -> NDArray[np.int64]:
    """Three joints for which each joint (17, 3) may be taken: parent, child, mirror image."""
    mirror = dict(zip((*LEFT, *RIGHT), (*RIGHT, *LEFT), strict=True))
    rows = []
    for joint, parent in enumerate(PARENTS):
        below = PARENTS.index(joint) if joint in PARENTS else parent
        above = parent if parent >= 0 else below
        rows.append((above, below, mirror.get(joint, above)))
    return np.array(rows)
