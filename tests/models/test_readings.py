"""The paper's other readings: Eq. 11 in one pass, Alg. 2's action head, alignment both ways."""

import math
from collections.abc import Iterator
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from hipart.config import CodebookConfig, PriorConfig, TokenizerConfig
from hipart.experiment.errors import ExperimentError
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.models.prior import Prior
from hipart.models.tokenizer import Tokenizer
from hipart.models.tokenizer_loss import local_alignment, tokenizer_loss
from hipart.skeleton import ORDERS
from tests.models.test_prior import K_D, K_S, SMALL, batch, changed_parts

ONE_PASS = SMALL.model_copy(update={"head": "one_pass_prev"})
CODES = CodebookConfig(size=24, dim=16)
TINY = TokenizerConfig(
    width=16, encoder_blocks=1, token_hidden=16, channel_hidden=16, decoder_width=16,
    decoder_channel_hidden=16, sparse_codebook=CODES, dense_codebook=CODES,
)  # fmt: skip
UPSAMPLED = TINY.model_copy(update={"action_input": "dense_and_upsampled"})


@pytest.fixture(autouse=True)
def seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def built(config: PriorConfig = ONE_PASS) -> Prior:
    prior = Prior(config, torch.randn(K_S, 32), torch.randn(K_D, 32)).eval()
    for parameter in prior.parameters():  # so that every input moves what depends on it
        nn.init.normal_(parameter, std=0.3)
    return prior


# --- Eq. 11 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0, 1, 9, 15])
def test_a_part_is_predicted_from_its_h_and_the_sparse_code_before(step: int) -> None:
    """Eq. 11 written out: PH(h^i, z_s^i, z_s^i, z_s^i), all slots seeing all, in one pass."""
    prior, (pose, q_s, q_d) = built(), batch(2)
    order = ORDERS[ONE_PASS.order]()
    logits = prior(pose, q_s, q_d)
    z_s = prior.sparse.table()[q_s[:, list(order)]]
    z_d = prior.dense.table()[q_d.view(2, 16, 3)[:, list(order)]]
    before = [prior.start(pose), prior.local(z_s[:, :step], z_d[:, :step])]
    h = prior.causal(torch.cat(before, dim=1))[:, step]
    assert prior.no_part is not None
    z_before = prior.no_part.expand(2, -1) if step == 0 else z_s[:, step - 1]
    x = torch.stack([h, *(z_before + prior.head_slots[slot] for slot in range(3))], dim=1)
    for block in prior.head_blocks.blocks:
        x = block(x)
    x = prior.head_norm(x)
    part = order[step]
    sparse = prior.sparse.logits(x[:, 0], prior.sparse.table())
    dense = prior.dense.logits(x[:, 1:], prior.dense.table())
    assert torch.allclose(logits.sparse[:, part], sparse, atol=1e-4)
    assert torch.allclose(logits.dense[:, 3 * part : 3 * part + 3], dense, atol=1e-4)


@pytest.mark.parametrize("name", ["center_to_periphery", "raster"])
@pytest.mark.parametrize("step", [0, 7, 14, 15])
def test_no_dense_token_sees_the_sparse_one_of_its_part(name: str, step: int) -> None:
    """Against Eq. 8, by which it would; the parts that come later see it."""
    prior, (pose, q_s, q_d) = built(ONE_PASS.model_copy(update={"order": name})), batch(2)
    order = ORDERS[name]()
    other = q_s.clone()
    other[:, order[step]] = (other[:, order[step]] + 1) % K_S
    later = set(order[step + 1 :])
    assert changed_parts(prior(pose, q_s, q_d), prior(pose, other, q_d)) == (later, later)


def test_the_code_before_reaches_every_slot_of_the_head() -> None:
    """Which the mask of two passes keeps from slot 0."""
    prior, hidden, z_s = built(), torch.randn(4, 5, 32), torch.randn(4, 5, 32)
    moved = prior.head(hidden, z_s + torch.randn(32)) - prior.head(hidden, z_s)
    assert (moved.abs().amax(dim=(0, 1, 3)) > 1e-3).all()


def test_a_step_of_one_pass_runs_the_head_once() -> None:
    calls: dict[str, list[int]] = {"one_pass_prev": [], "two_pass": []}
    for head, seen in calls.items():
        prior = built(SMALL.model_copy(update={"head": head}))
        first = prior.head_blocks.blocks[0].attention_norm
        first.register_forward_hook(lambda *found, seen=seen: seen.append(found[-1].shape[1]))
        prior.generate(torch.randn(2, 17, 2))
    assert calls == {"one_pass_prev": [4] * 16, "two_pass": [1, 3] * 16}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prior.framework": "classification"}, "none is predicted from another; set head to"),
        ({"prior.within_part": "sequential"}, "sequential one after the other; set head to"),
        ({"prior.within_part": "sequential", "prior.sequential": "nested"}, "set head to two_pass"),
    ],
)
def test_one_pass_has_no_meaning_elsewhere(changes: dict[str, str], said: str) -> None:
    with pytest.raises(ExperimentError, match=f"prior.head: .*{said}"):
        with_changes(base_at_scale("smoke"), {"prior.head": "one_pass_prev", **changes})


# --- Alg. 2, line 8 ------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [(48, 96), (48, 96, 192)])
def test_the_action_is_told_from_dense_codes_beside_the_upsampled_sparse_ones(
    levels: tuple[int, ...],
) -> None:
    """P_A(Concat(z_d, D_s(z_s))), both joined along channels as in line 5."""
    tokenizer = Tokenizer(UPSAMPLED.model_copy(update={"levels": levels}), num_actions=5).eval()
    output = tokenizer(torch.randn(3, levels[-1], 2))
    up: Tensor | None = None
    for coarser, d_s in zip([output.sparse, *output.dense], tokenizer.upsamplers, strict=False):
        up = d_s(coarser.codes if up is None else torch.cat([coarser.codes, up], dim=-1))
    assert up is not None
    told = torch.cat([output.dense[-1].codes, up], dim=-1)
    assert told.shape == (3, levels[-2], 2 * TINY.width)
    assert torch.allclose(output.action_logits, tokenizer.action_head(told), atol=1e-5)


def test_everything_but_the_action_is_as_before() -> None:
    plain, other = Tokenizer(TINY, num_actions=5), Tokenizer(UPSAMPLED, num_actions=5)
    shared = {k: v for k, v in plain.state_dict().items() if not k.startswith("action_head.")}
    other.load_state_dict(shared, strict=False)
    fine = torch.randn(3, 96, 2)
    first, second = plain.eval()(fine), other.eval()(fine)
    assert torch.equal(first.poses[96], second.poses[96])
    assert not torch.allclose(first.action_logits, second.action_logits, atol=1e-3)


@pytest.mark.parametrize(
    ("reading", "levels"),
    list(
        product(
            ({"action_input": "dense_and_upsampled"}, {"alignment": "symmetric"}),
            ((96,), (48, 96), (48, 96, 192)),
        )
    ),
)
def test_every_parameter_learns(reading: dict[str, str], levels: tuple[int, ...]) -> None:
    config = TINY.model_copy(update={"levels": levels, **reading})
    tokenizer = Tokenizer(config, num_actions=5)
    poses = {level: torch.randn(3, level, 2) for level in levels}
    action = torch.tensor([0, 4, 2])
    tokenizer_loss(tokenizer(poses[levels[-1]]), poses, action, config)[0].backward()
    for name, parameter in tokenizer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


# --- Eq. 3, both ways ----------------------------------------------------------------------------


@pytest.mark.parametrize("alignment", ["one_way", "symmetric"])
def test_alignment_is_the_printed_fraction(alignment: str) -> None:
    """Eq. 3, exponential by exponential; of both ways the mean."""
    sparse, dense, tau = torch.randn(2, 16, 8).double(), torch.randn(2, 48, 8).double(), 0.5
    ways: dict[str, list[float]] = {"there": [], "back": []}
    for pose in range(2):
        u = [code / code.norm() for code in sparse[pose]]
        v = [part.mean(0) / part.mean(0).norm() for part in dense[pose].split(3)]

        def e(i: int, k: int, u: list[Tensor] = u, v: list[Tensor] = v) -> float:
            return math.exp(float(u[i] @ v[k]) / tau)

        for i in range(16):
            ways["there"].append(-math.log(e(i, i) / sum(e(i, k) for k in range(16))))
            ways["back"].append(-math.log(e(i, i) / sum(e(k, i) for k in range(16))))
    there, back = (sum(way) / len(way) for way in ways.values())
    assert abs(there - back) > 1e-3
    expected = there if alignment == "one_way" else (there + back) / 2
    found = local_alignment(sparse, dense, tau, alignment)
    assert found.item() == pytest.approx(expected, abs=1e-12)


def test_both_ways_do_not_change_when_sparse_and_dense_change_places() -> None:
    one, other = torch.randn(2, 16, 8), torch.randn(2, 16, 8)
    found = local_alignment(one, other, 0.07, "symmetric")
    assert torch.allclose(found, local_alignment(other, one, 0.07, "symmetric"), atol=1e-5)
    assert not torch.allclose(found, local_alignment(one, other, 0.07), atol=1e-3)
    uniform = local_alignment(torch.ones(2, 16, 8), torch.ones(2, 48, 8), 0.07, "symmetric")
    assert uniform.item() == pytest.approx(math.log(16), abs=1e-6)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_loss_takes_the_alignment_of_its_config(reduction: str) -> None:
    tokenizer, fine = Tokenizer(TINY, num_actions=5), torch.randn(3, 96, 2)
    output, poses = tokenizer(fine), {48: torch.randn(3, 48, 2), 96: fine}
    for alignment in ("one_way", "symmetric"):
        config = TINY.model_copy(update={"loss_reduction": reduction, "alignment": alignment})
        _, parts = tokenizer_loss(output, poses, torch.tensor([0, 4, 2]), config)
        one = local_alignment(output.sparse.codes, output.dense[0].codes, 0.07, alignment)
        times = 16 if reduction == "sum" else 1
        assert parts["local_alignment"].item() == pytest.approx(times * one.item(), rel=1e-5)
