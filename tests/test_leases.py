"""Leases: one owner at a time, whoever dies, on one machine and on several."""

import json
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from hipart.store.leases import FolderPlace, HeldError, Leases, owner


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "leases").mkdir()
    return tmp_path / "leases"


def _count(folder: Path, counter: Path, times: int) -> None:
    leases = Leases(FolderPlace(folder))
    for _ in range(times):
        with leases.hold("job"):
            before = int(counter.read_text())
            time.sleep(0.001)
            counter.write_text(str(before + 1))


def _hold(folder: Path, ready: Path) -> None:
    with Leases(FolderPlace(folder)).hold("job"):
        ready.touch()
        time.sleep(60)


def elsewhere(folder: Path, name: str = "job") -> Path:
    """A lease as somebody on another machine leaves it."""
    file = folder / name
    owner = {"host": "another", "boot": "b", "pid": 1, "begun": "1", "token": "t"}
    file.write_text(json.dumps(owner))
    return file


def test_processes_hold_it_one_after_the_other(folder: Path, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_count, args=(folder, counter, 20)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert counter.read_text() == "60"
    assert list(folder.iterdir()) == []


def test_a_killed_owner_on_this_machine_is_found_out_at_once(folder: Path, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_hold, args=(folder, ready))
    process.start()
    while not ready.exists():
        time.sleep(0.01)
    assert process.pid is not None
    assert json.loads((folder / "job").read_text())["pid"] == process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    start = time.monotonic()
    with Leases(FolderPlace(folder)).hold("job"):
        assert time.monotonic() - start < 1


def test_somebody_elsewhere_keeps_it_as_long_as_it_is_renewed(folder: Path) -> None:
    file = elsewhere(folder)
    stop = threading.Event()

    def renew() -> None:
        while not stop.wait(0.1):
            os.utime(file)

    renewing = threading.Thread(target=renew)
    renewing.start()
    taken = threading.Event()

    def take() -> None:
        with Leases(FolderPlace(folder), expiry_s=0.5).hold("job"):
            taken.set()

    taking = threading.Thread(target=take)
    taking.start()
    assert not taken.wait(1.5)
    stop.set()
    renewing.join()
    assert taken.wait(5)
    taking.join()


def test_an_old_lease_is_no_expired_one_before_it_was_watched(folder: Path) -> None:
    """Clocks of machines disagree, so only what was seen not to change counts."""
    os.utime(elsewhere(folder), (0, 0))
    start = time.monotonic()
    with Leases(FolderPlace(folder), expiry_s=0.5).hold("job"):
        assert time.monotonic() - start > 0.5


def test_whoever_lost_a_lease_does_not_give_back_anothers(folder: Path) -> None:
    mine = Leases(FolderPlace(folder)).hold("job")
    mine.__enter__()
    (folder / "job").unlink()
    theirs = elsewhere(folder)
    mine.__exit__(None, None, None)
    assert theirs.exists()


def test_what_is_held_is_renewed(folder: Path) -> None:
    leases = Leases(FolderPlace(folder), expiry_s=0.6)
    with leases.hold("one"), leases.hold("two"):
        before = [(folder / name).stat().st_mtime_ns for name in ("one", "two")]
        time.sleep(0.5)
        after = [(folder / name).stat().st_mtime_ns for name in ("one", "two")]
    assert all(late > early for early, late in zip(before, after, strict=True))


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_a_lease_that_nobody_finished_writing_expires(folder: Path, content: str) -> None:
    (folder / "job").write_text(content)
    with Leases(FolderPlace(folder), expiry_s=0.3).hold("job"):
        pass
    assert list(folder.iterdir()) == []


def test_a_lease_of_no_process_expires(folder: Path) -> None:
    (folder / "job").write_text(json.dumps(owner() | {"pid": None}))
    with Leases(FolderPlace(folder), expiry_s=0.3).hold("job"):
        pass
    assert list(folder.iterdir()) == []


def test_who_does_not_wait_is_refused_only_while_the_other_lives(folder: Path) -> None:
    leases = Leases(FolderPlace(folder), expiry_s=0.5)
    with leases.hold("job"), pytest.raises(HeldError, match=f"process {os.getpid()} on "):
        leases.hold("job", waits=False).__enter__()
    with leases.hold("job", waits=False):
        pass
    file = elsewhere(folder)
    threading.Timer(0.2, os.utime, (file,)).start()
    with pytest.raises(HeldError, match="process 1 on another"):
        leases.hold("job", waits=False).__enter__()
    with leases.hold("job", waits=False):  # nobody has renewed it
        assert json.loads(file.read_text())["pid"] == os.getpid()
