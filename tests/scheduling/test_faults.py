"""Jobs that hang, disks that fill up, failures that should end a run: what becomes of them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hipart.data.corpus import fingerprint
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.jobs import TrialJobs, jobs
from hipart.runtime import Runtime
from hipart.scheduling.events import Event, JobFailed, JobFinished, JobStarted
from hipart.scheduling.executor import Workplace
from hipart.scheduling.graph import StageGraph
from hipart.scheduling.inline import InlineExecutor
from hipart.scheduling.ray_pool import RETRIES, RayPool
from hipart.store import ArtifactStore, without_space
from tests.faulty_stages.tokenizer import BROKEN_SEED, FULL_SEED, HANGING_SEED

BASE = base_at_scale("smoke")
STAGES = "tests.faulty_stages"


def tokenizer(seed: int) -> TrialJobs:
    config = with_changes(BASE, {"tokenizer.seed": seed})
    return jobs(config, fingerprint(BASE.data), ("tokenizer",))


def store_at(runtime: Runtime) -> ArtifactStore:
    store = ArtifactStore(runtime.store)
    store.prepare()
    return store


def inline(tmp_path: Path, *seeds: int, fail_fast: bool = False) -> list[Event]:
    runtime, events = Runtime(tmp_path), list[Event]()
    executor = InlineExecutor(Workplace.of(runtime, STAGES), events.append)
    graph = StageGraph(store_at(runtime), executor, events.append)
    for seed in seeds:
        graph.ensure(tokenizer(seed))
    graph.run(fail_fast)
    return events


def failures(events: list[Event]) -> list[str]:
    return [event.error for event in events if isinstance(event, JobFailed)]


@pytest.mark.slow
def test_a_worker_that_hangs_is_replaced_and_gives_up_in_the_end(tmp_path: Path) -> None:
    runtime, events = Runtime(tmp_path, workers=1, watchdog_s=3.0), list[Event]()
    pool = RayPool(runtime, 1, stages=STAGES)
    try:
        graph = StageGraph(store_at(runtime), pool, events.append)
        graph.ensure(tokenizer(HANGING_SEED))
        graph.ensure(tokenizer(HANGING_SEED + 1))
        graph.ensure(tokenizer(1))
        graph.run()
    finally:
        pool.close()
    done = [e.job.config.tokenizer.seed for e in events if isinstance(e, JobFinished)]
    assert done == [HANGING_SEED, 1]
    (error,) = failures(events)
    assert error.startswith(f"its worker died {RETRIES + 1} times (no progress for ")
    starts = [e.job.config.tokenizer.seed for e in events if isinstance(e, JobStarted)]
    assert [starts.count(HANGING_SEED), starts.count(HANGING_SEED + 1)] == [2, RETRIES + 1]


def test_a_full_disk_is_named_with_the_space_that_is_needed(tmp_path: Path) -> None:
    (error,) = failures(inline(tmp_path, FULL_SEED))
    assert error.startswith(f"{tmp_path / 'store'}: no space left: ")
    assert "this job needs about 2.0 MB. Make room" in error


def test_what_a_library_says_of_a_full_disk_is_understood(tmp_path: Path) -> None:
    said = RuntimeError("Error while serializing: I/O error: No space left (os error 28)")
    assert "no space left" in str(without_space(said, tmp_path, 10))
    assert without_space(RuntimeError("other"), tmp_path, 10) is None
    assert without_space(OSError(13, "Permission denied"), tmp_path, 10) is None


def test_the_first_failure_ends_a_run_only_where_that_is_asked_for(tmp_path: Path) -> None:
    seeds = (BROKEN_SEED, 1, 2)
    events = inline(tmp_path / "fast", *seeds, fail_fast=True)
    assert [type(one) for one in events if isinstance(one, JobFailed | JobFinished)] == [JobFailed]
    events = inline(tmp_path / "slow", *seeds)
    assert sum(isinstance(one, JobFinished) for one in events) == 2


@pytest.mark.parametrize("key", ["../../outside", "..", "a/b", "", "."])
def test_names_read_from_a_store_stay_inside_it(tmp_path: Path, key: str) -> None:
    store = store_at(Runtime(tmp_path))
    (tmp_path / "outside").mkdir()
    (tmp_path / "store" / "tokenizer").mkdir()
    assert store.find("tokenizer", key) is None
    assert store.find(key, "0" * 16) is None


def test_checksums_of_files_outside_are_damage(tmp_path: Path) -> None:
    inline(tmp_path, 1)
    store = store_at(Runtime(tmp_path))
    (artifact,) = store.artifacts()
    assert artifact.damage() is None
    secret = tmp_path / "secret"
    secret.write_text("x")
    (artifact.path / "checksums.json").write_text('{"../../../secret": [1, "0"]}')
    again = replace(artifact)
    assert "lies outside" in str(again.damage())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 20 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("only root may mount a disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_a_run_on_a_disk_that_is_full_goes_on_when_there_is_room(
    small_disk: Path, tmp_path: Path
) -> None:
    store = small_disk / "store"
    command = ["run", "codebook_ablation", "--scale", "smoke", "--store", str(store)]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "hipart.cli", *command, "--executor", "inline"],
            cwd=tmp_path,
            env=os.environ | {"COLUMNS": "400"},
            capture_output=True,
            text=True,
            check=False,
        )

    filler = small_disk / "filler"
    filler.write_bytes(bytes(18_500_000))
    full = run()
    assert full.returncode == 1
    assert f"{store}: no space left: " in full.stdout
    assert "Make room, and run the same command again" in full.stdout
    before = {one.key: one for one in ArtifactStore(store).artifacts()}
    assert before
    assert [one.damage() for one in before.values()] == [None] * len(before)
    kept = {key: one.provenance for key, one in before.items()}
    filler.unlink()
    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"reused {len(before)}." in done.stdout
    after = {one.key: one.provenance for one in ArtifactStore(store).artifacts()}
    assert kept.items() <= after.items()
