"""What is counted of a run, and that the boards ask for nothing else."""

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hipart.config import PipelineConfig
from hipart.jobs import StageJob, jobs
from hipart.scheduling import metrics
from hipart.scheduling.events import (
    JobDropped,
    JobFailed,
    JobFinished,
    JobRepeated,
    JobReused,
    JobStarted,
    JobWaiting,
)
from hipart.scheduling.metrics import MEASURES, Measure, RunMetrics, WorkerMetrics

BOARDS = Path(__file__).resolve().parents[2] / "dashboards/grafana"
#: Ray's own; tests/scheduling/test_metrics_board.py holds that a cluster exports all but the GPUs'.
OF_RAY = {
    "ray_actors",
    "ray_cluster_active_nodes",
    "ray_node_cpu_utilization",
    "ray_node_disk_free",
    "ray_node_gpus_utilization",
    "ray_node_mem_total",
    "ray_node_mem_used",
    "ray_node_network_receive_speed",
    "ray_node_network_send_speed",
    "ray_object_store_memory",
    "ray_resources",
    "ray_tasks",
}
JOBS = jobs(PipelineConfig(), "0" * 16)
TOKENIZER, PRIOR = JOBS["tokenizer"], JOBS["prior"]
MOVES = [
    ([JobWaiting], "waiting"),
    ([JobWaiting, JobStarted], "running"),
    ([JobWaiting, JobStarted, JobFinished], "finished"),
    ([JobWaiting, JobFailed], "failed"),
    ([JobReused], "reused"),
    ([JobReused, JobRepeated], "waiting"),
    ([JobWaiting, JobDropped], None),
    ([JobWaiting, JobDropped, JobWaiting], "waiting"),
]
MORE = {
    JobStarted: ("worker 0",),
    JobFinished: ({}, 2.0),
    JobFailed: ("why",),
    JobRepeated: ("why",),
}


class Told:
    """In Ray's place: the numbers by name and labels."""

    def __init__(self) -> None:
        self.numbers: defaultdict[tuple[str, ...], float] = defaultdict(float)

    def made(self, measure: Measure) -> Any:
        """Takes what Ray's object takes, and as strictly."""

        def at(labels: Mapping[str, str]) -> tuple[str, ...]:
            assert tuple(labels) == measure.labels
            return measure.name, *labels.values()

        def put(value: float, labels: Mapping[str, str]) -> None:
            self.numbers[at(labels)] = value

        def inc(value: float, labels: Mapping[str, str]) -> None:
            assert value > 0
            self.numbers[at(labels)] += value

        return SimpleNamespace(set=put, inc=inc, observe=lambda _, labels: inc(1, labels))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """A process that is connected."""
    told = Told()

    def made(measure: Measure) -> Any:
        return told.made(measure)

    monkeypatch.setattr(metrics, "connected", lambda: True)
    monkeypatch.setattr(Measure, "made", made)
    return told


class Store:
    """Has what took three seconds."""

    def find(self, stage: str, key: str) -> Any:
        """Any artifact."""
        return SimpleNamespace(provenance={"seconds": 3.0})


@pytest.mark.parametrize(("kinds", "state"), MOVES)
def test_a_job_stands_at_one_place(told: Told, kinds: list[type], state: str | None) -> None:
    run = RunMetrics(Store())
    for kind in kinds:
        run(kind(TOKENIZER, *MORE.get(kind, ())))
    run.close()
    standing = {at[2]: n for at, n in told.numbers.items() if at[0] == "hipart_jobs" and n}
    assert standing == ({state: 1} if state else {})


def test_what_is_trained_counts_once_and_is_saved_for_every_other_trial(told: Told) -> None:
    run = RunMetrics(Store())
    for trial in ("a", "b", "b"):  # a rung of a search asks again for what its trial has
        run.asked(trial, {"tokenizer": TOKENIZER})
    run(JobFinished(TOKENIZER, {}, 5.0))
    run.asked("c", {"tokenizer": TOKENIZER})
    run.close()
    assert told.numbers["hipart_trained_seconds", "tokenizer"] == 5.0
    assert told.numbers["hipart_saved_seconds", "tokenizer"] == 10.0
    assert told.numbers["hipart_job_seconds", "tokenizer"] == 1


def test_what_is_reused_is_saved_for_every_trial(told: Told) -> None:
    run = RunMetrics(Store())
    run.asked("a", JOBS)
    run(JobReused(PRIOR))
    run.asked("b", JOBS)
    run.close()
    assert told.numbers["hipart_saved_seconds", "prior"] == 6.0
    assert ("hipart_trained_seconds", "prior") not in told.numbers


def test_steps_count_from_where_a_job_began(told: Told) -> None:
    worker = WorkerMetrics()
    for step in (500, 510, 530):
        worker.moved(TOKENIZER, step)
    worker.ended()
    worker.moved(TOKENIZER, 10)  # as it was repeated
    assert told.numbers["hipart_steps", "tokenizer"] == 30
    taken = told.numbers["hipart_device_memory_bytes", "CPU"]
    assert 10e6 < taken < 100e9


def test_outside_of_ray_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "connected", lambda: False)
    monkeypatch.setattr(Measure, "made", lambda _: pytest.fail("there is no Ray to tell it"))
    run, worker = RunMetrics(Store()), WorkerMetrics()
    run.asked("a", JOBS)
    run(JobFinished(TOKENIZER, {}, 5.0))
    run.close()
    worker.moved(TOKENIZER, 1)
    worker.ended()


def boards() -> dict[str, Any]:
    """Every board by its file's name."""
    return {file.name: json.loads(file.read_text()) for file in sorted(BOARDS.glob("*.json"))}


def expressions(board: Mapping[str, Any]) -> list[str]:
    """What a board asks Prometheus."""
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def test_boards_are_whole() -> None:
    found = boards()
    assert set(found) == {"cluster.json", "runs.json"}
    assert len({board["uid"] for board in found.values()}) == len(found)
    for board in found.values():
        assert board["schemaVersion"] >= 39
        assert [one["type"] for one in board["templating"]["list"]] == ["datasource"]
        numbers = [panel["id"] for panel in board["panels"]]
        assert len(set(numbers)) == len(numbers)
        for panel in board["panels"]:
            sources = [panel["datasource"], *(one["datasource"] for one in panel["targets"])]
            assert {one["uid"] for one in sources} == {"${datasource}"}
            letters = [one["refId"] for one in panel["targets"]]
            assert panel["title"] and panel["description"] and len(set(letters)) == len(letters)


def test_panels_do_not_lie_on_each_other() -> None:
    for board in boards().values():
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            at = panel["gridPos"]
            cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
            assert at["x"] + at["w"] <= 24 and not cells & taken
            taken |= cells


def test_boards_ask_for_what_is_told_and_for_all_of_it() -> None:
    asked = {
        name
        for board in boards().values()
        for expression in expressions(board)
        for name in re.findall(r"\bray_\w+", expression)
    }
    ours = {name for measure in MEASURES for name in measure.series}
    assert asked <= ours | OF_RAY
    assert all(asked & set(measure.series) for measure in MEASURES)
    assert asked >= OF_RAY


def test_dropped_jobs_no_longer_wait() -> None:
    """For the view as for the metrics."""
    from hipart.report.live import Progress

    progress = Progress(lambda _: 1.0, workers=1)
    progress.hear(JobWaiting(TOKENIZER))
    progress.hear(JobDropped(TOKENIZER))
    assert "0 waiting" in progress.summary()


def test_the_graph_says_what_it_drops() -> None:
    from hipart.scheduling.graph import StageGraph

    class Nothing:
        slots = 1

        def __contains__(self, job: StageJob) -> bool:
            return False

    events: list[Any] = []
    graph = StageGraph(Nothing(), Nothing(), events.append)  # type: ignore[arg-type]
    graph.ensure(JOBS)
    graph.drop_all_but(())
    dropped = {event.job.key for event in events if isinstance(event, JobDropped)}
    assert dropped == {event.job.key for event in events if isinstance(event, JobWaiting)}
    assert not graph.nodes
