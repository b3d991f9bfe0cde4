"""What is read off a prior: tokens or mean codes; x_s at every step; chosen and given tokens."""

from collections.abc import Iterator
from itertools import product

import pytest
import torch

from hipart.models.densifier import densified
from hipart.models.generation import sampled
from hipart.models.prior import Prior
from hipart.models.priors import AnyPrior, build_prior
from hipart.models.tokenizer import Tokenizer
from tests.contracts.test_prior_contract import KINDS, LEVELS, STEPWISE, batch, build
from tests.models.test_beginnings import build as tokenizer_of


@pytest.fixture(autouse=True)
def seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def small_tokenizer() -> Tokenizer:
    return tokenizer_of(levels=(48, 96)).eval()


@pytest.mark.parametrize(("kind", "levels"), list(product(KINDS, LEVELS)))
class TestMeanCodes:
    def test_they_are_softmax_times_codes(self, kind: str, levels: tuple[int, ...]) -> None:
        """Of the distributions that are predicted from the most probable tokens."""
        prior = build(kind, levels).double()
        pose = batch(levels)[0].double()
        logits = prior(pose, *prior.generate(pose))
        means = prior.generate(pose, "mean")
        for found, p, table in zip(means, logits, (prior.sparse, prior.dense), strict=True):
            shape = (*p.shape[:2], table.codes.shape[1])
            assert found.shape == shape
            by_hand = torch.stack(
                [(p[:, :, k, None] - p.logsumexp(-1)[..., None]).exp() * table.codes[k]
                 for k in range(len(table.codes))]
            ).sum(0)  # fmt: skip
            assert torch.allclose(found, by_hand, atol=1e-10)

    def test_given_tokens_are_seen_and_returned(self, kind: str, levels: tuple[int, ...]) -> None:
        prior = build(kind, levels).double()
        pose, given, _ = batch(levels)
        pose = pose.double()
        q_s, q_d = prior.generate(pose, given=given)
        assert torch.equal(q_s, given)
        assert torch.equal(prior(pose, given, q_d).dense.argmax(-1), q_d)
        z_s, z_d = prior.generate(pose, "mean", given=given)
        assert torch.equal(z_s, prior.sparse.codes[given])
        assert torch.allclose(z_d, prior.dense.mean(prior(pose, given, q_d).dense), atol=1e-10)


@pytest.mark.parametrize(("kind", "levels"), list(product(STEPWISE, LEVELS)))
def test_with_the_pose_at_every_step_steps_equal_the_whole(
    kind: str, levels: tuple[int, ...]
) -> None:
    """Oracle E7 for ``conditioning: every_step``."""
    prior = build(kind, levels, conditioning="every_step", order="random_1").double()
    pose, q_s, q_d = batch(levels)
    pose = pose.double()
    whole, steps = prior(pose, q_s, q_d), prior.stepwise_logits(pose, q_s, q_d)
    assert torch.allclose(whole.sparse, steps.sparse, atol=1e-9)
    assert torch.allclose(whole.dense, steps.dense, atol=1e-9)
    if isinstance(prior, Prior):
        for decode in ("argmax", "mean"):
            cached = prior.generate(pose, decode)
            full = prior.generate(pose, decode, cached=False)
            assert all(torch.allclose(*pair, atol=1e-9) for pair in zip(cached, full, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_with_the_pose_at_every_step_the_same_poses_generate_the_most_probable(kind: str) -> None:
    prior = build(kind, (48, 96), conditioning="every_step").double()
    pose = batch((48, 96))[0].double()
    q_s, q_d = prior.generate(pose)
    logits = prior(pose, q_s, q_d)
    assert torch.equal(logits.sparse.argmax(-1), q_s)
    assert torch.equal(logits.dense.argmax(-1), q_d)


@pytest.mark.parametrize("kind", STEPWISE)
def test_with_the_pose_at_every_step_no_token_sees_a_later_one(kind: str) -> None:
    """Oracle E8."""
    prior = build(kind, (48, 96), conditioning="every_step", order="raster")
    pose, q_s, q_d = batch((48, 96), 1)
    before = prior(pose, q_s, q_d)
    part = 5
    changed = q_s.clone()
    changed[:, part] = (changed[:, part] + 1) % 24
    after = prior(pose, changed, q_d)
    sparse = (after.sparse - before.sparse).abs().amax((0, 2)) > 1e-5
    assert {int(p) for p in sparse.nonzero()} == set(range(part + 1, 16))
    dense = (after.dense - before.dense).abs().amax((0, 2)) > 1e-5
    first = part + 1 if kind == "one pass" else part  # that sees its part's sparse token
    assert {int(d) for d in dense.nonzero()} == set(range(3 * first, 48))


@pytest.mark.parametrize("kind", KINDS)
def test_each_step_has_a_map_of_its_own(kind: str) -> None:
    """Of the part that it generates: by the map of one step alone the pose comes there first."""
    prior: AnyPrior = build(kind, (48, 96), conditioning="every_step", order="raster")
    assert prior.every_step is not None
    with torch.no_grad():
        prior.project_pose.weight.zero_()
        rows = prior.every_step.project.weight.unflatten(0, (16, -1))
        rows[:7] = 0
        rows[8:] = 0
    pose, q_s, q_d = batch((48, 96), 1)
    moved = prior(pose, q_s, q_d).sparse - prior(pose + 1, q_s, q_d).sparse
    changed = {int(p) for p in (moved.abs().amax((0, 2)) > 1e-6).nonzero()}
    assert 7 in changed
    if kind != "classification":
        assert min(changed) == 7


def test_drawn_tokens_follow_their_distribution() -> None:
    logits = torch.tensor([0.0, 1.0, 2.0]).expand(20_000, 3)
    draw = sampled(torch.Generator().manual_seed(0))
    shares = torch.bincount(draw(logits), minlength=3) / 20_000
    assert torch.allclose(shares, torch.tensor([0.0, 1.0, 2.0]).softmax(0), atol=0.01)
    prior, pose = build("flat", (48, 96)), batch((48, 96))[0]
    one, same, other = (
        prior.generate(pose, choose=sampled(torch.Generator().manual_seed(seed)))[1]
        for seed in (0, 0, 1)
    )
    assert torch.equal(one, same) and not torch.equal(one, other)


@pytest.mark.parametrize("decode", ["argmax", "mean"])
def test_what_is_generated_follows_a_pose_over_the_screen(decode: str) -> None:
    """In coordinates of the body: moved and enlarged, it is generated moved and enlarged."""
    tokenizer = small_tokenizer()
    prior = build_prior(KINDS["sparse to dense"], tokenizer).eval().double()
    tokenizer = tokenizer.double()
    pose = 0.2 * torch.randn(9, 17, 2, dtype=torch.float64)
    shift = torch.tensor([0.3, -0.4], dtype=torch.float64)
    here = densified(prior, tokenizer, pose, "body", decode)
    there = densified(prior, tokenizer, 1.7 * pose + shift, "body", decode)
    for level, points in here.items():
        assert torch.allclose(there[level], 1.7 * points + shift, atol=1e-9)
    from_hip = densified(prior, tokenizer, pose + shift, "hip", decode)
    for level, points in densified(prior, tokenizer, pose, "hip", decode).items():
        assert torch.allclose(from_hip[level], points + shift, atol=1e-9)


def test_codes_of_tokens_decode_as_the_tokens_do() -> None:
    tokenizer = small_tokenizer()
    q_s, q_d = torch.randint(0, 40, (5, 16)), torch.randint(0, 40, (5, 48))
    sparse, dense = tokenizer.codebooks
    with torch.no_grad():
        by_codes = tokenizer.decode_codes(sparse[q_s], dense[q_d])
        by_tokens = tokenizer.decode(q_s, q_d)
    for level, points in by_tokens.items():
        assert torch.allclose(by_codes[level], points, atol=1e-5)
