"""Test frames that no body fits: lifted and measured, and no NaN in any number.

Whatever is measured of dense points has to be what it is on a corpus of the other frames alone.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from hipart.config import PipelineConfig
from hipart.data.corpus import Corpus, load_corpus
from hipart.data.samples import Samples
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.stages import densify, evaluate, lifter, prior, probe, regressor, tokenizer
from hipart.stages.baselines import baselines
from hipart.stages.context import StageContext

BASE = with_changes(
    base_at_scale("smoke"),
    {
        "data.validation_samples": 0,
        "data.train_samples": 96,
        "data.test_samples": 60,
        "data.sampling": "sequences",
        "detector.training_draws": "once",
        "tokenizer.epochs": 1,
        "regressor.epochs": 1,
        "lifter.epochs": 1,
    },
)
STAGES: dict[str, Any] = {
    "tokenizer": tokenizer,
    "prior": prior,
    "densify": densify,
    "regressor": regressor,
    "lifter": lifter,
    "evaluate": evaluate,
    "probe": probe,
}
LEVELS = ("dense_2d", "fine_2d", "finest_2d")


@pytest.fixture(scope="module")
def whole() -> Corpus:
    return load_corpus(BASE.data, BASE.detector)


@pytest.fixture(scope="module")
def fitted(whole: Corpus) -> np.ndarray:
    """Which test samples keep their dense points."""
    found: np.ndarray = np.random.default_rng(3).random(len(whole.test)) < 0.6
    return found


def without(samples: Samples, lacking: np.ndarray) -> Samples:
    """The same without dense points where they are ``lacking`` (N,)."""
    levels = {name: getattr(samples, name).copy() for name in LEVELS}
    for points in levels.values():
        points[lacking] = np.nan
    return replace(samples, **levels)


@pytest.fixture(scope="module")
def partly(whole: Corpus, fitted: np.ndarray) -> Corpus:
    return replace(whole, test=without(whole.test, ~fitted), partly_fitted=True)


@pytest.fixture(scope="module")
def others(whole: Corpus, fitted: np.ndarray) -> Corpus:
    """Of the frames with a body alone; sequences end where one is missing."""
    some = whole.test.take(fitted)
    goes_on = (np.diff(some.sequence) == 0) & (np.diff(some.frame) == 1)
    sequence = np.cumsum(~goes_on, dtype=np.int32)
    return replace(whole, test=replace(some, sequence=np.insert(sequence, 0, 0)))


class Store:
    """Stages run one after another into a folder, each once for the same settings."""

    def __init__(self, folder: Path, corpus: Corpus) -> None:
        self.folder, self.corpus = folder, corpus
        self.done: dict[str, dict[str, float]] = {}
        self.facts: dict[str, dict[str, Any]] = {}

    def run(self, *stages: str, **changes: Any) -> dict[str, float]:
        """The metrics of the last of these stages."""
        config = changed(**changes)
        for stage in stages:
            work = self.folder / stage
            if stage in self.done and not changes:
                continue
            work.mkdir(exist_ok=True)
            for left in work.iterdir():
                left.unlink()
            upstream = {name: self.folder / name for name in STAGES if name != stage}
            context = StageContext(
                config, self.corpus, upstream, work, torch.device("cpu"), lambda *_: None
            )
            self.done[stage] = STAGES[stage].train(context)
            self.facts[stage] = context.facts
        return self.done[stages[-1]]


def changed(**changes: Any) -> PipelineConfig:
    return with_changes(BASE, {name.replace("__", "."): v for name, v in changes.items()})


@pytest.fixture(scope="module")
def stores(
    partly: Corpus, others: Corpus, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Store, Store]:
    """Of a corpus of which some test frames have no body, and of one that has the others alone."""
    made = tuple(Store(tmp_path_factory.mktemp("stages"), one) for one in (partly, others))
    for store in made:
        store.run("tokenizer", "prior", "densify", "regressor", "lifter", "evaluate")
    return made[0], made[1]


@pytest.mark.parametrize("stage", ["tokenizer", "prior", "densify", "regressor"])
def test_dense_points_are_measured_by_frames_with_a_body(
    stores: tuple[Store, Store], stage: str
) -> None:
    mine, theirs = (store.done[stage] for store in stores)
    assert mine.keys() == theirs.keys() and len(mine) > 2
    assert mine == pytest.approx(theirs, rel=1e-5) and np.isfinite([*mine.values()]).all()


def test_a_probe_is_of_frames_with_a_body(stores: tuple[Store, Store]) -> None:
    mine, theirs = (store.run("probe") for store in stores)
    assert mine == pytest.approx(theirs, rel=1e-4) and np.isfinite([*mine.values()]).all()


@pytest.mark.parametrize("dense", ["none", "generated", "regressed"])
def test_errors_are_over_all_frames_and_beside_over_those_with_a_body(
    stores: tuple[Store, Store], fitted: np.ndarray, dense: str
) -> None:
    mine, theirs = (store.run("lifter", "evaluate", lifter__dense_input=dense) for store in stores)
    for name in ("mpjpe", "p_mpjpe"):
        assert mine[f"{name}_fit_mm"] == pytest.approx(theirs[f"{name}_mm"], rel=1e-5)
        assert mine[f"{name}_fit_frames_mm"] == pytest.approx(theirs[f"{name}_frames_mm"], rel=1e-5)
        assert mine[f"{name}_mm"] != pytest.approx(theirs[f"{name}_mm"], rel=1e-5)
    assert not any("_fit" in name for name in theirs), "where all frames have a body, no other mean"
    assert np.isfinite([*mine.values()]).all()
    kept = load_file(stores[0].folder / "evaluate" / "errors.safetensors")
    assert len(kept["mpjpe_mm"]) == len(fitted) and np.isfinite(kept["mpjpe_mm"]).all()
    assert mine["mpjpe_frames_mm"] == pytest.approx(kept["mpjpe_mm"].mean())
    np.testing.assert_array_equal(np.isfinite(kept["mpjpe_fit_mm"]), fitted)
    for name in ("fine_2d_px", "fine_within_part_px"):
        assert (name in mine) == (name in theirs) == (dense != "none")
        if name in mine:
            assert mine[name] == pytest.approx(theirs[name], rel=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"lifter__dense_input": "exact"},
        {"densify__exact": "tokens"},
        {"densify__exact": "sparse_tokens"},
        {"densify__exact": "part_means"},
        {"densify__exact": "part_offsets"},
        {"lifter__dense_input": "exact", "occlusion__kind": "mask", "occlusion__ratio": 0.2},
        {"lifter__dense_input": "exact", "lifter__model__kind": "mixste"},
    ],
    ids=lambda one: " ".join(map(str, one.values())),
)
def test_exact_points_are_lifted_where_there_are_any(
    stores: tuple[Store, Store], fitted: np.ndarray, changes: dict[str, Any]
) -> None:
    """And where there are none there is no error over all frames, that none be compared with."""
    small = {"lifter__model__frames": 5, "lifter__model__width": 16, "lifter__model__blocks": 1}
    changes = changes | (small if "lifter__model__kind" in changes else {})
    mine, theirs = (store.run("densify", "lifter", "evaluate", **changes) for store in stores)
    facts = stores[0].facts["evaluate"]
    assert facts["measured"] == f"{fitted.sum()} of {len(fitted)} samples, those with a body"
    assert "measured" not in stores[1].facts["evaluate"]
    assert not {"mpjpe_mm", "n_mpjpe_mm", "pck_pct", "mpjve_mm", "mpjpe_frames_mm"} & mine.keys()
    assert np.isfinite([*mine.values()]).all()
    if "occlusion__kind" not in changes:  # what is hidden is drawn sample by sample
        assert mine["mpjpe_fit_mm"] == pytest.approx(theirs["mpjpe_mm"], rel=1e-4)
        assert mine["fine_2d_px"] == pytest.approx(theirs["fine_2d_px"], rel=1e-4, abs=1e-6)
    examples = load_file(stores[0].folder / "evaluate" / "examples.safetensors")
    for points in examples.values():
        assert np.isfinite(points).all()
    assert len(load_file(stores[0].folder / "evaluate" / "errors.safetensors")["clip"]) == sum(
        fitted
    )


def test_means_of_samples_need_no_body(stores: tuple[Store, Store]) -> None:
    mine = stores[0].run(
        "densify", "lifter", "evaluate", densify__decode="argmax", densify__samples=2
    )
    assert {"mpjpe_mm", "mpjpe_fit_mm", "fine_2d_px"} <= mine.keys()
    assert np.isfinite([*mine.values()]).all()


def test_baselines_are_judged_by_frames_with_a_body(partly: Corpus, others: Corpus) -> None:
    mine, theirs = (baselines(one.train, one.test, "body") for one in (partly, others))
    assert mine == theirs


@pytest.mark.parametrize(
    ("stage", "changes"),
    [
        ("tokenizer", {}),
        ("prior", {}),
        ("densify", {}),
        ("regressor", {}),
        ("regressor", {"regressor__model__kind": "linear"}),
        ("lifter", {"lifter__dense_input": "exact"}),
    ],
)
def test_without_any_body_it_is_said_before_anything_is_trained(
    whole: Corpus, stores: tuple[Store, Store], tmp_path: Path, stage: str, changes: dict[str, Any]
) -> None:
    nobody = replace(whole, test=without(whole.test, np.ones(len(whole.test), bool)))
    upstream = {name: stores[1].folder / name for name in STAGES}
    steps: list[int] = []
    context = StageContext(
        changed(**changes),
        nobody,
        upstream,
        tmp_path,
        torch.device("cpu"),
        lambda step, *_: steps.append(step),
    )
    with pytest.raises(ValueError, match="none of the 60 test samples has dense points to measure"):
        STAGES[stage].train(context)
    assert not steps and not [*tmp_path.iterdir()]
    with pytest.raises(ValueError, match="none of the 60 samples to judge densifiers by"):
        baselines(nobody.train, nobody.test, "body")


def test_17_joints_are_lifted_without_any_body(
    whole: Corpus, stores: tuple[Store, Store], tmp_path: Path
) -> None:
    nobody = replace(
        whole, test=without(whole.test, np.ones(len(whole.test), bool)), partly_fitted=True
    )
    store = Store(tmp_path, nobody)
    found = store.run("lifter", "evaluate", lifter__dense_input="none")
    assert np.isfinite([*found.values()]).all() and "mpjpe_fit_mm" not in found
    assert found["mpjpe_mm"] > 0
