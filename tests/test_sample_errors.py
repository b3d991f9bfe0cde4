"""Errors of single samples: the arrays that are asked for, out of files that safetensors wrote."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from hipart.experiment.design import Trial, trials
from hipart.jobs import jobs
from hipart.sample_errors import ERRORS, ErrorsByArm
from hipart.store import ArtifactStore
from tests.report.samples import DATA, ORDERS, ablation

LABELS = np.arange(3)


def kept(
    root: Path, seeds: tuple[int, ...], written: list[Mapping[str, Any]], metric: str = "mpjpe_mm"
) -> tuple[list[Trial], ErrorsByArm]:
    """Trials, and the errors of the first ones, for which these arrays were written."""
    tried = trials(ablation(ORDERS, seeds=seeds))
    chains = [jobs(trial.config, DATA) for trial in tried]
    for chain, arrays in zip(chains, written, strict=False):
        folder = root / "evaluate" / chain["evaluate"].key
        folder.mkdir(parents=True)
        save_file({"action": LABELS, "clip": LABELS, **arrays}, folder / ERRORS)
    held = ArtifactStore(root).held(chain["evaluate"] for chain in chains)
    return tried, ErrorsByArm(tried, chains, held, metric)


def test_they_are_read_arm_by_arm(tmp_path: Path) -> None:
    written = [{"mpjpe_mm": np.full(3, float(number))} for number in range(3)]
    tried, errors = kept(tmp_path, (0, 1), written)
    base, other = (trial.arm.name for trial in tried[:2])
    assert set(errors) == {base, other}
    assert [(one.seed, one.error.tolist()) for one in errors[base]] == [
        (0, [0.0] * 3),
        (1, [2.0] * 3),
    ]
    assert [(one.seed, one.clip.tolist()) for one in errors[other]] == [(0, [0, 1, 2])]


def test_what_an_evaluation_does_not_keep_is_left_out(tmp_path: Path) -> None:
    _, errors = kept(tmp_path, (0,), [{"mpjpe_mm": np.zeros(3)}], metric="p_mpjpe_mm")
    assert errors["base"] == []


def test_arrays_among_many_of_other_types_and_shapes(tmp_path: Path) -> None:
    """So many that the header is longer than what is read at once."""
    chance = np.random.default_rng(0)
    others = {f"other/{number}": chance.normal(size=(number, 2)) for number in range(40)}
    arrays = {"mpjpe_mm": chance.normal(size=3).astype(np.float32), "clip": LABELS[::-1].copy()}
    _, errors = kept(tmp_path, (0,), [others | arrays | {"flags": np.ones(5, dtype=bool)}])
    (found,) = errors["base"]
    assert found.error.tolist() == arrays["mpjpe_mm"].tolist()
    assert (found.action.tolist(), found.clip.tolist()) == ([0, 1, 2], [2, 1, 0])


def test_trials_of_the_same_samples_share_their_labels(tmp_path: Path) -> None:
    written = [{"mpjpe_mm": np.zeros(3)}, {"mpjpe_mm": np.ones(3)}]
    tried, errors = kept(tmp_path, (0,), [*written, {"mpjpe_mm": np.ones(3), "clip": LABELS + 1}])
    found = [one for trial in tried for one in errors[trial.arm.name]]
    assert found[0].clip is found[1].clip


def test_samples_without_a_value_are_left_out(tmp_path: Path) -> None:
    """Of frames without a body there are no errors of dense points."""
    written = [{"fine_2d_px": np.array([1.0, np.nan, 3.0])}]
    _, errors = kept(tmp_path, (0,), written, metric="fine_2d_px")
    (found,) = errors["base"]
    assert found.error.tolist() == [1.0, 3.0]
    assert found.action.tolist() == found.clip.tolist() == [0, 2]


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    _, errors = kept(tmp_path, (0,), [{"mpjpe_mm": np.zeros(300)}])
    (file,) = tmp_path.rglob(ERRORS)
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(ValueError, match="is cut off"):
        errors["base"]
