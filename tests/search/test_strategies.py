"""What the strategies are worth, simulated: the claims that a user relies on, over 20 seeds."""

from itertools import product
from pathlib import Path
from statistics import median

import pytest

from hipart.config import PAPER_LIFTER_EPOCH
from hipart.experiment.file import load_any
from hipart.experiment.search import Sampler, Search, Stopping
from hipart.search.budget import Limits
from hipart.search.candidates import Candidates
from hipart.search.front import front, hypervolume, worst
from hipart.search.landscape import Landscape, Values, made_up
from hipart.search.simulation import MemoryStore, Simulated, simulate

SEEDS = range(20)
ASHA = Stopping(kind="asha", reduction=3)


def space(name: str, scale: str) -> Search:
    search = load_any(name, scale)
    assert isinstance(search, Search)
    return search


#: Whose lifter is counted in epochs.
QUICK = space("quick_search", "paper-v1")
LANDSCAPE = made_up(QUICK)


def run(
    kind: str,
    trials: int,
    seed: int,
    stopping: Stopping | None = None,
    store: MemoryStore | None = None,
    search: Search = QUICK,
) -> Simulated:
    sampler = {"kind": kind, "seed": seed, "startup": 10}
    search = search.model_copy(update={"sampler": Sampler(**sampler), "stopping": stopping})
    return simulate(search, LANDSCAPE, 2, Limits(trials), store=store)


def exact(found: Simulated, number: int | None = None) -> float:
    """The true value of a trial's point; of the best one where no number is given."""
    values = Values(QUICK, LANDSCAPE)
    records = found.study.records
    if number is not None:
        return values.exact(records[number].point)
    best = min(found.study.complete, key=lambda one: one.values or ())
    return values.exact(best.point)


def test_tpe_with_60_trials_is_as_good_as_random_search_with_150() -> None:
    tpe = median(exact(run("tpe", 60, seed)) for seed in SEEDS)
    random = median(exact(run("random", 150, seed)) for seed in SEEDS)
    few = median(exact(run("random", 60, seed)) for seed in SEEDS)
    assert tpe <= random < few


def test_asha_takes_half_of_the_epochs_for_a_best_within_2_percent() -> None:
    for seed in SEEDS:
        stopped, whole = run("random", 60, seed, ASHA), run("random", 60, seed)
        assert exact(stopped) <= 1.02 * exact(whole)
        assert stopped.executor.epochs <= whole.executor.epochs / 2


def test_median_stopping_spares_epochs_too() -> None:
    rule = Stopping(kind="median", reduction=3)
    for seed in SEEDS:
        stopped, whole = run("random", 60, seed, rule), run("random", 60, seed)
        assert exact(stopped) <= 1.02 * exact(whole)
        assert stopped.executor.epochs <= 0.7 * whole.executor.epochs


def test_a_promoted_trial_goes_on_where_it_was() -> None:
    """Epochs are counted as they are trained: 25 in all for a trial that passes every rung."""
    found = run("random", 30, 0, ASHA)
    expected = sum(max(one.rungs) for one in found.study.own)
    assert found.executor.epochs == expected


def test_a_promoted_trial_goes_on_where_it_was_when_it_is_counted_in_steps() -> None:
    in_steps = space("quick_search", "paper")
    assert in_steps.base_config.lifter.length == ("steps", 30_450)
    found = run("random", 30, 0, ASHA, search=in_steps)
    rungs = {rung for one in found.study.own for rung in one.rungs}
    assert rungs == {3383, 10150, 30450}
    expected = sum(max(one.rungs) for one in found.study.own) / PAPER_LIFTER_EPOCH
    assert found.executor.epochs == pytest.approx(expected, rel=1e-3)


def test_a_search_after_an_ablation_begins_with_its_results() -> None:
    first_with, first_without, quarters = [], [], []
    for seed in SEEDS:
        store = MemoryStore()
        ablation = run("random", 40, seed, store=store)
        after = run("tpe", 1, 100 + seed, store=store)
        remembered = [one for one in after.study.records.values() if one.origin == "store"]
        assert len(remembered) == 40
        assert {one.values for one in remembered} == {one.values for one in ablation.study.own}
        (own,) = after.study.own
        first_with.append(exact(after, own.number))
        # Of a search that knows nothing the first is the base, the second its own.
        first_without.append(exact(run("tpe", 2, 100 + seed), 1))
        quarters.append(sorted(exact(ablation, one.number) for one in ablation.study.own)[10])
    assert median(first_with) < median(quarters) < median(first_without)


def test_what_0_1_left_in_a_store_is_remembered() -> None:
    """Its identities name no setting that came later, and mean the settings of then."""
    store = MemoryStore()
    run("random", 10, 0, store=store)
    sections = [one.identity["config"] for one in store.artifacts()]
    assert any("tokenizer" in each for each in sections)
    for each in sections:
        assert not {"coordinates", "training_draws", "joint_init", "steps"} & {
            setting for values in each.values() for setting in values
        }
    after = run("tpe", 1, 100, store=store)
    remembered = [one for one in after.study.records.values() if one.origin == "store"]
    assert len(remembered) == 10
    config = Candidates(QUICK, "made up").of(remembered[0].point).config
    assert (config.data.coordinates, config.tokenizer.joint_init) == ("screen", "random")


@pytest.mark.parametrize("kind", ["random", "tpe"])
def test_no_device_waits_with_a_trial(kind: str) -> None:
    """32 trials over 4 tokenizers on 4 devices."""
    laptop = space("quick_search", "laptop")
    seconds = {
        "tokenizer": 300.0,
        "prior": 120.0,
        "densify": 20.0,
        "lifter": 200.0,
        "evaluate": 5.0,
    }
    for seed in SEEDS:
        search = laptop.model_copy(update={"sampler": Sampler(kind=kind, seed=seed)})  # type: ignore[arg-type]
        landscape = made_up(search).model_copy(update={"seconds": seconds})
        found = simulate(search, landscape, 4, Limits(32))
        assert found.executor.trained["tokenizer"] == 4
        spans = found.executor.spans
        tail = max(start for start, _ in spans if _running(spans, start) == 4)
        worked = sum(max(0.0, min(end, tail) - min(start, tail)) for start, end in spans)
        assert worked >= 0.95 * 4 * tail
        assert tail >= 0.75 * found.executor.now


def _running(spans: list[tuple[float, float]], moment: float) -> int:
    return sum(start <= moment < end for start, end in spans)


def test_a_front_is_what_nothing_beats_and_its_volume_is_told(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(
        "kind: search\ntitle: Two\n"
        "space:\n  - {name: rate, path: lifter.learning_rate, range: [1.0e-4, 1.0e-2], log: true}\n"
        "  - {name: blocks, path: prior.blocks, range: [1, 8]}\n"
        "objectives:\n  - {stage: evaluate, name: mpjpe_mm}\n"
        "  - {stage: profile, name: frames_per_s}\n"
        "sampler: {kind: nsga2, startup: 12}\nbudget: {trials: 80}\n"
    )
    search = load_any(str(tmp_path / "two.yaml"), "laptop")
    assert isinstance(search, Search)
    valley = {"rate": {"best": 1e-3, "costs": 9.0}, "blocks": {"best": 8.0, "costs": 4.0}}
    slow = {"blocks": {"best": 8.0, "costs": 50.0}}
    landscape = Landscape.model_validate(
        {"effects": valley, "others": {"frames_per_s": {"effects": slow}}}
    )
    found = simulate(search, landscape, 4)
    values = [one.values or () for one in found.study.complete]
    assert len(values) == 80

    def beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
        return one != other and one[0] <= other[0] and one[1] >= other[1]

    expected = [
        place
        for place, mine in enumerate(values)
        if not any(beats(other, mine) for other in values)
    ]
    assert front(values, [False, True]) == expected
    assert 1 < len(expected) < 80


def test_a_hypervolume_is_the_area_that_is_dominated() -> None:
    values, reference = [(1.0, 5.0), (2.0, 3.0), (4.0, 1.0), (4.0, 4.0)], (5.0, 6.0)
    cells = sum(
        any(x + 0.5 >= a and y + 0.5 >= b for a, b in values)
        for x, y in product(range(5), range(6))
    )
    assert hypervolume(values, reference, [False, False]) == cells
    mirrored = [(a, -b) for a, b in values]
    assert hypervolume(mirrored, (5.0, -6.0), [False, True]) == cells
    assert worst(values, [False, False]) == [4.0, 5.0]
    assert hypervolume([(7.0, 1.0)], reference, [False, False]) == 0.0
    cube = [(1.0, 1.0, 1.0), (0.0, 2.0, 2.0)]
    assert hypervolume(cube, (3.0, 3.0, 3.0), [False] * 3) == 2 * 2 * 2 + 3 - 2


def test_thousands_of_trials_take_seconds() -> None:
    found = run("random", 2000, 0)
    assert len(found.study.own) == 2000
    assert found.executor.now > 24 * 3600


def test_failures_end_their_trials_alone() -> None:
    landscape = LANDSCAPE.model_copy(update={"failures": 0.05})
    search = QUICK.model_copy(update={"sampler": Sampler(kind="random")})
    found = simulate(search, landscape, 4, Limits(60))
    failed = [one for one in found.study.own if one.state == "failed"]
    assert 0 < len(failed) < 60
    assert all("fail" in one.reason for one in failed)
    assert {one.state for one in found.study.own} <= {"failed", "complete", "stopped"}
    assert found.graph.open_jobs == 0


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(seconds=1800), "its 30 min are over"),
        (Limits(seconds=1810), "its 1810 s are over"),
        (Limits(device_seconds=3600), "1 device-hours are spent"),
    ],
)
def test_time_and_device_hours_end_a_search_and_leave_trials_open(
    limits: Limits, reason: str
) -> None:
    found = simulate(QUICK, LANDSCAPE, 2, limits)
    assert found.ended.reason == reason
    assert found.ended.open_trials == len(found.study.running) > 0
    spent = found.loop.account.spent_s if limits.seconds else found.study.device_s
    assert 0 <= spent - (limits.seconds or limits.device_seconds or 0) <= 120
