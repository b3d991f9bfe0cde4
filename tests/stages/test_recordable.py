"""A step can be recorded on a GPU: it makes nothing on the host, and asks the host for nothing.

Every kind of model that a packaged experiment trains takes a step on the ``meta`` device, which has
shapes and no numbers. A number that the host wants to see is an error there, and so is a tensor
that was left behind on the CPU.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.synthetic import ACTIONS, build, random_split
from hipart.config import PipelineConfig
from hipart.experiment.design import arms
from hipart.experiment.file import available, base_at_scale, load_any
from hipart.experiment.search import Search
from hipart.models.densifier import Densifier
from hipart.models.priors import build_prior
from hipart.models.tokenizer import Tokenizer
from hipart.skeleton import NUM_JOINTS
from hipart.stages.fit import with_adamw
from hipart.stages.training import Losses, Objective, Training, TrainingStep

META = torch.device("meta")
SPLIT = random_split(100, torch.device("cpu"))
#: The sections of a configuration that decide what a stage trains.
SECTIONS = {
    "tokenizer": ("tokenizer",),
    "prior": ("tokenizer", "prior"),
    "regressor": ("regressor",),
    "lifter": ("lifter",),
}


class OnTheHost(TorchDispatchMode):
    """Collects operations on tensors of the CPU; a single number may come along with a kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(
        self,
        func: Any,
        types: object,
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        result = func(*args, **(kwargs or {}))
        tensors = [one for one in tree_leaves((args, kwargs, result)) if isinstance(one, Tensor)]
        cpu = [one for one in tensors if one.device.type == "cpu"]
        copied = func.overloadpacket in (torch.ops.aten.copy_, torch.ops.aten._to_copy)
        if any(one.dim() for one in cpu) or (copied and 0 < len(cpu) < len(tensors)):
            self.found.add(str(func))
        return result


@pytest.fixture(autouse=True)
def meta_lacks_these(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside the step, or a kernel of CUDA's own: a comparison of data, Adam, autocast."""
    monkeypatch.setattr(torch, "equal", lambda *_: True)
    monkeypatch.setattr("hipart.stages.adam.adamw", lambda *_, **__: None)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())


def kind(value: object) -> object:
    """What of a setting may lead to other operations; a number or an order leads to other data."""
    match value:
        case Mapping():
            return tuple((name, kind(one)) for name, one in value.items() if name != "order")
        case list():
            return len(value)
        case int() | float() if not isinstance(value, bool):
            return value == 0
    return value


def kinds(stage: str) -> Iterator[tuple[str, PipelineConfig]]:
    """One arm for each kind of model that a stage trains in any packaged experiment."""
    seen = set()
    for name, path in available().items():
        experiment = load_any(str(path), "smoke")
        if isinstance(experiment, Search):
            continue
        for arm in arms(experiment):
            if stage == "regressor" and arm.config.regressor.is_fitted:
                continue  # without steps
            facts = arm.config.model_dump(mode="json")
            mine = tuple(kind(facts[section]) for section in SECTIONS[stage])
            if mine not in seen:
                seen.add(mine)
                yield f"{name}: {arm.name}", arm.config


def training(stage: str, config: PipelineConfig) -> Training:
    made = build(stage, config, SPLIT)
    made.objective.to(META)
    return made


def on_the_host(call: Callable[[], object]) -> set[str]:
    with OnTheHost() as watched:
        call()
    return watched.found


@pytest.mark.slow
@pytest.mark.parametrize("stage", SECTIONS)
def test_no_step_needs_the_host(stage: str) -> None:
    seen = 0
    for name, config in kinds(stage):
        for members in (1, 2):
            step = TrainingStep([training(stage, config) for _ in range(members)], META)
            assert not on_the_host(step), (name, members)
            seen += 1
    assert seen > 2


@torch.inference_mode()
def test_no_generation_needs_the_host() -> None:
    poses = torch.zeros(3, NUM_JOINTS, 2, device=META)
    for name, config in kinds("prior"):
        tokenizer = Tokenizer(config.tokenizer, ACTIONS).to(META).eval()
        prior = build_prior(config.prior, tokenizer).to(META).eval()
        how = config.data.coordinates, config.densify.decode
        densifier = Densifier(prior, tokenizer, *how)
        assert not on_the_host(lambda generate=densifier._generate: generate(poses)), name


class Distances(Objective):
    """A step that the host has a part in."""

    def __init__(self, host: str) -> None:
        super().__init__(torch.nn.Linear(2, 2), {"poses": SPLIT.exact})
        self.host = host
        self.left_behind = torch.ones(2)

    def forward(self, index: Tensor) -> Losses:
        poses = self.poses[index]
        if self.host == "looks":
            poses = poses / poses.norm().item()
        if self.host == "chooses":
            poses = poses[poses > 0].unflatten(0, (-1, 2))
        if self.host == "holds":
            poses = poses + self.left_behind
        if self.host == "makes":
            poses = poses + torch.tensor([1.0, 2.0]).to(poses.device)
        return self.model(poses).norm(), {}


@pytest.mark.parametrize("host", ["looks", "chooses", "holds", "makes"])
def test_a_step_that_does_is_found(host: str) -> None:
    section = base_at_scale("smoke").regressor
    made = with_adamw(Distances(host), section, SPLIT.size)
    made.objective.to(META)
    step = TrainingStep([made], META)
    try:
        assert on_the_host(step)
    except (RuntimeError, NotImplementedError) as error:
        assert "meta" in str(error).lower()
