"""How many cores a job has."""

import os
from pathlib import Path
from typing import Any

import pytest

from hipart import runtime as module
from hipart.runtime import Runtime


@pytest.mark.parametrize(
    ("cores", "trials", "cpus"),
    [(2, 1, 2), (2, 2, 1), (2, 24, 1), (16, 3, 5), (1, 1, 1), (4, 0, 4)],
)
def test_few_trials_share_all_cores(
    cores: int, trials: int, cpus: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_cores", lambda: cores)
    assert Runtime(Path("w")).shared_among(trials).cpus == cpus


@pytest.mark.parametrize(
    "asked", [{"cpus_per_job": 1.0}, {"gpus_per_job": 0.5}, {"address": "auto"}]
)
def test_other_shares_stay(asked: dict[str, Any]) -> None:
    assert Runtime(Path("w"), **asked).shared_among(1).cpus == 1.0


@pytest.mark.parametrize(
    ("asked", "trials", "executor"),
    [
        ({}, 1, "inline"),
        ({}, 2, "ray"),
        ({"executor": "ray"}, 1, "ray"),
        ({"executor": "inline"}, 9, "inline"),
        ({"address": "auto"}, 1, "ray"),
        ({"gpus_per_job": 1.0}, 1, "ray"),
    ],
)
def test_a_single_trial_on_this_cpu_needs_no_ray(
    asked: dict[str, Any], trials: int, executor: str
) -> None:
    assert Runtime(Path("w"), **asked).shared_among(trials).executor == executor


def test_there_are_no_more_cores_than_the_system_has() -> None:
    assert 1 <= module._cores() <= (os.cpu_count() or 1)


def test_the_next_command_writes_to_the_same_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    remote = Runtime(Path("w"), mlflow="https://host/a b")
    assert remote.tracked == " --mlflow 'https://host/a b'"
    assert remote.ui_command == "ui --mlflow 'https://host/a b'"
    assert Runtime(Path("w")).tracked == ""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://host/a b")
    assert remote.tracked == ""


@pytest.mark.parametrize("name", ["what?", "a{x}b", "a%20b"])
def test_a_workspace_in_which_no_database_can_be_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="databases can be in no folder with"):
        Runtime(tmp_path / name)
    for good in ("a b", "100%", "a#b", "ä"):
        assert Runtime(tmp_path / good).workspace == tmp_path / good
