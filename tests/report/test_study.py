"""Studies with known answers: what is there gets flagged, what is not hardly ever does."""

import numpy as np
import polars as pl
import pytest

from hipart.report import verdicts
from hipart.report.bootstrap import DRAWS, SEED, OverClips, clustered, over_clips
from hipart.report.model import Cell, Row
from hipart.report.statistics import student, summarise
from hipart.sample_errors import SampleErrors
from tests.report.samples import ORDERS, SIZES, ablation, frame_of, made, measured

NULL_REPETITIONS = 1000
MOST_FALSE = 0.06
ARMS = ("a", "b", "c")


def study(chance: np.random.Generator, effect: float, seeds: int = 5) -> pl.DataFrame:
    """A base and three arms; a seed moves all arms alike, ``a`` differs by ``effect``."""
    common = chance.normal(50, 2, seeds)
    values = {"base": common + chance.normal(0, 0.5, seeds)}
    for arm in ARMS:
        shift = effect if arm == "a" else 0.0
        values[arm] = common + shift + chance.normal(0, 0.5, seeds)
    return frame_of({arm: many.tolist() for arm, many in values.items()})


def flagged(frame: pl.DataFrame) -> set[str]:
    summary = summarise(frame, ["evaluate/x"])
    return set(summary.filter(pl.col("p_holm") < 0.05)["arm"])


def test_the_known_effect_is_found_and_the_null_is_not() -> None:
    assert flagged(study(np.random.default_rng(20260101), effect=-3.0)) == {"a"}


def test_false_alarms_of_the_table_are_at_most_six_percent() -> None:
    """A false alarm is a table that flags any arm at all."""
    chance = np.random.default_rng(7)
    false = sum(bool(flagged(study(chance, effect=0.0))) for _ in range(NULL_REPETITIONS))
    assert false <= MOST_FALSE * NULL_REPETITIONS


def test_the_table_says_both_in_words() -> None:
    chance = np.random.default_rng(5)
    common = chance.normal(50, 2, 5)
    tried = ablation(SIZES, ORDERS, seeds=(0, 1, 2, 3, 4))
    small, middle = "sparse codebook size=512", "sparse codebook size=1024"
    values = {
        "base": common.tolist(),
        small: (common + 4 + chance.normal(0, 0.3, 5)).tolist(),
        middle: (common + chance.normal(0, 0.3, 5)).tolist(),
        "generation order=raster_&_scan": (common + chance.normal(0, 0.3, 5)).tolist(),
    }
    table = made(tried, measured(values))
    verdict = next(line for line in table.footer if line.startswith("* differs"))
    assert verdict.endswith(f"comparisons): {small}.")


CLIPS, FRAMES, ACTIONS = 17, 40, 6


def samples(chance: np.random.Generator, effect: float) -> tuple[np.ndarray, ...]:
    """Differences whose clips share most of their noise, as frames of a motion do."""
    clip = np.repeat(np.arange(CLIPS), FRAMES)
    noise = chance.normal(0, 1, CLIPS)[clip] + chance.normal(0, 0.5, len(clip))
    return effect + noise, clip % ACTIONS, clip


def test_false_alarms_over_clips_are_at_most_six_percent() -> None:
    chance = np.random.default_rng(11)
    found = [clustered(*samples(chance, 0.0)) for _ in range(NULL_REPETITIONS)]
    false = sum(one is not None and one.p < 0.05 for one in found)
    assert false <= MOST_FALSE * NULL_REPETITIONS


def test_an_effect_over_clips_is_found_and_estimated() -> None:
    found = clustered(*samples(np.random.default_rng(3), -2.0))
    assert found is not None
    assert found.clips == CLIPS
    assert found.p < 0.01
    assert found.low < -2.0 < found.high < 0


def test_frames_alone_would_have_been_too_sure() -> None:
    """What the clusters are for: taking frames as independent narrows the interval threefold."""
    difference, action, clip = samples(np.random.default_rng(3), 0.0)
    whole, apart = clustered(difference, action, clip), clustered(difference, action, clip * 0)
    frames = clustered(difference, action, np.arange(len(clip)))
    assert whole is not None and frames is not None and apart is None
    assert whole.high - whole.low > 3 * (frames.high - frames.low)


def test_the_spread_is_that_of_draws_made_one_by_one() -> None:
    """With several actions in a clip, so that some draws lack one."""
    chance = np.random.default_rng(5)
    clip = np.repeat(np.arange(7), 9)
    action, difference = chance.integers(0, 12, 63), chance.normal(1, 1, 63)
    draws = []
    times = np.random.default_rng(SEED).multinomial(7, np.full(7, 1 / 7), DRAWS)
    for weights in times[:, clip]:
        there = [action == one for one in range(12) if weights[action == one].any()]
        means = [np.average(difference[of], weights=weights[of]) for of in there]
        draws.append(np.mean(means))
    found = clustered(difference, action, clip)
    assert found is not None
    error = np.std(draws, ddof=1) * (7 / 6) ** 0.5
    expected = student(np.mean([difference[action == one].mean() for one in range(12)]), error, 6)
    assert (found.delta, found.low, found.high, found.p) == pytest.approx(expected, rel=1e-12)


def test_a_difference_without_spread_has_no_interval() -> None:
    _, action, clip = samples(np.random.default_rng(3), 0.0)
    for same in (0.0, 0.1, 1e6 / 3):
        assert clustered(np.full(len(clip), same), action, clip) is None


@pytest.mark.parametrize("other", ["action", "clip"])
def test_trials_of_other_test_samples_are_not_compared(other: str) -> None:
    difference, action, clip = samples(np.random.default_rng(3), 1.0)
    base = SampleErrors(0, "b", np.zeros_like(difference), action, clip)
    mine = SampleErrors(0, "m", difference, action, clip)
    assert over_clips([mine], [base]) is not None
    labels = {"action": action, "clip": clip} | {other: np.roll(clip, 1)}
    assert over_clips([SampleErrors(0, "m", difference, **labels)], [base]) is None
    assert over_clips([SampleErrors(1, "m", difference, action, clip)], [base]) is None


def cell(delta: float | None, p_holm: float | None) -> Cell:
    clips = OverClips(17, delta, delta - 1, delta + 1, 0.01) if delta is not None else None
    empty = (None,) * 6
    return Cell(3, 3, 50.0, *empty, clips=clips, clips_p_holm=p_holm)


def rows(*cells: Cell) -> list[Row]:
    return [Row(f"arm {number}", 3, 3, 0, None, None, (one,)) for number, one in enumerate(cells)]


def test_what_other_clips_would_change_is_said_in_words() -> None:
    base = cell(None, None)
    assert verdicts.over_clips(rows(base, base)) == ""
    told = verdicts.over_clips(rows(base, cell(-5.0, 0.01), cell(0.5, 0.6)))
    assert told.startswith("With other test clips, but these trained models, these differ from")
    assert "arm 1 −5.0 [−6.0, −4.0]" in told and "arm 2" not in told
    assert "17 clips, Holm-corrected over 2 comparisons; training noise is not in it" in told
    assert "no difference" in verdicts.over_clips(rows(base, cell(0.5, 0.6)))
    many = verdicts.over_clips(rows(base, *[cell(-5.0, 0.01)] * 12))
    assert "12 of 12 arms differ from the base" in many
