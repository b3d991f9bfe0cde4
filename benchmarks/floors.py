"""What a training step has to do, and how long that takes: ``python -m benchmarks.floors``.

For each stage at laptop scale, on one thread of a CPU (or the paper's sizes on a GPU):

* the floating-point operations of its matrix products, and what they take at the rate of one large
  product on this machine;
* the bytes that all other operations read and write, and what they take at the rate of an
  addition that stays in the cache;
* the kernels themselves as they run (the profiler's own time of matrix products, normalisation,
  activation, attention and softmax), and the measured step.

The gap between floor and kernels is small matrices and mathematics that bytes do not show; the gap
between kernels and step is everything else: small operations, autograd, Python.
"""

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.device import SAMPLES, seconds_per_call
from benchmarks.harness import Line, parser, report
from benchmarks.synthetic import TRAINED, build, random_split
from hipart.config import PipelineConfig
from hipart.scheduling.allocator import keep_freed_memory
from hipart.stages.training import TrainingStep

PRODUCTS = ("mm", "bmm", "addmm", "baddbmm")
#: What a step consists of beside products; names of kernels begin with these.
KERNELS = (
    *PRODUCTS,
    "native_layer_norm",
    "gelu",
    "_scaled_dot_product",
    "_log_softmax",
    "argmin",
    "native_batch_norm",
    "_fused_adamw",
    "nll_loss",
)


class MovedBytes(TorchDispatchMode):
    """Adds up what operations other than matrix products read and write."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation and count its distinct tensors."""
        out = func(*args, **(kwargs or {}))
        name = func._schema.name.split("::")[1]
        if name not in PRODUCTS and not func.is_view and "empty" not in name:
            tensors = [x for x in tree_leaves((args, kwargs, out)) if isinstance(x, torch.Tensor)]
            sizes = {x.data_ptr(): x.numel() * x.element_size() for x in tensors}
            self.total += sum(sizes.values())
        return out


def machine_rates(device: torch.device) -> tuple[float, float]:
    """Operations a second of a large product, bytes a second of an addition in the cache."""
    size = 1024 if device.type == "cpu" else 8192
    square = torch.randn(size, size, device=device)
    small = torch.randn(3, 64, 96, 32, device=device)

    def add() -> None:
        torch.add(small[0], small[1], out=small[2])

    product = seconds_per_call(lambda: square @ square, device, 20)
    addition = seconds_per_call(add, device, 200)
    return 2 * size**3 / product, small.numel() * small.element_size() / addition


def kernel_seconds(step: Callable[[], object], calls: int) -> float:
    """The profiler's own time of a step's kernels."""
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(calls):
            step()
    own = [
        event.self_cpu_time_total
        for event in seen.key_averages()
        if event.key.removeprefix("aten::").startswith(KERNELS)
    ]
    return sum(own) / calls / 1e6


def main() -> int:
    """Count, time, print."""
    chosen = parser(__doc__).parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(1)
    keep_freed_memory()
    config = PipelineConfig()
    if device.type == "cpu":
        from hipart.experiment.file import base_at_scale

        config = base_at_scale("laptop")
    operations, moved = machine_rates(device)
    split = random_split(SAMPLES, device)
    lines = []
    for stage in TRAINED:
        step = TrainingStep([build(stage, config, split)], device)
        step.index.random_(SAMPLES)
        step.rates.fill_(1e-4)
        took = seconds_per_call(step, device, 40)
        with FlopCounterMode(display=False) as flops:
            step()
        with MovedBytes() as counted:
            step()
        floor = flops.get_total_flops() / operations + counted.total / moved
        size = f"{flops.get_total_flops() / 1e6:,.0f} MFLOP, {counted.total / 1e6:,.0f} MB"
        lines.append(Line(f"{stage}: floor of {size}", "ms", 1e3 * floor, 1e3 * took, "step"))
        if device.type == "cpu":
            kernels = kernel_seconds(step, 20)
            lines.append(Line(f"{stage}: kernels", "ms", 1e3 * kernels, 1e3 * took, "step"))
    notes = [
        f"one large product: {operations / 1e9:,.0f} GFLOP/s; addition: {moved / 1e9:,.0f} GB/s"
    ]
    return report("floors", lines, notes, chosen.out)


if __name__ == "__main__":
    sys.exit(main())
