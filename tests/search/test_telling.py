"""What a search says of trials that failed, and of what it can't do."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from hipart.experiment.search import Stopping
from hipart.report.searches import describe_search
from hipart.runtime import Runtime
from hipart.search.budget import Limits
from hipart.search.candidates import Candidates
from hipart.search.landscape import made_up
from hipart.search.simulation import MemoryStore, Simulated, simulate
from hipart.search_runner import _left_open, _Run
from hipart.search_watchers import Telling
from hipart.searched import saved
from tests.search.test_simulated_search import SMOOTH, _quick, _search


def failing(share: float) -> tuple[Any, Simulated]:
    """A search of which a share of the jobs fails; what it is asked of, and what it found."""
    search, store = _quick(), MemoryStore()
    landscape = made_up(search).model_copy(update={"failures": share})
    found = simulate(search, landscape, 4, Limits(20), store=store)
    session = SimpleNamespace(
        search=search,
        candidates=Candidates(search, "simulated"),
        store=store,
        runtime=Runtime(Path(), mlflow="http://host:1"),
        winners=lambda study: study.complete[:1],
    )
    return session, found


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_nothing_is_spared_by_failing(share: float) -> None:
    session, found = failing(share)
    kept = [one for one in found.study.own if one.state != "failed"]
    chains = [chain for one in kept for chain in session.candidates.of(one.point).chains]
    asked, distinct = sum(map(len, chains)), {job.key for chain in chains for job in chain.values()}
    told = saved(session, found.study)
    if not kept:
        assert share == 1 and told == ""
        return
    assert told.startswith(f"{asked} stage jobs in the trials that did not fail: {len(distinct)} ")
    assert "0 stopped early or never begun" in told


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_best_model_is_offered_where_there_is_one(share: float) -> None:
    session, found = failing(share)
    console = Console(record=True, width=200)
    run: Any = SimpleNamespace(session=session, study=found.study, console=console)
    _Run._next_commands(run)
    told = console.export_text()
    assert ("export quick_search" in told) == (share == 0)
    assert "run quick_search --scale paper --workspace . --mlflow http://host:1 --trials" in told


def test_a_trial_that_failed_is_said_with_the_error_of_the_job_that_did() -> None:
    session, found = failing(1.0)
    console = Console(record=True, width=200)
    record = found.study.own[0]
    Telling(console, session, found.study).trial(record, session.candidates.of(record.point), ())
    told = console.export_text().strip()
    assert told == f"{record.name} failed: simulated failure | nothing is measured in full yet"


@pytest.mark.parametrize(
    ("scale", "told"),
    [
        ("smoke", "asha never stops anything here: 2 epochs are one rung"),
        ("paper-v1", "asha after 2, 8 of 25 epochs of the lifter"),
        ("paper", "30450 steps of the lifter"),
    ],
)
def test_where_trials_can_be_stopped(tmp_path: Path, scale: str, told: str) -> None:
    search = _search(tmp_path, SMOOTH, scale)
    search = search.model_copy(update={"stopping": Stopping(reduction=3)})
    console = Console(record=True, width=200)
    session: Any = SimpleNamespace(search=search)
    console.print(describe_search(session))
    assert told in console.export_text()


def test_one_trial_that_is_left_open_is_one() -> None:
    assert _left_open(1) == "1 trial is unfinished and goes on with more."
    assert _left_open(2) == "2 trials are unfinished and go on with more."
