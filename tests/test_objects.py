"""A store in S3: whole, once, shared by machines that have no folder in common."""

import json
import multiprocessing
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hipart.config import PipelineConfig
from hipart.data.corpus import fingerprint
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.jobs import StageJob, jobs
from hipart.runtime import Runtime
from hipart.scheduling.executor import Workplace
from hipart.scheduling.graph import StageGraph
from hipart.scheduling.inline import InlineExecutor
from hipart.store import Artifact, ArtifactStore, objects
from hipart.store.bucket import Bucket, BucketError, check_uri
from hipart.store.leases import Leases
from hipart.store.objects import ObjectPlace
from tests.faulty_stages.tokenizer import COUNTED_SEED
from tests.object_store import s3_server
from tests.test_two_drivers import COMMAND, two_commands

JOB = jobs(PipelineConfig(), "d")["tokenizer"]
SEEDS = range(COUNTED_SEED, COUNTED_SEED + 20)


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    with s3_server() as environment:
        yield environment


@pytest.fixture
def uri(
    server: dict[str, str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> str:
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    return f"s3://lab/{abs(hash(request.node.name))}"


def at(folder: Path, uri: str) -> ArtifactStore:
    """The store, as a machine sees it that has this folder."""
    store = ArtifactStore(folder, uri)
    store.prepare()
    return store


def publish(store: ArtifactStore, text: str = "weights", job: StageJob = JOB) -> Artifact:
    with store.claim(job) as work:
        (work / "model.bin").write_text(text)
        return store.publish(job, work, {"loss": 0.5}, {"host": "here"})


def test_what_one_machine_has_done_another_has(tmp_path: Path, uri: str) -> None:
    one, two = at(tmp_path / "one", uri), at(tmp_path / "two", uri)
    assert two.find(JOB.stage, JOB.key) is None
    publish(one)
    found = two.find(JOB.stage, JOB.key)
    assert found is not None
    assert found.identity == JOB.identity
    assert found.metrics == {"loss": 0.5}
    assert not (found.path / "model.bin").exists()
    assert found.file("model.bin").read_text() == "weights"
    assert found.damage() is None
    three = at(tmp_path / "three", uri)
    assert JOB in three
    assert list(three.held([JOB])) == [JOB.key]
    assert [artifact.key for artifact in three.artifacts()] == [JOB.key]
    assert three.lookup(JOB.key[:6]).key == JOB.key


def test_the_first_to_publish_stays(tmp_path: Path, uri: str) -> None:
    """The second one's lease had expired while it went on."""
    one, two = at(tmp_path / "one", uri), at(tmp_path / "two", uri)
    with two.claim(JOB) as late:
        (late / "model.bin").write_text("late")
        lease = next(name for name in Bucket(uri).names("leases/"))
        Bucket(uri).delete(lease)
        publish(one, "early")
        kept = two.publish(JOB, late, {"loss": 9.0}, {})
    assert kept.metrics == {"loss": 0.5}
    assert kept.file("model.bin").read_text() == "early"


def test_a_copy_that_is_damaged_is_had_again(tmp_path: Path, uri: str) -> None:
    store = at(tmp_path / "store", uri)
    artifact = publish(store)
    (artifact.path / "model.bin").write_text("wEights")
    why = artifact.damage()
    assert why == "model.bin has other content than was written"
    store.set_aside(artifact, why)
    again = store.find(JOB.stage, JOB.key)
    assert again is not None
    assert again.damage() is None


def test_an_object_that_is_damaged_counts_no_longer(tmp_path: Path, uri: str) -> None:
    publish(at(tmp_path / "one", uri))
    bucket = Bucket(uri)
    (blob,) = [
        name
        for name in bucket.names("files/")
        if (found := bucket.get(name)) and found.content == b"weights"
    ]
    bucket.put(blob, b"wEights")
    two = at(tmp_path / "two", uri)
    artifact = two.find(JOB.stage, JOB.key)
    assert artifact is not None
    why = artifact.damage()
    assert why == "model.bin cannot be read (No such file or directory)"
    two.set_aside(artifact, why)
    assert two.find(JOB.stage, JOB.key) is None
    assert len(bucket.names("damaged/")) == 1
    publish(two)
    assert at(tmp_path / "three", uri).find(JOB.stage, JOB.key) is not None


def test_what_a_job_left_is_taken_up_elsewhere(tmp_path: Path, uri: str) -> None:
    one, two = at(tmp_path / "one", uri), at(tmp_path / "two", uri)
    with one.claim(JOB) as work:
        (work / "checkpoint").write_text("step 7")
        one.leave(JOB, work)
    with two.claim(JOB) as work:
        assert (work / "checkpoint").read_text() == "step 7"
    assert Bucket(uri).names("left/") == []


def test_a_lease_is_one_owners_until_it_is_given_back(uri: str) -> None:
    inside, most = 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        leases = Leases(ObjectPlace(Bucket(uri)), look_s=0.01)
        for _ in range(5):
            with leases.hold("job"):
                with lock:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.002)
                with lock:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (inside, most) == (0, 1)


def test_a_lease_that_is_renewed_stays_and_another_expires(uri: str) -> None:
    bucket = Bucket(uri)
    leases = Leases(ObjectPlace(bucket), expiry_s=0.5, look_s=0.02)
    elsewhere = {"host": "another", "boot": "b", "pid": 1, "begun": "1", "token": "t"}
    bucket.create("leases/old", json.dumps(elsewhere).encode())
    began = time.monotonic()
    with leases.hold("old"):
        assert time.monotonic() - began > 0.5
        before = bucket.get("leases/old")
        time.sleep(0.3)
        after = bucket.get("leases/old")
        assert before is not None
        assert after is not None
        assert before.version != after.version
    with leases.hold("old"):  # it was given back, so nobody waits
        assert time.monotonic() - began < 2


def test_a_put_that_was_repeated_does_not_refuse_itself(uri: str) -> None:
    """A client repeats a put whose answer was lost, and is told that the object is there."""

    class Forgetful(Bucket):
        def create(self, name: str, content: bytes) -> Any:
            super().create(name, content)
            return super().create(name, content)

        def replace(self, name: str, content: bytes, version: Any) -> Any:
            super().replace(name, content, version)
            return super().replace(name, content, version)

    place = ObjectPlace(Forgetful(uri))
    held = place.create("job")
    assert held is not None
    held.renew()
    held.release()
    seen = ObjectPlace(Bucket(uri)).look("job")
    assert seen is not None
    assert seen.owner["free"]


def test_a_finished_job_is_offered_until_the_store_is_back(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "AGAIN_S", 0.01)
    away = iter([True] * 3)
    put = Bucket.put

    def sometimes(self: Bucket, name: str, content: bytes | Path) -> None:
        if next(away, False):
            raise BucketError("away")
        put(self, name, content)

    monkeypatch.setattr(Bucket, "put", sometimes)
    assert publish(at(tmp_path / "one", uri)).damage() is None


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("http://lab/x", "a store is a folder, or a URI that begins with s3://"),
        ("s4://lab/x", "a store is a folder, or a URI that begins with s3://"),
        ("s3://", "s3://BUCKET/FOLDER and nothing else"),
        ("s3://key:secret@lab/x", "credentials are read from the environment"),
        ("s3://lab/x?region=eu", "s3://BUCKET/FOLDER and nothing else"),
    ],
)
def test_an_address_where_no_store_can_be_is_refused(uri: str, message: str) -> None:
    with pytest.raises(BucketError, match=message) as caught:
        check_uri(uri)
    assert "secret" not in str(caught.value)


def test_a_bucket_that_is_not_there_is_said(tmp_path: Path, uri: str) -> None:
    with pytest.raises(BucketError, match=r"s3://nowhere/\d+: there is no such bucket"):
        at(tmp_path, uri.replace("lab", "nowhere"))


def test_a_newer_store_is_refused(tmp_path: Path, uri: str) -> None:
    Bucket(uri).put("format.json", b'{"format": 99}')
    with pytest.raises(ValueError, match=r"format\.json: the store has format 99"):
        at(tmp_path, uri)


def _drive(folder: Path, uri: str, start: Any) -> None:
    base = base_at_scale("smoke")
    runtime = Runtime(folder, shared_store=uri)
    store = ArtifactStore(runtime.store, uri)
    workplace = Workplace.of(runtime, "tests.faulty_stages")
    graph = StageGraph(store, InlineExecutor(workplace, lambda _: None), lambda _: None)
    for seed in SEEDS:
        config = with_changes(base, {"tokenizer.seed": seed})
        graph.ensure(jobs(config, fingerprint(base.data), ("tokenizer",)))
    start.wait()
    graph.run()
    assert not graph.errors


@pytest.mark.slow
def test_drivers_on_machines_of_their_own_train_each_job_once(tmp_path: Path, uri: str) -> None:
    folders = [tmp_path / name for name in ("one", "two", "three")]
    for folder in folders:
        runtime = Runtime(folder, shared_store=uri)
        ArtifactStore(runtime.store, uri).prepare()
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(len(folders))
    drivers = [spawn.Process(target=_drive, args=(folder, uri, start)) for folder in folders]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join(120)
    assert [driver.exitcode for driver in drivers] == [0, 0, 0]
    trained = [
        seed for log in tmp_path.glob("*/copies/*/trained.log") for seed in log.read_text().split()
    ]
    assert sorted(map(int, trained)) == list(SEEDS)


@pytest.mark.slow
def test_two_commands_on_one_object_store_print_the_same_table(tmp_path: Path, uri: str) -> None:
    two_commands(tmp_path, {}, "--store", uri)
    # Each stage job was trained by one of them: the provenances are the same everywhere.
    found: dict[str, set[str]] = {}
    for path in tmp_path.glob("*/.hipart/copies/*/[!.]*/*/provenance.json"):
        found.setdefault(path.parent.name, set()).add(path.read_text())
    assert found
    assert all(len(texts) == 1 for texts in found.values())
    export = subprocess.run(
        [*COMMAND[:3], "export", "two.yaml", "--scale", "smoke", "--store", uri],
        cwd=tmp_path / "one",
        capture_output=True,
        text=True,
        check=False,
    )
    assert export.returncode == 0, export.stderr


def test_names_in_a_bucket_lead_nowhere_else(tmp_path: Path, uri: str) -> None:
    publish(at(tmp_path / "one", uri))
    bucket = Bucket(uri)
    name = f"{JOB.stage}/{JOB.key}.json"
    found = bucket.get(name)
    assert found is not None
    entry = json.loads(found.content)
    entry["files"]["../../evil"] = entry["files"].pop("model.bin")
    entry["texts"]["../../evil.json"] = "{}"
    bucket.put(name, json.dumps(entry).encode())
    two = at(tmp_path / "two", uri)
    artifact = two.find(JOB.stage, JOB.key)
    assert artifact is not None
    artifact.complete()
    assert artifact.damage() == "checksums.json names '../../evil', which lies outside"
    assert [path for path in tmp_path.rglob("*evil*") if path.parent != artifact.path] == []
