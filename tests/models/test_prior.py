"""Stage 2: what may depend on what, and the cached generation against its reference."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hipart.config import PriorConfig
from hipart.models.layers import WIDE
from hipart.models.prior import Prior, PriorLogits, prior_loss
from hipart.skeleton import ORDERS

K_S, K_D = 30, 40
SMALL = PriorConfig(
    width=32, blocks=2, head_blocks=2, attention_width=16, mlp_hidden=32, heads=2, dropout=0.0
)


@pytest.fixture(autouse=True)
def seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def build(config: PriorConfig = SMALL, dims: tuple[int, int] = (32, 32)) -> Prior:
    return Prior(config, torch.randn(K_S, dims[0]), torch.randn(K_D, dims[1])).eval()


def batch(size: int) -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.randn(size, 17, 2),
        torch.randint(0, K_S, (size, 16)),
        torch.randint(0, K_D, (size, 48)),
    )


def changed_parts(before: PriorLogits, after: PriorLogits) -> tuple[set[int], set[int]]:
    """Parts whose sparse, and whose dense logits differ."""
    sparse = (before.sparse - after.sparse).abs().amax((0, 2)) > 1e-6
    dense = (before.dense - after.dense).abs().amax((0, 2)).view(16, 3).amax(1) > 1e-6
    return set(sparse.nonzero().flatten().tolist()), set(dense.nonzero().flatten().tolist())


MEMBERS = {
    "tied": (SMALL, (32, 32)),
    "untied": (SMALL.model_copy(update={"tied_logits": False}), (32, 32)),
    "narrow codes": (SMALL, (8, 12)),
    "raster": (SMALL.model_copy(update={"order": "raster"}), (32, 32)),
    "two local blocks": (SMALL.model_copy(update={"local_blocks": 2}), (32, 32)),
    "one pass": (SMALL.model_copy(update={"head": "one_pass_prev"}), (8, 12)),
}


@pytest.mark.parametrize("member", MEMBERS)
class TestGeneration:
    def test_logits_have_the_codebooks_sizes(self, member: str) -> None:
        logits = build(*MEMBERS[member])(*batch(3))
        assert logits.sparse.shape == (3, 16, K_S)
        assert logits.dense.shape == (3, 48, K_D)

    def test_every_parameter_learns(self, member: str) -> None:
        config, dims = MEMBERS[member]
        prior = build(config, dims).train()
        pose, q_s, q_d = batch(3)
        prior_loss(prior(pose, q_s, q_d), q_s, q_d, config)[0].backward()
        for name, parameter in prior.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name

    @pytest.mark.parametrize("size", [5, WIDE])
    def test_all_at_once_equals_step_by_step(self, member: str, size: int) -> None:
        """Oracle E7: teacher-forced logits are what generation computes, with either cache."""
        prior, inputs = build(*MEMBERS[member]), batch(size)
        forced, stepwise = prior(*inputs), prior.stepwise_logits(*inputs)
        assert torch.allclose(forced.sparse, stepwise.sparse, atol=1e-4)
        assert torch.allclose(forced.dense, stepwise.dense, atol=1e-4)

    @pytest.mark.parametrize("size", [WIDE - 1, 50])
    def test_cached_equals_uncached(self, member: str, size: int) -> None:
        """Oracle E7; in double precision, so that no near-tie can turn round."""
        prior = build(*MEMBERS[member]).double()
        pose = torch.randn(size, 17, 2, dtype=torch.float64)
        cached, full = prior.generate(pose), prior.generate(pose, cached=False)
        assert torch.equal(cached[0], full[0])
        assert torch.equal(cached[1], full[1])

    def test_generated_tokens_are_the_most_probable(self, member: str) -> None:
        """Teacher-forced with its own output, the prior's first choices are that output."""
        prior = build(*MEMBERS[member]).double()
        pose = torch.randn(20, 17, 2, dtype=torch.float64)
        q_s, q_d = prior.generate(pose)
        logits = prior(pose, q_s, q_d)
        assert torch.equal(logits.sparse.argmax(-1), q_s)
        assert torch.equal(logits.dense.argmax(-1), q_d)


def test_a_thousand_poses_cached_and_uncached() -> None:
    """Oracle E7, in a small prior; benchmarks/generation.py does it at full size."""
    config = PriorConfig(
        width=64, blocks=4, head_blocks=2, attention_width=32, mlp_hidden=32, heads=4
    )
    prior = Prior(config, torch.randn(256, 64), torch.randn(256, 64)).eval().double()
    with torch.no_grad():
        for parameter in prior.parameters():
            if parameter.ndim > 1:
                parameter.mul_(3)  # untrained blocks hardly change what they are given
    pose = torch.randn(1000, 17, 2, dtype=torch.float64)
    cached, full = prior.generate(pose), prior.generate(pose, cached=False)
    assert torch.equal(cached[0], full[0])
    assert torch.equal(cached[1], full[1])
    assert len(cached[1].unique(dim=0)) > 900  # the pose decides, not a constant


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("step", [0, 7, 15])
def test_a_dense_token_changes_later_parts_only(name: str, step: int) -> None:
    """Oracle E8."""
    prior, (pose, q_s, q_d) = build(SMALL.model_copy(update={"order": name})), batch(2)
    before = prior(pose, q_s, q_d)
    order = ORDERS[name]()
    other = q_d.clone()
    other[:, 3 * order[step] + 1] = (other[:, 3 * order[step] + 1] + 1) % K_D
    later = set(order[step + 1 :])
    assert changed_parts(before, prior(pose, q_s, other)) == (later, later)


@pytest.mark.parametrize("step", [0, 7, 15])
def test_a_sparse_token_changes_its_own_dense_tokens_and_later_parts(step: int) -> None:
    """Eq. 8: dense tokens are conditioned on the sparse token of the same part."""
    prior, (pose, q_s, q_d) = build(), batch(2)
    before = prior(pose, q_s, q_d)
    order = ORDERS[SMALL.order]()
    other = q_s.clone()
    other[:, order[step]] = (other[:, order[step]] + 1) % K_S
    later = set(order[step + 1 :])
    assert changed_parts(before, prior(pose, other, q_d)) == (later, later | {order[step]})


def test_the_pose_reaches_every_part() -> None:
    prior, (pose, q_s, q_d) = build(), batch(2)
    for joint in (0, 9, 16):
        other = pose.clone()
        other[:, joint] += 1
        everything = set(range(16))
        assert changed_parts(prior(pose, q_s, q_d), prior(other, q_s, q_d)) == (
            everything,
            everything,
        )


def test_the_sparse_slot_of_the_head_sees_itself_alone() -> None:
    """Oracle E9: slot 0 with and without the dense slots; the dense slots see it."""
    prior = build()
    hidden, z_s = torch.randn(4, 5, 32), torch.randn(4, 5, 32)
    z_d = torch.randn(4, 5, 3, 32)
    slots = prior.head(hidden, z_s, z_d)
    alone = prior.head_norm(prior.head_blocks(hidden.flatten(0, 1).unsqueeze(1)))
    assert torch.allclose(slots[:, :, 0].flatten(0, 1), alone[:, 0], atol=3e-5)
    assert torch.equal(slots[:, :, 0], prior.head(hidden, z_s + 1, z_d)[:, :, 0])
    assert not torch.allclose(slots[:, :, 1:], prior.head(-hidden, z_s, z_d)[:, :, 1:], atol=1e-3)
    assert not torch.allclose(slots[:, :, 1], slots[:, :, 2], atol=1e-3)


def test_parts_are_predicted_in_natural_order() -> None:
    """The first part of the order is the only one that no token reaches."""
    for name, order in ORDERS.items():
        prior, (pose, q_s, q_d) = build(SMALL.model_copy(update={"order": name})), batch(2)
        before = prior(pose, q_s, q_d)
        sparse, _ = changed_parts(before, prior(pose, (q_s + 1) % K_S, (q_d + 1) % K_D))
        assert set(range(16)) - sparse == {order()[0]}


def test_the_codebooks_are_frozen_and_stored() -> None:
    codes = torch.randn(K_S, 32)
    prior = Prior(SMALL, codes, torch.randn(K_D, 32))
    codes.zero_()
    assert prior.sparse.codes.abs().max() > 0
    assert {"sparse.codes", "dense.codes"} <= set(prior.state_dict())
    assert not {"sparse.codes", "dense.codes"} & {name for name, _ in prior.named_parameters()}


def test_state_dict_restores_it() -> None:
    first, second, pose = build(), build(), torch.randn(8, 17, 2)
    second.load_state_dict(first.state_dict())
    for a, b in zip(first.generate(pose), second.generate(pose), strict=True):
        assert torch.equal(a, b)


def test_generation_refuses_training_mode() -> None:
    with pytest.raises(AssertionError, match="eval"):
        build().train().generate(torch.randn(1, 17, 2))


def test_dropout_acts_in_training_only() -> None:
    prior = build(SMALL.model_copy(update={"dropout": 0.25}))
    inputs = batch(2)
    assert torch.equal(prior(*inputs).sparse, prior(*inputs).sparse)
    prior.train()
    assert not torch.equal(prior(*inputs).sparse, prior(*inputs).sparse)


def test_loss_is_two_cross_entropies() -> None:
    """Eq. 12, token by token."""
    _, q_s, q_d = batch(3)
    logits = PriorLogits(torch.randn(3, 16, K_S), torch.randn(3, 48, K_D))
    sparse = -logits.sparse.log_softmax(-1).gather(-1, q_s[..., None]).mean()
    dense = -logits.dense.log_softmax(-1).gather(-1, q_d[..., None]).mean()
    config = SMALL.model_copy(update={"lambda_dense": 4.0})
    loss, parts = prior_loss(logits, q_s, q_d, config)
    assert torch.allclose(loss, sparse + 4 * dense)
    assert parts == {
        "sparse_cross_entropy": pytest.approx(sparse.item()),
        "dense_cross_entropy": pytest.approx(dense.item()),
    }
    uniform = PriorLogits(torch.zeros(3, 16, K_S), torch.zeros(3, 48, K_D))
    expected = F.cross_entropy(torch.zeros(1, K_S), torch.tensor([0]))
    assert prior_loss(uniform, q_s, q_d, SMALL)[1]["sparse_cross_entropy"] == pytest.approx(
        expected.item()
    )


def test_a_batch_is_learnt_by_heart() -> None:
    """Oracle E19: cross-entropy goes to nought and greedy decoding reproduces every token."""
    prior = build().train()
    pose, q_s, q_d = batch(4)
    optimiser = torch.optim.AdamW(prior.parameters(), lr=3e-3)
    for _ in range(250):
        optimiser.zero_grad()
        loss, _ = prior_loss(prior(pose, q_s, q_d), q_s, q_d, SMALL)
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.05
    sparse, dense = prior.eval().generate(pose)
    assert torch.equal(sparse, q_s)
    assert torch.equal(dense, q_d)
