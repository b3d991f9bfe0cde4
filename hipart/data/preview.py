"""Look at a corpus: a picture of its levels, and its counts."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hipart.config import DataConfig, DetectorConfig
from hipart.data.body import surface
from hipart.data.corpus import is_prepared, load_corpus
from hipart.data.detector import detect
from hipart.data.measured_detector import Errors, errors_of, measured_errors
from hipart.data.motion import Motion, read_motion
from hipart.data.nearness import nearest_training_mm
from hipart.data.open_corpus import CAMERAS, Track, lay_out, project, seen
from hipart.data.plan import SUBJECTS, Plan, Views, draw, make_plan, sides
from hipart.data.samples import Corpus, Samples
from hipart.data.splits import recording, segments
from hipart.data.truth import Truth, truth_of
from hipart.skeleton import JOINTS, LEFT, NUM_JOINTS, NUM_PARTS, PARENTS, RIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float32]

#: The packaged skin points are this subject's.
SURFACE_SUBJECT = SUBJECTS.index("S9")
MOST_ACTIONS = 6
MARGIN_PX = 25
#: Frames whose errors are drawn joint by joint.
MOST_ERRORS = 10_000
#: Percentiles of how far test poses are from training poses.
NEARNESS = {"10th percentile": 10, "median": 50, "90th percentile": 90}
#: An action of fewer poses weighs more in a mean over actions than it tells.
FEW_POSES = 50
LICENCE = (
    "packaged motion: CMU Motion Capture Database (free use) and DeepMimic (MIT); body: MakeHuman "
    "(CC0); see hipart/data/open/ACKNOWLEDGEMENTS.md"
)
OWN = "your own data: their terms are yours to know"


def preview(
    data: DataConfig, detector: DetectorConfig, out: Path, folder: Path | None = None
) -> None:
    """Write a PNG: up to six actions of the test side in camera 0; one row for each level.

    The rows show the 17 joints, exact and detected, then the 48 dense and the 96 fine points over
    points of the skin. Raises ValueError for bad motion, as ``load_corpus`` does.
    """
    if folder is not None and is_prepared(folder):
        _draw(_prepared_poses(data, detector, folder), out, None)
        return
    recorded = read_motion(folder)
    plan, track = make_plan(recorded, data, "test"), lay_out(recorded)
    views = _pick(plan, recorded)
    (exact, dense, fine, _), target = project(plan, track, views)
    shown = Truth(exact, target, np.zeros(len(views), bool), recorded.fps)
    detected, hidden = detect(shown, detector, np.random.default_rng(detector.seed))
    skin = seen(plan, track, views, np.arange(len(views)), surface()).swapaxes(1, 2)
    labels = [recorded.clips[clip].label for clip in views.clip]
    poses = _Poses(
        labels, exact, detected, hidden, dense, fine, CAMERAS.project(skin, views.camera)
    )
    _draw(poses, out, _errors(recorded, plan, track, detector))


def _errors(motion: Motion, plan: Plan, track: Track, detector: DetectorConfig) -> Errors | None:
    """Errors of simulated detections of frames of a side; None where joints are exact."""
    if detector.kind != "simulated":
        return None
    chance = np.random.default_rng(detector.seed)
    views = plan.views(draw(plan, min(len(plan), MOST_ERRORS), chance))
    (exact, *_), target = project(plan, track, views)
    shown = Truth(exact, target, np.zeros(len(views), bool), motion.fps)
    return errors_of(shown, *detect(shown, detector, chance))


class _Poses(NamedTuple):
    """P poses to draw, pixels; ``skin`` (P, S, 2) are points of the body behind them."""

    labels: Sequence[str]
    exact: Floats  # (P, 17, 2)
    detected: Floats  # (P, 17, 2)
    hidden: NDArray[np.bool_]  # (P, 17)
    dense: Floats  # (P, 48, 2)
    fine: Floats  # (P, 96, 2)
    skin: Floats


def _prepared_poses(data: DataConfig, detector: DetectorConfig, folder: Path) -> _Poses:
    """A pose of the first actions of the test side, each the middle one; finest points as skin.

    Of frames with a body. ValueError where none has.
    """
    corpus = load_corpus(data, detector, folder)
    action, fitted = corpus.test.action, corpus.test.fitted
    if not fitted.any():
        raise ValueError(
            f"{folder}: none of the {len(fitted)} test samples has a body to draw; take more of "
            "them with data.test_samples"
        )
    rows = [
        np.flatnonzero(fitted & (action == one)) for one in np.unique(action[fitted])[:MOST_ACTIONS]
    ]
    some = corpus.test.take(np.array([of_action[len(of_action) // 2] for of_action in rows]))
    labels = [corpus.action_names[one] for one in some.action]
    hidden = np.zeros(some.exact_2d.shape[:2], bool)
    flat = (some.exact_2d, some.detected_2d, hidden, some.dense_2d, some.fine_2d, some.finest_2d)
    return _Poses(labels, *flat)


def _draw(poses: _Poses, out: Path, errors: Errors | None) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heights = (8.4, 4.2 if errors else 0)
    width = max(2.6 * len(poses.labels), 13.0 if errors else 0)  # three charts stand below
    figure = Figure(figsize=(width, sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    shown = heights if errors else heights[:1]
    halves = figure.subfigures(len(shown), 1, squeeze=False, height_ratios=shown)[:, 0]
    if errors:
        _draw_errors(halves[1].subplots(1, 3), errors)
    axes = halves[0].subplots(3, len(poses.labels), squeeze=False)
    for column, label in enumerate(poses.labels):
        for axis in axes[:, column]:
            axis.scatter(*poses.skin[column].T, s=2, color="0.8", linewidths=0)
            _frame(axis, poses.skin[column])
        axes[0, column].set_title(label)
        detected, hidden = poses.detected[column], poses.hidden[column]
        _draw_bones(axes[0, column], poses.exact[column], detected, hidden)
        _draw_level(axes[1, column], poses.dense[column])
        _draw_level(axes[2, column], poses.fine[column])
    rows = ("17 joints, detections x", "48 dense", "96 fine")
    for axis, label in zip(axes[:, 0], rows, strict=True):
        axis.set_ylabel(label)
    figure.savefig(out, dpi=110)


def _draw_errors(axes: "Sequence[Axes]", errors: Errors) -> None:
    """Joint by joint, what is simulated (dots) beside what was measured on Human3.6M (bars)."""
    place = np.arange(NUM_JOINTS)
    measured = measured_errors()
    told = ("mean error, px of 256", "spread of errors, px of 256", "outliers, %")
    for axis, title, ours, theirs in zip(axes, told, errors, measured, strict=True):
        wide = ours.reshape(NUM_JOINTS, -1)
        for at, (values, bars) in enumerate(zip(wide.T, theirs.reshape(wide.shape).T, strict=True)):
            side = (at - (wide.shape[1] - 1) / 2) * 0.4
            colour, name = ("tab:blue", "tab:green")[at], ("x", "y")[at] if len(wide.T) > 1 else ""
            axis.barh(place + side, bars, 0.36, color=colour, alpha=0.4, label=f"measured {name}")
            axis.plot(values, place + side, "o", color=colour, markersize=3, label=f"drawn {name}")
        axis.set_yticks(place, JOINTS, fontsize=7)
        axis.invert_yaxis()
        axis.set_title(title, fontsize=9)
        axis.tick_params(axis="x", labelsize=7)
        axis.legend(fontsize=6)


def info(
    corpus: Corpus, data: DataConfig, detector: DetectorConfig, folder: Path | None = None
) -> dict[str, Any]:
    """Counts of the corpus that these settings describe: plain numbers and texts, for JSON."""
    samples: dict[str, Samples] = {side: corpus.side(side) for side in sides(data)}
    error = {n: np.linalg.norm(s.detected_2d - s.exact_2d, axis=2) for n, s in samples.items()}
    told = {
        "description": corpus.description,
        "fingerprint": corpus.fingerprint,
        "clips": len(corpus.clip_names),
        "samples": {side: len(s) for side, s in samples.items()},
        "samples_by_action": _count(samples, "action", corpus.action_names),
        "samples_by_subject": _count(samples, "subject", corpus.subject_names),
        "detection_error_px": {side: round(float(e.mean()), 2) for side, e in error.items()},
    }
    distance = nearest_training_mm(corpus.train, corpus.test)
    told["test_to_nearest_training_mm"] = {
        name: round(float(np.percentile(distance, at)), 1) for name, at in NEARNESS.items()
    }
    if folder is not None and is_prepared(folder):
        bodies = {side: int(s.fitted.sum()) for side, s in samples.items()}
        beside = {"samples_with_a_body": bodies} if corpus.partly_fitted else {}
        return told | beside | {"damaged": sorted(corpus.damaged), "licence": OWN}
    recorded = read_motion(folder)
    shown = truth_of(corpus.test, corpus.fps["test"])
    _, hidden = detect(shown, detector, np.random.default_rng([detector.seed, 1]))
    frames: Counter[str] = Counter(dict.fromkeys(samples, 0))
    by_clip: dict[str, Counter[str]] = {clip.name: Counter() for clip in recorded.clips}
    by_action: Counter[str] = Counter()
    hold_out = data.validation_samples > 0
    for segment in segments(recorded.clips, recorded.fps, hold_out, recorded.split):
        clip, poses = recorded.clips[segment.clip], segment.stop - segment.start
        frames[segment.side] += poses
        by_clip[clip.name][segment.side] += poses
        if segment.side == "test":
            by_action[clip.label] += poses
    return told | {
        "recordings": len({recording(clip) for clip in recorded.clips}),
        "poses": sum(len(clip) for clip in recorded.clips),
        "poses_by_side": dict(frames),
        "poses_by_clip": {name: dict(poses) for name, poses in by_clip.items()},
        "actions_of_few_test_poses": {
            label: poses for label, poses in by_action.items() if poses < FEW_POSES
        },
        "occluded_share": round(float(hidden.any(axis=1).mean()), 4),
        "licence": LICENCE if folder is None else OWN,
    }


def _count(sides: dict[str, Any], field: str, names: tuple[str, ...]) -> dict[str, dict[str, int]]:
    counts = {
        side: np.bincount(getattr(s, field), minlength=len(names)) for side, s in sides.items()
    }
    return {
        name: {side: int(count[index]) for side, count in counts.items()}
        for index, name in enumerate(names)
    }


def _pick(plan: Plan, motion: Motion) -> Views:
    """The middle sample of each action, of the subject whose skin is known, in camera 0."""
    views = plan.views(np.arange(len(plan)))
    labels = np.array([clip.label for clip in motion.clips])[views.clip]
    usable = (views.subject == SURFACE_SUBJECT) & (views.camera == 0)
    rows = []
    for label in dict.fromkeys(labels[usable].tolist()):
        of_label = np.flatnonzero(usable & (labels == label))
        rows.append(of_label[len(of_label) // 2])
    if not rows:
        raise ValueError(
            f"nothing to show: no test clip is performed by {SUBJECTS[SURFACE_SUBJECT]}; "
            "raise data.placements or give more motion"
        )
    spread = np.linspace(0, len(rows) - 1, min(MOST_ACTIONS, len(rows))).round().astype(int)
    return plan.views(np.array(rows)[spread])


def _frame(axis: "Axes", points: Floats) -> None:
    """A square window around the person, y downward as in an image."""
    low, high = points.min(axis=0), points.max(axis=0)
    middle, half = (low + high) / 2, (high - low).max() / 2 + MARGIN_PX
    axis.set_xlim(middle[0] - half, middle[0] + half)
    axis.set_ylim(middle[1] + half, middle[1] - half)
    axis.set_aspect("equal")
    axis.set_xticks([])
    axis.set_yticks([])


def _draw_bones(axis: "Axes", exact: Floats, detected: Floats, hidden: NDArray[np.bool_]) -> None:
    for joint, parent in enumerate(PARENTS):
        color = "tab:blue" if joint in LEFT else "tab:red" if joint in RIGHT else "0.2"
        if parent >= 0:
            axis.plot(*exact[[parent, joint]].T, color=color, linewidth=1.6)
        axis.plot(*np.stack([exact[joint], detected[joint]]).T, color="0.5", linewidth=0.6)
        marker = "darkorange" if hidden[joint] else "k"
        axis.plot(*detected[joint], "x", color=marker, markersize=4, markeredgewidth=1)


def _draw_level(axis: "Axes", points: Floats) -> None:
    """Points in the colours of their body parts."""
    part = np.arange(len(points)) // (len(points) // NUM_PARTS)
    axis.scatter(
        points[:, 0], points[:, 1], c=part, cmap="tab20", vmin=0, vmax=19, s=14, linewidths=0
    )
