"""Errors of 3D poses against independent references, and usage of codebooks."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial import procrustes as scipy_procrustes
from scipy.spatial.transform import Rotation

from hipart.flip import flip
from hipart.metrics import (
    action_mean,
    auc,
    codebook_usage_pct,
    dead_codes,
    frame_mean,
    mpjpe,
    mpjve,
    n_mpjpe,
    p_mpjpe,
    pck,
    per_action,
    perplexity,
    procrustes,
    scaled,
    token_histogram,
    within_part_error,
)
from hipart.skeleton import OTHER_SIDE

ACTIONS = ("Sitting", "SittingDown", "Walk")


@pytest.fixture
def poses() -> tuple[torch.Tensor, torch.Tensor]:
    """Predictions and targets, 20 x 17 joints in metres."""
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(20, 17, 3, generator=generator, dtype=torch.float64) * 0.5
    return target + 0.3 * torch.randn(20, 17, 3, generator=generator, dtype=torch.float64), target


def similar(poses: torch.Tensor, scale: float = 1.7) -> torch.Tensor:
    rotation = torch.from_numpy(Rotation.from_euler("xyz", [20, -50, 130], True).as_matrix())
    return scale * poses @ rotation.T + torch.tensor([1.0, -2.0, 3.0], dtype=poses.dtype)


def test_mpjpe_is_in_millimetres_per_sample(poses: tuple[torch.Tensor, torch.Tensor]) -> None:
    pred, target = poses
    assert torch.equal(mpjpe(target, target), torch.zeros(20, dtype=torch.float64))
    offset = torch.tensor([0.003, 0.004, 0.0], dtype=torch.float64)
    assert torch.allclose(mpjpe(target + offset, target), torch.full((20,), 5.0).double())
    by_hand = 1000 * np.sqrt(((pred - target).numpy() ** 2).sum(-1)).mean(-1)
    assert np.abs(mpjpe(pred, target).numpy() - by_hand).max() < 1e-9


def kabsch_reference(pred: np.ndarray, target: np.ndarray) -> float:
    """P-MPJPE of one sample: the rotation by scipy, the scale by least squares."""
    x, y = pred - pred.mean(0), target - target.mean(0)
    rotation, _ = Rotation.align_vectors(y, x)
    turned = rotation.apply(x)
    scale = (turned * y).sum() / (x**2).sum()
    return float(1000 * np.linalg.norm(scale * turned - y, axis=-1).mean())


def test_p_mpjpe_equals_an_independent_alignment(
    poses: tuple[torch.Tensor, torch.Tensor],
) -> None:
    pred, target = poses
    expected = [kabsch_reference(p, t) for p, t in zip(pred.numpy(), target.numpy(), strict=True)]
    assert np.abs(p_mpjpe(pred, target).numpy() - expected).max() < 1e-9
    mirrored = pred * torch.tensor([-1.0, 1.0, 1.0])
    expected = [
        kabsch_reference(p, t) for p, t in zip(mirrored.numpy(), target.numpy(), strict=True)
    ]
    assert np.abs(p_mpjpe(mirrored, target).numpy() - expected).max() < 1e-9


def test_ten_thousand_alignments_equal_independent_ones_and_never_mirror() -> None:
    """E2 and E3, half of the predictions mirrored so that a reflection would fit them best."""
    generator = torch.Generator().manual_seed(2)
    target = torch.randn(10_000, 17, 3, generator=generator, dtype=torch.float64) * 0.3
    pred = target + 0.2 * torch.randn(target.shape, generator=generator, dtype=torch.float64)
    pred = similar(torch.cat([flip(pred[:5000]), pred[5000:]]))
    expected = [kabsch_reference(p, t) for p, t in zip(pred.numpy(), target.numpy(), strict=True)]
    assert np.abs(p_mpjpe(pred, target).numpy() - expected).max() < 1e-6
    x, aligned = (pose - pose.mean(1, keepdim=True) for pose in (pred, procrustes(pred, target)))
    fitted = torch.linalg.lstsq(x, aligned).solution
    size = torch.linalg.det(fitted).abs() ** (1 / 3)
    rotation = fitted / size[:, None, None]
    assert torch.allclose(torch.linalg.det(rotation), torch.ones_like(size), atol=1e-9)
    assert torch.allclose(rotation @ rotation.mT, torch.eye(3).double().expand_as(rotation))


def test_p_mpjpe_equals_procrustes_where_no_reflection_helps(
    poses: tuple[torch.Tensor, torch.Tensor],
) -> None:
    pred, target = poses
    for p, t in zip(pred.numpy(), target.numpy(), strict=True):
        if np.linalg.det((p - p.mean(0)).T @ (t - t.mean(0))) <= 0:
            continue  # scipy would mirror
        a, b, _ = scipy_procrustes(t, p)
        size = np.linalg.norm(t - t.mean(0))
        error = 1000 * size * np.linalg.norm(a - b, axis=-1).mean()
        ours = p_mpjpe(torch.from_numpy(p)[None], torch.from_numpy(t)[None])
        assert float(ours) == pytest.approx(error, abs=1e-9)


def test_p_mpjpe_ignores_similarities_but_not_mirrors(
    poses: tuple[torch.Tensor, torch.Tensor],
) -> None:
    pred, target = poses
    assert torch.allclose(p_mpjpe(similar(pred), target), p_mpjpe(pred, target), atol=1e-9)
    assert p_mpjpe(similar(target), target).max() < 1e-9
    mirrored = similar(target) * torch.tensor([-1.0, 1.0, 1.0])
    assert p_mpjpe(mirrored, target).min() > 100
    assert (p_mpjpe(pred, target) <= mpjpe(pred, target)).all()


def test_p_mpjpe_of_a_collapsed_prediction_is_finite() -> None:
    target = torch.randn(3, 17, 3, generator=torch.Generator().manual_seed(1))
    errors = p_mpjpe(torch.zeros(3, 17, 3), target)
    centred = target - target.mean(1, keepdim=True)
    assert torch.allclose(errors, 1000 * centred.norm(dim=-1).mean(-1))
    assert errors.dtype == torch.float32


def test_n_mpjpe_fits_the_scale_alone(poses: tuple[torch.Tensor, torch.Tensor]) -> None:
    """E4: the formula sample by sample, and that it is the best there is."""
    pred, target = poses
    for p, t, error in zip(pred.numpy(), target.numpy(), n_mpjpe(pred, target), strict=True):
        scale = (p * t).sum() / (p * p).sum()
        by_hand = 1000 * np.sqrt(((scale * p - t) ** 2).sum(-1)).mean()
        assert float(error) == pytest.approx(by_hand, abs=1e-9)
    best = ((scaled(pred, target) - target) ** 2).sum((1, 2))
    for factor in (0.99, 1.01):
        assert (((factor * scaled(pred, target) - target) ** 2).sum((1, 2)) > best).all()
    assert torch.allclose(n_mpjpe(1.7 * pred, target), n_mpjpe(pred, target))
    assert n_mpjpe(1.7 * target, target).max() < 1e-9
    assert n_mpjpe(similar(target), target).min() > 1
    at_root = n_mpjpe(torch.zeros_like(target), target)
    assert torch.allclose(at_root, mpjpe(torch.zeros_like(target), target))


def test_pck_and_auc_of_joints_off_by_known_distances() -> None:
    """As ``mpii_compute_3d_pck.m``: below a threshold, not at it; 31 thresholds from 0 mm on."""
    off = torch.tensor([[0.0, 0.125, 0.15, 0.2], [0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    target = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(3)).double()
    target[..., 0] = 0
    pred = target.clone()
    pred[..., 0] = off
    assert pck(pred, target).tolist() == [50.0, 100.0]
    # 30 thresholds are above 0 mm, 5 above 125 mm (130 to 150), none above 150 mm.
    assert auc(pred, target).tolist() == pytest.approx([100 * 35 / 4 / 31, 100 * 30 / 31])


def test_auc_is_the_mean_of_pck_over_its_thresholds(
    poses: tuple[torch.Tensor, torch.Tensor],
) -> None:
    pred, target = poses
    pred = target + 0.2 * (pred - target)
    off = 1000 * np.linalg.norm(pred - target, axis=-1)
    curve = [100 * (off < limit).mean(-1) for limit in np.linspace(0, 150, 31)]
    assert np.abs(auc(pred, target).numpy() - np.mean(curve, axis=0)).max() < 1e-9
    assert np.abs(pck(pred, target).numpy() - curve[-1]).max() < 1e-9
    assert auc(pred, target).min() > 5 and auc(pred, target).max() < 95


def test_mpjve_is_the_error_of_steps(poses: tuple[torch.Tensor, torch.Tensor]) -> None:
    pred, target = poses
    assert mpjve(target + 5, target).max() < 1e-9, "what stands off does not move"
    drift = torch.arange(20).double()[:, None, None] * torch.tensor([0.003, 0.004, 0.0]).double()
    assert torch.allclose(mpjve(target + drift, target), torch.full((19,), 5.0).double())
    steps = np.diff(pred.numpy(), axis=0) - np.diff(target.numpy(), axis=0)
    by_hand = 1000 * np.sqrt((steps**2).sum(-1)).mean(-1)
    assert np.abs(mpjve(pred, target).numpy() - by_hand).max() < 1e-9


def test_per_action_equals_a_hand_table() -> None:
    errors = torch.tensor([10.0, 20.0, 60.0, 5.0])
    actions = torch.tensor([0, 0, 1, 2])
    by_action = per_action(errors, actions, ACTIONS)
    assert by_action == {"Sitting": 15.0, "SittingDown": 60.0, "Walk": 5.0}
    assert action_mean(by_action) == pytest.approx(80 / 3)
    assert frame_mean(errors) == pytest.approx(95 / 4)


def test_sample_order_changes_no_action() -> None:
    generator = torch.Generator().manual_seed(0)
    errors = torch.rand(1000, generator=generator) * 100
    actions = torch.randint(0, 3, (1000,), generator=generator)
    shuffled = torch.randperm(1000, generator=generator)
    before = per_action(errors, actions, ACTIONS)
    after = per_action(errors[shuffled], actions[shuffled], ACTIONS)
    assert before == pytest.approx(after, rel=1e-12)


def test_actions_without_samples_are_left_out() -> None:
    assert per_action(torch.tensor([1.0]), torch.tensor([2]), ACTIONS) == {"Walk": 1.0}


@pytest.mark.parametrize(
    ("actions", "names", "rule"),
    [([3], ACTIONS, "0..2"), ([-1], ACTIONS, "0..2"), ([0], ("Walk", "Walk"), "must differ")],
)
def test_wrong_actions_are_refused(actions: list[int], names: tuple[str, ...], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        per_action(torch.ones(1), torch.tensor(actions), names)


def test_codebook_usage() -> None:
    histogram = token_histogram(torch.tensor([[0, 0, 1], [1, 3, 3]]), 8)
    assert histogram.tolist() == [2, 2, 0, 2, 0, 0, 0, 0]
    assert codebook_usage_pct(histogram) == 37.5
    assert dead_codes(histogram) == 5
    assert perplexity(histogram) == pytest.approx(3)
    assert perplexity(torch.tensor([7, 0])) == pytest.approx(1)
    p = 0.9
    entropy = -p * math.log(p) - (1 - p) * math.log(1 - p)
    assert perplexity(torch.tensor([9, 1])) == pytest.approx(math.exp(entropy))
    with pytest.raises(ValueError, match="at least one token"):
        perplexity(torch.tensor([0, 0]))


@pytest.mark.parametrize("points", [48, 96, 192])
def test_a_part_that_is_shifted_as_a_whole_has_no_error_within(points: int) -> None:
    truth, shift = torch.randn(5, points, 2), torch.randn(5, 16, 1, 2)
    shifted = (truth.unflatten(1, (16, -1)) + shift).flatten(1, 2)
    assert torch.allclose(within_part_error(shifted, truth), torch.zeros(5), atol=1e-6)


def test_points_scattered_by_themselves_keep_nearly_all_of_their_error_within() -> None:
    """Of 6 independent errors a mean takes out a sixth of the variance."""
    truth, noise = torch.randn(2, 400, 96, 2, dtype=torch.float64).unbind(0)
    within = within_part_error(truth + noise, truth)
    plain = noise.norm(dim=-1).mean(1)
    assert (within < plain).all()
    assert float(within.mean() / plain.mean()) == pytest.approx(math.sqrt(5 / 6), rel=0.01)


def test_the_error_within_parts_is_taken_by_part() -> None:
    """Errors of 2 px in opposite directions, in one part of 16."""
    truth = torch.zeros(1, 48, 2)
    estimate = truth.clone()
    estimate[0, 3:6, 0] = torch.tensor([-2.0, 2.0, 0.0])
    assert float(within_part_error(estimate, truth)) == pytest.approx(4 / 48)


def test_flip_is_its_own_inverse_and_exchanges_the_sides() -> None:
    """E14, with VideoPose3D's symmetry of the 17 joints."""
    pose = torch.randn(5, 17, 3)
    assert torch.equal(flip(flip(pose)), pose)
    assert OTHER_SIDE == (0, 4, 5, 6, 1, 2, 3, 7, 8, 9, 10, 14, 15, 16, 11, 12, 13)
    assert torch.equal(flip(pose)[:, 4], pose[:, 1] * torch.tensor([-1.0, 1.0, 1.0]))
    assert torch.equal(flip(pose[..., :2]), flip(pose)[..., :2])


def test_the_mirrored_pose_is_as_far_from_the_mirrored_truth() -> None:
    pose, truth = torch.randn(2, 5, 17, 3).unbind(0)
    assert torch.allclose(mpjpe(flip(pose), flip(truth)), mpjpe(pose, truth))


def test_no_axis_but_x_is_mirrored() -> None:
    """E4: zero of equal poses, one metre is a thousand."""
    pose = torch.randn(3, 17, 3)
    assert torch.equal(mpjpe(pose, pose), torch.zeros(3))
    assert torch.allclose(mpjpe(pose, pose + torch.tensor([1.0, 0, 0])), torch.full((3,), 1000.0))


@pytest.mark.parametrize(
    ("actions", "printed"),
    [
        # Table 1, row "Ours", under CPN and under exact joints.
        ("42.8 42.7 38.1 41.3 42.7 46.3 37.2 44.2 51.0 51.4 40.9 38.3 40.0 39.9 33.7", 42.0),
        ("30.4 29.7 26.3 27.2 28.7 29.1 28.2 29.2 30.9 33.1 29.6 26.2 27.2 21.9 26.2", 28.3),
    ],
)
def test_the_printed_average_is_the_mean_of_the_action_means(actions: str, printed: float) -> None:
    """E18: which is how this project averages, too."""
    values = {str(number): float(value) for number, value in enumerate(actions.split())}
    assert action_mean(values) == pytest.approx(printed, abs=0.06)
