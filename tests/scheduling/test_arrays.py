"""Jobs that are trained together: which may be, how they are put together, how they end."""

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hipart.config import PipelineConfig
from hipart.data.corpus import fingerprint
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.jobs import StageJob, jobs
from hipart.pipeline import PIPELINE
from hipart.scheduling.arrays import OWN, signature
from hipart.scheduling.events import Event, JobFinished
from hipart.scheduling.executor import Failure, Outcome, Result, Workplace
from hipart.scheduling.graph import StageGraph
from hipart.scheduling.worker import run_jobs
from hipart.store import ArtifactStore

BASE = base_at_scale("smoke")
DATA = fingerprint(BASE.data)


def job(stage: str, **changes: Any) -> StageJob:
    """A job of a trial with ``section__field`` changed."""
    named = {name.replace("__", "."): value for name, value in changes.items()}
    targets = (stage,) if stage == "regressor" else ("evaluate",)
    return jobs(with_changes(BASE, named), DATA, targets)[stage]


@pytest.mark.parametrize(
    ("stage", "changes"),
    [
        ("tokenizer", {"tokenizer__seed": 1, "tokenizer__commitment_weight": 0.5}),
        ("prior", {"prior__order": "raster", "prior__lambda_dense": 1.0, "tokenizer__seed": 4}),
        ("prior", {"tokenizer__epochs": 9, "prior__weight_decay": 0.0}),
        ("regressor", {"regressor__learning_rate": 0.002}),
        ("lifter", {"lifter__seed": 1, "lifter__decay": 0.5, "prior__order": "raster"}),
    ],
)
def test_members_may_differ_in_what_a_step_multiplies_by(
    stage: str, changes: dict[str, Any]
) -> None:
    changed = job(stage, **changes)
    assert changed.key != job(stage).key
    assert signature(changed) == signature(job(stage))


@pytest.mark.parametrize(
    ("stage", "changes"),
    [
        ("tokenizer", {"tokenizer__width": 32}),
        ("tokenizer", {"tokenizer__epochs": 3}),
        ("tokenizer", {"data__seed": 1}),
        ("prior", {"tokenizer__sparse_codebook__size": 16}),
        ("prior", {"prior__dropout": 0.5}),
        ("prior", {"prior__warmup_steps": 9}),
        ("lifter", {"lifter__batch_size": 32}),
        ("lifter", {"lifter__dense_input": "none"}),
        ("lifter", {"detector__noise_px": 1.0}),
    ],
)
def test_members_are_equal_in_shapes_steps_and_data(stage: str, changes: dict[str, Any]) -> None:
    assert signature(job(stage, **changes)) != signature(job(stage))


def test_a_regressor_that_is_fitted_is_alone() -> None:
    linear = {"regressor__model__kind": "linear"}
    first, second = (job("regressor", regressor__seed=seed, **linear) for seed in (0, 1))
    assert len({signature(one) for one in (first, second, job("regressor"))}) == 3


def test_other_data_another_stage_and_stages_that_train_alone_are_not_alike() -> None:
    assert signature(jobs(BASE, "other")["tokenizer"]) != signature(job("tokenizer"))
    assert signature(job("prior")) != signature(job("tokenizer"))
    assert signature(job("densify")) != signature(job("densify", prior__seed=1))


def test_every_own_setting_exists() -> None:
    for stage, names in OWN.items():
        assert stage in PIPELINE
        assert names <= set(type(getattr(PipelineConfig(), stage)).model_fields)


# --- the graph --------------------------------------------------------------------------------


class Recorder:
    """Ends whatever it was given at the next poll."""

    def __init__(self, store: ArtifactStore, slots: int) -> None:
        self.store, self.slots = store, slots
        self.arrays: list[list[StageJob]] = []
        self.open: list[StageJob] = []

    def start(self, jobs: Sequence[StageJob]) -> None:
        self.arrays.append(list(jobs))
        self.open += jobs

    def poll(self, timeout_s: float) -> list[Event]:
        ended, self.open = self.open, []
        return [JobFinished(job, {}, 1.0) for job in ended]

    def close(self) -> None:
        pass


def arrays_of(tmp_path: Path, seeds: int, slots: int, array: int) -> list[tuple[str, int]]:
    executor = Recorder(ArtifactStore(tmp_path / "store"), slots)
    graph = StageGraph(executor.store, executor, lambda _: None, array=array)
    for seed in range(seeds):
        graph.ensure(jobs(with_changes(BASE, {"tokenizer.seed": seed}), DATA))
    graph.run()
    assert len({job.key for array in executor.arrays for job in array}) == 5 * seeds
    return [(array[0].stage, len(array)) for array in executor.arrays]


def test_ready_jobs_that_are_alike_start_together(tmp_path: Path) -> None:
    found = arrays_of(tmp_path, seeds=4, slots=1, array=8)
    assert found[:2] == [("tokenizer", 4), ("prior", 4)]
    assert found.count(("densify", 1)) == 4


def test_arrays_are_spread_evenly_over_free_slots_and_limited(tmp_path: Path) -> None:
    assert arrays_of(tmp_path / "a", 5, slots=2, array=8)[:2] == [
        ("tokenizer", 3),
        ("tokenizer", 2),
    ]
    assert arrays_of(tmp_path / "b", 5, slots=1, array=3)[0] == ("tokenizer", 3)
    assert {size for _, size in arrays_of(tmp_path / "c", 3, slots=1, array=1)} == {1}


# --- the worker -------------------------------------------------------------------------------


class Bench:
    """A store, and a worker with stages that misbehave."""

    def __init__(self, folder: Path) -> None:
        self.store = ArtifactStore(folder)
        self.store.prepare()
        self.place = Workplace(folder, None, 1, False, "tests.faulty_stages")
        self.reports: list[tuple[int, float]] = []

    def run(self, *seeds: int) -> list[Result]:
        return run_jobs([self.job(seed) for seed in seeds], self.place, self.report)

    def job(self, seed: int) -> StageJob:
        return job("tokenizer", tokenizer__seed=seed)

    def report(self, of: StageJob, step: int, total: int, metrics: dict[str, float]) -> None:
        self.reports.append((of.config.tokenizer.seed, metrics["loss"]))

    def trained(self, seed: int) -> str:
        return (self.path(seed) / "trained").read_text()

    def path(self, seed: int) -> Path:
        found = self.store.find("tokenizer", self.job(seed).key)
        assert found is not None
        return found.path


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_every_member_has_an_artifact_of_its_own(bench: Bench) -> None:
    results = bench.run(1, 0)
    assert [result.metrics["seed"] for result in results if isinstance(result, Outcome)] == [1, 0]
    assert bench.trained(0) == bench.trained(1) == "with 2"
    assert bench.reports == [(1, 0.5), (0, 0.5)]
    made = json.loads((bench.path(0) / "provenance.json").read_text())
    assert made["array"] == 2
    assert made["seconds"] == pytest.approx(made["array_seconds"] / 2, abs=0.001)
    assert made["startup"].keys() == {"import_s", "data_s"}


def test_one_job_is_trained_as_ever(bench: Bench) -> None:
    (result,) = bench.run(5)
    assert isinstance(result, Outcome)
    assert bench.trained(5) == "alone"
    assert bench.reports == [(5, 5.0)]


def test_what_is_in_the_store_is_taken(bench: Bench) -> None:
    bench.run(0)
    before = bench.path(0).stat().st_mtime_ns
    results = bench.run(0, 1, 2)
    assert [isinstance(result, Outcome) for result in results] == [True] * 3
    assert bench.path(0).stat().st_mtime_ns == before
    assert bench.trained(1) == bench.trained(2) == "with 2"


def test_an_array_that_does_not_fit_is_halved(bench: Bench) -> None:
    results = bench.run(0, 1, 2, 3, 4)
    assert all(isinstance(result, Outcome) for result in results)
    assert [bench.trained(seed) for seed in range(5)] == [
        "with 2",
        "with 2",
        "alone",
        *["with 2"] * 2,
    ]


def test_a_member_that_fails_fails_alone(bench: Bench) -> None:
    first, broken = bench.run(0, 13)
    assert isinstance(first, Outcome)
    assert bench.trained(0) == "alone"
    assert isinstance(broken, Failure)
    assert "FloatingPointError: loss is not finite at step 3" in broken.error
    assert bench.job(13) not in bench.store


def test_arrays_that_overlap_do_not_wait_for_each_other_for_ever(bench: Bench) -> None:
    threads = [threading.Thread(target=bench.run, args=seeds) for seeds in [(1, 2), (2, 1)] * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert bench.trained(1) == bench.trained(2) == "with 2"
