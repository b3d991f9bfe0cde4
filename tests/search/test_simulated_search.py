"""A search from its first trial to its end, on pretended devices: what ends it, what it spares."""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import pytest
from optuna.storages import BaseStorage, InMemoryStorage

from hipart.experiment.file import load_any
from hipart.experiment.search import Budget, Plateau, Proxy, Sampler, Search, Stopping
from hipart.experiment.space import Point, Space
from hipart.scheduling.graph import StageGraph
from hipart.search.budget import Account, Limits
from hipart.search.candidates import Candidate, Candidates, Chain
from hipart.search.landscape import Landscape, Values, made_up
from hipart.search.loop import TRIALS_A_SLOT, SearchLoop
from hipart.search.record import Record
from hipart.search.rules import Rules
from hipart.search.simulation import (
    MadeUp,
    MemoryStore,
    Simulated,
    VirtualExecutor,
    metrics_of,
    simulate,
)
from hipart.search.study import Study
from tests.timing import processor_time

SEEDS = range(20)
HEAD = """\
kind: search
title: Under test
objectives: [{stage: evaluate, name: mpjpe_mm}]
budget: {trials: 1000}
"""
#: Nothing but numbers, of which none depends on another.
SMOOTH = """\
space:
  - {name: rate, path: prior.learning_rate, range: [1.0e-4, 1.0e-2], log: true}
  - {name: decay, path: prior.weight_decay, range: [0.0, 0.3]}
  - {name: dropout, path: prior.dropout, range: [0.0, 0.5]}
  - {name: lifter rate, path: lifter.learning_rate, range: [1.0e-4, 1.0e-2], log: true}
  - {name: width, path: tokenizer.width, range: [16, 256]}
"""
#: 32 points over 4 tokenizers.
FOUR = """\
base: {tokenizer.sparse_codebook.size: 32, lifter.model.width: 16}
space:
  - {name: codes, path: tokenizer.sparse_codebook.size, levels: [32, 64, 128, 256]}
  - {name: order, path: prior.order, levels: [center_to_periphery, raster]}
  - {name: width, path: lifter.model.width, levels: [16, 32, 64, 128]}
"""
#: What stages take on a laptop, and where the tokenizer is most of it.
LAPTOP = {"tokenizer": 300.0, "prior": 120.0, "densify": 20.0, "lifter": 200.0, "evaluate": 5.0}
TOKENIZER = LAPTOP | {"tokenizer": 1000.0, "lifter": 100.0}


def _search(folder: Path, text: str, scale: str = "paper", kind: str = "random") -> Search:
    path = folder / "search.yaml"
    path.write_text(HEAD + text)
    search = load_any(str(path), scale)
    assert isinstance(search, Search)
    return _with_sampler(search, kind)


def _with_sampler(search: Search, kind: str, seed: int = 0) -> Search:
    sampler = Sampler.model_validate({"kind": kind, "seed": seed, "startup": 10})
    return search.model_copy(update={"sampler": sampler})


def _quick(kind: str = "random", **changed: object) -> Search:
    search = load_any("quick_search", "paper")
    assert isinstance(search, Search)
    return _with_sampler(search, kind).model_copy(update={"stopping": None, **changed})


def _best(search: Search, landscape: Landscape, found: Simulated) -> float:
    """The true value of the point that the search would choose."""
    best = min(found.study.complete, key=lambda one: one.values or ())
    return Values(search, landscape).exact(best.point)


# What strategies are worth where nothing depends on anything; test_strategies.py has the rest.


def test_tpe_with_60_trials_is_as_good_as_random_search_with_150(tmp_path: Path) -> None:
    search = _search(tmp_path, SMOOTH)
    landscape = made_up(search)

    def found(kind: str, trials: int) -> float:
        runs = [_with_sampler(search, kind, seed) for seed in SEEDS]
        return median(
            _best(search, landscape, simulate(one, landscape, 2, Limits(trials))) for one in runs
        )

    assert found("tpe", 60) <= found("random", 150)


def test_asha_spares_most_epochs_although_luck_is_as_large_as_what_it_looks_for(
    tmp_path: Path,
) -> None:
    search = _search(tmp_path, SMOOTH, "paper-v1")  # whose lifter is counted in epochs
    landscape = made_up(search).model_copy(update={"noise": 1.0})
    for seed in SEEDS:
        whole = _with_sampler(search, "random", seed)
        stopped = whole.model_copy(update={"stopping": Stopping(reduction=3)})
        assert stopped.rungs == (2, 8, 25)
        few, all_of_them = (simulate(one, landscape, 2, Limits(60)) for one in (stopped, whole))
        assert _best(search, landscape, few) <= 1.02 * _best(search, landscape, all_of_them)
        assert few.executor.epochs <= all_of_them.executor.epochs / 2
        assert all_of_them.executor.epochs == 60 * 25


# What the store remembers.


def _at_random(space: Space, luck: random.Random) -> Point:
    point: Point = {}
    for dimension in space.dimensions:
        if dimension.exists(point):
            point[dimension.name] = dimension.at(luck.random())
    return point


def test_the_first_draw_after_an_ablation_is_among_the_best_quarter_of_the_space(
    tmp_path: Path,
) -> None:
    search = _search(tmp_path, SMOOTH)
    landscape = made_up(search)
    values, luck = Values(search, landscape), random.Random(0)
    everywhere = [values.exact(_at_random(search.space, luck)) for _ in range(2000)]

    def rank(record: Record) -> float:
        value = values.exact(record.point)
        return sum(one < value for one in everywhere) / len(everywhere)

    informed, ignorant = [], []
    for seed in SEEDS:
        store = MemoryStore()
        simulate(_with_sampler(search, "random", seed), landscape, 2, Limits(40), store=store)
        tpe = _with_sampler(search, "tpe", 100 + seed)
        after = simulate(tpe, landscape, 2, Limits(1), store=store)
        *remembered, own = after.study.records.values()
        assert [one.origin for one in remembered] == ["store"] * 40
        assert (own.origin, after.study.made) == ("search", 1), "memory is not charged"
        informed.append(rank(own))
        # Of a search that knows nothing the first is the base, the second its own.
        alone = simulate(tpe, landscape, 2, Limits(2))
        ignorant.append(rank(alone.study.own[1]))
    assert median(informed) < 0.25 < median(ignorant)


def test_another_space_remembers_what_lies_in_it(tmp_path: Path) -> None:
    four = _search(tmp_path, FOUR, "laptop", "grid")
    store = MemoryStore()
    simulate(four, made_up(four), 4, store=store)
    other = _search(
        tmp_path,
        """\
base: {prior.order: raster, lifter.model.width: 64}
space:
  - {name: codes, path: tokenizer.sparse_codebook.size, range: [30, 130]}
  - {name: rate, path: prior.learning_rate, range: [1.0e-4, 1.0e-2], log: true}
""",
        "laptop",
        "tpe",
    )
    found = simulate(other, made_up(other), 4, Limits(3), store=store)
    remembered = [one for one in found.study.records.values() if one.origin == "store"]
    rate = other.base_config.prior.learning_rate
    points = [{"codes": codes, "rate": rate} for codes in (32, 64, 128)]
    assert sorted(int(one.point["codes"]) for one in remembered) == [32, 64, 128]
    assert all(one.point in points for one in remembered)
    for record in remembered:
        point = {"codes": str(record.point["codes"]), "order": "raster", "width": "64"}
        chain = Candidates(four, "simulated").of(point).chains[0]
        artifact = store.find("evaluate", chain["evaluate"].key)
        assert artifact is not None
        assert record.values == (artifact.metrics["mpjpe_mm"],)
    assert found.executor.trained["evaluate"] == 3


# Devices.


class _Beginnings:
    """When each trial was drawn."""

    def __init__(self) -> None:
        self.clock: VirtualExecutor | None = None
        self.at: dict[int, float] = {}

    def trial(self, record: Record, candidate: Candidate, reached: Sequence[Chain]) -> None:
        assert self.clock is not None
        self.at.setdefault(record.number, self.clock.now)


class _Counting(MemoryStore):
    """Knows how often an artifact was trained."""

    def __init__(self) -> None:
        super().__init__()
        self.added: Counter[str] = Counter()

    def add(self, artifact: MadeUp) -> None:
        self.added[artifact.key] += 1
        super().add(artifact)


def _by_hand(
    search: Search,
    landscape: Landscape,
    slots: int,
    limits: Limits,
    store: MemoryStore,
    storage: BaseStorage | None = None,
    watcher: _Beginnings | None = None,
) -> Simulated:
    """``simulate`` with a study that may go on, watched."""
    metrics = metrics_of(search, Values(search, landscape))

    def seconds(job: object) -> float:
        return landscape.seconds.get(job.stage, 60.0)  # type: ignore[attr-defined]

    executor = VirtualExecutor(store, slots, seconds, metrics, landscape.failures)
    study = Study(search, "simulated", storage)
    candidates = Candidates(search, "simulated")
    account = Account(search, study, limits, executor.clock)
    loop = SearchLoop(search, study, candidates, store, account, slots)
    loop.rules = Rules(search.constraints)
    if watcher is not None:
        watcher.clock = executor
        loop.watchers.append(watcher)
    graph = StageGraph(store, executor, account.hear, seconds)
    return Simulated(study, executor, graph, loop, loop.run(graph), set())


@pytest.mark.parametrize("seconds", [{}, LAPTOP, TOKENIZER], ids=["equal", "laptop", "tokenizer"])
@pytest.mark.parametrize("kind", ["random", "grid", "tpe"])
def test_no_device_waits_while_there_is_something_to_draw(
    tmp_path: Path, kind: str, seconds: dict[str, float]
) -> None:
    """32 trials over 4 tokenizers on 4 devices."""
    search = _search(tmp_path, FOUR, "laptop")
    landscape = made_up(search).model_copy(update={"seconds": seconds})
    for seed in range(5):
        began = _Beginnings()
        done = _by_hand(
            _with_sampler(search, kind, seed),
            landscape,
            4,
            Limits(32),
            MemoryStore(),
            watcher=began,
        )
        assert done.executor.trained["tokenizer"] == 4
        assert len(began.at) == 32 == len(done.study.complete)
        tail = max(began.at.values())
        worked = sum(min(end, tail) - min(start, tail) for start, end in done.executor.spans)
        assert tail > 0
        assert worked >= 0.95 * 4 * tail
        if kind == "grid":  # draws all of them early
            assert sum(end - start for start, end in done.executor.spans) >= (
                0.95 * 4 * done.executor.now
            )


def test_3000_trials_on_8_devices_take_seconds() -> None:
    search = _quick()
    with processor_time() as took:
        done = simulate(search, made_up(search), 8, Limits(3000))
    assert took.seconds < 30
    assert len(done.study.complete) == 3000
    assert done.executor.now > 12 * 3600


@pytest.mark.parametrize("kind", ["random", "tpe"])
def test_a_proxy_costs_no_more_time_the_more_trials_there_are(kind: str) -> None:
    search = _quick(kind, proxy=Proxy())
    with processor_time() as took:
        simulate(search, made_up(search), 4, Limits(1000 if kind == "random" else 60))
    assert took.seconds < 10


# Failures.


def test_a_failure_stops_the_trials_that_need_it_and_nothing_else() -> None:
    search, store = _quick(), MemoryStore()
    landscape = made_up(search).model_copy(update={"failures": 0.1})
    done = simulate(search, landscape, 4, Limits(80), store=store)
    assert done.ended.reason == "80 trials were made"
    candidates = Candidates(search, "simulated")
    states = Counter(one.state for one in done.study.own)
    assert set(states) == {"complete", "failed"}
    assert min(states.values()) > 10
    for record in done.study.own:
        (chain,) = candidates.of(record.point).chains
        broken = [
            job for job in chain.values() if "simulated" in done.graph.errors.get(job.key, "")
        ]
        assert (record.state == "failed") == bool(broken)
        assert (record.state == "complete") == (chain["evaluate"] in store)
        assert ("simulated" in record.reason) == bool(broken), "the reason of the job that failed"
        assert "needs" not in record.reason
    assert done.graph.open_jobs == 0


# What ends a search, and how it goes on.


@pytest.mark.parametrize("stopping", [None, Stopping(reduction=3)], ids=["whole", "asha"])
@pytest.mark.parametrize(
    ("limits", "more"),
    [
        (Limits(seconds=4000), Limits(60, seconds=1e9)),
        (Limits(device_seconds=7200), Limits(60, device_seconds=1e9)),
    ],
    ids=["minutes", "device-hours"],
)
def test_a_search_that_ran_out_of_time_goes_on_where_it_was(
    limits: Limits, more: Limits, stopping: Stopping | None
) -> None:
    search = _quick("tpe", stopping=stopping)
    landscape, store, storage = made_up(search), _Counting(), InMemoryStorage()
    first = _by_hand(search, landscape, 2, limits, store, storage)
    left = {one.number: dict(one.rungs) for one in first.study.running}
    assert first.ended.open_trials == len(left) > 0
    spent, device_s = first.study.spent_s, first.study.device_s  # the second study's, too, later
    assert limits.seconds is None or limits.seconds <= spent <= limits.seconds + 60
    assert limits.device_seconds is None or limits.device_seconds <= device_s

    second = _by_hand(search, landscape, 2, more, store, storage)
    assert second.ended.reason == "60 trials were made"
    assert second.study.running == []
    assert second.study.made == 60 == len(second.study.own)
    ended = {number: second.study.records[number] for number in left}
    assert {one.state for one in ended.values()} <= {"complete", "stopped"}
    assert all(rungs.items() <= ended[number].rungs.items() for number, rungs in left.items())
    assert set(store.added.values()) == {1}, "nothing is trained again"
    assert second.study.spent_s == pytest.approx(spent + second.executor.now)
    assert second.study.device_s == pytest.approx(
        device_s + sum(end - start for start, end in second.executor.spans)
    )


def test_a_trial_that_was_let_on_before_a_kill_is_not_judged_again(tmp_path: Path) -> None:
    """When it came to the rung it was the best one there; now others are better."""
    search = _search(tmp_path, SMOOTH, "paper-v1")
    search = search.model_copy(update={"stopping": Stopping(reduction=3)})
    storage = InMemoryStorage()
    killed = Study(search, "simulated", storage)
    let_on = killed.draw()
    assert let_on is not None
    killed.report(let_on, 2, 60.0)
    for _ in range(6):
        other = killed.draw()
        assert other is not None
        killed.report(other, 2, 40.0)
        killed.stopped(other, "after 2 of 25 epochs")
    landscape = Landscape(value=50.0, curve=10.0)
    done = _by_hand(search, landscape, 2, Limits(7), MemoryStore(), storage)
    assert done.study.running == []
    assert sorted(done.study.records[let_on.number].rungs) == [2, 8, 25]


def test_a_limit_that_is_reached_already_begins_nothing() -> None:
    search = _quick()
    landscape, store, storage = made_up(search), _Counting(), InMemoryStorage()
    _by_hand(search, landscape, 2, Limits(5), store, storage)
    trained = len(store.added)
    again = _by_hand(search, landscape, 2, Limits(5), store, storage)
    assert again.ended.reason == "5 trials were made"
    assert len(again.study.records) == 5
    assert len(store.added) == trained


def test_a_search_that_finds_nothing_better_ends(tmp_path: Path) -> None:
    budget = Budget(trials=1000, plateau=Plateau(trials=6, improvement_pct=1.0))
    search = _search(tmp_path, FOUR, "laptop").model_copy(update={"budget": budget})
    flat = simulate(search, Landscape(), 2)
    assert flat.ended.reason == "no better over 6 trials"
    assert simulate(search, Landscape(), 2, Limits(30)).ended.reason == "30 trials were made"
    begun = TRIALS_A_SLOT * 2
    assert 7 <= len(flat.study.complete) <= 7 + begun
    # Of a grid the codes change last, after 8 points each; every one is 4 % better.
    falling = {"32": 6.0, "64": 4.0, "128": 2.0, "256": 0.0}
    stairs = Landscape.model_validate({"effects": {"codes": {"levels": falling}}})
    patient = Budget(trials=1000, plateau=Plateau(trials=10, improvement_pct=1.0))
    grid = _with_sampler(search, "grid").model_copy(update={"budget": patient})
    assert simulate(grid, stairs, 1).ended.reason == "every point of the space is known"
    asked_too_much = Budget(trials=1000, plateau=Plateau(trials=10, improvement_pct=5.0))
    early = simulate(grid.model_copy(update={"budget": asked_too_much}), stairs, 1)
    assert early.ended.reason == "no better over 10 trials"


def test_what_the_store_remembers_is_no_trial_without_a_better_one(tmp_path: Path) -> None:
    search, store = _search(tmp_path, FOUR, "laptop"), _Counting()
    simulate(search, Landscape(), 1, Limits(6), store=store)
    limits = Limits(plateau=Plateau(trials=3, improvement_pct=1.0))
    again = simulate(search, Landscape(), 1, limits, store=store)
    origins = [one.origin for one in again.study.complete]
    assert origins.count("store") == 6
    assert origins.count("search") >= 3
    assert again.ended.reason == "no better over 3 trials"


def test_what_the_store_learned_after_a_trial_is_not_what_it_was_no_better_than(
    tmp_path: Path,
) -> None:
    search = _search(tmp_path, FOUR, "laptop")
    study, limits = Study(search, "simulated"), Limits(plateau=Plateau(trials=3))
    better = iter(range(9, 0, -1))

    def search_on(trials: int) -> None:
        for _ in range(trials):
            record = study.draw()
            assert record is not None
            study.completed(record, [float(next(better))])

    search_on(4)
    point = next(one for one in search.space.points() or () if study.known(one) is None)
    assert study.remember(point, (0.5,), {})
    assert Account(search, study, limits, lambda: 0.0, 1).over(0) is None
    search_on(3)
    ended = Account(search, study, limits, lambda: 0.0, 1).over(0)
    assert ended is not None and ended.reason == "no better over 3 trials"


# What is refused or judged before it costs much.


def test_a_refused_trial_costs_nothing(tmp_path: Path) -> None:
    bound = "constraints: [{metric: parameters_m, at_most: 50}]\n"
    search, store = _search(tmp_path, FOUR + bound, "laptop", "grid"), MemoryStore()
    sizes = {32: 10.0, 64: 60.0, 128: 20.0, 256: 60.0}
    done = simulate(
        search,
        made_up(search),
        4,
        store=store,
        count=lambda config: {"parameters_m": sizes[config.tokenizer.sparse_codebook.size]},
    )
    refused = [one for one in done.study.records.values() if one.state == "refused"]
    assert {one.point["codes"] for one in refused} == {"64", "256"}
    assert len(refused) == 16
    assert {one.reason for one in refused} == {"parameters_m at most 50; it has 60"}
    assert done.study.made == len(done.study.complete) == 16
    assert done.executor.trained["tokenizer"] == 2
    limited = simulate(
        search, made_up(search), 4, Limits(10), count=lambda _: {"parameters_m": 50.0}
    )
    assert len(limited.study.complete) == 10


def test_what_breaks_a_measured_bound_costs_its_profile_alone(tmp_path: Path) -> None:
    bound = "constraints: [{metric: latency_ms, at_most: 5}]\n"
    search, store = _search(tmp_path, FOUR + bound, "laptop", "grid"), MemoryStore()
    slow = {"codes": {"levels": {"128": 9.0, "256": 9.0}}}
    landscape = Landscape.model_validate(
        {"others": {"latency_ms": {"value": 1.0, "effects": slow}}}
    )
    done = simulate(search, landscape, 4, store=store)
    refused = [one for one in done.study.records.values() if one.state == "refused"]
    assert {one.point["codes"] for one in refused} == {"128", "256"}
    assert {one.reason for one in refused} == {"latency_ms at most 5; it has 10"}
    assert done.study.made == len(done.study.complete) == 16
    assert done.executor.trained["tokenizer"] == 2
    assert done.executor.trained["profile"] == 32


@pytest.mark.parametrize("kind", ["random", "tpe", "grid"])
def test_a_proxy_stops_poor_tokenizers_before_their_priors(tmp_path: Path, kind: str) -> None:
    text = FOUR.replace("[32, 64, 128, 256]", "[8, 16, 32, 64, 128, 256, 512, 1024]")
    proxy = Proxy(keep=0.5, startup=4)
    search = _search(tmp_path, text, "laptop", kind).model_copy(update={"proxy": proxy})
    ranks = (3, 7, 1, 5, 6, 0, 4, 2)
    levels = {
        name: float(rank) for name, rank in zip(search.space["codes"].names, ranks, strict=True)
    }
    landscape = Landscape.model_validate({"effects": {"codes": {"levels": levels}}})
    store = MemoryStore()
    done = simulate(search, landscape, 2, store=store)
    assert done.ended.reason == "every point of the space is known"
    stopped = [one for one in done.study.records.values() if one.state == "stopped"]
    assert stopped
    assert all(one.reason == "its tokenizer, by dense_reconstruction_px" for one in stopped)
    candidates = Candidates(search, "simulated")
    for record in stopped:
        (chain,) = candidates.of(record.point).chains
        assert chain["tokenizer"] in store
        assert chain["lifter"] not in store
        # Half of those seen are better, and four others have been seen.
        assert levels[str(record.point["codes"])] >= 3
    whole = Counter(one.point["codes"] for one in done.study.complete)
    assert whole["256"] == 8, "the best one is never stopped"
    assert done.executor.trained["tokenizer"] == 8
    assert done.executor.trained["prior"] < 16


def test_tpe_learns_from_what_a_proxy_stopped() -> None:
    """It would draw poor tokenizers as often as good ones, as random search does."""

    def share(kind: str) -> float:
        search = _quick(kind, proxy=Proxy(keep=0.5))
        runs = [_with_sampler(search, kind, seed) for seed in range(10)]
        found = [simulate(one, made_up(search), 2, Limits(60)).study.records for one in runs]
        return median(sum(one.state == "stopped" for one in each.values()) for each in found) / 60

    assert share("tpe") < 0.25 < share("random")
