"""What trainings see: detections of every epoch, wrong tokens, and the same after a restart."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from hipart.config import PipelineConfig
from hipart.data.corpus import Corpus, load_corpus
from hipart.data.detector import detect_again
from hipart.data.truth import truth_of
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.models.coordinates import frame_of
from hipart.models.tokenizer import Tokenizer
from hipart.stages import fit as fit_module
from hipart.stages import prior, regressor, tokenizer
from hipart.stages.checkpoint import CHECKPOINT
from hipart.stages.context import StageContext
from hipart.stages.prior import PriorObjective
from hipart.stages.tensors import split_tensors, training_detections
from hipart.stages.training import Objective, Training

BASE = with_changes(
    base_at_scale("smoke"),
    {
        "data.train_samples": 128,
        "data.validation_samples": 0,
        "tokenizer.epochs": 4,
        "tokenizer.batch_size": 32,
        "prior.epochs": 4,
        "prior.batch_size": 32,
        "prior.token_corruption": 0.2,
        "regressor.epochs": 4,
        "regressor.batch_size": 32,
    },
)
STAGES: dict[str, ModuleType] = {"tokenizer": tokenizer, "prior": prior, "regressor": regressor}
#: Of an epoch.
STEPS = 4


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load_corpus(BASE.data, BASE.detector)


@pytest.fixture(scope="module")
def trained(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    work = tmp_path_factory.mktemp("tokenizer")
    tokenizer.train(context(BASE, corpus, work, {}))
    return {"tokenizer": work}


def context(
    config: PipelineConfig,
    corpus: Corpus,
    work: Path,
    upstream: Mapping[str, Path],
    stop: int | None = None,
) -> StageContext:
    def report(step: int, total: int, metrics: dict[str, float]) -> None:
        if step == stop:
            raise Killed

    work.mkdir(parents=True, exist_ok=True)
    return StageContext(config, corpus, upstream, work, torch.device("cpu"), report)


def seen(objective: Objective) -> dict[str, torch.Tensor]:
    """What an objective holds of detections."""
    names = [name for name in ("detected", "centre", "scale") if name in objective.data]
    return {name: objective.get_buffer(name).clone() for name in names}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("coordinates", ["body", "hip", "screen"])
def test_every_epoch_sees_other_detections_unless_they_are_drawn_once(
    stage: str, coordinates: str, corpus: Corpus, trained: dict[str, Path], tmp_path: Path
) -> None:
    split = split_tensors(corpus, "train", torch.device("cpu"))
    shared = split.detected.clone()

    def epochs(draws: str, name: str) -> list[dict[str, torch.Tensor]]:
        changes = {"data.coordinates": coordinates, "detector.training_draws": draws}
        config = with_changes(BASE, changes)
        where = context(config, corpus, tmp_path / name, trained)
        training: Training = STAGES[stage].prepare(where)
        found = []
        for epoch in (0, 1, 2, 1):
            training.objective.begin_epoch(epoch)
            found.append(seen(training.objective))
        return found

    if stage == "tokenizer" and coordinates == "screen":
        assert epochs("every_epoch", "none") == [{}] * 4, "it sees no detections"
        return
    zero, one, two, one_again = epochs("every_epoch", "drawn")
    changing = [name for name in zero if name != "scale" or coordinates == "body"]
    for name in changing:
        assert not torch.equal(zero[name], one[name]) and not torch.equal(one[name], two[name])
        assert torch.equal(one[name], one_again[name])
    first, *others = epochs("once", "once")
    assert all(torch.equal(first[name], other[name]) for name in first for other in others)
    for name in changing:
        assert not torch.equal(first[name], zero[name]), "what is lifted is another detection"
    assert torch.equal(split.detected, shared), "what stages share is read only"


def test_detections_of_an_epoch_are_of_the_simulated_detector(corpus: Corpus) -> None:
    """As large in their error as the one that is kept, and a function of seed and epoch alone."""
    exact, kept = corpus.train.exact_2d, corpus.train.detected_2d
    shown = truth_of(corpus.train, corpus.fps["train"])
    first = detect_again(shown, BASE.detector, 0, 3)
    assert (first == detect_again(shown, BASE.detector, 0, 3)).all()
    assert (first != detect_again(shown, BASE.detector, 0, 4)).any()
    other = BASE.detector.model_copy(update={"seed": 1})
    assert (first != detect_again(shown, other, 0, 3)).any()
    ours, theirs = abs(first - exact).mean(), abs(kept - exact).mean()
    assert ours == pytest.approx(theirs, rel=0.2)


def test_given_detections_are_never_drawn_again(corpus: Corpus, tmp_path: Path) -> None:
    config = with_changes(BASE, {"detector.kind": "exact"})
    where = context(config, corpus, tmp_path, {})
    detections = training_detections(where)
    assert detections(0) is detections(5)


@pytest.mark.parametrize("stage", STAGES)
def test_a_training_killed_in_the_middle_of_an_epoch_goes_on_bit_for_bit(
    stage: str,
    corpus: Corpus,
    trained: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In coordinates of the body, with detections anew: the epoch's are drawn again."""
    monkeypatch.setattr(fit_module, "CHECKPOINT_SECONDS", 0.0)

    def train(name: str, stop: int | None = None) -> dict[str, Any]:
        one = context(BASE, corpus, tmp_path / name, trained, stop)
        found: dict[str, Any] = STAGES[stage].train(one)
        return found

    whole = train("whole")
    for stop in (STEPS + 2, 3 * STEPS - 1):
        with pytest.raises(Killed):
            train("killed", stop)
        assert (tmp_path / "killed" / CHECKPOINT).exists()
    assert train("killed") == whole
    weights, histories = (
        [(tmp_path / name / file).read_bytes() for name in ("whole", "killed")]
        for file in ("model.safetensors", "history.jsonl")
    )
    assert weights[0] == weights[1]
    rows = [[json.loads(line) for line in history.splitlines()] for history in histories]
    assert len(rows[0]) == 4 * STEPS and rows[0] == rows[1]


def prior_objective(
    share: float, corpus: Corpus, trained: dict[str, Path], tmp_path: Path
) -> PriorObjective:
    changes = {"prior.token_corruption": share, "prior.dropout": 0.0}
    where = context(with_changes(BASE, changes), corpus, tmp_path, trained)
    objective = prior.prepare(where).objective
    assert isinstance(objective, PriorObjective)
    return objective


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_a_share_of_the_earlier_tokens_is_wrong_and_no_target(
    share: float,
    corpus: Corpus,
    trained: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    objective = prior_objective(share, corpus, trained, tmp_path)
    index = torch.arange(128)
    inputs: list[tuple[torch.Tensor, torch.Tensor]] = []
    targets: list[tuple[torch.Tensor, torch.Tensor]] = []
    model, loss = objective.model.forward, prior.prior_loss

    def shown(pose: torch.Tensor, *tokens: torch.Tensor) -> Any:
        inputs.append((tokens[0], tokens[1]))
        return model(pose, *tokens)

    def asked(logits: Any, *rest: Any) -> Any:
        targets.append((rest[0], rest[1]))
        return loss(logits, *rest)

    monkeypatch.setattr(objective.model, "forward", shown)
    monkeypatch.setattr(prior, "prior_loss", asked)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        objective(index)
    exact = objective.sparse[index], objective.dense[index]
    for given, asked_for, true in zip(inputs[0], targets[0], exact, strict=True):
        assert torch.equal(asked_for, true)
        wrong = (given != true).double().mean().item()
        # A token that is drawn at random may be the right one.
        assert wrong == pytest.approx(share * 31 / 32, abs=0.03)
        assert given.min() >= 0 and given.max() < 32
    assert (share == 0) == torch.equal(inputs[0][0], exact[0])


def test_without_wrong_tokens_nothing_is_drawn(
    corpus: Corpus, trained: dict[str, Path], tmp_path: Path
) -> None:
    objective = prior_objective(0.0, corpus, trained, tmp_path)
    before = torch.get_rng_state()
    objective(torch.arange(16))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_tokenizer_begins_with_the_first_epochs_poses(corpus: Corpus, tmp_path: Path) -> None:
    """Prepared twice it is the same; another seed begins otherwise."""

    def codes(name: str, **changes: object) -> torch.Tensor:
        config = with_changes(BASE, {f"tokenizer.{key}": one for key, one in changes.items()})
        model = tokenizer.prepare(context(config, corpus, tmp_path / name, {})).model
        assert isinstance(model, Tokenizer)
        return torch.cat(model.codebooks)

    assert torch.equal(codes("a"), codes("b"))
    assert not torch.equal(codes("a"), codes("c", seed=1))
    frame = frame_of(split_tensors(corpus, "train", torch.device("cpu")).detected, "body")
    assert frame is not None and frame.scale.min() > 0
