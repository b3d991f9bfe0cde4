"""The study: nothing is drawn outside of the space or twice, and it outlives the process."""

import random
import sqlite3
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from hipart.config import PipelineConfig
from hipart.experiment.file import load_any
from hipart.experiment.search import Search
from hipart.jobs import canonical_json
from hipart.search import storage
from hipart.search.budget import Limits
from hipart.search.candidates import Candidates
from hipart.search.landscape import Landscape, made_up
from hipart.search.question import question_of
from hipart.search.record import Record
from hipart.search.simulation import MemoryStore, Simulated, simulate
from hipart.search.storage import copy_of, names_in, storage_at
from hipart.search.study import Study

HEAD = """\
kind: search
title: Under test
objectives: [{stage: evaluate, name: mpjpe_mm}]
reseed: [tokenizer, prior, lifter]
"""
#: 25 codebooks, 5 orders, 38 lifters, 9 dropouts: 42,750 points.
CONDITIONAL = """\
use: [codebook, order, lifter, optimiser]
rest: [tokenizer learning rate, prior learning rate, prior weight decay, lifter learning rate]
constraints: [{metric: parameters_m, at_most: 3, at_least: 2}, {metric: memory_gb, at_most: 4}]
budget: {trials: 5}
"""
#: 3 blocks without attention; with it, 2 widths and 4 heads: 3 + 8 points, times 2.
SMALL = """\
space:
  - name: kind
    levels:
      - {name: mlp, set: {lifter.model.kind: mlp, lifter.model.width: 32}}
      - {name: transformer, set: {lifter.model.kind: transformer, lifter.model.width: 48}}
  - {name: blocks, path: lifter.model.blocks, range: [1, 3], when: {kind: mlp}}
  - {name: ratio, path: lifter.model.mlp_ratio, levels: [1, 2], when: {kind: transformer}}
  - {name: heads, path: lifter.model.heads, levels: [1, 2, 3, 4], when: {kind: transformer}}
  - {name: dropout, path: prior.dropout, range: [0.1, 0.2], step: 0.1}
budget: {trials: 1000}
"""
SMALL_SIZE = 22


def _search(folder: Path, text: str, sampler: str = "random", scale: str = "paper") -> Search:
    path = folder / "search.yaml"
    path.write_text(f"{HEAD}{text}sampler: {{kind: {sampler}, seed: 3, startup: 8}}\n")
    search = load_any(str(path), scale)
    assert isinstance(search, Search)
    return search


def _count(config: PipelineConfig) -> Mapping[str, float]:
    """Something that takes a moment and depends on much."""
    codes = config.tokenizer.sparse_codebook.size + config.tokenizer.dense_codebook.size
    model = config.lifter.model
    return {
        "parameters_m": codes / 2048 + getattr(model, "blocks", 0) / 4,
        "memory_gb": getattr(model, "width", 0) / 512 + codes / 4096,
    }


@pytest.mark.parametrize(
    ("sampler", "trials", "least"),
    [("random", 1450, 10_000), ("qmc", 290, 2000), ("tpe", 150, 300)],
)
def test_thousands_of_suggestions_are_in_the_space_and_trained_once_if_at_all(
    tmp_path: Path, sampler: str, trials: int, least: int
) -> None:
    search = _search(tmp_path, CONDITIONAL, sampler)
    store = MemoryStore()
    done = simulate(search, made_up(search), 4, Limits(trials), store=store, count=_count)
    records = list(done.study.records.values())
    assert len(records) >= least
    assert all(search.space.contains(one.point) for one in records)
    assert Counter(canonical_json(one.point) for one in records).most_common(1)[0][1] == 1

    refused = [one for one in records if one.state == "refused"]
    complete = [one for one in records if one.state == "complete"]
    assert len(refused) + len(complete) == len(records)
    # Samplers that learn keep away from what is known or refused.
    assert len(done.study.optuna_study.trials) < 2 * len(records)
    assert sampler != "tpe" or len(refused) < 2 * trials
    assert len(complete) == trials

    candidates = Candidates(search, "simulated")
    keys = {candidates.of(one.point).chains[0]["evaluate"].key for one in complete}
    trained = [one for one in store.artifacts() if one.stage == "evaluate"]
    assert {one.key for one in trained} == keys
    assert len(keys) == trials == done.executor.trained["evaluate"]
    for record in records:
        counted = _count(search.space.config(record.point))
        holds = 2 <= counted["parameters_m"] <= 3 and counted["memory_gb"] <= 4
        assert holds == (record.state == "complete")


@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe", "nsga2", "grid"])
def test_a_finite_space_ends_when_every_point_was_trained_once(
    tmp_path: Path, sampler: str
) -> None:
    search = _search(tmp_path, SMALL, sampler)
    assert search.space.size == SMALL_SIZE
    done = simulate(search, made_up(search), 3)
    assert done.ended.reason == "every point of the space is known"
    assert [one.state for one in done.study.records.values()] == ["complete"] * SMALL_SIZE
    points = Counter(canonical_json(one.point) for one in done.study.records.values())
    assert points == Counter(map(canonical_json, search.space.points() or ()))
    assert done.executor.trained["evaluate"] == SMALL_SIZE + 1, "and the base, outside of the space"


def test_the_last_points_of_a_large_space_are_found(tmp_path: Path) -> None:
    """Random points alone would miss some: steps of a logarithm are drawn once in 1,500 times."""
    search = _search(tmp_path, "use: [order, lifter]\nbudget: {trials: 9999}\n")
    assert search.space.size == 5 * 38
    done = simulate(search, made_up(search), 8)
    assert done.ended.reason == "every point of the space is known"
    assert len(done.study.complete) == search.space.size


def test_a_grid_goes_through_the_space_in_order(tmp_path: Path) -> None:
    search = _search(tmp_path, SMALL, "grid")
    study = Study(search, "test")
    drawn = [study.draw() for _ in range(SMALL_SIZE + 1)]
    assert [one and one.point for one in drawn] == [*(search.space.points() or ()), None]


@pytest.mark.parametrize("sampler", ["grid", "random"])
def test_the_base_is_drawn_first_and_once(tmp_path: Path, sampler: str) -> None:
    base = "base: {lifter.model.kind: mlp, lifter.model.width: 32, prior.dropout: 0.2}\n"
    search = _search(tmp_path, base + SMALL, sampler)
    at = search.space.point_of(search.base_config)
    assert at == {"kind": "mlp", "blocks": 2, "dropout": 0.2}
    done = simulate(search, made_up(search), 1)
    points = [one.point for one in done.study.records.values()]
    assert points[0] == at
    assert points.count(at) == 1
    assert len(points) == SMALL_SIZE


@pytest.mark.parametrize("slots", [1, 2, 8])
def test_a_base_outside_the_space_is_measured_beside_the_trials(tmp_path: Path, slots: int) -> None:
    """Its jobs come first and may leave no worker for a trial to begin on."""
    text = """\
space: [{name: batch, path: lifter.batch_size, levels: [16, 32]}]
seeds: [0, 1]
budget: {trials: 2}
"""
    done = simulate(search := _search(tmp_path, text, "grid"), made_up(search), slots)
    assert search.space.point_of(search.base_config) is None
    assert done.ended.reason == "2 trials were made"
    assert done.executor.trained["lifter"] == 2 * 3


@pytest.mark.parametrize(
    ("metric", "trained"), [("parameters_m", set()), ("latency_ms", {"profile"})]
)
def test_a_bound_that_nothing_keeps_ends_the_search(
    tmp_path: Path, metric: str, trained: set[str]
) -> None:
    """One that is counted, and one that is measured first."""
    text = f"""\
space: [{{name: rate, path: prior.learning_rate, range: [1.0e-4, 1.0e-2], log: true}}]
constraints: [{{metric: {metric}, at_most: 5}}]
budget: {{trials: 5}}
"""
    search = _search(tmp_path, text)
    landscape = Landscape.model_validate({"others": {metric: {"value": 9.0}}})

    def ended(limits: Limits | None = None) -> Simulated:
        return simulate(search, landscape, 2, limits, count=lambda _: {metric: 9.0})

    done = ended()
    assert "1000 points in a row were refused" in done.ended.reason
    assert f"{metric} at most 5; it has 9" in done.ended.reason
    assert done.executor.trained.keys() == trained
    assert "20 points in a row" in ended(Limits(refused=20)).ended.reason


@pytest.mark.parametrize(
    "bound",
    [
        *("at_most: 5", "at_least: 500", "at_least: 2, at_most: 5"),
        *(
            "at_most: 4}, {metric: latency_ms, at_most: 5",
            "at_least: 5}, {metric: latency_ms, at_least: 4",
        ),
        "at_most: 5}, {metric: latency_ms, at_least: 5",
    ],
)
def test_made_up_points_keep_bounds_of_which_nothing_is_known(tmp_path: Path, bound: str) -> None:
    text = f"""\
space: [{{name: rate, path: prior.learning_rate, range: [1.0e-4, 1.0e-2], log: true}}]
also: [{{stage: profile, name: latency_ms}}]
constraints: [{{metric: latency_ms, {bound}}}]
budget: {{trials: 5}}
"""
    search = _search(tmp_path, text)
    assert simulate(search, made_up(search), 2).ended.reason == "5 trials were made"


# A study on disk.


def _reopened(search: Search, file: Path) -> Study:
    return Study(search, "test", storage_at(file))


def _finish(study: Study, record: Record | None) -> None:
    assert record is not None
    study.completed(record, [float(record.number)])


@pytest.mark.parametrize("sampler", ["random", "tpe", "grid"])
def test_a_study_that_is_opened_again_goes_on(tmp_path: Path, sampler: str) -> None:
    search, file = _search(tmp_path, SMALL, sampler), tmp_path / "deeper" / "studies.db"
    study = _reopened(search, file)
    complete, stopped, failed, refused, running, reported = (study.draw() for _ in range(6))
    assert complete and stopped and failed and refused and running and reported
    study.completed(complete, [41.5])
    study.report(stopped, 3, 60.0)
    study.stopped(stopped, "after 3 of 25 epochs")
    study.failed(failed, "out of memory")
    study.refused(refused, "too large")
    study.report(reported, 3, 50.0)
    study.account(12.5, 30.25)

    again = _reopened(search, file)
    assert again.records == study.records
    assert [one.number for one in again.running] == [running.number, reported.number]
    assert again.complete == [complete]
    assert again.records[complete.number].values == (41.5,)
    assert again.records[stopped.number].rungs == {3: 60.0}
    assert again.records[failed.number].reason == "out of memory"
    assert (again.spent_s, again.device_s) == (12.5, 30.25)
    assert again.made == len(again.own) == 5
    assert sorted(again.at_rung(3)) == [50.0, 60.0]
    for record in again.running:
        _finish(again, record)
    for _ in range(5):
        _finish(again, again.draw())
    points = Counter(canonical_json(one.point) for one in again.records.values())
    assert len(points) == 11
    assert set(points) <= set(map(canonical_json, search.space.points() or ()))
    assert _reopened(search, file).records == again.records


def test_who_looks_at_a_study_leaves_it_as_it_is(tmp_path: Path) -> None:
    """Also a trial that is just being drawn, by the command that searches."""
    search, file = _search(tmp_path, SMALL), tmp_path / "studies.db"
    study = _reopened(search, file)
    _finish(study, study.draw())
    running, waiting = study.draw(), study.optuna_study.get_trials()[0].params
    assert running is not None
    study.optuna_study.ask()
    study.optuna_study.enqueue_trial(waiting)
    before = study.optuna_study.get_trials()
    looked = Study(search, "test", copy_of(study.name, file))
    assert looked.records == study.records
    point = next(one for one in search.space.points() or () if looked.known(one) is None)
    assert looked.remember(point, (1.0,), {})
    _finish(looked, looked.draw())
    assert study.optuna_study.get_trials() == before
    _finish(study, running)


@pytest.mark.parametrize("left", [b"", b"no database, for sure"])
def test_a_damaged_file_of_studies_is_named(tmp_path: Path, left: bytes) -> None:
    search, file = _search(tmp_path, SMALL), tmp_path / "studies.db"
    _reopened(search, file)
    file.write_bytes(left or file.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"studies\.db: cannot be read as a file of studies \("):
        _reopened(search, file)


def test_a_file_of_studies_of_which_any_page_is_damaged_is_named_or_can_be_read(
    tmp_path: Path,
) -> None:
    search, file = _search(tmp_path, SMALL), tmp_path / "studies.db"
    study = _reopened(search, file)
    for _ in range(10):
        _finish(study, study.draw())
    sound, chance, told = file.read_bytes(), random.Random(0), 0
    for start in range(4096, len(sound), 4096):
        file.write_bytes(sound[:start] + chance.randbytes(4096) + sound[start + 4096 :])
        for look in (names_in, lambda at: copy_of(study.name, at)):
            try:
                look(file)
            except ValueError as error:
                told += str(error).startswith(f"{file}: ")
    assert told


def test_a_file_of_studies_that_is_locked_is_left_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is not taken for a damaged one, of which to be rid."""
    monkeypatch.setattr(storage, "PATIENCE_S", 0.1)
    search, file = _search(tmp_path, SMALL), tmp_path / "studies.db"
    study = _reopened(search, file)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    for look in (names_in, lambda at: copy_of(study.name, at)):
        with pytest.raises(
            ValueError, match=r"had now \(database is locked\)\. Leave it where it is"
        ):
            look(file)
    other.execute("ROLLBACK")
    assert names_in(file) == [study.name]
    other.close()


def test_a_file_of_studies_of_another_version_is_named(tmp_path: Path) -> None:
    search, file = _search(tmp_path, SMALL), tmp_path / "studies.db"
    _reopened(search, file)
    with sqlite3.connect(file) as other:
        other.execute("UPDATE alembic_version SET version_num = 'v2.6.0.a'")
    with pytest.raises(ValueError, match=r"studies\.db: The runtime optuna version .* no longer"):
        names_in(file)


def test_a_trial_that_somebody_else_ended_has_failed(tmp_path: Path) -> None:
    search, file = _search(tmp_path, SMALL), tmp_path / "studies.db"
    study = _reopened(search, file)
    record = study.draw()
    assert record is not None
    study.optuna_study.tell(record.number, state=TrialState.FAIL)
    assert [one.state for one in _reopened(search, file).own] == ["failed"]


def test_a_study_that_goes_on_draws_other_numbers(tmp_path: Path) -> None:
    text = """\
space: [{name: rate, path: prior.learning_rate, range: [1.0e-4, 1.0e-2], log: true}]
budget: {trials: 5}
"""
    search, file = _search(tmp_path, text), tmp_path / "studies.db"
    drawn = [_reopened(search, file).draw() for _ in range(5)]
    rates = [one.point["rate"] for one in drawn if one]
    assert len(set(rates)) == 5
    repeated = [one for one in _trials(search, file) if one.user_attrs.get("reason")]
    assert not repeated, "not even drawn and given up"


def test_a_trial_that_was_killed_amid_drawing_is_given_up(tmp_path: Path) -> None:
    search, file = _search(tmp_path, SMALL), tmp_path / "studies.db"
    study = _reopened(search, file)
    study.draw()
    killed = study.optuna_study.ask()
    killed.suggest_categorical("kind", ["mlp", "transformer"])

    again = _reopened(search, file)
    assert list(again.records) == [0]
    assert [one.number for one in again.running] == [0]
    frozen = _trials(search, file)[killed.number]
    assert frozen.state == TrialState.FAIL
    assert frozen.user_attrs["reason"] == "its drawing was cut short"
    drawn = again.draw()
    assert drawn is not None
    assert drawn.number == killed.number + 1


def test_a_point_that_was_asked_for_and_never_drawn_mixes_with_no_other(tmp_path: Path) -> None:
    """Killed between the two steps in which a given point is drawn."""
    search, file = _search(tmp_path, SMALL, "grid"), tmp_path / "studies.db"
    study = _reopened(search, file)
    study.optuna_study.enqueue_trial({"kind": "mlp", "blocks": 3, "dropout": 0.1})

    again = _reopened(search, file)
    for _ in range(3):
        _finish(again, again.draw())
    complete = [one for one in _trials(search, file) if one.state == TrialState.COMPLETE]
    assert [one.params for one in complete] == [one.user_attrs["point"] for one in complete]
    points = [one.point for one in again.records.values()]
    assert points == list(search.space.points() or ())[:3]


def _trials(search: Search, file: Path) -> list[optuna.trial.FrozenTrial]:
    return _reopened(search, file).optuna_study.get_trials()


def test_what_the_store_has_is_known_and_not_counted(tmp_path: Path) -> None:
    search, file = _search(tmp_path, SMALL, "grid"), tmp_path / "studies.db"
    whole, partly, *_ = search.space.points() or ()
    for new in (True, False):
        study = _reopened(search, file)
        assert study.remember(whole, (40.0,), {25: 40.0}) == new
        assert study.remember(partly, None, {8: 60.0}) == new
    again = _reopened(search, file)
    assert [one.origin for one in again.records.values()] == ["store", "store"]
    assert [one.state for one in again.records.values()] == ["complete", "stopped"]
    assert again.own == []
    assert again.made == 0
    assert again.at_rung(8) == [60.0]
    drawn = [again.draw() for _ in range(SMALL_SIZE)]
    assert [one and one.point for one in drawn] == [*(search.space.points() or ())][1:] + [None]


def test_another_question_is_another_study_and_another_sampler_is_not(tmp_path: Path) -> None:
    def asked(text: str, sampler: str = "random", data: str = "data") -> str:
        return question_of(_search(tmp_path, text, sampler), data)

    same = asked(SMALL)
    assert asked(SMALL, "tpe") == same
    assert asked(SMALL.replace("trials: 1000", "minutes: 3")) == same
    others = [
        asked(SMALL, data="other"),
        asked(SMALL.replace("[1, 3]", "[1, 4]")),
        asked(SMALL.replace("name: ratio", "name: rate")),
        asked(f"base: {{prior.epochs: 3}}\n{SMALL}"),
        asked(f"seeds: [0, 1]\n{SMALL}"),
        asked(f"stopping: {{kind: asha}}\n{SMALL}"),
        asked(f"proxy: {{keep: 0.3}}\n{SMALL}"),
        asked(f"constraints: [{{metric: parameters_m, at_most: 5}}]\n{SMALL}"),
    ]
    assert len({same, *others}) == 1 + len(others)


def test_equal_searches_draw_the_same(tmp_path: Path) -> None:
    def drawn(sampler: str) -> list[object]:
        search = _search(tmp_path, CONDITIONAL, sampler)
        done: Simulated = simulate(search, made_up(search), 2, Limits(15), count=_count)
        return [(one.point, one.state, one.values) for one in done.study.records.values()]

    for sampler in ("random", "tpe", "qmc", "nsga2"):
        assert drawn(sampler) == drawn(sampler)


def test_a_point_of_which_the_store_has_a_few_epochs_may_still_be_drawn(tmp_path: Path) -> None:
    search = _search(tmp_path, SMALL, "grid")
    study = Study(search, "test")
    first, second, *_ = search.space.points() or ()
    assert study.remember(first, None, {1: 60.0})
    assert not study.remember(first, None, {1: 60.0})
    assert study.at_rung(1) == [60.0]
    drawn = study.draw()
    assert drawn is not None
    assert drawn.point == first
    study.report(drawn, 1, 60.0)
    assert study.at_rung(1) == [60.0]
    study.completed(drawn, [50.0])
    assert study.remember(second, (40.0,), {})
    third = study.draw()
    assert third is not None
    assert third.point not in (first, second)
