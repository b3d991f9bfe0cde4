"""What learning better costs: ``python -m benchmarks.learning_speed``.

* A training step of tokenizer and prior beside the same step of the commit before body
  coordinates, codes from the data and the pose at every step. Both trees have a process of their
  own, with one thread, and take turns step by step; that code comes out of git's history.
* What taking the first codes from the data adds to the beginning of a training.
* What drawing an epoch's detections and encoding its tokens anew takes of an epoch.
* Generation that decodes mean codes beside that of the most probable ones.

At the laptop's sizes and at the paper's; poses of the open corpus, models without training.
Seconds are the processor's: with one thread those of an idle machine, whatever else this one does.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import IO

import torch

from benchmarks.harness import Line, alternate, parser, report
from benchmarks.trial import ROOT, unpack
from hipart.config import PipelineConfig
from hipart.data.corpus import Corpus, load_corpus
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.models.densifier import densified
from hipart.models.generation import Decode
from hipart.models.priors import build_prior
from hipart.models.tokenizer import Tokenizer
from hipart.scheduling.allocator import keep_freed_memory
from hipart.skeleton import NUM_JOINTS
from hipart.stages import prior, tokenizer
from hipart.stages.checkpoint import save_weights
from hipart.stages.context import StageContext
from hipart.stages.training import Training, TrainingStep

#: The last commit before what is measured here.
BEFORE = "78c926c"
SCALES = ("laptop", "paper")
#: Samples in the trees that are compared: a step takes a batch of them, however many there are.
SAMPLES = 2048
#: Share of a step's speed of before that has to be left.
LEAST_RATIO = 0.95
#: Most seconds that the first codes may take.
LIMIT_BEGIN_S = {"laptop": 1.0, "paper": 10.0}
#: Most of an epoch that its beginning may take, percent: encoding every pose again is a tokenizer's
#: forward pass, and a narrow prior's step takes only four times as long for as many poses.
LIMIT_EPOCH_PCT = 25.0
#: Least speed of decoding mean codes beside that of the most probable. At the paper's sizes it was
#: 21 % slower: the means are as large a product as the logits. It is asked for all the same.
LEAST_DECODE_RATIO = 1 / 1.15

#: Runs in both trees, so it asks only for what both have: a stage's name comes in, the seconds of
#: a step go out.
CHILD = """
import sys, time, tempfile
from pathlib import Path
import torch
from hipart.data.corpus import load_corpus
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.scheduling.allocator import keep_freed_memory
from hipart.stages import prior, tokenizer
from hipart.stages.checkpoint import save_weights
from hipart.stages.context import StageContext
from hipart.stages.training import TrainingStep
scale, samples = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(1)
keep_freed_memory()
changes = {"data.train_samples": samples, "data.test_samples": 64, "data.validation_samples": 0}
config = with_changes(base_at_scale(scale), changes)
corpus = load_corpus(config.data, config.detector, None)
work = Path(tempfile.mkdtemp())
context = StageContext(config, corpus, {"tokenizer": work}, work, torch.device("cpu"), print)
first = tokenizer.prepare(context)
save_weights(work / "model.safetensors", first.model, num_actions=str(len(corpus.action_names)))
second = prior.prepare(context)
steps = {
    name: (TrainingStep([training], torch.device("cpu")), training.plan.batches(0))
    for name, training in (("tokenizer", first), ("prior", second))
}
print("ready", flush=True)
for number, line in enumerate(sys.stdin):
    step, batches = steps[line.strip()]
    step.index.copy_(batches[number % len(batches)])
    step.rates.fill_(1e-4)
    start = time.process_time()
    step()
    print(time.process_time() - start, flush=True)
"""


class Tree:
    """A process that has the trainings of one tree ready, and does steps of them."""

    def __init__(self, root: Path, scale: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", CHILD, scale, str(SAMPLES)],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._questions: IO[str] = self._process.stdin
        self._answers: IO[str] = self._process.stdout
        self._answer()

    def step(self, stage: str) -> float:
        """Seconds of one training step."""
        print(stage, file=self._questions, flush=True)
        return float(self._answer())

    def close(self) -> None:
        """End the process."""
        self._questions.close()
        self._process.wait()

    def _answer(self) -> str:
        answer = self._answers.readline()
        if not answer:
            raise RuntimeError(f"the process of {self._process.args!r} ended")
        return answer


@contextmanager
def opened(roots: dict[str, Path], scale: str) -> Iterator[dict[str, Tree]]:
    """A process for each tree; they end with the block."""
    trees = {name: Tree(root, scale) for name, root in roots.items()}
    try:
        yield trees
    finally:
        for tree in trees.values():
            tree.close()


def step_lines(roots: dict[str, Path], scale: str, repeats: int) -> list[Line]:
    """A step of each stage, now and before, turn by turn after two steps of warm-up."""
    lines = []
    with opened(roots, scale) as trees:
        for stage in ("tokenizer", "prior"):
            seconds: dict[str, list[float]] = {name: [] for name in trees}
            for repeat in range(repeats + 2):
                for name, tree in trees.items():
                    taken = tree.step(stage)
                    if repeat >= 2:
                        seconds[name].append(taken)
            ms = {name: 1e3 * median(times) for name, times in seconds.items()}
            before = ms.get("before")
            least = None if before is None else LEAST_RATIO
            what = f"{stage}'s step, {scale}"
            lines.append(Line(what, "ms", ms["now"], before, "before", least_ratio=least))
    return lines


class Bench:
    """Untrained models of a scale on poses of the open corpus."""

    def __init__(self, scale: str, folder: Path) -> None:
        self.scale, self.folder = scale, folder
        base = base_at_scale(scale)
        samples = base.data.train_samples or SAMPLES
        self.config = with_changes(
            base,
            {"data.train_samples": samples, "data.test_samples": 64, "data.validation_samples": 0},
        )
        self.corpus: Corpus = load_corpus(self.config.data, self.config.detector, None)

    def context(self, config: PipelineConfig) -> StageContext:
        """A place to prepare trainings in."""
        upstream = {"tokenizer": self.folder}
        return StageContext(
            config, self.corpus, upstream, self.folder, torch.device("cpu"), lambda *_: None
        )

    def begin_line(self, repeats: int) -> Line:
        """Seconds that codes from the data add to what precedes a tokenizer's first step."""
        normal = {f"tokenizer.{book}_codebook.init": "normal" for book in ("sparse", "dense")}
        configs = {"data": self.config, "normal": with_changes(self.config, normal)}
        found = alternate(
            {name: partial(tokenizer.prepare, self.context(one)) for name, one in configs.items()},
            repeats,
            time.process_time,
        )
        added = found["data"] - found["normal"]
        limit = LIMIT_BEGIN_S[self.scale]
        return Line(f"first codes from the data, {self.scale}", "s", added, limit=limit)

    def epoch_lines(self, repeats: int) -> list[Line]:
        """How much of an epoch is its beginning, for the tokenizer and for the prior."""
        context = self.context(self.config)
        first = tokenizer.prepare(context)
        save_weights(
            self.folder / tokenizer.WEIGHTS,
            first.model,
            num_actions=str(len(self.corpus.action_names)),
        )
        lines = []
        for stage, training in (("tokenizer", first), ("prior", prior.prepare(context))):
            begin, step = _epoch_s(training, repeats)
            share = 100 * begin / (begin + step * training.plan.steps_per_epoch)
            what = f"{stage}'s epoch: its detections and tokens, {self.scale}"
            lines.append(Line(what, "%", share, limit=LIMIT_EPOCH_PCT))
        return lines

    def decode_line(self, repeats: int) -> Line:
        """Generation of a batch, mean codes beside the most probable."""
        torch.manual_seed(0)
        model = Tokenizer(self.config.tokenizer, len(self.corpus.action_names)).eval()
        generator = build_prior(self.config.prior, model.requires_grad_(False)).eval()
        poses = torch.randn(256, NUM_JOINTS, 2)

        def generate(decode: Decode) -> object:
            with torch.inference_mode():
                return densified(generator, model, poses, self.config.data.coordinates, decode)

        calls: dict[str, Callable[[], object]] = {
            decode: partial(generate, decode) for decode in ("argmax", "mean")
        }
        found = alternate(calls, 4 * repeats, time.process_time)
        return Line(
            f"256 poses with mean codes, {self.scale}",
            "ms",
            1e3 * found["mean"],
            1e3 * found["argmax"],
            "argmax",
            least_ratio=LEAST_DECODE_RATIO,
        )


def _epoch_s(training: Training, repeats: int) -> tuple[float, float]:
    """Seconds of an epoch's beginning, and of a step."""
    step = TrainingStep([training], torch.device("cpu"))
    step.index.copy_(training.plan.batches(0)[0])
    step.rates.fill_(1e-4)
    epochs = iter(range(1, 10**6))
    found = alternate(
        {"begin": lambda: training.objective.begin_epoch(next(epochs)), "step": step},
        repeats,
        time.process_time,
    )
    return found["begin"], found["step"]


def main() -> int:
    """Measure, print, write."""
    options = parser(__doc__)
    options.add_argument("--scales", nargs="+", choices=SCALES, default=SCALES)
    options.add_argument("--before", default=BEFORE, help="commit to compare with")
    options.add_argument("--steps", type=int, default=25, help="steps of each, laptop; paper: half")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    notes = [f"one thread; before: commit {chosen.before}, step by step in turns, medians"]
    lines: list[Line] = []
    with tempfile.TemporaryDirectory() as folder:
        roots = {"now": ROOT, "before": Path(folder) / "before"}
        try:
            unpack(chosen.before, roots["before"])
        except (OSError, subprocess.CalledProcessError):
            del roots["before"]
            notes.append(f"{chosen.before} is not in this checkout's history: nothing to compare")
        for scale in chosen.scales:
            steps = chosen.steps if scale == "laptop" else -(-chosen.steps // 2)
            bench = Bench(scale, Path(folder))
            for found in (
                step_lines(roots, scale, steps),
                [bench.decode_line(chosen.repeats)],
                [bench.begin_line(chosen.repeats)],
                bench.epoch_lines(chosen.repeats),
            ):
                lines += found
                for line in found:
                    ratio = "" if line.ratio is None else f", ratio {line.ratio:.3f}"
                    print(f"  {line.what}: {line.ours:.4g} {line.unit}{ratio}", flush=True)
    return report("learning_speed", lines, notes, chosen.out)


if __name__ == "__main__":
    sys.exit(main())
