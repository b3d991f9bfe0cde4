"""Cached generation against full recomputation: ``python -m benchmarks.generation``.

First both generate tokens for 1,000 random poses, in double precision, and must agree; then
both are timed in single precision, turn by turn in one process. The prior has the paper's size
and no training. The sequential order of Table 4, 64 steps instead of 16, stands beside it, and is
recomputed through its teacher-forced pass. Exit status 1 where a token differs.
"""

import sys

import torch
from torch import Tensor

from benchmarks.harness import Line, alternate, parser, report
from hipart.config import PriorConfig
from hipart.models.prior import Prior
from hipart.models.sequential_prior import SequentialPrior

CHECKED_POSES = 1000
CODEBOOK_SIZE = 2048
BATCH_SIZES = (1, 64, 256)


def build_prior(seed: int, sequential: bool = False) -> Prior | SequentialPrior:
    """An untrained prior of the paper's size; its matrices are enlarged so that tokens matter."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = PriorConfig(within_part="sequential" if sequential else "sparse_to_dense")
        codes = torch.randn(2, CODEBOOK_SIZE, config.width)
        kind = SequentialPrior if sequential else Prior
        prior = kind(config, codes[0], codes[1]).eval()
        with torch.no_grad():
            for parameter in prior.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(3)
    return prior


def random_poses(count: int, seed: int) -> Tensor:
    """Standard normal 2D poses (count, 17, 2)."""
    return torch.randn(count, 17, 2, generator=torch.Generator().manual_seed(seed))


def equal_tokens(prior: Prior, poses: Tensor) -> bool:
    """Whether both ways give every pose the same 64 tokens."""
    cached, full = prior.generate(poses), prior.generate(poses, cached=False)
    return all(torch.equal(a, b) for a, b in zip(cached, full, strict=True))


@torch.no_grad()
def recompute(prior: SequentialPrior, poses: Tensor) -> tuple[Tensor, Tensor]:
    """64 teacher-forced passes, each giving the next token in the order of generation."""
    q_s = torch.zeros(len(poses), 16, dtype=torch.int64)
    q_d = torch.zeros(len(poses), 16, prior.slots - 1, dtype=torch.int64)
    for part in prior.order.tolist():
        for slot in range(prior.slots):
            logits = prior(poses, q_s, q_d.flatten(1))
            if slot == 0:
                q_s[:, part] = logits.sparse[:, part].argmax(-1)
            else:
                place = part * (prior.slots - 1) + slot - 1
                q_d[:, part, slot - 1] = logits.dense[:, place].argmax(-1)
    return q_s, q_d.flatten(1)


def main() -> int:
    """Check, time, print the table."""
    options = parser(__doc__)
    options.add_argument("--batch-sizes", type=int, nargs="+", default=BATCH_SIZES)
    options.add_argument("--threads", type=int, default=1)
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    prior, sequential = build_prior(0), build_prior(0, sequential=True)
    assert isinstance(prior, Prior)
    assert isinstance(sequential, SequentialPrior)
    equal = equal_tokens(prior.double(), random_poses(CHECKED_POSES, 1).double())
    few = random_poses(8, 1)
    equal = equal and all(
        torch.equal(a, b)
        for a, b in zip(
            sequential.double().generate(few.double()),
            recompute(sequential, few.double()),
            strict=True,
        )
    )
    prior.float(), sequential.float()
    lines = []
    for size in chosen.batch_sizes:
        poses = random_poses(size, 2)
        calls = {
            "cached": lambda poses=poses: prior.generate(poses),
            "full": lambda poses=poses: prior.generate(poses, cached=False),
        }
        found = {name: 1e3 * s for name, s in alternate(calls, chosen.repeats).items()}
        least = 3.0 if size == 256 else None
        what = f"16 groups, batch {size}"
        lines.append(Line(what, "ms", found["cached"], found["full"], "full", least_ratio=least))
    size = max(chosen.batch_sizes)
    poses = random_poses(size, 2)
    calls = {
        "groups": lambda: prior.generate(poses),
        "tokens": lambda: sequential.generate(poses),
    }
    found = {name: 1e3 * s for name, s in alternate(calls, chosen.repeats).items()}
    what = f"16 groups against 64 tokens, batch {size}"
    lines.append(Line(what, "ms", found["groups"], found["tokens"], "64 steps, cached"))
    small = random_poses(min(size, 16), 2)
    calls = {
        "cached": lambda: sequential.generate(small),
        "full": lambda: recompute(sequential, small),
    }
    found = {name: 1e3 * s for name, s in alternate(calls, 1).items()}
    what = f"64 tokens, batch {len(small)}"
    lines.append(Line(what, "ms", found["cached"], found["full"], "full"))
    notes = [
        f"tokens of {CHECKED_POSES} random poses (float64): {'equal' if equal else 'DIFFERENT'}",
        f"float32, CPU, {chosen.threads} thread(s), median of {chosen.repeats} after a warm-up",
    ]
    return report("generation", lines, notes, chosen.out) or (0 if equal else 1)


if __name__ == "__main__":
    sys.exit(main())
