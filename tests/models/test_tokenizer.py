"""Stage 1: shapes, losses against their definitions, and learning one batch by heart."""

import math
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hipart.config import CodebookConfig, TokenizerConfig
from hipart.models.tokenizer import Tokenizer
from hipart.models.tokenizer_loss import local_alignment, tokenizer_loss

SMALL = TokenizerConfig(
    width=32,
    encoder_blocks=1,
    token_hidden=32,
    channel_hidden=32,
    decoder_width=32,
    decoder_channel_hidden=32,
    sparse_codebook=CodebookConfig(size=64, dim=32),
    dense_codebook=CodebookConfig(size=64, dim=32),
)
NARROW_CODES = SMALL.model_copy(
    update={
        "sparse_codebook": CodebookConfig(size=64, dim=8),
        "dense_codebook": CodebookConfig(size=64, dim=12),
    }
)


@pytest.fixture(autouse=True)
def seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("config", [SMALL, NARROW_CODES], ids=["same width", "narrow codes"])
class TestEitherCodeWidth:
    def test_shapes(self, config: TokenizerConfig) -> None:
        tokenizer = Tokenizer(config, num_actions=5)
        output = tokenizer(torch.randn(3, 96, 2))
        assert output.poses[48].shape == (3, 48, 2)
        assert output.poses[96].shape == (3, 96, 2)
        assert output.sparse.tokens.shape == (3, 16)
        assert output.dense[0].tokens.shape == (3, 48)
        assert output.action_logits.shape == (3, 5)
        assert output.sparse.inputs.shape == (3, 16, config.sparse_codebook.dim)
        assert output.dense[0].codes.shape == (3, 48, config.width)
        sparse_codes, dense_codes = tokenizer.codebooks
        assert sparse_codes.shape == (64, config.sparse_codebook.dim)
        assert dense_codes.shape == (64, config.dense_codebook.dim)

    def test_decoding_the_tokens_gives_the_reconstruction(self, config: TokenizerConfig) -> None:
        tokenizer = Tokenizer(config, num_actions=5).eval()
        fine = torch.randn(3, 96, 2)
        output = tokenizer(fine)
        q_s, q_d = tokenizer.encode(fine)
        assert torch.equal(q_s, output.sparse.tokens)
        assert torch.equal(q_d, output.dense[0].tokens)
        poses = tokenizer.decode(q_s, q_d)
        assert torch.allclose(poses[48], output.poses[48], atol=1e-5)
        assert torch.allclose(poses[96], output.poses[96], atol=1e-5)

    def test_every_parameter_learns(self, config: TokenizerConfig) -> None:
        tokenizer = Tokenizer(config, num_actions=5)
        fine, dense = torch.randn(3, 96, 2), torch.randn(3, 48, 2)
        action = torch.tensor([0, 4, 2])
        loss, _ = tokenizer_loss(tokenizer(fine), {48: dense, 96: fine}, action, config)
        loss.backward()
        for name, parameter in tokenizer.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


def test_equal_widths_need_no_extra_parameters() -> None:
    def inside_codebooks(config: TokenizerConfig) -> set[str]:
        names = [name for name, _ in Tokenizer(config, 5).named_parameters()]
        return {name for name in names if name.startswith("books.")}

    assert inside_codebooks(SMALL) == set()
    assert len(inside_codebooks(NARROW_CODES)) == 8


def test_encoding_leaves_the_codebooks_alone_even_in_training() -> None:
    tokenizer = Tokenizer(SMALL, num_actions=5).train()
    before = {name: value.clone() for name, value in tokenizer.state_dict().items()}
    tokenizer.encode(torch.randn(3, 96, 2))
    assert all(torch.equal(value, before[name]) for name, value in tokenizer.state_dict().items())
    tokenizer(torch.randn(3, 96, 2))
    moved = {k for k, v in tokenizer.state_dict().items() if not torch.equal(v, before[k])}
    assert moved == {
        f"books.{book}.quantizer.{name}"
        for book in (0, 1)
        for name in ("codes", "cluster_size", "code_sum")
    }


def test_dense_tokens_depend_on_the_sparse_ones() -> None:
    """D_s feeds the dense quantiser: another sparse codebook, other dense embeddings."""
    tokenizer = Tokenizer(SMALL, num_actions=5).eval()
    fine = torch.randn(3, 96, 2)
    before = tokenizer(fine)
    tokenizer.sparse.quantizer.codes.neg_()
    after = tokenizer(fine)
    assert torch.equal(before.sparse.inputs, after.sparse.inputs)
    assert not torch.allclose(before.dense[0].inputs, after.dense[0].inputs, atol=1e-3)


def test_dense_decoder_reads_dense_codes_alone() -> None:
    tokenizer = Tokenizer(SMALL, num_actions=5).eval()
    q_s, q_d = torch.randint(0, 64, (3, 16)), torch.randint(0, 64, (3, 48))
    first, second = tokenizer.decode(q_s, q_d), tokenizer.decode((q_s + 1) % 64, q_d)
    assert torch.equal(first[48], second[48])
    assert not torch.allclose(first[96], second[96])


def test_local_alignment_is_cross_entropy_over_parts() -> None:
    """Oracle E15, with the similarities written out part by part."""
    sparse, dense = torch.randn(2, 16, 8), torch.randn(2, 48, 8)
    u = F.normalize(sparse, dim=-1)
    v = F.normalize(
        torch.stack([dense[:, 3 * i : 3 * i + 3].mean(1) for i in range(16)], 1), dim=-1
    )
    expected = torch.stack(
        [F.cross_entropy(u[b] @ v[b].T / 0.07, torch.arange(16)) for b in range(2)]
    ).mean()
    assert torch.allclose(local_alignment(sparse, dense, 0.07), expected, atol=1e-6)


def test_local_alignment_of_equal_codes_is_ln_16() -> None:
    loss = local_alignment(torch.ones(2, 16, 8), torch.ones(2, 48, 8), 0.07)
    assert loss.item() == pytest.approx(math.log(16), abs=1e-6)


def test_local_alignment_of_matching_orthogonal_codes_is_nought() -> None:
    sparse = torch.eye(16)[None]
    dense = sparse.repeat_interleave(3, dim=1)
    assert local_alignment(sparse, dense, 0.07).item() == pytest.approx(0, abs=1e-4)
    rolled = dense.roll(3, dims=1)  # every part paired with its neighbour's dense codes
    assert local_alignment(sparse, rolled, 0.07).item() == pytest.approx(1 / 0.07, abs=1e-3)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_loss_weighs_its_parts(reduction: str) -> None:
    """Eq. 6: reconstruction + beta commitment + lambda_local local + lambda_global global."""
    weights = {"commitment_weight": 2.0, "lambda_local": 3.0, "lambda_global": 5.0}
    config = SMALL.model_copy(update={"loss_reduction": reduction, **weights})
    tokenizer = Tokenizer(SMALL, num_actions=5).eval()
    fine, dense = torch.randn(3, 96, 2), torch.randn(3, 48, 2)
    action = torch.tensor([0, 4, 2])
    output = tokenizer(fine)
    loss, parts = tokenizer_loss(output, {48: dense, 96: fine}, action, config)

    def norm(a: Tensor, b: Tensor) -> float:
        squares = (a - b).square()
        return (squares.mean() if reduction == "mean" else squares.sum((1, 2)).mean()).item()

    local = local_alignment(output.sparse.codes, output.dense[0].codes, config.temperature).item()
    expected = {
        "fine_error": norm(output.poses[96], fine),
        "dense_error": norm(output.poses[48], dense),
        "commitment": norm(output.sparse.inputs, output.sparse.raw)
        + norm(output.dense[0].inputs, output.dense[0].raw),
        "local_alignment": local if reduction == "mean" else 16 * local,
        "global_alignment": F.cross_entropy(output.action_logits, action).item(),
    }
    assert {name: part.item() for name, part in parts.items()} == pytest.approx(expected, rel=1e-5)
    assert not any(part.requires_grad for part in parts.values())
    factors = dict.fromkeys(expected, 1.0) | dict(
        commitment=2.0, local_alignment=3.0, global_alignment=5.0
    )
    total = sum(factors[name] * value for name, value in expected.items())
    assert loss.item() == pytest.approx(total, rel=1e-5)


def test_a_batch_is_learnt_by_heart() -> None:
    """Oracle E19: reconstruction goes to nought through the codebooks."""
    tokenizer = Tokenizer(SMALL, num_actions=2)
    fine = torch.randn(2, 96, 2)
    dense = fine.unflatten(1, (48, 2)).mean(2)
    action = torch.tensor([0, 1])
    optimiser = torch.optim.AdamW(tokenizer.parameters(), lr=3e-3)
    config = SMALL.model_copy(update={"loss_reduction": "mean"})
    for step in range(400):
        optimiser.param_groups[0]["lr"] = 3e-3 * (1 - step / 400)
        optimiser.zero_grad()
        output = tokenizer(fine)
        loss, _ = tokenizer_loss(output, {48: dense, 96: fine}, action, config)
        loss.backward()
        optimiser.step()
    poses = tokenizer.eval().decode(*tokenizer.encode(fine))
    assert F.mse_loss(poses[96], fine) < 1e-2
    assert F.mse_loss(poses[48], dense) < 1e-2


@pytest.mark.parametrize("levels", [(48,), (96,), (192,), (48, 96), (48, 96, 192)])
class TestLevels:
    """Table 5: every level but the finest is quantised beside the 16 parts."""

    def test_tokens_and_poses(self, levels: tuple[int, ...]) -> None:
        tokenizer = Tokenizer(SMALL.model_copy(update={"levels": levels}), 5).eval()
        finest = torch.randn(3, levels[-1], 2)
        q_s, q_d = tokenizer.encode(finest)
        assert q_s.shape == (3, 16)
        assert q_d.shape == (3, sum(levels[:-1]))
        poses, rebuilt = tokenizer(finest).poses, tokenizer.decode(q_s, q_d)
        assert set(poses) == set(rebuilt) == set(levels)
        for level in levels:
            assert poses[level].shape == (3, level, 2)
            assert torch.allclose(poses[level], rebuilt[level], atol=1e-5)

    def test_every_parameter_learns(self, levels: tuple[int, ...]) -> None:
        config = SMALL.model_copy(update={"levels": levels})
        tokenizer = Tokenizer(config, num_actions=5)
        poses = {level: torch.randn(3, level, 2) for level in levels}
        action = torch.tensor([0, 4, 2])
        loss, _ = tokenizer_loss(tokenizer(poses[levels[-1]]), poses, action, config)
        loss.backward()
        for name, parameter in tokenizer.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


def test_a_shared_codebook_follows_both_levels_in_one_step() -> None:
    """Oracle E16: the EMA counts are those of the sparse and the dense tokens together."""
    config = SMALL.model_copy(update={"codebooks": "shared"})
    tokenizer = Tokenizer(config, num_actions=5).train()
    assert tokenizer.sparse is tokenizer.dense
    decay = config.sparse_codebook.decay
    before = tokenizer.sparse.quantizer.cluster_size.clone()
    output = tokenizer(torch.randn(3, 96, 2))
    counts = sum(
        tokens.flatten().bincount(minlength=64).float()
        for tokens in (output.sparse.tokens, output.dense[0].tokens)
    )
    expected = decay * before + (1 - decay) * counts
    assert torch.allclose(tokenizer.sparse.quantizer.cluster_size, expected)
