"""Steps and generation on an accelerator: ``make bench-device``.

Needs torch, numpy, einops, pydantic and safetensors. With a GPU everything has the paper's size;
without one it runs in a reduced form on the CPU (small sizes, nothing recorded, short arrays) to
show that it runs, and asks for nothing.

* A training step of each stage: eager PyTorch, one job at a time, against the same step recorded
  as a CUDA graph, and against an array of eight members as one recorded step.
* Generation and lifting, apart and together, by batch size; the latency of one pose.
* What that comes to: one full trial of the paper, and the suite of its tables with five seeds
  (where ``ruamel.yaml`` is installed, which reads the experiments).
"""

import sys
import time
from collections.abc import Callable

import torch

from benchmarks.harness import Line, parser, report
from benchmarks.synthetic import ACTIONS, TRAINED, build, random_split
from hipart.config import CodebookConfig, PipelineConfig, TransformerLifterConfig
from hipart.models.capture import WARM_UP, Captured
from hipart.models.lifters.build import build_lifter
from hipart.models.priors import build_prior
from hipart.models.tokenizer import Tokenizer
from hipart.skeleton import NUM_JOINTS
from hipart.stages.training import TrainingStep

#: Human3.6M, every fifth frame: samples of S1, S5, S6, S7, S8, and of S9 and S11.
TRAIN_FRAMES, TEST_FRAMES = 311_951, 108_737
#: Samples that steps draw from.
SAMPLES = 4096
ARRAY = 8

Rates = dict[str, dict[str, float]]


def seconds_per_call(call: Callable[[], object], device: torch.device, calls: int) -> float:
    """Mean seconds of a call after a warm-up, the device having finished."""

    def finish() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    for _ in range(WARM_UP + 2):
        call()
    finish()
    start = time.perf_counter()
    for _ in range(calls):
        call()
    finish()
    return (time.perf_counter() - start) / calls


def step_rates(config: PipelineConfig, device: torch.device, calls: int) -> Rates:
    """Steps a second by stage: eager, recorded, and of all members of a recorded array."""
    split = random_split(SAMPLES, device)
    array = ARRAY if device.type == "cuda" else 2
    found: Rates = {}
    for stage in TRAINED:
        found[stage] = {}
        for name, members in (("eager", 1), ("recorded", 1), ("array", array)):
            step = TrainingStep([build(stage, config, split) for _ in range(members)], device)
            step.index.random_(SAMPLES)
            step.rates.fill_(1e-4)
            run = step if name == "eager" else Captured(step, device)
            found[stage][name] = members / seconds_per_call(run, device, calls)
            if isinstance(run, Captured) and device.type == "cuda" and not run.recorded:
                print(f"  {stage}, {name}: not recorded: {run.refused}")
    return found


@torch.inference_mode()
def frames_per_s(
    config: PipelineConfig, device: torch.device, batch: int, calls: int
) -> dict[str, float]:
    """Frames a second of generation, lifting, and both, each as one recorded call."""
    tokenizer = Tokenizer(config.tokenizer, ACTIONS).to(device).eval()
    prior = build_prior(config.prior, tokenizer).to(device).eval()
    inputs = NUM_JOINTS + sum(config.input_levels)
    lifter = build_lifter(config.lifter.model, inputs).to(device).eval()
    pose = torch.randn(batch, NUM_JOINTS, 2, device=device)
    poses = torch.randn(batch, inputs, 2, device=device)

    def both() -> torch.Tensor:
        levels = tokenizer.decode(*prior.generate(pose))
        dense = [levels[level] for level in config.input_levels]
        return torch.as_tensor(lifter(torch.cat([pose, *dense], dim=1)))

    parts: dict[str, Callable[[], object]] = {
        "generation": lambda: tokenizer.decode(*prior.generate(pose)),
        "lifting": lambda: lifter(poses),
        "together": both,
    }
    return {
        name: batch / seconds_per_call(Captured(call, device), device, calls)
        for name, call in parts.items()
    }


def trial_hours(config: PipelineConfig, rates: Rates, kind: str, frames: float) -> dict[str, float]:
    """Device-hours by stage of one trial of the paper, from step rates and frames a second."""
    hours = {
        stage: section.epochs * (TRAIN_FRAMES // section.batch_size) / rates[stage][kind] / 3600
        for stage, section in (
            ("tokenizer", config.tokenizer),
            ("prior", config.prior),
            ("lifter", config.lifter),
        )
    }
    return {**hours, "densify": (TRAIN_FRAMES + TEST_FRAMES) / frames / 3600}


def suite_jobs() -> dict[str, tuple[int, int]] | None:
    """Stage jobs of the paper's suite, asked for and distinct; None where it cannot be read."""
    try:
        from pathlib import Path

        from hipart.runtime import Runtime
        from hipart.session import open_work
    except ImportError:
        return None
    work = open_work(None, "paper", "paper", None, Runtime(Path("no-workspace")))
    return {name: (stage.asked, stage.distinct) for name, stage in work.plan.stages.items()}


def main() -> int:
    """Measure, extrapolate, print."""
    options = parser(__doc__)
    options.add_argument("--calls", type=int, help="timed calls of each step")
    chosen = options.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    on_gpu = device.type == "cuda"
    paper = PipelineConfig()
    config = paper if on_gpu else _reduced()
    calls = chosen.calls or (300 if on_gpu else 3)
    if not on_gpu:
        torch.set_num_threads(1)
    rates = step_rates(config, device, calls)
    lines = step_lines(rates, on_gpu)
    batches = (1, 256, 1024, 4096, 16384) if on_gpu else (1, 256)
    frames = {batch: frames_per_s(config, device, batch, max(3, calls // 10)) for batch in batches}
    lines += frame_lines(frames, on_gpu)
    notes = [_machine(device), *((extrapolation(paper, rates, frames)) if on_gpu else [])]
    if not on_gpu:
        notes.append("reduced form on a CPU, small sizes: device figures stay open")
    return report("device", lines, notes, chosen.out)


def step_lines(rates: Rates, on_gpu: bool) -> list[Line]:
    """Each stage's recorded step beside the eager one, and an array beside the recorded step."""
    lines = []
    for stage, found in rates.items():
        asked = on_gpu and stage == "prior"
        for name, peer, least in (("recorded", "eager", 5.0), ("array", "recorded", 4.0)):
            what = f"{stage}, {name}"
            ours, other = found[name], found[peer]
            least_ratio = least if asked else None
            lines.append(
                Line(what, "steps/s", ours, other, peer, "higher", least_ratio=least_ratio)
            )
    return lines


def frame_lines(frames: dict[int, dict[str, float]], on_gpu: bool) -> list[Line]:
    """Throughput at each batch, and the latency of one pose."""
    best = max(frames, key=lambda batch: frames[batch]["generation"])
    lines = []
    for batch, found in frames.items():
        for part, rate in found.items():
            limit = 100_000.0 if on_gpu and batch == best and part == "generation" else None
            what = f"{part}, batch {batch}"
            lines.append(Line(what, "frames/s", rate, better="higher", limit=limit))
    latency = 1e3 / frames[1]["together"]
    lines.append(Line("one pose, both", "ms", latency, limit=3.0 if on_gpu else None))
    return lines


def extrapolation(
    config: PipelineConfig, rates: Rates, frames: dict[int, dict[str, float]]
) -> list[str]:
    """One trial and the suite, with the arithmetic."""
    best = max(found["generation"] for found in frames.values())
    notes = []
    hours = {
        kind: trial_hours(config, rates, kind, best) for kind in ("eager", "recorded", "array")
    }
    for kind, stages in hours.items():
        parts = " + ".join(f"{name} {60 * value:.1f}" for name, value in stages.items())
        notes.append(f"one trial, {kind}: {parts} = {60 * sum(stages.values()):.1f} min")
    counts = suite_jobs()
    if counts is not None:
        for kind, which, what in (("eager", 0, "every trial alone"), ("array", 1, "distinct jobs")):
            total = sum(counts[stage][which] * value for stage, value in hours[kind].items())
            jobs = sum(counts[stage][which] for stage in hours[kind])
            notes.append(f"suite, 5 seeds, {kind}, {what}: {jobs} jobs, {total:.0f} device-hours")
    return notes


def _reduced() -> PipelineConfig:
    """What a CPU can do in seconds; the experiments' overlays need packages not at hand here."""
    base = PipelineConfig()
    book = CodebookConfig(size=256, dim=32)
    books = {"sparse_codebook": book, "dense_codebook": book}
    small = {"width": 32, "batch_size": 32}
    lifter = TransformerLifterConfig(width=32, blocks=2, heads=2)
    return base.model_copy(
        update={
            "tokenizer": base.tokenizer.model_copy(update={**small, **books}),
            "prior": base.prior.model_copy(update={**small, "blocks": 2, "head_blocks": 1}),
            "lifter": base.lifter.model_copy(update={"model": lifter, "batch_size": 32}),
        }
    )


def _machine(device: torch.device) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    return f"{name}, torch {torch.__version__}, float32, {torch.get_num_threads()} thread(s)"


if __name__ == "__main__":
    sys.exit(main())
