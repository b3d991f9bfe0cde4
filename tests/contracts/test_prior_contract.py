"""What every prior must keep: the paper's, and those that Table 4 compares it with."""

from collections.abc import Iterator
from itertools import product

import pytest
import torch
from torch import Tensor

from hipart.config import CodebookConfig, PriorConfig, TokenizerConfig
from hipart.models.prior import prior_loss
from hipart.models.priors import AnyPrior, build_prior
from hipart.models.tokenizer import Tokenizer
from hipart.skeleton import ORDERS

SMALL = PriorConfig(
    width=32, blocks=2, head_blocks=1, attention_width=32, mlp_hidden=32, heads=2, dropout=0.0
)
KINDS = {
    "sparse to dense": SMALL,
    "one pass": SMALL.model_copy(update={"head": "one_pass_prev"}),
    "nested": SMALL.model_copy(update={"within_part": "sequential", "sequential": "nested"}),
    "flat": SMALL.model_copy(update={"within_part": "sequential"}),
    "classification": SMALL.model_copy(update={"framework": "classification"}),
}
STEPWISE = [name for name in KINDS if name != "classification"]
LEVELS = [(96,), (48, 96), (48, 96, 192)]


@pytest.fixture(autouse=True)
def seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def build(kind: str, levels: tuple[int, ...], **update: object) -> AnyPrior:
    codebook = CodebookConfig(size=24, dim=16)
    config = TokenizerConfig(
        width=32, encoder_blocks=1, levels=levels, sparse_codebook=codebook, dense_codebook=codebook
    )
    tokenizer = Tokenizer(config, num_actions=5)
    prior = build_prior(KINDS[kind].model_copy(update=update), tokenizer)
    for parameter in prior.parameters():  # so that no token is chosen by a tie
        torch.nn.init.normal_(parameter, std=0.3)
    return prior.eval()


def batch(levels: tuple[int, ...], size: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    pose = torch.randn(size, 17, 2)
    dense = torch.randint(0, 24, (size, sum(levels[:-1])))
    return pose, torch.randint(0, 24, (size, 16)), dense


@pytest.mark.parametrize(("kind", "levels"), list(product(KINDS, LEVELS)))
class TestPrior:
    def test_logits_of_every_token(self, kind: str, levels: tuple[int, ...]) -> None:
        pose, q_s, q_d = batch(levels)
        logits = build(kind, levels)(pose, q_s, q_d)
        assert logits.sparse.shape == (3, 16, 24)
        assert logits.dense.shape == (3, sum(levels[:-1]), 24)
        loss, parts = prior_loss(logits, q_s, q_d, SMALL)
        assert loss.isfinite()
        assert len(parts) == (2 if len(levels) > 1 else 1)

    def test_generation_takes_the_most_probable_tokens(
        self, kind: str, levels: tuple[int, ...]
    ) -> None:
        """Teacher-forced on its own tokens, a prior finds each of them the most probable."""
        prior = build(kind, levels).double()
        pose = batch(levels)[0].double()
        q_s, q_d = prior.generate(pose)
        logits = prior(pose, q_s, q_d)
        assert torch.equal(logits.sparse.argmax(-1), q_s)
        assert torch.equal(logits.dense.argmax(-1), q_d)

    def test_every_parameter_gets_a_gradient(self, kind: str, levels: tuple[int, ...]) -> None:
        prior = build(kind, levels)
        pose, q_s, q_d = batch(levels)
        prior_loss(prior(pose, q_s, q_d), q_s, q_d, SMALL)[0].backward()
        unused = {"dense.", "head_slots", "no_part"} if len(levels) == 1 else set()
        for name, parameter in prior.named_parameters():
            if parameter.numel() and not name.startswith(tuple(unused)):
                assert parameter.grad is not None, name
                assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(("kind", "levels"), list(product(STEPWISE, LEVELS)))
def test_stepwise_logits_equal_the_teacher_forced_ones(kind: str, levels: tuple[int, ...]) -> None:
    """Oracle E7, for 16 groups, nested passes and 64 single steps."""
    prior = build(kind, levels, order="random_1")
    given = batch(levels)
    whole, steps = prior(*given), prior.stepwise_logits(*given)
    assert torch.allclose(whole.sparse, steps.sparse, atol=2e-4)
    assert torch.allclose(whole.dense, steps.dense, atol=2e-4)


@pytest.mark.parametrize("kind", STEPWISE)
def test_no_token_sees_itself_or_a_later_one(kind: str) -> None:
    """Oracle E8: a changed dense token moves no logits of its own part up to itself."""
    prior, order = build(kind, (48, 96), order="raster"), ORDERS["raster"]()
    pose, q_s, q_d = batch((48, 96), 1)
    before = prior(pose, q_s, q_d)
    part, slot = 5, 1
    changed = q_d.clone()
    changed[:, 3 * part + slot] = (changed[:, 3 * part + slot] + 1) % 24
    after = prior(pose, q_s, changed)
    moved = (after.sparse - before.sparse).abs().amax((0, 2)) > 1e-5
    assert {int(p) for p in moved.nonzero()} == set(order[part + 1 :])
    moved = (after.dense - before.dense).abs().amax((0, 2)) > 1e-5
    one_by_one = kind in ("nested", "flat")
    first = 3 * part + slot + 1 if one_by_one else 3 * (part + 1)
    assert {int(d) for d in moved.nonzero()} == set(range(first, 48))


def test_classification_looks_at_the_pose_alone() -> None:
    prior = build("classification", (48, 96))
    pose, q_s, q_d = batch((48, 96))
    assert torch.equal(prior(pose, q_s, q_d).dense, prior(pose).dense)
