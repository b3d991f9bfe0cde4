"""What is left out of training is nowhere in it, and nothing else changes."""

import numpy as np
import pytest

from hipart.config import DataConfig, DetectorConfig
from hipart.data.corpus import Corpus, check_corpus, load_corpus
from hipart.data.motion import Motion, read_motion
from hipart.data.plan import SUBJECTS, make_plan
from hipart.data.splits import Side
from hipart.data.subset import check_left_out, shared

ALL = DataConfig(train_samples=500, test_samples=200, placements=64)
EXACT = DetectorConfig(kind="exact")
CLIPS = [f"clip {number}" for number in range(40)]


@pytest.fixture(scope="module")
def motion() -> Motion:
    return read_motion(None)


@pytest.fixture(scope="module")
def whole() -> Corpus:
    return load_corpus(ALL, EXACT)


def trained(motion: Motion, side: Side = "train", **settings: object) -> tuple[set[str], set[str]]:
    """Clips and people of a side."""
    plan = make_plan(motion, ALL.model_copy(update=settings), side)
    views = plan.views(np.arange(len(plan)))
    clips = {motion.clips[at].name for at in np.unique(views.clip)}
    return clips, {SUBJECTS[at] for at in np.unique(views.subject)}


def test_left_out_people_and_actions_do_not_train(motion: Motion) -> None:
    clips, people = trained(motion)
    fewer, others = trained(motion, leave_out=("S5", "climb", "run"))
    assert others == people - {"S5"}
    assert fewer == {name for name in clips if name not in ("cmu_001_03", "deepmimic_run")} - {
        clip.name for clip in motion.clips if clip.label == "climb"
    }


@pytest.mark.parametrize("settings", [{"leave_out": ("S5", "jump")}, {"share": 0.3}])
def test_what_tests_stays(whole: Corpus, motion: Motion, settings: dict) -> None:
    less = load_corpus(ALL.model_copy(update=settings), EXACT)
    assert np.array_equal(less.test.fine_2d, whole.test.fine_2d)
    held = {"validation_samples": 100} | settings
    assert trained(motion, "validation", **held) == trained(
        motion, "validation", validation_samples=100
    )
    assert len(less.train) == len(whole.train)
    assert less.description != whole.description


def test_a_smaller_share_is_part_of_a_larger() -> None:
    some = [shared(CLIPS, share, 3) for share in (0.001, 0.1, 0.5, 1.0)]
    assert [len(names) for names in some] == [1, 4, 20, 40]
    assert all(few < more for few, more in zip(some, some[1:], strict=False))
    assert shared(CLIPS, 0.5, 3) != shared(CLIPS, 0.5, 4)
    # Each clip's chance is its own: half of the others leaves the order as it was.
    assert shared(CLIPS[:20], 0.5, 3) <= shared(CLIPS, 0.9, 3) | set(CLIPS[:20])
    order = [name for name in CLIPS if name in some[2]]
    assert shared(order, 0.2, 3) == some[1]


def test_a_share_is_of_what_is_not_left_out(motion: Motion) -> None:
    clips, _ = trained(motion, leave_out=("climb", "jump"), share=0.5)
    alone, _ = trained(motion, leave_out=("climb", "jump"))
    assert clips < alone
    assert len(clips) == round(len(alone) / 2)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("S9",), "'S9', which is no subject or action that trains; allowed S1, S5"),
        (("Climb",), "did you mean climb?"),
        (("S1", "S5", "S6", "S7", "S8"), "leaves no subject to train on"),
    ],
)
def test_what_cannot_be_left_out_is_refused(names: tuple[str, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("?", r"\?")):
        check_corpus(ALL.model_copy(update={"leave_out": names}), EXACT)


def test_an_action_has_to_be_left() -> None:
    with pytest.raises(ValueError, match="leaves no action"):
        check_left_out(DataConfig(leave_out=("run",)), ["S1"], ["run"])
