"""Experiments with exact points, on test frames of which some have none."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from hipart.data.prepare import prepare
from hipart.experiment.design import arms
from hipart.experiment.errors import ExperimentError
from hipart.experiment.file import load, load_any
from hipart.experiment.fitted import check_search, on_fitted
from hipart.experiment.search import Search
from hipart.pipeline import PIPELINE
from hipart.report.protocol import comparable
from hipart.runtime import Runtime
from hipart.search.session import open_search
from hipart.session import open_session
from tests.data import h36m_miniature
from tests.data.test_h36m import opened

SEARCH = """
kind: search
title: What should be lifted
space:
  - name: points
    levels:
      - {name: generated, set: {lifter.dense_input: generated}}
      - {name: oracle, set: SET}
objectives:
  - {stage: evaluate, name: mpjpe_mm}
sampler: {kind: random, seed: 0}
budget: {trials: 2}
BASE
"""
ABLATION = """
kind: ablation
title: Points
design: arms
seeds: [0]
metric: {stage: evaluate, name: mpjpe_mm}
base: {data.train_samples: 16, data.test_samples: 16, data.validation_samples: 0}
arms: [{name: other, set: {lifter.dense_input: POINTS}}]
"""
EXACT = "{lifter.dense_input: exact}"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("h36m")
    mini = h36m_miniature.write(folder / "files", ("S1", "S9"), ((5, 2), (9, 1)))
    prepare(opened(mini), folder / "corpus")
    return folder / "corpus"


def runtime(folder: Path, corpus: Path | None) -> Runtime:
    return Runtime(folder / "workspace", data=corpus, results=folder / "results")


def searched(folder: Path, of: str = EXACT, base: str = "") -> Search:
    file = folder / "search.yaml"
    file.write_text(SEARCH.replace("SET", of).replace("BASE", base))
    found = load_any(str(file), "smoke", None, "h36m")
    assert isinstance(found, Search)
    return found


def test_all_errors_are_over_frames_that_every_arm_has() -> None:
    written = load("toy_gt_dense", "smoke", corpus="h36m")
    found = on_fitted(written)
    assert found.metric.name == "mpjpe_fit_mm" and found.metric.goal == "min"
    assert [one.name for one in found.also] == ["p_mpjpe_fit_mm", "mpjpe_fit_frames_mm"]
    assert {one.metric.name for one in found.claims if one.metric} == {"mpjpe_fit_mm"}
    assert [arm.config for arm in arms(found)] == [arm.config for arm in arms(written)]
    assert {one.name for one in (found.metric, *found.also)} <= {
        one.name for one in PIPELINE["evaluate"].metrics
    }
    published = [arm for arm in arms(found) if arm.published]
    assert published and not any(comparable(arm, found.metric) for arm in published), (
        "published values are of all frames"
    )


def test_an_experiment_without_exact_points_stays_as_it_is() -> None:
    written = load("codebook_ablation", "smoke", corpus="h36m")
    assert on_fitted(written) is written


@pytest.mark.parametrize(
    ("points", "metric"), [("exact", "mpjpe_fit_mm"), ("regressed", "mpjpe_mm")]
)
def test_a_session_looks_at_its_data(
    tmp_path: Path, corpus: Path, points: str, metric: str
) -> None:
    file = tmp_path / "points.yaml"
    file.write_text(ABLATION.replace("POINTS", points))
    on_h36m, on_open = (
        open_session(str(file), "smoke", None, runtime(tmp_path, data)).ablation
        for data in (corpus, None)
    )
    assert on_h36m.metric.name == metric and on_open.metric.name == "mpjpe_mm"


def test_windows_need_consecutive_frames_before_anything_is_trained(
    tmp_path: Path, corpus: Path
) -> None:
    alone = tmp_path / "alone"
    shutil.copytree(corpus, alone)
    numbers = np.load(alone / "train" / "sequence.npy", mmap_mode="r+")
    numbers[:] = np.arange(len(numbers))
    file = tmp_path / "films.yaml"
    file.write_text(
        ABLATION.replace("POINTS", "none, lifter.model.kind: mixste, data.sampling: sequences")
    )
    open_session(str(file), "smoke", None, runtime(tmp_path, corpus))
    with pytest.raises(ValueError, match="no two of its 16 training frames follow one another"):
        open_session(str(file), "smoke", None, runtime(tmp_path, alone))


@pytest.mark.parametrize(
    ("of", "base", "said"),
    [
        (EXACT, "", r"at space.points.oracle: has exact dense points"),
        ("{densify.exact: tokens}", "", r"at space.points.oracle: has exact dense points"),
        ("{lifter.dense_input: none}", "base: {lifter.dense_input: exact}", "at base: has exact"),
    ],
)
def test_a_search_does_not_choose_what_cannot_be_measured(
    tmp_path: Path, corpus: Path, of: str, base: str, said: str
) -> None:
    searched(tmp_path, of, base)
    with pytest.raises(ExperimentError, match=said):
        open_search(str(tmp_path / "search.yaml"), "smoke", None, runtime(tmp_path, corpus))


def test_other_searches_are_as_they_were(tmp_path: Path) -> None:
    check_search(searched(tmp_path, "{lifter.dense_input: none}"))
