"""Who trains, who tests: no recording, time range or subject on both sides."""

from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise, permutations

import numpy as np
import pytest

from hipart.config import DataConfig
from hipart.data.motion import Motion, read_motion
from hipart.data.plan import SUBJECTS, TAKE_SIDE_M, cut_takes, draw, make_plan, sides
from hipart.data.splits import SIDES, Side, recording, segments


@dataclass(frozen=True)
class Stub:
    name: str
    label: str
    frames: int
    cmu_subject: str | None = None

    def __len__(self) -> int:
        return self.frames


@pytest.fixture(scope="module")
def motion() -> Motion:
    return read_motion()


def test_a_cut_clip_leaves_a_second_between_its_sides(motion: Motion) -> None:
    gap = round(motion.fps)
    cut = 0
    for index, clip in enumerate(motion.clips):
        parts = [s for s in segments(motion.clips, motion.fps) if s.clip == index]
        assert 1 <= len(parts) <= 2
        assert parts[0].start == 0
        assert parts[-1].stop == len(clip)
        if len(parts) == 2:
            cut += 1
            assert [part.side for part in parts] == ["train", "test"]
            assert parts[1].start - parts[0].stop >= gap
    assert cut == 14


def test_every_cuttable_label_is_on_both_sides(motion: Motion) -> None:
    sides: dict[str, set[str]] = {}
    for part in segments(motion.clips, motion.fps):
        sides.setdefault(motion.clips[part.clip].label, set()).add(part.side)
    assert {label for label, found in sides.items() if len(found) == 1} == {
        "run",
        "spinkick",
        "walk",
    }


def test_clips_that_may_show_the_same_recording_stay_together() -> None:
    clips = [
        Stub("a", "walk", 300, "007"),
        Stub("b", "walking", 300),
        Stub("c", "walking", 300, "012"),
        Stub("d", "basketball", 300),
        Stub("e", "basketball", 300, "006"),
        Stub("f", "walk", 300, "002"),
    ]
    assert recording(clips[0]) == recording(clips[1])
    assert recording(clips[3]) == recording(clips[4])
    assert len({recording(clip) for clip in clips}) == 4
    sides: dict[str, set[str]] = {}
    for part in segments(clips, 30):
        sides.setdefault(recording(clips[part.clip]), set()).add(part.side)
    assert sides[recording(clips[0])] == sides[recording(clips[3])] == {"train"}
    assert sides["c"] == sides["f"] == {"train", "test"}


def test_short_clips_go_whole_to_one_side() -> None:
    clips = [Stub(str(i), "hop", 20) for i in range(5)] + [Stub("x", "hop2", 44)]
    parts = segments(clips, 30)
    assert [part.side for part in parts] == ["train", "test", "train", "train", "test", "train"]
    with_cut = segments([*clips[:5], Stub("long", "hop", 45)], 30)
    assert [part.side for part in with_cut[:5]] == ["train"] * 5
    assert (with_cut[5].stop, with_cut[6].start) == (10, 40)


@pytest.mark.parametrize(("seed", "held_out"), [(0, 0), (1, 0), (0, 64)])
def test_no_sample_of_one_side_is_near_one_of_another(
    motion: Motion, seed: int, held_out: int
) -> None:
    data = DataConfig(seed=seed, validation_samples=held_out)
    used = {}
    subjects = {}
    for side in sides(data):
        plan = make_plan(motion, data, side)
        views = plan.views(np.arange(len(plan)))
        used[side] = set(zip(views.clip.tolist(), views.frame.tolist(), strict=True))
        subjects[side] = set(views.subject.tolist())
        assert used[side]
    gap = round(motion.fps)
    for one, other in permutations(used, 2):
        assert not subjects[one] & subjects[other]
        near = {(clip, frame + step) for clip, frame in used[one] for step in range(-gap, gap + 1)}
        assert not near & used[other]


def test_validation_exists_only_where_something_is_held_out(motion: Motion) -> None:
    assert sides(DataConfig()) == ("train", "test")
    assert sides(DataConfig(validation_samples=1)) == ("train", "test", "validation")
    assert len(make_plan(motion, DataConfig(), "validation")) == 0
    assert SIDES == ("train", "test", "validation"), "indices are seeds"


def test_what_is_held_out_is_a_fixed_rule_and_leaves_test_alone(motion: Motion) -> None:
    plain, held = (segments(motion.clips, motion.fps, hold) for hold in (False, True))
    assert [s for s in held if s.side == "test"] == [s for s in plain if s.side == "test"]
    found = {
        motion.clips[part.clip].name: (part.start, part.stop)
        for part in held
        if part.side == "validation"
    }
    assert found == {
        "cmu_001_01": (303, 439),
        "cmu_001_03": (498, 732),
        "deepmimic_dance_b": (0, 31),
    }
    trained = {motion.clips[part.clip].label for part in held if part.side == "train"}
    assert trained == {clip.label for clip in motion.clips}, "every action still trains"


def test_training_is_cut_for_validation_as_clips_are_for_test() -> None:
    long, family = (
        Stub("long", "hop", 240),
        [Stub("a", "walk", 300, "007"), Stub("b", "walking", 300)],
    )
    cut = [(part.side, part.start, part.stop) for part in segments([long], 30, True)]
    assert cut == [("train", 0, 73), ("validation", 103, 140), ("test", 170, 240)]
    assert {part.side for part in segments(family, 30, True)} == {"train"}
    short = [Stub(str(i), "hop", 20) for i in range(6)]
    assert [part.side for part in segments(short, 30, True)] == [
        *("train", "test", "validation", "train", "test", "train")
    ]
    assert {part.side for part in segments([long, *short], 30, True) if part.clip} == {"train"}


def test_too_little_is_not_cut_for_validation() -> None:
    """Of 1.5 s to 3 s too little would train; what is of their label stays beside them."""
    long, short = Stub("a", "hop", 120), [Stub(str(i), "hop", 20) for i in range(3)]
    found = segments([long, *short], 30, True)
    assert [part.side for part in found] == ["train", "test", "train", "train", "train"]
    assert (found[0].start, found[0].stop) == (0, 60)
    just_enough = segments([Stub("b", "hop", 165)], 30, True)
    assert [(part.side, part.stop - part.start) for part in just_enough] == [
        *(("train", 40), ("validation", 20), ("test", 45))
    ]


def test_a_subject_is_held_out_of_training(motion: Motion) -> None:
    held, plain = DataConfig(validation_samples=64), DataConfig()

    def cast(data: DataConfig, side: Side) -> set[str]:
        plan = make_plan(motion, data, side)
        return {SUBJECTS[index] for index in plan.views(np.arange(len(plan))).subject}

    assert cast(held, "validation") == {"S8"}
    assert cast(held, "train") == cast(plain, "train") - {"S8"} == {"S1", "S5", "S6", "S7"}
    assert cast(held, "test") == cast(plain, "test") == {"S9", "S11"}


def test_the_plan_enumerates_every_view_once(motion: Motion) -> None:
    plan = make_plan(motion, DataConfig(placements=3), "test")
    views = plan.views(np.arange(len(plan)))
    rows = set(zip(views.clip, views.frame, views.placement, views.camera, strict=True))
    frames = sum(s.stop - s.start for s in segments(motion.clips, 30) if s.side == "test")
    assert len(rows) == len(plan) == frames * 3 * 4


def test_takes_stay_in_their_square_and_cover_the_path() -> None:
    path = np.random.default_rng(0).normal(0, 0.2, (400, 2)).cumsum(axis=0)
    takes = cut_takes(path, 20, 390)
    assert takes[0][0] == 20
    assert takes[-1][1] == 390
    assert all(a[1] == b[0] for a, b in pairwise(takes))
    assert all(np.ptp(path[start:stop], axis=0).max() <= TAKE_SIDE_M for start, stop in takes)


def test_performers_keep_to_the_floor(motion: Motion) -> None:
    data = DataConfig(floor_half_side_m=1.0, placements=16)
    plan = make_plan(motion, data, "train")
    assert np.abs(plan.place).max() < 1
    more = make_plan(motion, DataConfig(placements=20), "train")
    assert np.array_equal(more.yaw[:, :16], plan.yaw), "more placements keep the earlier ones"
    still = make_plan(motion, DataConfig(floor_half_side_m=0), "train")
    assert not still.place.any()


def test_a_small_draw_is_part_of_a_large_one(motion: Motion) -> None:
    plan = make_plan(motion, DataConfig(), "test")
    small, large = (draw(plan, n, np.random.default_rng(3)) for n in (50, 500))
    assert len(set(small)) == 50
    assert set(small) <= set(large)


def test_sequences_are_drawn_whole(motion: Motion) -> None:
    plan = make_plan(motion, DataConfig(), "train")
    rows = draw(plan, 3000, np.random.default_rng(3), "sequences")
    assert len(rows) == len(set(rows.tolist())) == 3000
    views = plan.views(rows)
    changes = np.flatnonzero(np.diff(views.sequence)) + 1
    assert len(changes) + 1 == len(np.unique(views.sequence)), "a sequence lies in one piece"
    cut = 0
    for run in np.split(np.arange(3000), changes):
        frames = views.frame[run]
        assert (np.diff(frames) == 1).all()
        for name in ("take", "placement", "camera", "clip", "subject"):
            assert len(np.unique(getattr(views, name)[run])) == 1
        take = views.take[run[0]]
        assert frames[0] == plan.start[take]
        cut += len(run) < plan.frames[take]
    assert cut <= 1, "only the last sequence that was drawn is cut short"


def test_a_small_draw_of_sequences_is_part_of_a_large_one(motion: Motion) -> None:
    plan = make_plan(motion, DataConfig(), "test")
    small, large = (draw(plan, n, np.random.default_rng(3), "sequences") for n in (50, 5000))
    assert set(small) < set(large)


def test_all_sequences_are_all_samples(motion: Motion) -> None:
    plan = make_plan(motion, DataConfig(), "test")
    rows = draw(plan, None, np.random.default_rng(3), "sequences")
    assert np.array_equal(np.sort(rows), np.arange(len(plan)))


def test_asking_for_too_many_says_how_many_there_are(motion: Motion) -> None:
    plan = make_plan(motion, DataConfig(), "test")
    with pytest.raises(ValueError, match=rf"test_samples.*{len(plan) + 1}.*{len(plan)}"):
        draw(plan, len(plan) + 1, np.random.default_rng(0))


def test_asking_for_too_many_held_out_says_how_many_there_are(motion: Motion) -> None:
    plan = make_plan(motion, DataConfig(validation_samples=64), "validation")
    with pytest.raises(ValueError, match=rf"validation_samples.*{len(plan) + 1}.*{len(plan)}"):
        draw(plan, len(plan) + 1, np.random.default_rng(0))


def people(*frames: int) -> list[Stub]:
    """Two clips each of persons with so many frames in each."""
    return [
        Stub(f"{number}_{take}", "walk", count, f"p{number}")
        for number, count in enumerate(frames)
        for take in range(2)
    ]


@pytest.mark.parametrize("hold_out", [False, True])
def test_by_person_nobody_is_on_two_sides(hold_out: bool) -> None:
    rng = np.random.default_rng(1)
    for count in (3, 4, 7, 40):
        clips = people(*rng.integers(1, 3000, count).tolist())
        parts = segments(clips, 30, hold_out, "person")
        assert [part.clip for part in parts] == list(range(len(clips)))
        assert all(part.start == 0 and part.stop == len(clips[part.clip]) for part in parts)
        side_of: dict[str | None, set[Side]] = {}
        for part in parts:
            side_of.setdefault(clips[part.clip].cmu_subject, set()).add(part.side)
        assert all(len(found) == 1 for found in side_of.values())
        wanted = {"train", "test", "validation"} if hold_out else {"train", "test"}
        assert set.union(*side_of.values()) == wanted
        if count == 40:
            shares = Counter({"train": 0})
            for part in parts:
                shares[part.side] += part.stop
            share = shares["test"] / shares.total()
            assert 0.25 < share < 0.4


def test_by_person_the_test_side_stays_when_something_is_held_out() -> None:
    clips = people(900, 80, 700, 60, 500, 40, 300)
    plain, held = (segments(clips, 30, hold, "person") for hold in (False, True))
    tests = [{part.clip for part in parts if part.side == "test"} for parts in (plain, held)]
    assert tests[0] == tests[1]
    assert [part.side for part in plain[::2]] == [
        *("train", "test", "test", "train", "train", "train", "train")
    ]
    shuffled = [clips[at] for at in (5, 3, 1, 0, 2, 4, 13, 12, 11, 10, 9, 8, 7, 6)]
    sides = {shuffled[part.clip].name: part.side for part in segments(shuffled, 30, True, "person")}
    assert sides == {clips[part.clip].name: part.side for part in held}


def test_by_time_is_what_it_was(motion: Motion) -> None:
    assert motion.split == "time"
    assert segments(motion.clips, motion.fps, True) == segments(
        motion.clips, motion.fps, True, "time"
    )


def test_a_plan_of_a_motion_that_is_split_by_person(motion: Motion) -> None:
    named = tuple(
        replace(clip, cmu_subject=f"p{index % 4}") for index, clip in enumerate(motion.clips)
    )
    people_of = {}
    for side in SIDES:
        plan = make_plan(Motion(named, 30, "person"), DataConfig(validation_samples=1), side)
        people_of[side] = {named[clip].cmu_subject for clip in plan.clip}
    assert sum(map(len, people_of.values())) == 4 == len(set.union(*people_of.values()))
