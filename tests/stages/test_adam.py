"""Our Adam against torch's, row by row."""

from dataclasses import replace

import pytest
import torch

from hipart.experiment.file import base_at_scale
from hipart.models.priors import build_prior
from hipart.models.tokenizer import Tokenizer
from hipart.stages.adam import Adam
from hipart.stages.schedule import Plan
from hipart.stages.training import Objective, Training, _decayed


@pytest.mark.parametrize("decay", [0.0, 0.15])
def test_rows_are_what_torch_makes_of_them(decay: float) -> None:
    torch.manual_seed(0)
    weights = torch.randn(3, 40)
    peers = [torch.nn.Parameter(row.clone()) for row in weights]
    theirs = [torch.optim.AdamW([peer], lr=1.0, weight_decay=decay) for peer in peers]
    ours = Adam(weights, [decay] * 3)
    for step in range(300):
        gradient = torch.randn(3, 40) * 10.0 ** (step % 5 - 2)
        rates = torch.tensor([1e-3, 3e-2, 1e-4]) / (1 + step)
        ours.step(gradient, rates)
        for peer, optimiser, row, rate in zip(peers, theirs, gradient, rates, strict=True):
            peer.grad = row.clone()
            optimiser.param_groups[0]["lr"] = float(rate)
            optimiser.step()
    for peer, row in zip(peers, weights, strict=True):
        assert torch.allclose(peer, row, rtol=1e-5, atol=1e-6)


def smallest(kind: str) -> Training:
    """A training of which matrices alone decay; what it trains on does not matter."""
    config = base_at_scale("smoke")
    torch.manual_seed(0)
    tokenizer = Tokenizer(config.tokenizer, 3)
    model = tokenizer if kind == "tokenizer" else build_prior(config.prior, tokenizer)
    plan = Plan(9, 1, 9, lambda *_: 0.1, 0)
    return Training(Objective(model, {}), plan, 0.15, config.prior.weight_decay_on)


@pytest.mark.parametrize("kind", ["tokenizer", "prior"])
def test_matrices_alone_decay_as_in_torchs_groups(kind: str) -> None:
    """Biases, gains of norms and learned embeddings do not."""
    training = smallest(kind)
    assert training.weight_decay_on == "matrices"
    names = [name for name, _ in training.model.named_parameters()]
    peers = [torch.nn.Parameter(p.detach().clone()) for p in training.model.parameters()]
    matrix = [p.ndim == 2 and n.endswith(".weight") for n, p in zip(names, peers, strict=True)]
    assert 0 < sum(matrix) < len(matrix)
    if kind == "prior":
        assert not any(m for n, m in zip(names, matrix, strict=True) if "embedding" in n)
        assert not any(m for n, m in zip(names, matrix, strict=True) if "slots" in n)
    groups = [
        {"params": [p for p, m in zip(peers, matrix, strict=True) if m], "weight_decay": 0.15},
        {"params": [p for p, m in zip(peers, matrix, strict=True) if not m], "weight_decay": 0.0},
    ]
    theirs = torch.optim.AdamW(groups, lr=0.02)
    weights = torch.nn.utils.parameters_to_vector(training.model.parameters()).detach()[None]
    before = weights.clone()
    ours = Adam(weights, [0.15], _decayed(training, weights))
    for _ in range(30):
        for peer in peers:
            peer.grad = torch.randn_like(peer)
        gradient = torch.cat([peer.grad.flatten() for peer in peers if peer.grad is not None])
        ours.step(gradient[None], torch.tensor([0.02]))
        theirs.step()
    found = torch.cat([peer.detach().flatten() for peer in peers])
    assert torch.allclose(found, weights[0], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(before, weights)


def test_all_decay_where_nothing_else_is_said() -> None:
    training = replace(smallest("prior"), weight_decay_on="all")
    assert _decayed(training, torch.zeros(1, 5)) is None


def test_it_goes_on_where_it_was() -> None:
    torch.manual_seed(0)
    gradients, rates = torch.randn(20, 2, 5), torch.tensor([0.1, 0.01])
    whole, first = torch.zeros(2, 5), torch.zeros(2, 5)
    decay = [0.1, 0.0]
    ours, before = Adam(whole, decay), Adam(first, decay)
    for gradient in gradients:
        ours.step(gradient, rates)
    for gradient in gradients[:12]:
        before.step(gradient, rates)
    second = first.clone()
    after = Adam(second, decay)
    for member in range(2):
        state = {name: tensor.clone() for name, tensor in before.state(member).items()}
        after.restore(member, state, 12)
    for gradient in gradients[12:]:
        after.step(gradient, rates)
    assert torch.equal(whole, second)
