"""Measure what a configuration costs at test time: parameters, FLOPs, latency, throughput.

Nothing is trained: weights do not change the time. FLOPs count two for a multiply-add, attention
included, generation with its cache. Times are medians of ``REPEATS`` after a warm-up, with the
device synchronised, and hold for the machine that the artifact's provenance names.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from hipart.config import window_frames
from hipart.models.densifier import densified
from hipart.models.lifters.build import build_lifter
from hipart.models.parameters import parameter_counts
from hipart.models.priors import build_prior
from hipart.models.regressors.build import build_regressor
from hipart.models.tokenizer import Tokenizer
from hipart.skeleton import NUM_JOINTS
from hipart.stages.context import StageContext

BATCH = 256
REPEATS = 20
WARM_UP = 3


@torch.inference_mode()
def train(context: StageContext) -> dict[str, float]:
    """Profile generation and lifting apart and together, at batch 1 and ``BATCH`` frames."""
    config, device = context.config, context.device
    num_actions = len(context.corpus.action_names)
    parameters = parameter_counts(config, num_actions)
    source = config.lifter.dense_input
    generated = source in ("generated", "regressed")
    tokenizer = Tokenizer(config.tokenizer, num_actions).eval().to(device)
    prior = build_prior(config.prior, tokenizer).eval().to(device)
    regressor = build_regressor(config.regressor).eval().to(device)
    inputs = NUM_JOINTS + sum(config.input_levels)
    lifter = build_lifter(config.lifter.model, inputs).eval().to(device)
    frames = window_frames(config.lifter.model)

    def generate(count: int) -> Callable[[], Any]:
        pose = torch.randn(count, NUM_JOINTS, 2, device=device)
        if source == "regressed":
            return lambda: regressor(pose)
        return lambda: densified(
            prior, tokenizer, pose, config.data.coordinates, config.densify.decode
        )

    def lift(windows: int) -> Callable[[], Tensor]:
        shape = (windows, frames, inputs, 2) if frames > 1 else (windows, inputs, 2)
        poses = torch.randn(*shape, device=device)
        return lambda: torch.as_tensor(lifter(poses))

    #: Frames that one window gives: all of it, or its middle one.
    out = frames if frames > 1 and lift(1)().dim() == 4 else 1
    windows = max(1, BATCH // frames)
    lifting_flops = _flops(lift(1)) / out
    generation_flops = _flops(generate(1)) if generated else 0.0
    lifting_s = _seconds(lift(windows), device) / (windows * out)
    generation_s = _seconds(generate(BATCH), device) / BATCH if generated else 0.0
    # The first answer of a window needs the dense poses of all its frames.
    latency = _seconds(lift(1), device) + (_seconds(generate(frames), device) if generated else 0.0)
    context.report(1, 1, {})
    total = parameters.get("total_without_action_head", parameters["inference_total"])
    return {
        "parameters_m": parameters["inference_total"] / 1e6,
        "total_parameters_m": total / 1e6,
        "gflops": (lifting_flops + generation_flops) / 1e9,
        "generation_gflops": generation_flops / 1e9,
        "lifting_gflops": lifting_flops / 1e9,
        "latency_ms": 1e3 * latency,
        "frames_per_s": 1 / (lifting_s + generation_s),
        "generation_ms": 1e3 * BATCH * generation_s,
        "lifting_ms": 1e3 * BATCH * lifting_s,
    }


def _flops(call: Callable[[], Any]) -> float:
    attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    with FlopCounterMode(display=False, custom_mapping={attention: attention_flops}) as counter:
        call()
    return float(counter.get_total_flops())


def attention_flops(query: Any, key: Any, *_: Any, **__: Any) -> int:
    """Two products of queries and keys, (batch, heads, tokens, head_dim) each, all masked too."""
    batch, heads, queries, width = query
    return int(4 * batch * heads * queries * key[2] * width)


def _seconds(call: Callable[[], Any], device: torch.device) -> float:
    def timed() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    for _ in range(WARM_UP):
        timed()
    return median(timed() for _ in range(REPEATS))
