"""What every generation order must keep."""

import pytest
import torch

from hipart.config import PriorConfig
from hipart.models.prior import Prior
from hipart.skeleton import NUM_PARTS, ORDERS, center_to_periphery, hop_distance


@pytest.mark.parametrize("name", ORDERS)
class TestOrder:
    def test_every_part_comes_once(self, name: str) -> None:
        assert sorted(ORDERS[name]()) == list(range(NUM_PARTS))

    def test_it_is_the_same_every_time(self, name: str) -> None:
        assert ORDERS[name]() == ORDERS[name]()

    def test_a_prior_generates_by_it(self, name: str) -> None:
        """The pose alone decides the first part; every later part depends on what came before."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            config = PriorConfig(order=name, blocks=1, head_blocks=1, width=16)
            prior = Prior(config, torch.randn(8, 16), torch.randn(8, 16)).eval()
            pose, sparse = torch.randn(1, 17, 2), torch.randint(0, 8, (1, 16))
            dense = torch.randint(0, 8, (1, 48))
        before = prior(pose, sparse, dense).sparse
        order = ORDERS[name]()
        for step, part in enumerate(order):
            changed = sparse.clone()
            changed[:, part] = (changed[:, part] + 1) % 8
            moved = (prior(pose, changed, dense).sparse - before).abs().amax((0, 2)) > 1e-6
            assert {int(p) for p in moved.nonzero()} == set(order[step + 1 :])


def test_center_to_periphery_never_moves_inward() -> None:
    hops = [hop_distance(part) for part in center_to_periphery()]
    assert hops == sorted(hops)
