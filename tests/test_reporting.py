"""Which trials the files of a session are drawn from."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from hipart import reporting
from hipart.pipeline import PIPELINE
from hipart.runtime import Runtime
from hipart.session import open_session, open_work


def test_figures_keep_an_arm_that_lost_a_stage_no_table_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_session("codebook_ablation", "smoke", None, Runtime(tmp_path / "work"))
    session.store.prepare()
    for job in session.distinct.values():
        with session.store.claim(job) as work:
            metrics = {metric.name: 1.0 for metric in PIPELINE[job.stage].metrics}
            session.store.publish(job, work, metrics, {"seconds": 1.0, "data": "d"})
    drawn: dict[str, dict[str, Path]] = {}

    def write_all(*given: Any) -> list[Path]:
        drawn.update(given[-1])
        return []

    monkeypatch.setattr(reporting, "write_all", write_all)
    monkeypatch.setattr(reporting, "write_schedule", lambda *_: (None, []))
    for trial, jobs in zip(session.trials, session.jobs, strict=True):
        if trial.arm.name == "base":
            shutil.rmtree(session.store.root / "densify" / jobs["densify"].key)
    reporting.write_results(session, None)  # type: ignore[arg-type]
    assert set(drawn) == {trial.arm.name for trial in session.trials}
    assert "evaluate" in drawn["base"] and "densify" not in drawn["base"]


def test_the_document_says_with_which_options_it_was_written(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path / "work", shared_store=str(tmp_path / "store"))
    told = reporting.fidelity_of(open_work(None, "paper", "smoke", "textbook", runtime))
    options = "--suite paper --scale smoke --preset textbook --workspace FOLDER --store FOLDER"
    assert f"`hipart-search fidelity {options}`" in told
    assert str(tmp_path) not in told
