"""Weights of what a part's points show among themselves: there and back."""

import pytest
import torch

from hipart.config import CodebookConfig, TokenizerConfig
from hipart.models.part_weighting import SMALLEST_SHARE, PartWeighting, cosine_basis
from hipart.models.tokenizer import Tokenizer

LEVELS = (48, 96, 192)


def poses() -> dict[int, torch.Tensor]:
    """Parts far apart, and little within them."""
    generator = torch.Generator().manual_seed(0)
    found = {}
    for level in LEVELS:
        place = torch.randn(200, 16, 1, 2, generator=generator)
        inner = 0.1 * torch.randn(200, 16, level // 16, 2, generator=generator)
        found[level] = (place + inner).flatten(1, 2)
    return found


@pytest.mark.parametrize("count", [3, 6, 12])
def test_the_basis_is_orthonormal_and_begins_with_the_mean(count: int) -> None:
    basis = cosine_basis(count)
    assert torch.allclose(basis @ basis.T, torch.eye(count), atol=1e-6)
    assert torch.allclose(basis[0], torch.full((count,), count**-0.5))


@pytest.mark.parametrize("exponent", [0.25, 0.5, 1.0])
def test_back_undoes_weigh(exponent: float) -> None:
    weighting, data = PartWeighting(LEVELS, exponent), poses()
    weighting.fit(data)
    for level, points in data.items():
        weighed = weighting.weigh(points, level)
        assert torch.allclose(weighting.back(weighed, level), points, atol=1e-4)
        assert not torch.allclose(weighed, points, atol=0.1)


def test_at_1_all_count_alike_and_before_the_fit_none_is_weighed() -> None:
    weighting, data = PartWeighting(LEVELS, 1.0), poses()
    plain = {level: weighting.weigh(points, level) for level, points in data.items()}
    for level, points in data.items():
        assert torch.allclose(plain[level].norm(dim=(1, 2)), points.norm(dim=(1, 2)), rtol=1e-5)
    weighting.fit(data)
    for level, points in data.items():
        spread = weighting.weigh(points, level).unflatten(1, (16, -1)).std(dim=(0, 3))
        assert torch.allclose(spread, torch.ones_like(spread), rtol=0.02)


def test_what_never_moves_gets_a_bounded_weight() -> None:
    weighting = PartWeighting((48,), 1.0)
    points = torch.randn(50, 16, 1, 2).expand(-1, -1, 3, -1).flatten(1, 2)
    weighting.fit({48: points})
    weights = weighting.get_buffer("weight_48")
    assert weights.isfinite().all()
    assert weights.max() / weights.min() <= 1.001 / SMALLEST_SHARE


def test_a_tokenizer_decodes_points_and_keeps_its_weights() -> None:
    codes = CodebookConfig(size=16, dim=8)
    config = TokenizerConfig(
        width=16, encoder_blocks=1, decoder_width=16, sparse_codebook=codes, dense_codebook=codes,
        part_weighting=0.5,
    )  # fmt: skip
    data = {level: points for level, points in poses().items() if level in config.levels}
    first, second = Tokenizer(config, 3).eval(), Tokenizer(config, 3).eval()
    first.begin(data, torch.Generator().manual_seed(0))
    second.load_state_dict(first.state_dict())
    assert first.weighting is not None
    with torch.no_grad():
        output = first(data[96])
        decoded = first.decode(output.sparse.tokens, torch.cat([o.tokens for o in output.dense], 1))
        again = second(data[96])
    for level, points in first.unweigh(output.poses).items():
        assert torch.allclose(decoded[level], points, atol=1e-4)
        assert torch.equal(again.poses[level], output.poses[level])
        assert torch.allclose(first.weigh(points, level), output.poses[level], atol=1e-4)
