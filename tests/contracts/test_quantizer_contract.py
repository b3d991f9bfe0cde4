"""The quantiser against its definition and against an independent implementation (oracle E1)."""

from collections.abc import Iterator

import pytest
import torch
from vector_quantize_pytorch import VectorQuantize

from hipart.config import CodebookConfig
from hipart.models.quantizer import EmaQuantizer

DIM = 16


@pytest.fixture(autouse=True)
def seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def reference(quantizer: EmaQuantizer) -> VectorQuantize:
    """lucidrains' quantiser in the state of ours."""
    other = VectorQuantize(
        dim=DIM,
        codebook_size=len(quantizer.codes),
        decay=quantizer.decay,
        commitment_weight=0.25,
        rotation_trick=False,
        threshold_ema_dead_code=0,
    )
    book = other._codebook
    book.embed.copy_(quantizer.codes)
    book.embed_avg.copy_(quantizer.code_sum)
    book.cluster_size.copy_(quantizer.cluster_size)
    return other


def test_twenty_steps_equal_vector_quantize_pytorch() -> None:
    ours = EmaQuantizer(CodebookConfig(size=64, dim=DIM)).train()
    theirs = reference(ours).train()
    for _ in range(20):
        z = torch.randn(8, 12, DIM)
        quantized = ours(z)
        codes, indices, loss = theirs(z)
        assert torch.equal(quantized.tokens, indices)
        assert torch.allclose(quantized.codes, codes, atol=1e-6)
        commitment = 0.25 * torch.nn.functional.mse_loss(z, quantized.raw)
        assert torch.allclose(commitment, loss.squeeze(), atol=1e-6)
        assert torch.allclose(ours.codes, theirs._codebook.embed[0], atol=2e-6)
        assert torch.allclose(ours.cluster_size, theirs._codebook.cluster_size[0], atol=1e-5)


def test_nearest_code_is_the_nearest() -> None:
    quantizer = EmaQuantizer(CodebookConfig(size=50, dim=DIM)).eval()
    z = torch.randn(5, 7, DIM)
    distances = (z[:, :, None] - quantizer.codes).square().sum(-1)
    assert torch.equal(quantizer(z).tokens, distances.argmin(-1))


def test_gradient_is_straight_through() -> None:
    quantizer = EmaQuantizer(CodebookConfig(size=50, dim=DIM))
    z = torch.randn(2, 3, DIM, requires_grad=True)
    weights = torch.randn(2, 3, DIM)
    (quantizer(z).codes * weights).sum().backward()
    assert z.grad is not None
    assert torch.equal(z.grad, weights)


def test_raw_codes_are_rows_of_the_codebook_before_the_update() -> None:
    quantizer = EmaQuantizer(CodebookConfig(size=50, dim=DIM)).train()
    before = quantizer.codes.clone()
    quantized = quantizer(torch.randn(2, 3, DIM, requires_grad=True))
    assert torch.equal(quantized.raw, before[quantized.tokens])
    assert torch.allclose(quantized.codes, quantized.raw, atol=1e-6)
    assert not quantized.raw.requires_grad
    assert not torch.equal(quantizer.codes, before)


def test_update_follows_the_equations() -> None:
    """n <- g n + (1-g) counts; m <- g m + (1-g) sums; codes = m / laplace(n)."""
    quantizer = EmaQuantizer(CodebookConfig(size=5, dim=DIM, decay=0.8)).train()
    n, m = quantizer.cluster_size.clone(), quantizer.code_sum.clone()
    z = torch.randn(4, 6, DIM)
    tokens = quantizer(z).tokens
    onehot = torch.nn.functional.one_hot(tokens.flatten(), 5).float()
    n = 0.8 * n + 0.2 * onehot.sum(0)
    m = 0.8 * m + 0.2 * onehot.T @ z.flatten(0, 1)
    laplace = (n + 1e-5) / (n.sum() + 5 * 1e-5) * n.sum()
    assert torch.allclose(quantizer.cluster_size, n, atol=1e-6)
    assert torch.allclose(quantizer.code_sum, m, atol=1e-5)
    assert torch.allclose(quantizer.codes, m / laplace[:, None], atol=1e-5)


def test_smoothing_is_not_written_back() -> None:
    """Counts of codes never used halve at every step; written back, they would stop falling."""
    quantizer = EmaQuantizer(CodebookConfig(size=4, dim=DIM, decay=0.5)).train()
    quantizer.codes[1:] += 100
    for _ in range(40):
        quantizer(quantizer.codes[:1].expand(2, 3, DIM).clone())
    assert quantizer.cluster_size[1:].max() < 1e-11


def test_nothing_moves_in_evaluation() -> None:
    quantizer = EmaQuantizer(CodebookConfig(size=50, dim=DIM)).eval()
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    quantizer(torch.randn(2, 3, DIM))
    assert set(before) == {"codes", "cluster_size", "code_sum"}
    assert all(torch.equal(value, before[name]) for name, value in quantizer.state_dict().items())


def test_state_dict_carries_on_where_it_stopped() -> None:
    config = CodebookConfig(size=50, dim=DIM)
    first, second = EmaQuantizer(config).train(), EmaQuantizer(config).train()
    first(torch.randn(2, 30, DIM))
    second.load_state_dict(first.state_dict())
    z = torch.randn(2, 30, DIM)
    assert torch.equal(first(z).tokens, second(z).tokens)
    assert torch.equal(first.codes, second.codes)


def test_a_passed_generator_decides_the_codes() -> None:
    config = CodebookConfig(size=50, dim=DIM)

    def codes() -> torch.Tensor:
        return EmaQuantizer(config, torch.Generator().manual_seed(3)).codes

    assert torch.equal(codes(), codes())
    assert EmaQuantizer(config).codes.shape == (50, DIM)


def test_a_dead_code_restarts_at_an_embedding_of_the_batch() -> None:
    config = CodebookConfig(size=4, dim=DIM, decay=0.5, dead_code="restart", dead_below=None)
    quantizer = EmaQuantizer(config).train()
    quantizer.codes[1:] += 100
    quantizer.code_sum.copy_(quantizer.codes)
    z = torch.randn(2, 3, DIM)
    for step in range(4):  # counts of the far codes: 0.5, 0.25, 0.125, 0.0625
        assert quantizer(z).tokens.max() == 0
        far = quantizer.codes[1:].abs().amax(1) > 50
        assert far.all() if step < 3 else not far.any()
    rows = z.flatten(0, 1)
    for code in quantizer.codes[1:]:
        assert (rows - code).abs().amax(1).min() < 1e-3
    assert torch.equal(quantizer.cluster_size[1:], torch.ones(3))
    assert quantizer(z).tokens.max() > 0


def test_restarts_keep_a_codebook_in_use() -> None:
    """Clustered embeddings: without restarts the codes near no cluster are lost for good."""

    def used(dead_code: str) -> int:
        torch.manual_seed(0)
        quantizer = EmaQuantizer(CodebookConfig(size=64, dim=DIM, dead_code=dead_code)).train()
        centre = 3 * torch.randn(DIM)
        for _ in range(60):
            quantizer(centre + 0.1 * torch.randn(16, 16, DIM))
        return len(quantizer.eval()(centre + 0.1 * torch.randn(64, 16, DIM)).tokens.unique())

    assert used("none") < 8
    assert used("restart") > 32
