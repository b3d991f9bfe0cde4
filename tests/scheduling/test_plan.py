"""Counts and cost of a run before it starts."""

from pathlib import Path

import pytest

from hipart.config import LifterConfig, PipelineConfig, PriorConfig
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.jobs import StageJob, jobs
from hipart.scheduling.plan import Estimates, make_plan, measurements
from hipart.store import ArtifactStore

BASE = PipelineConfig()
RASTER = BASE.model_copy(update={"prior": PriorConfig(order="raster")})
LONGER = BASE.model_copy(update={"prior": PriorConfig(epochs=100)})
SPARSE = BASE.model_copy(update={"lifter": LifterConfig(dense_input="none")})


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    store = ArtifactStore(tmp_path)
    store.prepare()
    return store


def finish(store: ArtifactStore, job: StageJob, seconds: float, **more: object) -> None:
    with store.claim(job) as work:
        store.publish(job, work, {}, {"seconds": seconds, **more})


def test_counts_asked_distinct_ready_and_to_train(store: ArtifactStore) -> None:
    trials = [jobs(config, "d") for config in (BASE, RASTER, SPARSE)]
    finish(store, trials[0]["tokenizer"], 1.0)
    plan = make_plan(trials, store)
    counts = {
        name: (stage.asked, stage.distinct, stage.ready, stage.to_train)
        for name, stage in plan.stages.items()
    }
    counts = {name: count for name, count in counts.items() if any(count)}
    assert counts == {
        "tokenizer": (2, 1, 1, 0),
        "prior": (2, 2, 0, 2),
        "densify": (2, 2, 0, 2),
        "lifter": (3, 3, 0, 3),
        "evaluate": (3, 3, 0, 3),
    }


def test_a_finished_trial_asks_for_nothing(store: ArtifactStore) -> None:
    trial = jobs(BASE, "d")
    finish(store, trial["evaluate"], 1.0)
    plan = make_plan([trial], store)
    assert plan.to_train == []
    assert plan.seconds == 0


def test_cost_comes_from_the_most_alike_job_scaled_by_its_samples(store: ArtifactStore) -> None:
    finish(store, jobs(BASE, "d")["prior"], 100.0)
    finish(store, jobs(RASTER, "d")["prior"], 40.0)
    known = measurements(store)
    assert Estimates(known).seconds(jobs(BASE, "other data")["prior"]) == 100.0
    assert Estimates(known).seconds(jobs(LONGER, "d")["prior"]) == pytest.approx(200.0)
    seeds = RASTER.model_copy(update={"prior": PriorConfig(order="raster", seed=9)})
    assert Estimates(known).seconds(jobs(seeds, "d")["prior"]) == 40.0


def test_timings_of_the_package_stand_in_for_sizes_that_the_store_lacks(
    store: ArtifactStore,
) -> None:
    """Jobs of smoke scale say little of a laptop's; a laptop's own say more than any others."""
    small, laptop = (jobs(base_at_scale(scale), "d") for scale in ("smoke", "laptop"))
    first = make_plan([laptop], store)
    assert first.seconds
    assert first.source.startswith("timings of one core of another machine")
    finish(store, small["prior"], 0.5)
    finish(store, small["lifter"], 0.5)
    again = make_plan([laptop], store)
    assert again.seconds == first.seconds
    assert again.source == first.source, "nothing of the store says how long they take"
    finish(store, laptop["prior"], 1000.0)
    other = make_plan([jobs(base_at_scale("laptop"), "other data")], store)
    assert other.stages["prior"].seconds == 1000.0
    assert other.source.startswith("3 finished jobs in this store and timings")


@pytest.mark.parametrize(
    ("stage", "changed", "share"),
    [
        ("lifter", {"lifter.epochs": 24}, 24 / 48),
        (
            "lifter",
            {
                "lifter.epochs": None,
                "lifter.steps": 768,
                "lifter.decay_epochs": None,
                "lifter.decay_steps": 32,
            },
            24 / 48,
        ),
        ("prior", {"data.train_samples": 4096}, 1 / 2),
        ("prior", {"prior.fold": [1, 2]}, 1 / 2),
        ("densify", {"data.train_samples": 2048, "data.test_samples": 1024}, 5 / 12),
    ],
)
def test_what_is_one_s_own_and_of_another_length_is_nearer_than_another_machine_s(
    store: ArtifactStore, stage: str, changed: dict[str, object], share: float
) -> None:
    laptop = base_at_scale("laptop")
    finish(store, jobs(with_changes(laptop, changed), "d")[stage], 100.0)
    plan = make_plan([jobs(laptop, "d")], store)
    assert plan.stages[stage].seconds == pytest.approx(100.0 / share)


def test_a_job_that_continued_another_is_no_measure_of_a_whole_one(store: ArtifactStore) -> None:
    longer = BASE.model_copy(update={"lifter": LifterConfig(epochs=2 * BASE.lifter.epochs)})
    finish(store, jobs(BASE, "d")["lifter"], 10.0)
    finish(store, jobs(longer, "d")["lifter"], 10.0, continued=jobs(BASE, "d")["lifter"].key)
    known = measurements(store)
    assert Estimates(known).seconds(jobs(longer, "d")["lifter"]) == pytest.approx(20.0)


def test_a_stage_never_measured_at_a_like_size_is_unknown(store: ArtifactStore) -> None:
    finish(store, jobs(BASE, "d")["prior"], 100.0)
    known = measurements(store)
    assert Estimates(known).seconds(jobs(BASE, "d")["tokenizer"]) is None
    assert make_plan([jobs(BASE, "d")], store).seconds is None


DAMAGE = {
    "provenance cut": ("provenance.json", '{"sec'),
    "provenance empty": ("provenance.json", "{}"),
    "seconds a word": ("provenance.json", '{"seconds": "x"}'),
    "seconds without end": ("provenance.json", '{"seconds": NaN}'),
    "identity cut": ("identity.json", "{"),
    "identity empty": ("identity.json", "{}"),
    "config a list": ("identity.json", '{"config": [1]}'),
    "epochs a word": ("identity.json", '{"config": {"prior": {"epochs": "x"}}}'),
    "emptied": None,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_artifact_says_nothing_of_durations(
    store: ArtifactStore, damage: tuple[str, str] | None
) -> None:
    finish(store, jobs(BASE, "d")["prior"], 100.0)
    other = jobs(RASTER, "d")["prior"]
    finish(store, other, 40.0)
    folder = store.root / "prior" / other.key
    if damage is None:
        for file in folder.iterdir():
            file.unlink()
    else:
        (folder / damage[0]).write_text(damage[1])
    assert [one.seconds for one in measurements(store)] == [100.0]
    plan = make_plan([jobs(SPARSE, "d"), jobs(LONGER, "d")], store)
    assert plan.stages["prior"].seconds == pytest.approx(200.0)
