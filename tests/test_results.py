"""The frame: one row per trial, one column per metric, each artifact read once."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from hipart import results
from hipart.experiment.design import Arm, Trial, trials
from hipart.jobs import Jobs, jobs
from hipart.store import ArtifactStore
from tests.report.samples import DATA, ORDERS, ablation, filled, frame_from, measured
from tests.timing import processor_time


def test_states_reasons_and_metrics_of_trials() -> None:
    tried = trials(ablation(ORDERS, seeds=(0, 1)))
    store = filled(tried, measured({"base": [50.0, 51.0], tried[1].arm.name: [None, None]}))
    broken = jobs(tried[1].config, DATA)["prior"].key
    frame = frame_from(store, tried, {broken: "out of memory"})
    assert frame["seed"].to_list() == [0, 0, 1, 1]
    assert frame["state"].to_list() == ["done", "failed", "done", "missing"]
    assert frame["reason"].to_list() == [None, "prior: out of memory", None, None]
    assert frame["evaluate/mpjpe_mm"].to_list() == [50.0, None, 51.0, None]
    assert frame["tokenizer/sparse_usage_pct"].to_list() == [90.0] * 4
    assert frame["level"].to_list() == [None, "raster_&_scan"] * 2
    assert frame["key/prior"][1] == broken
    assert "prior/cross_entropy" not in frame.columns


def test_a_stage_that_a_trial_does_without_has_no_key() -> None:
    bare = {"name": "input", "levels": [{"name": "17", "set": {"lifter.dense_input": "none"}}]}
    tried = trials(ablation(bare, seeds=(0,)))
    frame = frame_from(filled(tried, lambda trial: {"mpjpe_mm": 1.0}), tried)
    assert frame["key/tokenizer"].is_null().to_list() == [False, True]
    assert frame["tokenizer/sparse_usage_pct"].to_list() == [90.0, None]


def test_actions_follow_declared_metrics_and_integers_become_floats() -> None:
    tried = trials(ablation(ORDERS, seeds=(0,)))
    metrics: dict[str, Any] = {"mpjpe_mm/Walk": 3, "p_mpjpe_mm": 2.5, "mpjpe_mm": 7}
    frame = frame_from(filled(tried, lambda trial: metrics), tried)
    names = [name for name in frame.columns if name.startswith("evaluate/")]
    assert names == ["evaluate/mpjpe_mm", "evaluate/p_mpjpe_mm", "evaluate/mpjpe_mm/Walk"]
    assert frame.select(names).dtypes == [pl.Float64] * 3


def test_an_empty_store_and_no_trials_give_frames_too() -> None:
    tried = trials(ablation())
    frame = frame_from(filled([], lambda trial: None), tried)
    assert set(frame["state"]) == {"missing"}
    assert len(frame_from(filled([], lambda trial: None), [])) == 0


def test_provenance_of_each_distinct_artifact_once() -> None:
    tried = trials(ablation(ORDERS, seeds=(0, 1)))
    store = filled(tried, lambda trial: {"mpjpe_mm": 1.0})
    frame = frame_from(store, tried)
    # Two arms share a tokenizer per seed: two tokenizers, four evaluations.
    assert len(list(results.provenances(store.by_key(), frame))) == 6


def test_ten_thousand_trials_in_seconds(tmp_path: Path) -> None:
    base = trials(ablation(seeds=(0,)))[0].config
    lifters = [base.lifter.model_copy(update={"seed": seed}) for seed in range(2000)]
    configs = [base.model_copy(update={"lifter": lifter}) for lifter in lifters]
    tried = [
        Trial(Arm(f"arm {arm}", {}, None, config, (("factor", str(arm)),)), seed, config)
        for seed, config in enumerate(configs)
        for arm in range(5)
    ]
    actions = {f"mpjpe_mm/Action{number}": float(number) for number in range(15)}
    chains = [jobs(config, DATA) for config in configs]
    for stage in chains[0]:
        for key in {chain[stage].key for chain in chains}:
            folder = tmp_path / stage / key
            folder.mkdir(parents=True)
            (folder / "metrics.json").write_text(json.dumps({"mpjpe_mm": 1.0} | actions))
    with processor_time() as took:
        maker = Jobs(DATA)
        found = [maker.of(trial.config, trial.targets) for trial in tried]
        held = ArtifactStore(tmp_path).held(job for chain in found for job in chain.values())
        frame = results.frame(tried, found, held)
    assert took.seconds < 2.0
    assert len(frame) == 10_000
    assert set(frame["state"]) == {"done"}
    assert frame["evaluate/mpjpe_mm/Action7"].to_list() == [7.0] * 10_000


ALL = ("evaluate/mpjpe_mm", "evaluate/mpjpe_mm/Walk", "evaluate/p_mpjpe_mm")


def test_only_metrics_that_are_asked_for_are_read() -> None:
    tried = trials(ablation(ORDERS, seeds=(0,)))
    store = filled(tried, lambda trial: {"mpjpe_mm": 1.0, "mpjpe_mm/Walk": 2.0, "p_mpjpe_mm": 3.0})
    chains = [jobs(trial.config, DATA) for trial in tried]
    for wanted in ({"evaluate/mpjpe_mm"}, {"evaluate/mpjpe_mm/"}, {"evaluate/x"}):
        frame = results.frame(tried, chains, store.by_key(), wanted=wanted)
        found = {name for name in frame.columns if "/" in name and not name.startswith("key/")}
        assert found == {name for name in ALL if {name, name.removesuffix("Walk")} & wanted}
    assert frame["key/tokenizer"].null_count() == 0
