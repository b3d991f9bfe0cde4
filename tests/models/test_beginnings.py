"""How a tokenizer begins: joint maps in blocks, codes at embeddings of the data."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from hipart.config import CodebookConfig, TokenizerConfig
from hipart.models.mixer import JointLinear
from hipart.models.quantizer import EmaQuantizer
from hipart.models.tokenizer import Tokenizer
from hipart.skeleton import NUM_PARTS

DATA = CodebookConfig(size=40, dim=8, init="data")
NORMAL = CodebookConfig(size=40, dim=8, init="normal")


@pytest.fixture(autouse=True)
def seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(**update: Any) -> Tokenizer:
    settings: dict[str, Any] = {
        "width": 16, "encoder_blocks": 1, "token_hidden": 16, "channel_hidden": 16,
        "decoder_width": 16, "decoder_channel_hidden": 16,
        "sparse_codebook": DATA, "dense_codebook": DATA,
    }  # fmt: skip
    torch.manual_seed(1)
    return Tokenizer(TokenizerConfig(**(settings | update)), 3).train()


def poses(levels: tuple[int, ...], count: int = 50) -> dict[int, torch.Tensor]:
    return {level: torch.randn(count, level, 2, generator=generator(level)) for level in levels}


def distances(codes: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    return (codes.unsqueeze(1) - z).norm(dim=-1)


@pytest.mark.parametrize(("into", "out"), [(96, 48), (48, 16), (16, 48), (48, 96)])
def test_a_joint_begins_with_its_own(into: int, out: int) -> None:
    """A coarser joint as the mean of its own finer ones; they as copies of it."""
    layer, points = JointLinear(into, out), torch.randn(5, into, 7)
    drawn = layer.weight.detach().clone()
    layer.begin_in_blocks()
    found = layer(points) - 0.1 * torch.einsum("oi,bid->bod", drawn, points)
    each = max(into, out) // min(into, out)
    if into > out:
        expected = points.unflatten(1, (out, each)).mean(dim=2)
    else:
        expected = points.repeat_interleave(each, dim=1)
    assert torch.allclose(found, expected, atol=1e-5)


def test_between_numbers_that_do_not_divide_a_map_stays_random() -> None:
    layer = JointLinear(112, 48)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    layer.begin_in_blocks()
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


def test_a_token_begins_with_the_part_of_its_index() -> None:
    """Moving a part's points moves its own embedding most; of a random map some other one."""

    def own_share(joint_init: str) -> float:
        tokenizer = build(joint_init=joint_init).eval()
        pose = poses((96,), 20)[96]
        own = 0
        before = tokenizer._quantize(pose)[0][0].inputs
        for part in range(NUM_PARTS):
            moved = pose.clone()
            moved[:, 6 * part : 6 * part + 6] += 0.5
            change = (tokenizer._quantize(moved)[0][0].inputs - before).norm(dim=-1).mean(0)
            own += int(change.argmax()) == part
        return own / NUM_PARTS

    assert own_share("block") > 0.9
    assert own_share("random") < 0.5


@pytest.mark.parametrize("levels", [(96,), (48, 96), (48, 96, 192)])
@pytest.mark.parametrize("codebooks", ["hierarchical", "shared"])
def test_codes_begin_at_embeddings(levels: tuple[int, ...], codebooks: str) -> None:
    tokenizer, data = build(levels=levels, codebooks=codebooks), poses(levels)
    before = [codes.clone() for codes in tokenizer.codebooks]
    tokenizer.begin(data, generator())
    quantised, _ = tokenizer.eval()._quantize(data[levels[-1]])
    shared = len(tokenizer.books) == 1
    for place, (codes, old) in enumerate(zip(tokenizer.codebooks, before, strict=True)):
        chosen = quantised if shared else (quantised[1:] if place else quantised[:1])
        if not chosen:  # no dense tokens
            continue
        assert not torch.equal(codes, old)
        assert len(codes.unique(dim=0)) == len(codes)
        used = torch.cat([level.tokens.flatten() for level in chosen]).unique()
        assert len(used) > 0.8 * len(codes)  # dense embeddings moved with the sparse codes
        if place == 0:  # sparse embeddings depend on no code
            z = torch.cat([level.inputs.flatten(0, 1) for level in chosen[:1]])
            near = distances(codes, z).amin(1) < 1e-4
            assert near.all() if not shared else near.any()
    for book in tokenizer.books:
        quantizer = book.quantizer
        assert torch.equal(quantizer.code_sum, quantizer.codes)
        assert (quantizer.cluster_size == 1).all()


def test_the_same_generator_begins_alike_and_another_otherwise() -> None:
    data = poses((48, 96))

    def codes(seed: int) -> torch.Tensor:
        tokenizer = build()
        tokenizer.begin(data, generator(seed))
        return torch.cat(tokenizer.codebooks)

    assert torch.equal(codes(0), codes(0))
    assert not torch.equal(codes(0), codes(1))


def test_normal_codes_stay_as_they_were_drawn() -> None:
    tokenizer = build(sparse_codebook=NORMAL)
    before = [codes.clone() for codes in tokenizer.codebooks]
    tokenizer.begin(poses((48, 96)), generator())
    sparse, dense = tokenizer.codebooks
    assert torch.equal(sparse, before[0]) and not torch.equal(dense, before[1])


def test_more_codes_than_embeddings_lie_beside_them() -> None:
    quantizer, z = EmaQuantizer(CodebookConfig(size=100, dim=4)), torch.randn(30, 4)
    quantizer.begin_at(z, generator())
    distance = distances(quantizer.codes, z).amin(1)
    assert (distance < 1e-6).sum() == 30 and distance.max() < 0.1
    assert len(quantizer.codes.unique(dim=0)) == 100


def test_a_code_is_dead_below_a_share_of_the_mean() -> None:
    """However many observations there are for each."""

    def restarted(dead_below: float | None) -> int:
        config = CodebookConfig(
            size=4, dim=2, decay=0.5, dead_code="restart", dead_below=dead_below
        )
        quantizer = EmaQuantizer(config).train()
        quantizer.codes.copy_(torch.tensor([[0.0, 0], [9, 0], [0, 9], [9, 9]]))
        quantizer.code_sum.copy_(quantizer.codes)
        counts = (1000, 1000, 1000, 4)
        quantizer.cluster_size.copy_(torch.tensor(counts, dtype=torch.float32))
        tokens = torch.arange(4).repeat_interleave(torch.tensor(counts))
        quantizer.follow(quantizer.codes[tokens] + 0.0, tokens)
        return int((quantizer.cluster_size == 1).sum())

    assert restarted(None) == 0
    assert restarted(0.03) == 1
