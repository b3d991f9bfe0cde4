"""A mirror at an MLflow server that is killed, comes late, or never comes: nothing is lost."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hipart.cli import main
from hipart.runtime import Runtime
from hipart.session import open_session
from hipart.store import ArtifactStore
from hipart.tracking.messages import End
from hipart.tracking.patience import Patience
from hipart.tracking.records import ERROR_TAG, ID_TAG, STAMP_TAG, Outcome, Point, RunSpec
from hipart.tracking.runs import RunBook
from hipart.tracking.specs import (
    Subject,
    stage_outcome,
    stage_spec,
    trial_outcome,
    trial_spec,
)
from tests.mlflow_server import Server

AWAY_S = 5.0
SHORT, LONG = 2, 100
EXPERIMENT = """\
kind: ablation
title: An ablation whose mirror is far away
design: one_at_a_time
base: {{lifter.epochs: {epochs}}}
factors:
  - {{name: rate, path: lifter.learning_rate, levels: [0.002]}}
seeds: [0, 1]
reseed: [lifter]
metric: {{stage: evaluate, name: mpjpe_mm}}
"""
SECRET = "a-secret-of-the-tracker"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.kill()


def start(folder: Path, server: Server, epochs: int, **environment: str) -> subprocess.Popen[str]:
    (folder / "remote.yaml").write_text(EXPERIMENT.format(epochs=epochs))
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "hipart.cli", "run", "remote.yaml", "--scale", "smoke"),
            *("--executor", "inline", "--mlflow", server.address),
        ],
        cwd=folder,
        env=os.environ | {"COLUMNS": "200", "MLFLOW_TRACKING_PASSWORD": SECRET} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def output_of(run: subprocess.Popen[str]) -> str:
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 0, output
    return " ".join(output.split())


def check(folder: Path, server: Server) -> None:
    """The server holds every run once and every point of every artifact once, and no more."""
    runs = server.rows(
        "select t.value, r.status, r.run_uuid from runs r join tags t on t.run_uuid = r.run_uuid "
        "where t.key = 'hipart.id' and r.lifecycle_stage = 'active' and t.value not like 'test:%'"
    )
    session = open_session(str(folder / "remote.yaml"), "smoke", None, Runtime(folder / ".hipart"))
    jobs = {job.key: job for chain in session.jobs for job in chain.values()}
    assert len(runs) == len({name for name, *_ in runs}) == 1 + len(session.trials) + len(jobs)
    assert {status for _, status, _ in runs} == {"FINISHED"}
    run_ids = {name: run_id for name, _, run_id in runs}
    logged = Counter(
        server.rows("select run_uuid, key, value, timestamp, step from metrics where not is_nan")
    )
    store, subject = (
        ArtifactStore(folder / ".hipart/store"),
        Subject(session.ablation, session.fingerprint),
    )
    artifacts = {key: found for key, job in jobs.items() if (found := store.find(job.stage, key))}
    outcomes = {
        stage_spec(job).identity: stage_outcome(artifacts[key]) for key, job in jobs.items()
    }
    for trial, chain in zip(session.trials, session.jobs, strict=True):
        identity = trial_spec(subject, trial, chain, "").identity
        outcomes[identity] = trial_outcome(
            subject, trial, {name: artifacts[job.key] for name, job in chain.items()}
        )
    expected = Counter(
        (run_ids[identity], *point)
        for identity, outcome in outcomes.items()
        for point in outcome.points()
    )
    assert len(expected) > 100
    assert logged == expected
    assert len(list((server.folder / "files").rglob("table.csv"))) == 1
    assert not (folder / ".hipart/mlflow.db").exists()
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that stays, for tests with runs of their own."""
    made = Server(tmp_path_factory.mktemp("steady"))
    made.start()
    made.wait()
    yield made
    made.kill()


@pytest.mark.slow
def test_a_server_that_comes_late_and_is_killed_has_everything_once(
    tmp_path: Path, server: Server
) -> None:
    run = start(tmp_path, server, epochs=LONG)
    while not list(tmp_path.glob(".hipart/store/tokenizer/*")):
        assert run.poll() is None
        time.sleep(0.02)
    run.send_signal(
        signal.SIGSTOP
    )  # the driver alone: it is not to be done before the server is up
    server.start()
    server.wait()
    while server.rows("select count(*) from metrics") == [(0,)]:
        time.sleep(0.02)
    server.kill()
    run.send_signal(signal.SIGCONT)
    time.sleep(AWAY_S)
    server.start()
    output = output_of(run)
    assert "could not be written" not in output
    assert f"hipart-search ui --mlflow {server.address}" in output
    check(tmp_path, server)


@pytest.mark.slow
def test_a_server_that_never_came_gets_all_from_the_same_command(
    tmp_path: Path, steady: Server
) -> None:
    never = Server(tmp_path)
    output = output_of(start(tmp_path, never, epochs=SHORT, HIPART_MLFLOW_SECONDS="1"))
    assert output.count("MLflow could not be written") == 1 and "Connection refused" in output
    assert "the same command, given again, completes the mirror" in output
    assert (tmp_path / "results/remote/table.csv").exists()
    assert "could not be written" not in output_of(start(tmp_path, steady, epochs=SHORT))
    check(tmp_path, steady)


def spec(name: str) -> RunSpec:
    return RunSpec("stages", f"test:{name}", name, {"stage": name}, {"width": "8"})


def runs_of(server: Server, name: str) -> list[tuple[object, ...]]:
    return server.rows(
        f"select run_uuid, lifecycle_stage from runs where name = '{name}' order by lifecycle_stage"
    )


@pytest.mark.slow
def test_of_two_runs_of_an_identity_the_older_stays(tmp_path: Path, steady: Server) -> None:
    books = [RunBook(tmp_path / "x.db", tmp_path / "x", steady.address) for _ in range(2)]
    look = books[1]._find
    # The younger was begun before the older was to be seen, and its own look came too early.
    books[1]._find = lambda spec: None  # type: ignore[method-assign]
    older, younger = (book.ensure(spec("twin")) for book in books)
    books[1]._find = look  # type: ignore[method-assign]
    assert older.tags[ID_TAG] == younger.tags[ID_TAG] and older.run_id != younger.run_id
    for book in books:
        book.forget_made()
        assert book.ensure(spec("twin")).run_id == older.run_id
    assert runs_of(steady, "twin") == [(older.run_id, "active"), (younger.run_id, "deleted")]


@pytest.mark.slow
def test_what_was_done_though_its_answer_was_lost_is_not_done_twice(
    tmp_path: Path, steady: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    lost = []

    def losing(name: str) -> None:
        method = getattr(MlflowClient, name)

        def call(*arguments: Any, **named: Any) -> Any:
            answer = method(*arguments, **named)
            if name not in lost:
                lost.append(name)
                raise MlflowException("connection reset")  # as MLflow says it
            return answer

        monkeypatch.setattr(MlflowClient, name, call)

    calls = ("create_experiment", "create_run", "log_batch", "delete_tag", "delete_run")
    for name in calls:
        losing(name)
    book = RunBook(tmp_path / "x.db", tmp_path / "x", steady.address)
    alone = replace(spec("lost"), experiment="another")
    points = [Point("loss", 1 / step, 1000 + step, step) for step in range(1, 9)]
    points += [Point("loss", float("nan"), 2000, 9)]
    book.fail(book.ensure(alone), "no memory")
    for stamp in ("first", "second"):
        book.complete(alone, Outcome(stamp, 1000, 2000, {}, lambda: points))
    assert sorted(lost) == sorted(calls)
    (kept, _), (gone, _) = states = runs_of(steady, "lost")
    assert [state for _, state in states] == ["active", "deleted"]
    for run in (kept, gone):
        assert steady.rows(f"select count(*) from metrics where run_uuid = '{run}'") == [(9,)]
    tags = dict(book.client.get_run(str(kept)).data.tags)
    assert tags[STAMP_TAG] == "second" and ERROR_TAG not in tags


def test_a_server_that_is_away_is_waited_for_until_the_run_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.append(now.pop() + seconds))
    patience = Patience()
    tries = 0

    def call() -> None:
        nonlocal tries
        tries += 1
        if tries == 500:
            patience.hear([End("FINISHED"), None])
        raise ConnectionError

    with pytest.raises(ConnectionError):
        patience.insist(call, lambda error: True)
    assert patience.over
    assert 500 + 120 / 5 <= tries <= 502 + 120 / 5
    with pytest.raises(ValueError, match="another"):
        Patience().insist(lambda: int("another"), lambda error: False)


@pytest.mark.parametrize(
    "address",
    [
        "sqlite:///mlflow.db",
        "postgresql://host/mlflow",
        "file:///mlruns",
        "mlruns",
        "databricks",
        "localhost:5000",
        "http://",
        "http://host:port",
        "http://[host",
        "http://host/?token=hidden",
        "https://somebody:hidden@host",
        "http://hidden@host",
    ],
)
def test_other_addresses_are_refused_and_not_repeated(address: str) -> None:
    for given, environment in (
        (["--mlflow", address], {}),
        ([], {"MLFLOW_TRACKING_URI": address}),
    ):
        for command in (["run", "order_ablation", "--scale", "smoke"], ["ui"]):
            done = CliRunner(env=environment).invoke(main, [*command, *given])
            assert done.exit_code == 2
            allowed = "MLFLOW_TRACKING_TOKEN" if "@" in address else "http://HOST:PORT"
            assert allowed in done.output and "hidden" not in done.output


def test_the_address_is_shown_in_place_of_a_server(tmp_path: Path) -> None:
    line = ["ui", "--workspace", str(tmp_path), "--mlflow", "https://host/mlflow"]
    done = CliRunner().invoke(main, line)
    assert (done.exit_code, done.output) == (0, "MLflow at https://host/mlflow\n")
