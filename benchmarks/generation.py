"""Cached generation against full recomputation: ``python -m benchmarks.generation``.

First both generate tokens for 1,000 random poses, in double precision, and must agree; then
both are timed in single precision, turn by turn in one process, so that whatever else the
machine does meets both alike. Exit status 1 where a token differs.
"""

import argparse
import statistics
import sys
import time

import torch
from torch import Tensor

from hipart.config import PriorConfig
from hipart.models.prior import Prior

CHECKED_POSES = 1000
CODEBOOK_SIZE = 2048


def build_prior(seed: int) -> Prior:
    """An untrained prior of the paper's size; its matrices are enlarged so that tokens matter."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = PriorConfig()
        codes = torch.randn(2, CODEBOOK_SIZE, config.width)
        prior = Prior(config, codes[0], codes[1]).eval()
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


def time_both(prior: Prior, poses: Tensor, repeats: int) -> tuple[float, float]:
    """Median seconds of (cached, full) generation, alternating, after one warm-up each."""
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for repeat in range(repeats + 1):
        for cached in (True, False):
            start = time.perf_counter()
            prior.generate(poses, cached)
            if repeat:
                seconds[cached].append(time.perf_counter() - start)
    return statistics.median(seconds[True]), statistics.median(seconds[False])


def main() -> int:
    """Check, time, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 64, 256])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    prior = build_prior(seed=0)
    equal = equal_tokens(prior.double(), random_poses(CHECKED_POSES, seed=1).double())
    print(f"tokens of {CHECKED_POSES} random poses (float64): {'equal' if equal else 'DIFFERENT'}")
    prior.float()
    print(f"float32, CPU, {options.threads} thread(s), median of {options.repeats} after warm-up")
    print(f"{'batch':>6} {'cached ms':>10} {'full ms':>10} {'full/cached':>12} {'poses/s':>9}")
    for size in options.batch_sizes:
        cached, full = time_both(prior, random_poses(size, seed=2), options.repeats)
        print(
            f"{size:>6} {1e3 * cached:>10.1f} {1e3 * full:>10.1f} {full / cached:>12.2f}"
            f" {size / cached:>9.0f}"
        )
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
