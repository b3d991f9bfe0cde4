"""The store: whole, once, never changed; and what it refuses."""

import json
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from hipart.config import PipelineConfig
from hipart.jobs import StageJob, jobs
from hipart.store import FORMAT, ArtifactStore, StoreError

JOB = jobs(PipelineConfig(), "d")["tokenizer"]
PROVENANCE = {"host": "here", "seconds": 1, "started_at": "then"}


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    store = ArtifactStore(tmp_path / "store")
    store.prepare()
    return store


def publish(store: ArtifactStore, job: StageJob = JOB) -> None:
    with store.claim(job) as work:
        (work / "model.bin").write_text("weights")
        store.publish(job, work, {"loss": 0.5}, PROVENANCE)


def test_an_artifact_is_absent_until_published_and_then_whole(store: ArtifactStore) -> None:
    with store.claim(JOB) as work:
        (work / "model.bin").write_text("half")
        assert JOB not in store
    assert JOB not in store
    publish(store)
    found = store.find(JOB.stage, JOB.key)
    assert found is not None
    assert found.identity == JOB.identity
    assert found.metrics == {"loss": 0.5}
    assert found.provenance == PROVENANCE
    assert (found.path / "model.bin").read_text() == "weights"
    assert [artifact.key for artifact in store.artifacts()] == [JOB.key]
    assert list((store.root / ".work").iterdir()) == []


def test_the_first_artifact_stays(store: ArtifactStore) -> None:
    publish(store)
    with store.claim(JOB) as work:
        kept = store.publish(JOB, work, {"loss": 9.0}, {})
    assert kept.metrics == {"loss": 0.5}


def _hold(root: Path, ready: Path) -> None:
    with ArtifactStore(root).claim(JOB) as work:
        (work / "note").write_text("from the first process")
        ready.touch()
        time.sleep(60)


def test_a_killed_process_lets_go_of_its_claim_and_leaves_its_work(
    store: ArtifactStore, tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    process = multiprocessing.get_context("spawn").Process(target=_hold, args=(store.root, ready))
    process.start()
    while not ready.exists():
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with store.claim(JOB) as work:
        assert (work / "note").read_text() == "from the first process"


def test_lookup_by_the_beginning_of_a_key(store: ArtifactStore) -> None:
    publish(store)
    assert store.lookup(JOB.key[:5]).key == JOB.key
    assert store.lookup(f"tokenizer/{JOB.key[:5]}").key == JOB.key
    with pytest.raises(StoreError, match="no artifact is called 'prior/"):
        store.lookup(f"prior/{JOB.key[:5]}")
    publish(store, jobs(PipelineConfig(), "other")["tokenizer"])
    with pytest.raises(StoreError, match="means 2 artifacts"):
        store.lookup("tokenizer/")


def test_a_store_of_a_newer_version_is_refused(store: ArtifactStore) -> None:
    (store.root / "format.json").write_text(json.dumps({"format": FORMAT + 1}))
    with pytest.raises(StoreError, match=f"format {FORMAT + 1}, written by a newer version"):
        ArtifactStore(store.root)


def test_something_that_is_not_a_store_is_refused(store: ArtifactStore) -> None:
    (store.root / "format.json").write_text("[]")
    with pytest.raises(StoreError, match="not the mark"):
        ArtifactStore(store.root)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StoreError, match="cannot be written.*--workspace"):
        ArtifactStore(blocked / "store").prepare()


def test_a_damaged_artifact_says_how_to_mend_it(store: ArtifactStore) -> None:
    publish(store)
    found = store.find(JOB.stage, JOB.key)
    assert found is not None
    (found.path / "metrics.json").write_text("{")
    with pytest.raises(StoreError, match="Remove the folder"):
        _ = found.metrics


def test_a_claim_holds_between_threads_and_leaves_no_file(store: ArtifactStore) -> None:
    other = jobs(PipelineConfig(), "other")["tokenizer"]
    taken = threading.Event()

    def take() -> None:
        with store.claim(JOB):
            taken.set()

    with store.claim(JOB), store.claim(other):
        waiting = threading.Thread(target=take)
        waiting.start()
        assert not taken.wait(0.1)
    assert taken.wait(10)
    waiting.join()
    assert {path.name for path in store.root.iterdir()} == {".leases", ".work", "format.json"}


def test_what_is_damaged_is_found_before_anything_is_taken_from_it(store: ArtifactStore) -> None:
    publish(store)
    assert store.sift(store.artifacts()) == []
    (store.root / JOB.stage / JOB.key / "metrics.json").write_text('{"loss": 0.6}\n')
    (told,) = store.sift(store.artifacts())
    assert told.startswith(f"tokenizer/{JOB.key[:8]}: metrics.json has 14 bytes of ")
    assert JOB not in store
    (aside,) = (store.root / ".damaged").iterdir()
    assert told.endswith(f"; moved to {aside}")
    publish(store)
    (store.root / JOB.stage / JOB.key / "checksums.json").write_text("[]")
    assert store.sift(store.artifacts())[0].startswith(
        f"tokenizer/{JOB.key[:8]}: checksums.json cannot be read"
    )


@pytest.mark.parametrize(
    ("gone", "written", "why"),
    [
        ((), '{"metrics.json": 3}', "checksums.json cannot be read"),
        ((), '{"metrics.json": ["a", "b"]}', "checksums.json cannot be read"),
        ((), '{"metrics.json": [1]}', "checksums.json cannot be read"),
        ((), '{"metrics.json": [1e400, "0"]}', "checksums.json cannot be read"),
        ((), '{"a\\u0000b": [1, "0"]}', "checksums.json names 'a\\x00b', which lies outside"),
        (("identity.json",), "{}", "identity.json cannot be read"),
        (("metrics.json", "checksums.json"), None, "metrics.json cannot be read"),
        (("provenance.json", "checksums.json"), None, "provenance.json cannot be read"),
        (None, None, "identity.json cannot be read"),
    ],
)
def test_an_artifact_that_does_not_say_what_it_is_was_damaged(
    store: ArtifactStore, gone: tuple[str, ...] | None, written: str | None, why: str
) -> None:
    publish(store)
    folder = store.root / JOB.stage / JOB.key
    for file in folder.iterdir():
        if gone is None or file.name in gone:
            file.unlink()
    if written is not None:
        (folder / "checksums.json").write_text(written)
    (found,) = store.artifacts()
    assert found.damage() == why
    (told,) = store.sift([found])
    assert told.startswith(f"tokenizer/{JOB.key[:8]}: {why}; moved to ")
    assert JOB not in store


@pytest.mark.parametrize(
    ("record", "written", "why"),
    [
        ("identity.json", "{}", "is empty"),
        (
            "identity.json",
            '{"data": "d", "needs": []}',
            "does not say config, needs, stage, version",
        ),
        ("metrics.json", "{}", "is empty"),
        ("provenance.json", '{"started_at": "now"}', "does not say seconds"),
    ],
)
def test_a_record_of_before_checksums_that_lacks_what_all_have_was_damaged(
    store: ArtifactStore, record: str, written: str, why: str
) -> None:
    publish(store)
    (found,) = store.artifacts()
    (found.path / "checksums.json").unlink()
    (old,) = store.artifacts()
    assert old.damage() is None
    (found.path / record).write_text(written)
    (damaged,) = store.artifacts()
    assert damaged.damage() == f"{record} {why}"


def test_a_link_to_nowhere_where_an_artifact_belongs_is_moved_out_of_its_way(
    store: ArtifactStore,
) -> None:
    place = store.root / JOB.stage / JOB.key
    place.parent.mkdir()
    place.symlink_to(store.root / "nowhere")
    publish(store)
    assert JOB in store


def test_a_link_that_leads_to_itself_is_no_artifact(store: ArtifactStore) -> None:
    place = store.root / JOB.stage / JOB.key
    place.parent.mkdir()
    place.symlink_to(place)
    assert list(store.artifacts()) == []
    publish(store)
    assert JOB in store


def test_a_file_where_an_artifact_belongs_is_moved_out_of_its_way(store: ArtifactStore) -> None:
    place = store.root / JOB.stage / JOB.key
    place.parent.mkdir()
    place.write_text("not a folder")
    publish(store)
    assert JOB in store
    (aside,) = (store.root / ".damaged").iterdir()
    assert (aside / JOB.key).read_text() == "not a folder"
