"""What a run writes down for others to look on."""

import json
import os
from pathlib import Path
from typing import Any, get_args

import pytest
from rich.console import Console

from hipart.config import PipelineConfig
from hipart.jobs import StageJob, jobs
from hipart.runtime import Runtime
from hipart.scheduling.events import (
    Event,
    JobDropped,
    JobFailed,
    JobFinished,
    JobProgress,
    JobRepeated,
    JobReused,
    JobStarted,
    JobWaiting,
)
from hipart.scheduling.journal import KINDS, Journal, Reader, journals
from hipart.session import Work
from hipart.watching import Follower, status, watch

JOB = jobs(PipelineConfig(), "d")["lifter"]
EVENTS: list[Event] = [
    JobWaiting(JOB),
    JobReused(JOB),
    JobStarted(JOB, "worker 1", 3),
    JobProgress(JOB, 5, 10, {"loss": 0.5}),
    JobFinished(JOB, {"train_mpjpe_mm": float("nan")}, 2.5),
    JobFailed(JOB, 'a "reason"\nin two lines'),
    JobRepeated(JOB, "damaged"),
    JobDropped(JOB),
]


def journal(folder: Path, name: str = "one") -> Journal:
    return Journal(folder, name, "smoke", 2, lambda _: 7.0)


def test_every_event_is_heard_as_it_was_told(tmp_path: Path) -> None:
    assert {type(event) for event in EVENTS} == set(KINDS.values()) == set(get_args(Event))
    written = journal(tmp_path)
    (found,) = journals(tmp_path)
    reader = Reader(found)
    for event in EVENTS[:4]:
        written(event)
    first = list(reader.new())
    for event in EVENTS[4:]:
        written(event)
    heard = first + list(reader.new())
    assert [repr(fields(one.event)) for one in heard] == [repr(fields(one)) for one in EVENTS]
    assert [one.expected_s for one in heard] == [7.0, *[None] * 7]
    assert reader.ended is None
    written.end("finished")
    assert list(reader.new()) == []
    assert reader.ended == "finished"
    assert (found.name, found.scale, found.workers) == ("one", "smoke", 2)


def fields(event: Event) -> dict[str, object]:
    job: StageJob = event.job
    return vars(event) | {"job": job.name, "is": type(event)}


def test_many_steps_are_written_down_rarely(tmp_path: Path) -> None:
    written = journal(tmp_path)
    for step in range(1000):
        written(JobProgress(JOB, step, 1000, {}))
    assert len(list(Reader(journals(tmp_path)[0]).new())) < 10


def test_a_line_that_is_half_written_is_heard_when_it_is_whole(tmp_path: Path) -> None:
    journal(tmp_path)(EVENTS[0])
    (found,) = journals(tmp_path)
    text = found.path.read_bytes()
    found.path.write_bytes(text[:-9])
    reader = Reader(found)
    assert list(reader.new()) == []
    with found.path.open("ab") as file:
        file.write(text[-9:])
    assert len(list(reader.new())) == 1


@pytest.mark.parametrize("rubbish", [b"", b"{", b"[1]\n", b'{"owner": 1', b"\xff\n"])
def test_a_file_that_is_none_is_no_journal(tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / "one.smoke.1.jsonl").write_bytes(rubbish)
    assert journals(tmp_path) == []


def test_a_command_that_was_killed_runs_no_longer_and_the_next_removes_what_it_left(
    tmp_path: Path,
) -> None:
    child = os.fork()
    if child == 0:
        journal(tmp_path)
        os._exit(0)
    os.waitpid(child, 0)
    (killed,) = journals(tmp_path)
    assert (killed.runs, killed.ended) == (False, None)
    journal(tmp_path, "other")
    assert len(journals(tmp_path)) == 2
    mine = journal(tmp_path)
    assert {one.name: one.runs for one in journals(tmp_path)} == {"one": True, "other": True}
    mine.end("stopped")
    assert {one.name: one.ended for one in journals(tmp_path)} == {"one": "stopped", "other": None}
    assert json.loads(killed.path.parent.joinpath(f"one.smoke.{os.getpid()}.jsonl").read_bytes()
                      .splitlines()[-1])["ended"] == "stopped"  # fmt: skip


def test_a_disk_that_is_full_costs_the_journal_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = journal(tmp_path)
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(written, "_file", full)
        with pytest.raises(OSError, match="No space"):
            full.write(b"one")
        written(EVENTS[0])
        written.end("finished")


@pytest.mark.parametrize("head", [b'{"owner": 5}', b'{"owner": {}, "at": "now"}', b"[]", b""])
def test_what_is_no_journal_is_passed_over(tmp_path: Path, head: bytes) -> None:
    journal(tmp_path)
    (tmp_path / "strange.smoke.1.jsonl").write_bytes(head)
    (tmp_path / "gone.smoke.1.jsonl").symlink_to(tmp_path / "nowhere")
    assert [one.name for one in journals(tmp_path)] == ["one"]


HEAD = {"at": 1.0, "name": "strange", "scale": "smoke", "workers": 1, "owner": {"pid": 1}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"owner": {"pid": None}},
        {"owner": {}},
        {"owner": []},
        {"at": float("nan")},
        {"at": 1e300},
        {"workers": "two"},
        {"name": None},
    ],
    ids=str,
)
def test_a_first_line_that_says_other_things_is_no_journals(
    tmp_path: Path, wrong: dict[str, Any]
) -> None:
    here = json.loads(json.dumps(HEAD))
    journal(tmp_path / "journals")
    (ours,) = journals(tmp_path / "journals")
    if wrong.get("owner"):
        wrong = {"owner": ours.owner | wrong["owner"]}
    path = ours.path.with_name("strange.smoke.1.jsonl")
    path.write_text(json.dumps(here) + "\n")
    assert len(journals(path.parent)) == 2
    path.write_text(json.dumps(here | wrong) + "\n")
    assert [one.name for one in journals(path.parent)] == ["one"]
    assert [one["experiment"] for one in status(Runtime(workspace=tmp_path))] == ["one"]


FINISHED = {"at": 2.0, "is": "finished", "stage": "lifter", "key": "k", "metrics": {}, "seconds": 1}


@pytest.mark.parametrize(
    "wrong",
    [
        {"colour": "red"},
        {"job": 1},
        {"key": None},
        {"at": None},
        {"at": "now"},
        {"is": []},
        {"seconds": "long"},
        {"seconds": float("inf")},
        {"metrics": {"loss": "low"}},
        {"metrics": None},
        {"ended": 5},
        *({name: ...} for name in ("at", "stage", "key", "metrics", "seconds")),
    ],
    ids=str,
)
def test_a_line_that_is_not_ours_is_passed_over(tmp_path: Path, wrong: dict[str, Any]) -> None:
    journal(tmp_path / "journals")(JobReused(JOB))
    (found,) = journals(tmp_path / "journals")
    line = {name: one for name, one in (FINISHED | wrong).items() if one is not ...}
    with found.path.open("a") as file:
        file.write(f"{json.dumps(line)}\n{'[' * 100_000}\n{json.dumps(FINISHED)}\n")
    assert [type(one.event) for one in Reader(found).new()] == [JobReused, JobFinished]
    (one,) = status(Runtime(workspace=tmp_path))
    assert (one["state"], one["done"], one["reused"]) == ("running", 1, 1)


def test_no_members_are_none_of_ours(tmp_path: Path) -> None:
    """What is left of a job is shared by all that are trained together."""
    journal(tmp_path / "journals")(EVENTS[0])
    (found,) = journals(tmp_path / "journals")
    line = {"at": 2.0, "is": "started", "stage": "lifter", "key": "k", "worker": "w", "members": 0}
    with found.path.open("a") as file:
        file.write(json.dumps(line) + "\n")
    (one,) = status(Runtime(workspace=tmp_path))
    assert (one["waiting"], one["running"]) == (1, 0)


def test_a_journal_that_is_removed_once_it_was_listed_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the next command of its name, while others look on or begin."""

    def removing(folder: Path) -> list[Any]:
        found = journals(folder)
        for one in found:
            if one.name == "gone":
                one.path.unlink()
        return found

    folder = tmp_path / "journals"
    journal(folder, "one")
    journal(folder, "gone")
    (gone,) = (one for one in journals(folder) if one.name == "gone")
    monkeypatch.setattr("hipart.watching.journals", removing)
    assert [one["experiment"] for one in status(Runtime(workspace=tmp_path))] == ["one"]
    assert (gone.ended, gone.runs) == (None, False)
    with pytest.raises(FileNotFoundError):
        Follower(gone)
    journal(folder, "gone")
    named = ("gone", "smoke", Runtime(workspace=tmp_path))
    monkeypatch.setattr("hipart.watching._named", lambda _: named)
    with pytest.raises(ValueError, match="nothing to watch"):
        watch(Work("gone", "Gone", ()), Console())
    journal(folder, "gone")
    monkeypatch.setattr("hipart.scheduling.journal.journals", removing)
    begun = journal(folder, "gone")
    begun(EVENTS[0])
    monkeypatch.undo()
    assert {one.name for one in journals(folder)} == {"one", "gone"}


def test_how_a_run_ended_is_known_of_a_journal_that_is_gone(tmp_path: Path) -> None:
    written, left = journal(tmp_path), journal(tmp_path, "left")
    ended, removed = (
        Follower(next(one for one in journals(tmp_path) if one.name == name))
        for name in ("one", "left")
    )
    assert (ended.ended, removed.ended) == (None, None)
    written.end("finished")
    left(EVENTS[0])
    for one in journals(tmp_path):
        one.path.unlink()
    assert (ended.ended, removed.ended) == ("finished", "removed")
    heard: list[Event] = []
    removed.follow(lambda one: heard.append(one.event))
    assert [type(one) for one in heard] == [JobWaiting]
