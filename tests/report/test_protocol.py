"""What a table says its errors are, and which published values stand beside them."""

from typing import Any

import pytest

from hipart.experiment.design import Arm
from hipart.experiment.file import base_at_scale
from hipart.experiment.metrics import MetricChoice, Published
from hipart.experiment.paths import with_changes
from hipart.report.protocol import comparable, told
from tests.report.samples import SIZES, ablation, made

P1 = "MPJPE (Protocol 1): root-aligned"
MEAN = "means over actions of per-sample values"
NO_FLIP = "no mirrored pose at test time"


def arm(corpus: str = "open", metric: str | None = None, **changes: Any) -> Arm:
    changed = {name.replace("__", "."): value for name, value in changes.items()}
    published = Published(value=42.0, unit="mm", place="Table 1", metric=metric)
    return Arm("base", {}, published, with_changes(base_at_scale("smoke", corpus), changed))


def choice(name: str, stage: str = "evaluate") -> MetricChoice:
    return MetricChoice(stage=stage, name=name)


def protocol(*names: str, arms: tuple[Arm, ...] = (arm(),)) -> str:
    also = tuple(choice(name) for name in names[1:])
    return told(made(ablation(metric=choice(names[0]), also=also), lambda _: None).columns, arms)


def test_it_says_what_is_shown_and_nothing_else() -> None:
    assert protocol("mpjpe_mm") == f"Protocol: {P1}; {MEAN}; {NO_FLIP}."
    text = protocol("n_mpjpe_mm", "pck_pct", "auc_pct", "mpjve_mm")
    for name in ("N-MPJPE:", "PCK:", "AUC:", "MPJVE:"):
        assert name in text
    assert "Protocol 1" not in text and "PA-" not in text
    assert protocol("p_mpjpe_mm", "p_mpjpe_frames_mm").count("PA-MPJPE (Protocol 2)") == 1
    assert protocol("hidden_joints_pct") == ""


def test_it_says_how_means_are_taken() -> None:
    assert "; means over all samples;" in protocol("mpjpe_frames_mm")
    assert f"{MEAN}, or where it says so over all samples;" in protocol(
        "mpjpe_mm", "mpjpe_frames_mm"
    )


@pytest.mark.parametrize(
    ("names", "corpus", "said"),
    [
        (("mpjpe_mm",), "open", None),
        (("mpjpe_mm",), "h36m", "damaged clips included;"),
        (("mpjpe_sound_mm",), "h36m", "without damaged clips;"),
        (("mpjpe_mm", "mpjpe_sound_mm"), "h36m", "damaged clips included but where it says sound"),
    ],
)
def test_it_says_what_becomes_of_damaged_clips(
    names: tuple[str, ...], corpus: str, said: str | None
) -> None:
    text = protocol(*names, arms=(arm(corpus),))
    assert (said in text) if said else ("damaged" not in text)


def test_it_says_which_frames_have_a_body() -> None:
    """Where some test frames have none: errors over the others."""
    alone = protocol("mpjpe_fit_mm", "p_mpjpe_fit_frames_mm")
    assert P1 in alone and "; over frames that a body was fitted to, which alone have" in alone
    both = protocol("mpjpe_mm", "mpjpe_fit_mm")
    assert both.count(P1) == 1 and "over all frames but where it says with a body: " in both
    assert "body" not in protocol("mpjpe_mm")


def test_it_says_whether_poses_were_mirrored() -> None:
    flipped = arm(evaluation__flip=True)
    assert "; averaged with the mirrored pose." in protocol("mpjpe_mm", arms=(flipped,))
    assert "mirrored pose in some arms" in protocol("mpjpe_mm", arms=(arm(), flipped))
    assert "visible joints" in protocol("mpjpe_mm", arms=(arm(occlusion__kind="patch"),))


def test_it_says_what_a_mask_stands_for() -> None:
    masked = arm(occlusion__kind="mask", occlusion__ratio=0.2)
    assert (
        "; masked joints anywhere in the person's box, each by itself: gross errors of single "
        "joints, not a detector's behind a mask;"
    ) in protocol("mpjpe_mm", arms=(arm(), masked))
    assert "mask" not in protocol("mpjpe_mm", arms=(arm(occlusion__kind="mask"),))


@pytest.mark.parametrize(
    ("one", "metric", "shown"),
    [
        (arm(), choice("mpjpe_mm"), True),
        (arm(), choice("mpjpe_frames_mm"), False),
        (arm("h36m"), choice("mpjpe_mm"), True),
        (arm("h36m"), choice("mpjpe_frames_mm"), False),
        (arm("h36m"), choice("mpjpe_sound_mm"), False),
        (arm("h36m"), choice("p_mpjpe_mm"), False),
        (arm("h36m", "p_mpjpe_mm"), choice("p_mpjpe_mm"), True),
        (arm("h36m", "p_mpjpe_mm"), choice("mpjpe_mm"), False),
        (arm(), choice("parameters_m", "profile"), True),
        (
            arm("h36m", data__validation_samples=8, evaluation__split="validation"),
            choice("mpjpe_mm"),
            False,
        ),
    ],
)
def test_published_values_stand_beside_their_own_metric(
    one: Arm, metric: MetricChoice, shown: bool
) -> None:
    assert comparable(one, metric) is shown


def test_a_table_of_another_mean_shows_no_published_value() -> None:
    frames = made(ablation(metric=choice("mpjpe_frames_mm")), lambda _: None)
    assert not any(row.published for row in frames.rows)
    assert not any(line.startswith("Published") for line in frames.footer)
    stated = {"value": 43.0, "unit": "mm", "place": "Fig. 5", "metric": "mpjpe_frames_mm"}
    own = SIZES | {"levels": [{"value": 1024, "published": stated}]}
    table = made(ablation(own, metric=choice("mpjpe_frames_mm")), lambda _: None)
    assert [bool(row.published) for row in table.rows] == [False, True]
    assert "on its data and at its sizes; nothing published" in "\n".join(table.footer)


def test_on_the_paper_s_corpus_published_values_stand_beside_all_clips_alone() -> None:
    table = made(ablation(corpus="h36m"), lambda _: None)
    assert [row.published and row.published.value for row in table.rows] == [42.0, None, 43.0]
    text = "\n".join(table.footer)
    assert "are the paper's, on all its test frames and at its sizes;" in text
    assert "damaged clips included" in text
    table = made(ablation(corpus="h36m", metric=choice("mpjpe_sound_mm")), lambda _: None)
    assert not any(row.published for row in table.rows)
    assert "without damaged clips" in "\n".join(table.footer)
