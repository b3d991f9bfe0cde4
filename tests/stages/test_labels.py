"""Which training samples keep their 3D labels, and that a lifter learns from these alone."""

import numpy as np
import pytest
import torch

from hipart.config import LifterConfig
from hipart.data.corpus import load_corpus
from hipart.experiment.file import base_at_scale
from hipart.stages.lifter import labelled, wrongly_labelled

SHARES = (0.01, 0.0625, 0.25, 0.5, 1.0)


@pytest.fixture(scope="module")
def samples() -> tuple[np.ndarray, np.ndarray]:
    config = base_at_scale("smoke")
    train = load_corpus(config.data, config.detector).train
    return train.clip, train.frame


def test_as_many_keep_them_as_are_asked_for(samples: tuple[np.ndarray, np.ndarray]) -> None:
    for share in SHARES:
        assert labelled(*samples, share, 0).sum() == round(share * len(samples[0]))
    assert labelled(*samples, 1e-9, 0).sum() == 1, "one at least"


def test_a_smaller_share_is_part_of_a_larger_one(samples: tuple[np.ndarray, np.ndarray]) -> None:
    masks = [labelled(*samples, share, 3) for share in SHARES]
    for fewer, more in zip(masks, masks[1:], strict=False):
        assert not (fewer & ~more).any()


def test_clips_are_kept_whole_but_for_the_end_of_one(
    samples: tuple[np.ndarray, np.ndarray],
) -> None:
    clip, frame = samples
    for share in SHARES:
        kept = labelled(clip, frame, share, 0)
        cut = [one for one in np.unique(clip[kept]) if not kept[clip == one].all()]
        assert len(cut) <= 1
        for one in cut:
            mine = clip == one
            assert frame[mine & kept].max() <= frame[mine & ~kept].min()


def test_another_seed_keeps_other_clips(samples: tuple[np.ndarray, np.ndarray]) -> None:
    first, again, other = (labelled(*samples, 0.25, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert set(samples[0][first]) != set(samples[0][other])


def test_a_share_of_frames_is_of_nearly_all_clips(samples: tuple[np.ndarray, np.ndarray]) -> None:
    clip, frame = samples
    of_frames = labelled(np.arange(len(clip)), frame, 0.25, 0)
    of_clips = labelled(clip, frame, 0.25, 0)
    assert of_frames.sum() == of_clips.sum()
    assert len(set(clip[of_frames])) > 1.5 * len(set(clip[of_clips]))


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_wrong_labels_are_those_of_other_samples(share: float) -> None:
    target = torch.arange(200.0)[:, None, None].expand(200, 17, 3)
    wrong = wrongly_labelled(target, LifterConfig(wrong_labels=share, seed=1))
    assert (wrong != target).all(dim=(1, 2)).sum() == round(200 * share)
    assert wrong[:, 0, 0].sort().values.equal(target[:, 0, 0]), "each is somebody's"
    more = wrongly_labelled(target, LifterConfig(wrong_labels=1.0, seed=1))
    kept = (wrong == target).all(dim=(1, 2))
    assert (~kept <= (more != target).all(dim=(1, 2))).all()
    other = wrongly_labelled(target, LifterConfig(wrong_labels=share, seed=2))
    assert share in (0.0,) or not other.equal(wrong)
