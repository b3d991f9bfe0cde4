"""Training samples in parts: whole clips, as even as they go, by a fixed rule."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from hipart.config import DataConfig, DetectorConfig
from hipart.data.corpus import load_corpus, training_clips
from hipart.data.folds import parts_of
from hipart.data.h36m.files import find
from hipart.data.h36m.source import H36mSource
from hipart.data.prepare import prepare
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from tests.data import h36m_miniature

SMOKE = base_at_scale("smoke")


def test_by_hand() -> None:
    """Of 5, 4, 3, 3 and 1 the 5 opens part 1, the 4 part 2; a 3 goes to each, the 1 where 7 are."""
    clip = np.repeat([7, 2, 9, 4, 3], [3, 5, 1, 4, 3]).astype(np.int32)
    parts = {name: set(parts_of(clip, 2)[clip == name]) for name in (7, 2, 9, 4, 3)}
    assert parts == {2: {1}, 4: {2}, 3: {2}, 7: {1}, 9: {2}}


@pytest.mark.parametrize(("seed", "folds"), list(product(range(8), (2, 3, 5))))
def test_every_clip_is_in_one_part_and_parts_are_even(seed: int, folds: int) -> None:
    chance = np.random.default_rng(seed)
    clip = chance.integers(0, 12, 400).astype(np.int32)
    part = parts_of(clip, folds)
    assert set(part) == set(range(1, folds + 1))
    assert all(len(set(part[clip == one])) == 1 for one in set(clip))
    sizes, longest = np.bincount(part)[1:], np.bincount(clip).max()
    assert sizes.max() - sizes.min() <= longest, "else the last clip would lie elsewhere"
    order = chance.permutation(400)
    assert np.array_equal(parts_of(clip[order], folds), part[order]), "rows decide nothing"


@pytest.mark.parametrize(
    ("clips", "folds", "remedy"), [(3, 4, "take at most 3"), (1, 2, "set it to null")]
)
def test_more_parts_than_clips(clips: int, folds: int, remedy: str) -> None:
    clip = np.arange(12, dtype=np.int32) % clips
    rule = f"densify.folds .*12 training samples into {folds} parts.* come of {clips}; {remedy}"
    with pytest.raises(ValueError, match=rule):
        parts_of(clip, folds)


@pytest.mark.parametrize("sampling", ["frames", "sequences"])
def test_clips_are_known_before_samples_are_made(sampling: str) -> None:
    data = with_changes(SMOKE, {"data.sampling": sampling}).data
    assert np.array_equal(training_clips(data), load_corpus(data, SMOKE.detector).train.clip)


def test_clips_of_a_prepared_corpus(tmp_path: Path) -> None:
    files = h36m_miniature.write(tmp_path / "files", ("S1", "S9"))
    prepare(H36mSource(find(files.root, files.smpl, "cpn"), "cpn"), tmp_path / "h36m")
    data = DataConfig(corpus="h36m", train_samples=20)
    found = training_clips(data, tmp_path / "h36m")
    corpus = load_corpus(data, DetectorConfig(kind="given"), tmp_path / "h36m")
    assert np.array_equal(found, corpus.train.clip)
    assert len(set(found)) > 1
