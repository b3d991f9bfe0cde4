"""Cached generation against full recomputation: ``python -m benchmarks.generation``.

First both generate tokens for 1,000 random poses, in double precision, and must agree; then
both are timed in single precision, turn by turn in one process. The prior has the paper's size
and no training. The sequential order of Table 4, 64 steps instead of 16, stands beside it, and is
recomputed through its teacher-forced pass. Exit status 1 where a token differs.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from benchmarks.harness import Line, alternate, parser, report
from hipart.config import PriorConfig
from hipart.models.prior import Prior
from hipart.models.sequential_prior import SequentialPrior
from hipart.skeleton import NUM_PARTS

P = TypeVar("P", bound=nn.Module)
Generation = Callable[[Tensor], tuple[Tensor, Tensor]]

CHECKED_POSES = 1000
CODEBOOK_SIZE = 2048
BATCH_SIZES = (1, 64, 256)


def grouped_prior(seed: int) -> Prior:
    """The paper's prior, untrained."""
    codes = random_codes(seed)
    return enlarged(Prior(PriorConfig(), codes[0], codes[1]))


def sequential_prior(seed: int) -> SequentialPrior:
    """The same size, one token a step."""
    codes = random_codes(seed)
    return enlarged(SequentialPrior(PriorConfig(within_part="sequential"), codes[0], codes[1]))


def random_codes(seed: int) -> Tensor:
    """Two codebooks (2, k, width); what is drawn from torch next depends on ``seed``, too."""
    torch.manual_seed(seed)
    return torch.randn(2, CODEBOOK_SIZE, PriorConfig().width)


def enlarged(prior: P) -> P:
    """With matrices three times as large, so that tokens matter."""
    with torch.no_grad():
        for parameter in prior.parameters():
            if parameter.ndim > 1:
                parameter.mul_(3)
    return prior.eval()


def random_poses(count: int, seed: int) -> Tensor:
    """Standard normal 2D poses (count, 17, 2)."""
    return torch.randn(count, 17, 2, generator=torch.Generator().manual_seed(seed))


def equal_tokens(one: Generation, other: Generation, poses: Tensor) -> bool:
    """Whether both ways give every pose the same 64 tokens."""
    return all(torch.equal(a, b) for a, b in zip(one(poses), other(poses), strict=True))


@torch.no_grad()
def recompute(prior: SequentialPrior, poses: Tensor) -> tuple[Tensor, Tensor]:
    """64 teacher-forced passes, each giving the next token in the order of generation."""
    q_s = torch.zeros(len(poses), NUM_PARTS, dtype=torch.int64)
    q_d = torch.zeros(len(poses), NUM_PARTS, prior.slots - 1, dtype=torch.int64)
    for part in prior.order.tolist():
        for slot in range(prior.slots):
            logits = prior(poses, q_s, q_d.flatten(1))
            if slot == 0:
                q_s[:, part] = logits.sparse[:, part].argmax(-1)
            else:
                place = part * (prior.slots - 1) + slot - 1
                q_d[:, part, slot - 1] = logits.dense[:, place].argmax(-1)
    return q_s, q_d.flatten(1)


def batch_lines(prior: Prior, sizes: Sequence[int], repeats: int) -> list[Line]:
    """Cached generation beside full recomputation, by batch size."""
    lines = []
    for size in sizes:
        poses = random_poses(size, 2)
        found = alternate(
            {
                "cached": partial(prior.generate, poses),
                "full": partial(prior.generate, poses, cached=False),
            },
            repeats,
        )
        ours, peer = 1e3 * found["cached"], 1e3 * found["full"]
        least = 3.0 if size == 256 else None
        lines.append(Line(f"16 groups, batch {size}", "ms", ours, peer, "full", least_ratio=least))
    return lines


def sequential_lines(
    prior: Prior, sequential: SequentialPrior, size: int, repeats: int
) -> list[Line]:
    """64 steps beside 16, and beside their own recomputation."""
    poses, few = random_poses(size, 2), random_poses(min(size, 16), 2)
    both = alternate(
        {"groups": partial(prior.generate, poses), "tokens": partial(sequential.generate, poses)},
        repeats,
    )
    own = alternate(
        {"cached": partial(sequential.generate, few), "full": partial(recompute, sequential, few)},
        repeats=1,
    )
    groups, tokens = 1e3 * both["groups"], 1e3 * both["tokens"]
    cached, full = 1e3 * own["cached"], 1e3 * own["full"]
    return [
        Line(f"16 groups against 64 tokens, batch {size}", "ms", groups, tokens, "64, cached"),
        Line(f"64 tokens, batch {len(few)}", "ms", cached, full, "full"),
    ]


def main() -> int:
    """Check, time, print the table."""
    options = parser(__doc__)
    options.add_argument("--batch-sizes", type=int, nargs="+", default=BATCH_SIZES)
    options.add_argument("--threads", type=int, default=1)
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    prior, sequential = grouped_prior(seed=0), sequential_prior(seed=0)
    equal = equal_tokens(
        prior.double().generate,
        partial(prior.generate, cached=False),
        random_poses(CHECKED_POSES, 1).double(),
    ) and equal_tokens(
        sequential.double().generate, partial(recompute, sequential), random_poses(8, 1).double()
    )
    prior.float()
    sequential.float()
    lines = batch_lines(prior, chosen.batch_sizes, chosen.repeats)
    lines += sequential_lines(prior, sequential, max(chosen.batch_sizes), chosen.repeats)
    notes = [
        f"tokens of {CHECKED_POSES} random poses (float64): {'equal' if equal else 'DIFFERENT'}",
        f"float32, CPU, {chosen.threads} thread(s), median of {chosen.repeats} after a warm-up",
    ]
    return report("generation", lines, notes, chosen.out) or (0 if equal else 1)


if __name__ == "__main__":
    sys.exit(main())
