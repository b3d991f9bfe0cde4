"""Our Adam against torch's, row by row."""

import pytest
import torch

from hipart.stages.adam import Adam


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
