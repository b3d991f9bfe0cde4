"""The open corpus from end to end: shapes, determinism, fingerprint, speed."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hipart.config import DataConfig, DetectorConfig
from hipart.data import corpus as module
from hipart.data.body import bodies, mirror
from hipart.data.cameras import IMAGE_SIZE
from hipart.data.corpus import Corpus, check_corpus, fingerprint, load_corpus
from hipart.data.motion import OPEN, read_motion
from hipart.data.nearness import facing, nearest_training_mm
from hipart.data.open_corpus import CAMERAS, lay_out, project
from hipart.data.plan import draw, make_plan
from hipart.data.preview import info, preview
from hipart.data.samples import Samples
from hipart.data.splits import Side
from hipart.skeleton import NUM_DENSE, NUM_FINE, NUM_FINEST, NUM_JOINTS
from tests.timing import processor_time

SMALL = DataConfig(train_samples=600, test_samples=300)
HELD = SMALL.model_copy(update={"validation_samples": 200})
#: Which samples are drawn of the smoke scale's sides, and means over their pixels.
DRAWN = {
    "train": ("94545006aeb2d7e1", (496.8895, 507.2369)),
    "test": ("92979aef7c8cc847", (501.0921, 512.0769)),
}


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load_corpus(SMALL, DetectorConfig())


@pytest.fixture(scope="module")
def held() -> Corpus:
    return load_corpus(HELD, DetectorConfig())


def folder_with(path: Path, seed: int = 0, frames: int = 120) -> Path:
    """A motion folder of two noisy standing clips."""
    about = json.loads((OPEN / "motion.json").read_text())
    names = ("alpha", "beta")
    about["clips"] = {n: {"label": n, "cmu_subject": None, "frames": frames} for n in names}
    rng = np.random.default_rng(seed)
    arrays = {}
    for name in names:
        arrays[f"{name}/root"] = rng.normal(0, 0.1, (frames, 3)).astype(np.float32)
        arrays[f"{name}/rot"] = rng.normal(0, 0.1, (frames, 25, 3)).astype(np.float16)
    path.mkdir()
    (path / "clips.json").write_text(json.dumps(about))
    np.savez(path / "clips.npz", **arrays)
    return path


def arrays_of(samples: Samples) -> dict[str, np.ndarray]:
    return {name: getattr(samples, name) for name in samples.__dataclass_fields__}


def test_shapes_types_and_tables(corpus: Corpus) -> None:
    assert (len(corpus.train), len(corpus.test)) == (600, 300)
    for samples in (corpus.train, corpus.test):
        count = len(samples)
        shapes = {
            "detected_2d": (count, NUM_JOINTS, 2),
            "exact_2d": (count, NUM_JOINTS, 2),
            "dense_2d": (count, NUM_DENSE, 2),
            "fine_2d": (count, NUM_FINE, 2),
            "finest_2d": (count, NUM_FINEST, 2),
            "target_3d": (count, NUM_JOINTS, 3),
        }
        for name, array in arrays_of(samples).items():
            assert array.shape == shapes.get(name, (count,))
            assert array.dtype == (np.float32 if name in shapes else np.int32)
            assert np.isfinite(array).all()
        assert samples.action.max() < len(corpus.action_names)
        assert samples.clip.max() < len(corpus.clip_names)
        assert set(samples.camera) == {0, 1, 2, 3}
    assert corpus.image_size == IMAGE_SIZE


def test_subjects_are_those_of_the_benchmark(corpus: Corpus) -> None:
    def names(samples: Samples) -> set[str]:
        return {corpus.subject_names[index] for index in samples.subject}

    assert names(corpus.train) == {"S1", "S5", "S6", "S7", "S8"}
    assert names(corpus.test) == {"S9", "S11"}


def test_targets_are_root_relative_people_in_millimetres(corpus: Corpus) -> None:
    target = corpus.train.target_3d
    assert not target[:, 0].any()
    thigh = np.linalg.norm(target[:, 2] - target[:, 1], axis=1)
    assert np.all((thigh > 300) & (thigh < 500))
    for index in np.unique(corpus.train.subject):
        of_subject = thigh[corpus.train.subject == index]
        assert np.ptp(of_subject) < 0.5, "one subject, one thigh"


def test_the_target_projects_to_the_exact_pixels(corpus: Corpus) -> None:
    """With the depth and place of the root solved for, every joint must fall on its pixel."""
    samples = corpus.test
    for row in range(0, len(samples), 29):
        camera = samples.camera[row]
        screen = (samples.exact_2d[row] - CAMERAS.centre[camera]) / CAMERAS.focal[camera]
        joints = samples.target_3d[row].astype(float) / 1000
        zero = np.zeros(NUM_JOINTS)
        left = np.concatenate(
            [
                np.stack([zero + 1, zero, -screen[:, 0]], axis=1),
                np.stack([zero, zero + 1, -screen[:, 1]], axis=1),
            ]
        )
        right = np.concatenate([screen[:, i] * joints[:, 2] - joints[:, i] for i in (0, 1)])
        root, *_ = np.linalg.lstsq(left, right, rcond=None)
        points = (joints + root).astype(np.float32)[None]
        pixels = CAMERAS.project(points, np.array([camera]))[0]
        assert np.abs(pixels - samples.exact_2d[row]).max() < 0.1
        assert 3.5 < root[2] < 7.5


def test_everyone_is_in_the_picture_and_upright(corpus: Corpus) -> None:
    width, height = IMAGE_SIZE
    inside = (corpus.train.fine_2d >= 0) & (corpus.train.fine_2d < [width, height])
    assert inside.mean() > 0.999
    whole = load_corpus(DataConfig(), DetectorConfig(kind="exact")).train
    walk = whole.take(whole.action == corpus.action_names.index("walk"))
    assert np.all(walk.exact_2d[:, 10, 1] < walk.exact_2d[:, 0, 1]), "head above hip"
    assert np.all(walk.exact_2d[:, 0, 1] < walk.exact_2d[:, [3, 6], 1].max(axis=1))


def test_feet_stand_on_the_floor() -> None:
    motion = read_motion()
    track = lay_out(motion)
    feet = bodies()["reference"].levels[[3, 6]]
    for index, start in enumerate(track.first):
        stop = start + len(motion.clips[index])
        flat = feet.reshape(2, -1).T
        ankle = (track.rotations[start:stop] @ flat)[:, 1] + track.root[start:stop, 1, None]
        low = np.percentile(ankle.min(axis=1), 5)
        assert -0.02 < low < 0.20, motion.clips[index].name


def test_the_detector_leaves_the_exact_arrays_alone(corpus: Corpus) -> None:
    other = load_corpus(SMALL, DetectorConfig(noise_px=50, seed=7))
    exact = load_corpus(SMALL, DetectorConfig(kind="exact"))
    for side in ("train", "test"):
        one, two, three = (arrays_of(getattr(c, side)) for c in (corpus, other, exact))
        for name in set(one) - {"detected_2d"}:
            assert np.array_equal(one[name], two[name])
            assert np.array_equal(one[name], three[name])
        assert not np.array_equal(one["detected_2d"], two["detected_2d"])
        assert np.array_equal(three["detected_2d"], three["exact_2d"])


def test_the_same_settings_give_the_same_samples(corpus: Corpus) -> None:
    again = load_corpus(SMALL, DetectorConfig())
    other = load_corpus(SMALL.model_copy(update={"seed": 1}), DetectorConfig())
    digests = []
    for found in (corpus, again, other):
        digest = hashlib.sha256()
        for side in (found.train, found.test):
            for array in arrays_of(side).values():
                digest.update(array.tobytes())
        digests.append(digest.hexdigest())
    assert digests[0] == digests[1] != digests[2]


def test_a_subset_is_the_same_samples_as_in_the_whole(corpus: Corpus) -> None:
    whole = load_corpus(DataConfig(), DetectorConfig(kind="exact")).test
    plan = make_plan(read_motion(), SMALL, "test")
    same = whole.take(draw(plan, 300, np.random.default_rng([SMALL.seed, 1])))
    for name in ("clip", "frame", "camera", "subject", "action"):
        assert np.array_equal(getattr(same, name), getattr(corpus.test, name))
    assert np.allclose(same.fine_2d, corpus.test.fine_2d, atol=0.01)
    assert np.allclose(same.target_3d, corpus.test.target_3d, atol=0.01)


def test_take_selects_rows(corpus: Corpus) -> None:
    mask = corpus.test.camera == 2
    assert len(corpus.test.take(mask)) == mask.sum()
    assert np.array_equal(corpus.test.take(slice(3, 5)).frame, corpus.test.frame[3:5])


def test_asking_for_more_than_exist_says_how_many_there_are() -> None:
    with pytest.raises(ValueError, match=r"train_samples.*9000000.*26240"):
        load_corpus(DataConfig(train_samples=9_000_000), DetectorConfig())


def test_a_motion_folder_is_a_corpus(tmp_path: Path) -> None:
    found = load_corpus(DataConfig(placements=1), DetectorConfig(), folder_with(tmp_path / "m"))
    assert found.clip_names == found.action_names == ("alpha", "beta")
    assert (len(found.train), len(found.test)) == (60 * 2 * 4, 30 * 2 * 4)
    assert str(tmp_path) not in found.description


def test_a_folder_without_a_test_side_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"test_samples.*of 0"):
        load_corpus(DataConfig(), DetectorConfig(), folder_with(tmp_path / "m", frames=20))


def test_the_fingerprint_follows_the_content_alone(tmp_path: Path) -> None:
    one, same, other = (
        fingerprint(DataConfig(), folder_with(tmp_path / name, seed))
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert one == same != other
    assert fingerprint(DataConfig(seed=3, placements=1, train_samples=5)) == fingerprint(SMALL)
    assert len(one) == 16
    int(one, 16)


def test_the_fingerprint_follows_the_body(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(SMALL)
    (tmp_path / "body.npz").write_bytes(b"another body")
    monkeypatch.setattr(module, "BODY_FILE", tmp_path / "body.npz")
    assert fingerprint(SMALL) != before


def test_the_fingerprint_of_a_missing_folder_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"clips\.npz: cannot be read"):
        fingerprint(SMALL, tmp_path)


def test_the_fingerprint_is_quick_and_needs_no_torch() -> None:
    with processor_time() as took:
        fingerprint(SMALL)
    assert took.seconds < 0.05
    code = "import sys, hipart.data.corpus; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_generation_is_fast() -> None:
    load_corpus(SMALL, DetectorConfig())
    with processor_time() as took:
        found = load_corpus(DataConfig(), DetectorConfig())
    assert (len(found.train) + len(found.test)) / took.seconds > 10_000


def test_the_description_says_that_detections_are_simulated(corpus: Corpus) -> None:
    assert "SIMULATED" in corpus.description
    assert "17 clips" in corpus.description
    assert "\n" not in corpus.description


@pytest.mark.parametrize("side", ["train", "test"])
def test_samples_are_those_that_they_always_were(side: Side) -> None:
    """Integers exactly; floating point up to what another machine rounds."""
    made = load_corpus(DataConfig(train_samples=256, test_samples=128), DetectorConfig())
    digest = hashlib.sha256()
    for array in arrays_of(made.side(side)).values():
        if array.dtype == np.int32:
            digest.update(array.astype("<i4").tobytes())
    drawn, means = DRAWN[side]
    assert digest.hexdigest()[:16] == drawn
    found = [
        getattr(made.side(side), name).mean(dtype=float) for name in ("detected_2d", "fine_2d")
    ]
    assert found == pytest.approx(means, abs=1e-3)


@pytest.mark.parametrize("sampling", ["frames", "sequences"])
def test_holding_out_leaves_the_test_samples_bit_for_bit(sampling: str) -> None:
    plain, held = (
        load_corpus(data.model_copy(update={"sampling": sampling}), DetectorConfig())
        for data in (SMALL, HELD)
    )
    before, after = arrays_of(plain.test), arrays_of(held.test)
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)
    assert plain.validation is None
    assert held.validation is not None and len(held.validation) == 200


def test_what_is_held_out_is_samples_like_any_other(held: Corpus) -> None:
    samples = held.side("validation")
    assert {held.subject_names[index] for index in samples.subject} == {"S8"}
    assert "S8" not in {held.subject_names[index] for index in held.train.subject}
    error = np.linalg.norm(samples.detected_2d - samples.exact_2d, axis=2)
    assert 3 < np.median(error) < 12
    assert all(np.isfinite(array).all() for array in arrays_of(samples).values())
    assert len(np.unique(samples.action)) == 3


def test_how_many_are_held_out_changes_neither_training_nor_those_drawn(held: Corpus) -> None:
    fewer = load_corpus(HELD.model_copy(update={"validation_samples": 50}), DetectorConfig())
    one, other = arrays_of(held.train), arrays_of(fewer.train)
    assert all(np.array_equal(one[name], other[name]) for name in one)
    few, many = fewer.side("validation"), held.side("validation")
    rows = [list(zip(s.clip, s.frame, s.sequence, strict=True)) for s in (few, many)]
    assert set(rows[0]) <= set(rows[1])


def test_more_held_out_than_there_is_says_how_many_there_are(tmp_path: Path) -> None:
    data = DataConfig(validation_samples=9_000_000)
    for ask in (
        lambda: load_corpus(data, DetectorConfig()),
        lambda: check_corpus(data, DetectorConfig()),
    ):
        with pytest.raises(
            ValueError, match=r"validation_samples asks for 9000000 .* of 6416 that"
        ):
            ask()
    with pytest.raises(ValueError, match=r"validation_samples.*of 0 that"):
        check_corpus(
            DataConfig(validation_samples=4),
            DetectorConfig(),
            folder_with(tmp_path / "m", frames=80),
        )


def test_validation_samples_need_something_held_out(corpus: Corpus) -> None:
    with pytest.raises(ValueError, match=r"set data\.validation_samples"):
        corpus.side("validation")


def test_what_is_held_out_is_said(corpus: Corpus, held: Corpus) -> None:
    assert "validation" not in corpus.description
    assert "200 validation samples of S8 held out of training" in held.description
    found = info(held, HELD, DetectorConfig())
    assert found["samples"] == {"train": 600, "test": 300, "validation": 200}
    assert found["poses_by_side"] == {"train": 1179, "test": 766, "validation": 401}
    assert found["samples_by_subject"]["S8"] == {"train": 0, "test": 0, "validation": 200}


def test_info_counts_what_is_there(corpus: Corpus) -> None:
    found = info(corpus, SMALL, DetectorConfig())
    assert found["samples"] == {"train": 600, "test": 300}
    assert sum(row["train"] for row in found["samples_by_action"].values()) == 600
    assert sum(row["test"] for row in found["samples_by_subject"].values()) == 300
    assert found["occluded_share"] == pytest.approx(0.3, abs=0.1)
    json.dumps(found)


def test_info_says_where_test_poses_come_from_and_how_near_they_are(
    held: Corpus, tmp_path: Path
) -> None:
    found = info(held, HELD, DetectorConfig())
    clips = found["poses_by_clip"]
    assert clips["cmu_001_03"] == {"train": 468, "validation": 234, "test": 366}
    assert clips["deepmimic_walk"] == {"train": 38}
    assert found["actions_of_few_test_poses"]["kick"] == 5
    assert "jump" not in found["actions_of_few_test_poses"]
    near = found["test_to_nearest_training_mm"]
    assert 0 < near["10th percentile"] < near["median"] < near["90th percentile"]


def test_nearness_is_that_of_the_pose_not_of_the_way_it_faces(corpus: Corpus) -> None:
    train, test = corpus.train, corpus.test.take(slice(0, 50))
    turn = np.radians(70)
    about_y = np.array(
        [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]], np.float32
    )
    turned = replace(test, target_3d=test.target_3d @ about_y.T)
    assert np.allclose(
        nearest_training_mm(train, test), nearest_training_mm(train, turned), atol=0.1
    )
    assert nearest_training_mm(train, train).max() < 1
    away = replace(test, target_3d=test.target_3d + np.array([0, 30, 0], np.float32))
    poses, moved = facing(train.target_3d), facing(away.target_3d)
    direct = [
        np.sqrt(((poses - pose) ** 2).sum(axis=2).mean(axis=1)).min()
        for pose in moved.astype(float)
    ]
    assert np.allclose(nearest_training_mm(train, away), direct, atol=0.1)


MIRRORED = SMALL.model_copy(update={"mirrored": True})


def test_mirror_images_train_beside_what_they_mirror(corpus: Corpus) -> None:
    both = load_corpus(MIRRORED, DetectorConfig())
    assert "mirror images" in both.description
    assert np.array_equal(both.test.fine_2d, corpus.test.fine_2d), "nothing else changes"
    motion = read_motion(None)
    plan, plain = make_plan(motion, MIRRORED, "train"), make_plan(motion, SMALL, "train")
    assert len(plan) == 2 * len(plain)
    assert np.array_equal(plan.yaw[:, : SMALL.placements], plain.yaw)
    assert len(make_plan(motion, MIRRORED, "test")) == len(make_plan(motion, SMALL, "test"))
    assert both.train.sequence.max() > len(plain.frames) * SMALL.placements * len(CAMERAS)


def test_a_mirror_image_is_that_of_the_whole_body() -> None:
    plan, track = make_plan(motion := read_motion(None), MIRRORED, "train"), lay_out(motion)
    views = plan.views(np.arange(0, len(plan), 997))
    assert 0.3 < views.mirrored.mean() < 0.7
    seen, target = project(plan, track, views)
    plain, straight = project(plan, track, replace(views, mirrored=np.zeros_like(views.mirrored)))
    ends = 2 * CAMERAS.centre[views.camera, 0]
    for points, original in zip(seen, plain, strict=True):
        order = mirror(points.shape[1])
        expected = original[:, order] * [-1, 1] + np.stack([ends, 0 * ends], 1)[:, None]
        assert np.allclose(points[views.mirrored], expected[views.mirrored], atol=1e-3)
        assert np.array_equal(points[~views.mirrored], original[~views.mirrored])
    # A camera that is mirrored with the world sees the mirrored person where the picture says.
    joints = straight[:, mirror(NUM_JOINTS)] * [-1, 1, 1]
    assert np.allclose(target[views.mirrored], joints[views.mirrored], atol=1e-2)
    left, right = (target[:, hip, 0] for hip in (4, 1))
    assert (np.sign(left - right) == np.sign(seen[0][:, 4, 0] - seen[0][:, 1, 0]))[
        np.abs(left - right) > 60
    ].all()


def test_a_preview_is_a_picture(tmp_path: Path) -> None:
    preview(SMALL, DetectorConfig(), tmp_path / "preview.png")
    assert (tmp_path / "preview.png").read_bytes().startswith(b"\x89PNG")
