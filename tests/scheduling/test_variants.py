"""Jobs of a stage beside a trial's own: shared, counted, estimated, shown and remembered as any."""

from pathlib import Path
from typing import Any

import pytest

from hipart.config import PipelineConfig
from hipart.experiment.design import Arm, Trial, trials
from hipart.experiment.file import base_at_scale, load, load_any
from hipart.experiment.paths import with_changes
from hipart.experiment.search import Search
from hipart.identity import config_of, settings_of
from hipart.jobs import Jobs, StageJob, canonical_json, jobs, key_of, names_in
from hipart.report.page.charts.work import sharing
from hipart.report.page.sharing import Users, blocks, summary
from hipart.results import frame, provenances
from hipart.scheduling.arrays import signature
from hipart.scheduling.plan import Estimates, make_plan, measurements
from hipart.search.candidates import Candidates
from hipart.search.memory import remembered
from hipart.search.simulation import MadeUp, MemoryStore
from hipart.session import check_folds
from hipart.store import ArtifactStore

BASE = base_at_scale("smoke")
ROOT = Path(__file__).parents[2]
VARIANTS = ["prior 1 of 2", "prior 2 of 2"]


def folded(count: int | None, **changes: Any) -> PipelineConfig:
    return with_changes(BASE, {"densify.folds": count, **changes})


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    made = ArtifactStore(tmp_path)
    made.prepare()
    return made


def finish(store: ArtifactStore, job: StageJob, seconds: float = 1.0) -> None:
    if job not in store:
        with store.claim(job) as work:
            store.publish(job, work, {}, {"seconds": seconds})


def test_a_variant_is_the_job_of_the_setting_that_it_changes() -> None:
    """Whoever else asks for a prior without that part shares it."""
    found = jobs(folded(2), "d")
    for part, name in enumerate(VARIANTS, 1):
        asked = jobs(with_changes(BASE, {"prior.fold": [part, 2]}), "d")["prior"]
        assert (found[name], found[name].key) == (asked, asked.key)
        assert found[name].identity["config"]["prior"]["fold"] == [part, 2]
        assert key_of(canonical_json(found[name].identity)) == found[name].key
    assert found["prior"] == jobs(BASE, "d")["prior"]
    assert "fold" not in settings_of("prior", found["densify"].sections["prior"])
    assert config_of(found["densify"].identity["config"]).densify.folds == 2


def test_without_parts_nothing_is_another_job() -> None:
    assert jobs(folded(None), "d") == jobs(BASE, "d")
    differing = {n for n, job in jobs(folded(2), "d").items() if job != jobs(BASE, "d").get(n)}
    assert differing == {*VARIANTS, "densify", "lifter", "evaluate"}


def test_many_trials_share_them() -> None:
    maker = Jobs("d")
    first, other = maker.of(folded(2)), maker.of(folded(2, **{"lifter.learning_rate": 0.5}))
    four, seeded = maker.of(folded(4)), maker.of(folded(2, **{"prior.seed": 1}))
    assert all(first[name] is other[name] for name in VARIANTS)
    assert first["lifter"] != other["lifter"]
    assert not {first[name].key for name in VARIANTS} & {job.key for job in four.values()}
    assert not {first[name].key for name in VARIANTS} & {job.key for job in seeded.values()}
    assert names_in([jobs(BASE, "d"), first]) == [
        *("tokenizer", "prior", *VARIANTS, "densify", "lifter", "evaluate")
    ]


def test_a_trial_that_generates_nothing_has_none() -> None:
    exact = folded(2, **{"lifter.dense_input": "exact"})
    assert list(jobs(exact, "d")) == ["lifter", "evaluate"]


def test_seeds_of_one_part_train_together_and_parts_do_not() -> None:
    first, other = (jobs(folded(2, **{"prior.seed": seed}), "d") for seed in (0, 1))
    assert signature(first[VARIANTS[0]]) == signature(other[VARIANTS[0]])
    told = {signature(first[name]) for name in ("prior", *VARIANTS)}
    assert len(told) == 3, "they see other samples, and another number of them"


def test_a_plan_counts_them_and_what_they_cost(store: ArtifactStore) -> None:
    chains = [jobs(folded(count), "d") for count in (None, 2, 4)]
    stage = make_plan(chains, store).stages["prior"]
    assert (stage.asked, stage.distinct, stage.ready, stage.to_train) == (9, 7, 0, 7)
    finish(store, chains[0]["prior"], 100.0)
    stage = make_plan(chains, store).stages["prior"]
    assert (stage.distinct, stage.ready, stage.to_train) == (7, 1, 6)
    known = measurements(store)
    cost = Estimates(known)
    assert cost.seconds(chains[1]["prior 1 of 2"]) == pytest.approx(50.0), "of half the samples"
    assert cost.seconds(chains[2]["prior 3 of 4"]) == pytest.approx(75.0)
    in_steps = jobs(folded(2, **{"prior.steps": 400}), "d")
    finish(store, in_steps["prior"], 80.0)
    known = measurements(store)
    assert Estimates(known).seconds(in_steps["prior 1 of 2"]) == pytest.approx(80.0)


def test_a_page_and_a_footer_have_all_of_them(store: ArtifactStore) -> None:
    tried = [Trial(Arm(str(n), {}, None, folded(n)), 0, folded(n)) for n in (None, 2)]
    chains = [jobs(one.config, "d") for one in tried]
    for chain in chains:
        for job in chain.values():
            finish(store, job, 10.0)
    held = store.held(job for chain in chains for job in chain.values())
    users = Users(tried, chains)
    rows = {one.stage: one for one in summary(chains, held, users)}
    assert (rows["prior"].asked, rows["prior"].distinct, rows["prior"].seconds) == (4, 3, 30.0)
    drawn = blocks(chains, held, users)
    places = {one["job"]: (one["stage"], one["from"], one["to"]) for one in drawn}
    assert places["prior"] == ("prior", 0, 2)
    assert {name: places[name] for name in VARIANTS} == dict.fromkeys(VARIANTS, ("prior", 1, 2))
    chart = sharing(drawn)
    assert chart is not None and chart.spec["encoding"]["x"]["sort"] == names_in(chains)
    assert len(list(provenances(held, frame(tried, chains, held), chains))) == len(held)


def test_a_failed_one_is_why_its_trial_failed() -> None:
    (tried,) = [Trial(Arm("parts", {}, None, folded(2)), 0, folded(2))]
    chain = jobs(tried.config, "d")
    failures = {chain["prior 2 of 2"].key: "no luck", chain["densify"].key: "needs it"}
    (row,) = frame([tried], [chain], {}, failures).to_dicts()
    assert (row["state"], row["reason"]) == ("failed", "prior 2 of 2: no luck")
    assert row["key/prior"] == chain["prior"].key


def test_a_search_remembers_what_was_measured_with_them(tmp_path: Path) -> None:
    text = (ROOT / "experiments/quick_search.yaml").read_text()
    file = tmp_path / "quick_search.yaml"
    file.write_text(f"{text}\nbase: {{densify.folds: 2}}\n")
    search = load_any(str(file), "smoke")
    assert isinstance(search, Search) and search.base_config.densify.folds == 2
    candidates, held = Candidates(search, "d"), MemoryStore()
    point = search.space.point_of(search.base_config)
    assert point is not None
    for chain in candidates.of(point).chains:
        for job in chain.values():
            metrics = {one.name: 50.0 for one in search.objectives}
            held.add(MadeUp(job.stage, job.key, job.identity, metrics))
    (memory,) = remembered(search, candidates, held)
    assert (memory.point, memory.values) == (point, (50.0,) * len(search.objectives))


@pytest.mark.parametrize("changes", [{"densify.folds": 17}, {"prior.fold": [1, 17]}])
def test_more_parts_than_clips_are_known_from_the_plan(changes: dict[str, Any]) -> None:
    chain = jobs(with_changes(BASE, changes), "d")
    with pytest.raises(ValueError, match="256 training samples into 17 parts .* at most 16"):
        check_folds([jobs(BASE, "d"), chain], None)
    check_folds([jobs(folded(16), "d")], None)


def test_the_experiment_trains_all_priors_for_as_many_steps() -> None:
    for scale in ("smoke", "laptop", "workstation", "paper"):
        found = trials(load("exposure", scale))
        lengths = {
            job.config.prior.length
            for one in found
            for job in jobs(one.config, "d", one.targets).values()
            if job.stage == "prior"
        }
        assert len(lengths) == 1
        ((unit, steps),) = lengths
        plain = base_at_scale(scale)
        samples, length = plain.data.train_samples, plain.prior.length[1]
        whole = length if samples is None else length * (samples // plain.prior.batch_size)
        assert (unit, steps) == ("steps", whole)
