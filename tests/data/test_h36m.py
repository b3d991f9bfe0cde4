"""Human3.6M from files of its exact form: what is read, what is refused, what comes out."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hipart.config import DataConfig, DetectorConfig
from hipart.data.corpus import check_corpus, corpus_name, fingerprint, load_corpus
from hipart.data.h36m import source as module
from hipart.data.h36m.annotations import read_annotations
from hipart.data.h36m.archives import read_poses_2d, read_poses_3d
from hipart.data.h36m.cameras import cameras_of
from hipart.data.h36m.files import find
from hipart.data.h36m.mirror import OTHER
from hipart.data.h36m.mirror import mirrored as mirrored_body
from hipart.data.h36m.source import H36mSource
from hipart.data.h36m.views import IMAGE_SIZE
from hipart.data.pickles import read_npz
from hipart.data.prepare import prepare
from hipart.data.prepared import read_about
from hipart.data.smpl import SmplModel, read_smpl
from hipart.flip import flip
from hipart.skeleton import JOINTS
from tests.data import h36m_miniature
from tests.data.h36m_miniature import FRAMES, WITH_BODY, Miniature
from tests.data.smpl_miniature import BONES, PARENTS

SUBJECTS = ("S1", "S8", "S9", "S11")
ANNOTATIONS = "data/Human36M/annotations"
GIVEN = DetectorConfig(kind="given")
DATA = DataConfig(corpus="h36m")


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    return h36m_miniature.write(tmp_path_factory.mktemp("h36m"), SUBJECTS)


@pytest.fixture(scope="module")
def corpus(mini: Miniature, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "h36m"
    prepare(opened(mini), folder)
    return folder


def opened(mini: Miniature, root: Path | None = None, detections: str = "cpn") -> H36mSource:
    return H36mSource(find(root or mini.root, mini.smpl, detections), detections)


def changed(mini: Miniature, folder: Path, name: str, change: Callable[[Any], Any]) -> Path:
    """A copy of the files in which one .npz holds something else."""
    root = folder / "changed"
    shutil.copytree(mini.root, root)
    path = next(root.rglob(name))
    with np.load(path, allow_pickle=True) as held:
        arrays = {key: held[key] for key in held}
    key = next(key for key in arrays if key.startswith("positions"))
    table = change(arrays[key].item())
    np.savez(path, **(arrays | {key: np.array(table, object)}))
    return root


def test_the_corpus_is_what_the_files_say(mini: Miniature, corpus: Path) -> None:
    assert corpus_name(corpus) == "h36m"
    loaded = load_corpus(DATA, GIVEN, corpus)
    views = 2 * len(h36m_miniature.NUMBERED) * 4
    assert len(loaded.train) == views * len(WITH_BODY) and len(loaded.test) == views * FRAMES
    assert loaded.image_size == IMAGE_SIZE and loaded.fps["test"] == 50
    assert loaded.damaged == {"S9 Greeting", "S9 SittingDown 1", "S9 Waiting 1"}
    assert loaded.fingerprint == fingerprint(DATA, corpus)
    names = {loaded.clip_names[clip] for clip in loaded.test.clip}
    assert "S11 SittingDown 1" in names and "S11 Sitting 1" in names
    actions = {
        loaded.clip_names[clip]: loaded.action_names[action]
        for clip, action in zip(loaded.test.clip, loaded.test.action, strict=True)
    }
    assert actions["S11 SittingDown 1"] == "SittingDown" and actions["S11 Sitting 1"] == "Sitting"
    assert set(loaded.train.frame) == set(WITH_BODY), "frames that have a body"
    assert set(loaded.test.frame) == set(range(FRAMES)), "all of them"


def test_test_frames_without_a_body_have_no_dense_points(corpus: Path) -> None:
    loaded = load_corpus(DATA, GIVEN, corpus)
    test = loaded.test
    assert loaded.partly_fitted and loaded.train.fitted.all()
    np.testing.assert_array_equal(test.fitted, np.isin(test.frame, WITH_BODY))
    for level in (test.dense_2d, test.fine_2d, test.finest_2d):
        assert np.isfinite(level[test.fitted]).all() and np.isnan(level[~test.fitted]).all()
    for known in (test.detected_2d, test.exact_2d, test.target_3d):
        assert np.isfinite(known).all()
    about = read_about(corpus)
    frames = 2 * len(h36m_miniature.NUMBERED) * (FRAMES - len(WITH_BODY))
    assert about["without_body"] == {"no body": frames}
    assert f"{frames} of them without a body" in loaded.description


def test_sequences_end_at_every_gap(corpus: Path) -> None:
    loaded = load_corpus(DATA, GIVEN, corpus)
    for side, lengths in ((loaded.train, [1, 1, 2]), (loaded.test, [FRAMES])):
        found = []
        for number in np.unique(side.sequence):
            rows = np.flatnonzero(side.sequence == number)
            assert (np.diff(rows) == 1).all(), "together"
            assert (np.diff(side.frame[rows]) == 1).all(), "in order, without a gap"
            assert len(np.unique(side.clip[rows])) == len(np.unique(side.camera[rows])) == 1
            found.append(len(rows))
        assert sorted(found) == sorted(lengths * (len(side) // sum(lengths)))


def test_a_test_subject_needs_no_annotations(mini: Miniature, tmp_path: Path) -> None:
    root = tmp_path / "some"
    shutil.copytree(mini.root, root)
    for path in (root / ANNOTATIONS).glob("Human36M_subject11_*.json"):
        path.unlink()
    source = opened(mini, root)
    pieces = {piece.name: piece for piece in source.pieces}
    samples = source.samples(pieces["S11 Sitting 1"])
    assert len(samples) == 4 * FRAMES and not samples.fitted.any()
    assert np.isfinite(samples.target_3d).all()


def test_test_frames_without_detections_are_counted(mini: Miniature, tmp_path: Path) -> None:
    def fewer(table: Any) -> Any:
        del table["S9"]["Greeting"]
        return table

    source = opened(mini, changed(mini, tmp_path, "data_2d_h36m_cpn_ft_h36m_dbb.npz", fewer))
    assert source.left_out["no detections"] == FRAMES
    assert "S9 Greeting" not in {piece.name for piece in source.pieces}


def test_nothing_to_train_on_is_said(mini: Miniature, tmp_path: Path) -> None:
    def only_test(table: Any) -> Any:
        return {subject: one for subject, one in table.items() if subject in ("S9", "S11")}

    root = changed(mini, tmp_path, "data_2d_h36m_cpn_ft_h36m_dbb.npz", only_test)
    with pytest.raises(ValueError, match="nothing to train on: no frame of a training subject"):
        opened(mini, root)


def test_what_an_earlier_recipe_made_is_not_tested_on(corpus: Path, tmp_path: Path) -> None:
    older = tmp_path / "older"
    shutil.copytree(corpus, older)
    about = json.loads((older / "corpus.json").read_text())
    del about["origin"]["recipe"]
    (older / "corpus.json").write_text(json.dumps(about))
    for check in (check_corpus, load_corpus):
        with pytest.raises(ValueError, match="prepared by recipe 1 of h36m, .* prepare it again"):
            check(DATA, GIVEN, older)


def test_training_without_dense_points_is_refused(corpus: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(corpus, broken)
    np.load(broken / "train" / "dense_2d.npy", mmap_mode="r+")[3] = np.nan
    with pytest.raises(ValueError, match="1 of 160 train samples have no dense points"):
        load_corpus(DATA, GIVEN, broken)


def test_single_frames_are_no_films(corpus: Path, tmp_path: Path) -> None:
    """Where bodies are of every fifth frame, a window would show one frame over and over."""
    whole = DATA.model_copy(update={"sampling": "sequences"})
    check_corpus(whole, GIVEN, corpus, temporal=True)
    alone = tmp_path / "alone"
    shutil.copytree(corpus, alone)
    numbers = np.load(alone / "train" / "sequence.npy", mmap_mode="r+")
    numbers[:] = np.arange(len(numbers))
    check_corpus(whole, GIVEN, alone)
    with pytest.raises(ValueError, match="no two of its 160 training frames follow one another"):
        check_corpus(whole, GIVEN, alone, temporal=True)


def test_projection_equals_the_written_2d(mini: Miniature, corpus: Path) -> None:
    """Within 0.01 px with the lens; without it, wrong by what the lens bends."""
    exact = read_poses_2d(next(mini.root.rglob("data_2d_h36m_gt.npz")))
    world = read_poses_3d(next(mini.root.rglob("data_3d_h36m.npz")))
    bent = []
    for (subject, name), views in exact.items():
        for camera, written in zip(cameras_of(subject), views, strict=True):
            here = camera.see(world[subject, name])
            assert np.abs(camera.project(here) - written).max() < 0.01
            bent.append(np.abs(camera.project(here, lens=False) - written).max())
    assert max(bent) > 1
    loaded = load_corpus(DATA, GIVEN, corpus)
    rows = loaded.test
    for row in range(0, len(rows), 7):
        subject, name = loaded.clip_names[rows.clip[row]].split(" ", 1)
        camera = cameras_of(subject)[rows.camera[row]]
        down = [0, (IMAGE_SIZE[1] - camera.size[1]) / 2]
        written = exact[subject, name][rows.camera[row]][rows.frame[row]]
        np.testing.assert_allclose(rows.exact_2d[row], written + down, atol=0.01)


def test_a_camera_of_a_thousand_rows_is_normalised_as_alone() -> None:
    sizes = {camera.size for camera in cameras_of("S1")}
    assert sizes == {(1000, 1000), (1000, 1002)}
    y, down = 321.0, (IMAGE_SIZE[1] - 1000) / 2
    assert (y + down) / 1000 * 2 - IMAGE_SIZE[1] / 1000 == pytest.approx(y / 1000 * 2 - 1)


def test_dense_points_lie_on_the_body_that_the_joints_are_of(corpus: Path) -> None:
    rows = load_corpus(DATA, GIVEN, corpus).test
    rows = rows.take(rows.fitted)
    for level, count in (("dense_2d", 48), ("fine_2d", 96), ("finest_2d", 192)):
        points = getattr(rows, level)
        assert points.shape == (len(rows), count, 2)
        apart = np.abs(points.mean(axis=1) - rows.exact_2d.mean(axis=1)).max()
        assert apart < 60, "pixels between the middles"
    np.testing.assert_allclose(
        rows.dense_2d[:, 0], rows.finest_2d[:, :4].mean(axis=1), atol=25
    )  # not equal: a mean of projections, and of unequal clusters
    bone = rows.target_3d[:, JOINTS.index("RKnee")] - rows.target_3d[:, JOINTS.index("RHip")]
    assert (np.linalg.norm(bone, axis=1) > 200).all()
    assert (np.linalg.norm(bone, axis=1) < 500).all(), "millimetres"
    assert (rows.target_3d[:, 0] == 0).all()


def test_what_is_drawn(corpus: Path) -> None:
    every = load_corpus(DATA.model_copy(update={"test_every": 4}), GIVEN, corpus)
    assert set(every.test.frame) == set(range(0, FRAMES, 4))
    some = DATA.model_copy(update={"train_samples": 20, "test_samples": 10})
    drawn, more = (
        load_corpus(some.model_copy(update={"train_samples": count}), GIVEN, corpus)
        for count in (20, 30)
    )
    rows = [list(map(tuple, one.train.exact_2d[:, 0])) for one in (drawn, more)]
    assert len(rows[0]) == 20 and set(rows[0]) < set(rows[1])
    whole = some.model_copy(update={"sampling": "sequences"})
    sequences = load_corpus(whole, GIVEN, corpus).train.sequence
    every, lengths = np.unique(load_corpus(DATA, GIVEN, corpus).train.sequence, return_counts=True)
    names, found = np.unique(sequences, return_counts=True)
    shorter = found < lengths[np.searchsorted(every, names)]
    assert shorter.sum() <= 1 and (np.diff(sequences) >= 0).all(), "whole, but for the last drawn"
    held = load_corpus(DATA.model_copy(update={"validation_samples": 8}), GIVEN, corpus)
    assert held.validation is not None
    assert {held.subject_names[s] for s in held.validation.subject} == {"S8"}
    assert {held.subject_names[s] for s in held.train.subject} == {"S1"}
    exact = load_corpus(DATA, DetectorConfig(kind="exact"), corpus).test
    assert (exact.detected_2d == exact.exact_2d).all()
    noisy = load_corpus(DATA, DetectorConfig(), corpus)
    assert "SIMULATED" in noisy.description
    assert 2 < np.abs(noisy.test.detected_2d - noisy.test.exact_2d).mean() < 20


def test_what_is_asked_for_in_vain(corpus: Path, tmp_path: Path) -> None:
    for data, detector, folder, why in (
        (
            DATA.model_copy(update={"train_samples": 10**6}),
            GIVEN,
            corpus,
            "asks for 1000000 samples of 160",
        ),
        (DataConfig(), GIVEN, corpus, "leave data.corpus out"),
        (DATA, GIVEN, None, "--data"),
        (DataConfig(), GIVEN, None, "given"),
        (DataConfig(test_every=5), DetectorConfig(), None, "test_every"),
    ):
        with pytest.raises(ValueError, match=why):
            check_corpus(data, detector, folder)
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "plan.json").write_text("{}")
    with pytest.raises(ValueError, match="interrupted"):
        load_corpus(DATA, GIVEN, begun)
    broken = tmp_path / "broken"
    shutil.copytree(corpus, broken)
    (broken / "test" / "dense_2d.npy").write_bytes(b"no array")
    with pytest.raises(ValueError, match=r"dense_2d\.npy: cannot be read"):
        load_corpus(DATA, GIVEN, broken)


def test_it_goes_on_where_it_was_stopped(
    mini: Miniature, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, made = tmp_path / "h36m", []
    real = H36mSource.samples

    def samples(self: H36mSource, piece: Any) -> Any:
        made.append(piece.name)
        if len(made) == 7:
            raise KeyboardInterrupt
        return real(self, piece)

    monkeypatch.setattr(H36mSource, "samples", samples)
    with pytest.raises(KeyboardInterrupt):
        prepare(opened(mini), folder)
    prepare(opened(mini), folder)
    assert len(made) == 1 + len(SUBJECTS) * len(h36m_miniature.NUMBERED), "the others once"
    assert fingerprint(DATA, folder) == fingerprint(DATA, corpus)
    before = len(made)
    prepare(opened(mini), folder)
    assert len(made) == before, "a whole corpus is left as it is"


def test_another_layout_of_numbers_is_the_same(mini: Miniature, tmp_path: Path) -> None:
    def other(table: Any) -> Any:
        return {
            subject: {
                name: [np.asfortranarray(view.astype(">f8")) for view in views]
                for name, views in sequences.items()
            }
            for subject, sequences in table.items()
        }

    root = changed(mini, tmp_path, "data_2d_h36m_cpn_ft_h36m_dbb.npz", other)
    here, there = (read_poses_2d(next(one.rglob("data_2d_h36m_cpn*"))) for one in (mini.root, root))
    assert here.keys() == there.keys()
    for name, views in here.items():
        for one, two in zip(views, there[name], strict=True):
            np.testing.assert_array_equal(one, two)


def test_the_join_catches_what_does_not_belong(mini: Miniature, tmp_path: Path) -> None:
    def shifted(table: Any) -> Any:
        table["S9"]["Greeting"] = np.roll(table["S9"]["Greeting"], 2, axis=0)
        return table

    def swapped(table: Any) -> Any:
        one = table["S9"]
        one["Greeting"], one["Waiting 1"] = one["Waiting 1"], one["Greeting"]
        return table

    def missing(table: Any) -> Any:
        del table["S9"]["Greeting"]
        return table

    for number, (change, why) in enumerate(
        ((shifted, r"S9 Greeting: lies \+2"), (swapped, "holds the joints of S9 Waiting 1"))
    ):
        root = changed(mini, tmp_path / str(number), "data_3d_h36m.npz", change)
        with pytest.raises(ValueError, match=why):
            opened(mini, root)
    root = changed(mini, tmp_path / "missing", "data_3d_h36m.npz", missing)
    with pytest.raises(ValueError, match="S9 Greeting: is not in the file of VideoPose3D"):
        opened(mini, root)


def test_detections_may_be_longer_and_not_shorter(mini: Miniature, tmp_path: Path) -> None:
    longest = read_poses_2d(next(mini.root.rglob("data_2d_h36m_cpn*")))
    assert {len(view) for views in longest.values() for view in views} == {
        FRAMES + h36m_miniature.LONGER
    }

    def shorter(table: Any) -> Any:
        table["S9"]["Greeting"][2] = table["S9"]["Greeting"][2][: FRAMES - 1]
        return table

    root = changed(mini, tmp_path, "data_2d_h36m_cpn_ft_h36m_dbb.npz", shorter)
    with pytest.raises(ValueError, match="S9 Greeting, camera 2: 7 frames of detections for 8"):
        opened(mini, root)


def test_a_body_that_does_not_fit_is_left_out(mini: Miniature, tmp_path: Path) -> None:
    """Of training; a test frame stays, without dense points."""
    root = tmp_path / "bent"
    shutil.copytree(mini.root, root)
    for subject in (1, 9):
        path = root / ANNOTATIONS / f"Human36M_subject{subject}_smpl_param.json"
        held = json.loads(path.read_text())
        held["5"]["2"]["0"]["pose"][16 * 3 : 17 * 3] = [2.0, 0, 2.0]
        path.write_text(json.dumps(held))
    bent = opened(mini, root)
    assert bent.left_out[module.MISFIT] == bent.without_body[module.MISFIT] == 1
    pieces = {piece.name: piece for piece in bent.pieces}
    trained, tested = (bent.samples(pieces[f"{subject} Greeting"]) for subject in ("S1", "S9"))
    assert set(trained.frame) == set(WITH_BODY) - {0} and trained.fitted.all()
    assert set(tested.frame) == set(range(FRAMES))
    assert set(tested.frame[~tested.fitted]) == set(range(FRAMES)) - set(WITH_BODY) | {0}


@pytest.mark.parametrize(
    "change, why",
    [
        (lambda held: held["5"].pop("2") and held, "lacks action 5, subaction 2"),
        (lambda held: held["5"]["2"].pop("4") and held, "lacks frame 4"),
        (lambda held: held | {"1": held["5"]}, "action 1"),
        (lambda held: {"5": [1]}, "not a readable JSON"),
        (lambda held: held | {"5": held["5"] | {"2": _metres(held["5"]["2"])}}, "millimetres"),
    ],
)
def test_damaged_annotations(
    mini: Miniature, tmp_path: Path, change: Callable[[Any], Any], why: str
) -> None:
    joints, bodies = (
        mini.root / ANNOTATIONS / f"Human36M_subject9_{kind}.json"
        for kind in ("joint_3d", "smpl_param")
    )
    held = change(json.loads(joints.read_text()))
    damaged = tmp_path / "Human36M_subject9_joint_3d.json"
    damaged.write_text(json.dumps(held))
    if "1" in held:
        bodies = tmp_path / "bodies.json"
        bodies.write_text(json.dumps({"1": held["1"]}))
    with pytest.raises(ValueError, match=why):
        read_annotations("S9", damaged, bodies)


def test_what_is_missing_is_named(mini: Miniature, tmp_path: Path) -> None:
    root = tmp_path / "some"
    shutil.copytree(mini.root, root)
    next(root.rglob("data_3d_h36m.npz")).unlink()
    with pytest.raises(ValueError, match=r"lacks data_3d_h36m\.npz"):
        find(root, mini.smpl)
    with pytest.raises(ValueError, match="no such file; --smpl"):
        find(mini.root, root / "none.pkl")
    with pytest.raises(ValueError, match="no such folder"):
        find(tmp_path / "nowhere", mini.smpl)
    with pytest.raises(ValueError, match="no detections 'hrnet'"):
        find(mini.root, mini.smpl, "hrnet")


def test_hourglass_has_sixteen_joints(mini: Miniature, tmp_path: Path) -> None:
    """In MPII's order; the missing one is halfway between thorax and head."""
    order = [3, 2, 1, 4, 5, 6, 0, 7, 8, 10, 16, 15, 14, 11, 12, 13]
    root = tmp_path / "sh"
    shutil.copytree(mini.root, root)
    held = read_npz(next(root.rglob("data_2d_h36m_gt.npz")))["positions_2d"]
    table = held if isinstance(held, dict) else held[()]
    mpii = {
        subject: {name: [view[:, order] for view in views] for name, views in one.items()}
        for subject, one in table.items()
    }
    np.savez(root / "data/data_2d_h36m_sh_ft_h36m.npz", positions_2d=np.array(mpii, object))
    seen = opened(mini, root, "sh")
    samples = seen.samples(seen.pieces[0])
    kept = [joint for joint in range(17) if joint != 9]
    np.testing.assert_allclose(samples.detected_2d[:, kept], samples.exact_2d[:, kept], atol=0.02)
    halfway = samples.detected_2d[:, [8, 10]].mean(axis=1)
    np.testing.assert_allclose(samples.detected_2d[:, 9], halfway, atol=1e-3)


def test_mirror_images_are_of_mirrored_bodies(mini: Miniature, tmp_path: Path) -> None:
    folder = tmp_path / "mirrored"
    files = find(mini.root, mini.smpl)
    prepare(H36mSource(files, mirror=True), folder)
    plain = load_corpus(DATA, GIVEN, folder)
    both = load_corpus(DATA.model_copy(update={"mirrored": True}), GIVEN, folder)
    assert len(both.train) == 2 * len(plain.train) and len(both.test) == len(plain.test)
    assert plain.train.camera.max() == 3 and len(np.unique(both.train.sequence)) == 2 * len(
        np.unique(plain.train.sequence)
    )
    image = both.train.take(both.train.camera > 3)
    real = both.train.take(both.train.camera <= 3)
    np.testing.assert_array_equal(image.frame, real.frame)
    turned = flip(torch.from_numpy(real.target_3d)).numpy()
    np.testing.assert_allclose(image.target_3d, turned, atol=1e-3)
    width = IMAGE_SIZE[0]
    left = image.exact_2d[:, JOINTS.index("LKnee"), 0]
    right = real.exact_2d[:, JOINTS.index("RKnee"), 0]
    np.testing.assert_allclose(left, width - right, atol=1e-2)
    # The body's points lie around its joints as before, and are no exchange of indices.
    for level in ("dense_2d", "finest_2d"):
        middle = getattr(image, level).mean(axis=1)
        mirrored = [width, 0] + np.array([-1, 1]) * getattr(real, level).mean(axis=1)
        assert np.abs(middle - mirrored).max() < 15
    assert np.abs(image.dense_2d - ([width, 0] + np.array([-1, 1]) * real.dense_2d)).max() > 20
    with pytest.raises(ValueError, match="no mirror images"):
        check_corpus(DATA.model_copy(update={"mirrored": True}), GIVEN, _unmirrored(mini, tmp_path))


def test_a_mirrored_twice_body_is_itself(mini: Miniature) -> None:
    model = read_smpl(mini.smpl)
    path = mini.root / ANNOTATIONS
    held = read_annotations(
        "S9",
        path / "Human36M_subject9_joint_3d.json",
        path / "Human36M_subject9_smpl_param.json",
    )["Greeting"]
    again = mirrored_body(mirrored_body(held, model), model)
    np.testing.assert_allclose(again.pose, held.pose)
    np.testing.assert_allclose(again.trans, held.trans, atol=1e-12)
    # Of a skeleton that is alike on both sides the mirrored body is the mirror image.
    alike = SmplModel(
        template=BONES,
        faces=np.empty((0, 3), np.int64),
        shape=np.zeros((24, 3, 10)),
        blend=np.zeros((24, 3, 207)),
        weights=np.eye(24),
        joints=BONES,
        joint_shape=np.zeros((24, 3, 10)),
        parents=PARENTS,
    )
    image = mirrored_body(held, alike)
    one, other = (
        alike.vertices(body.pose, body.shape) + body.trans[:, None] for body in (held, image)
    )
    np.testing.assert_allclose(other, one[:, list(OTHER)] * [-1, 1, 1], atol=1e-12)


def _unmirrored(mini: Miniature, folder: Path) -> Path:
    prepare(opened(mini), folder / "plain")
    return folder / "plain"


def _metres(frames: Any) -> Any:
    return {frame: (np.array(pose) / 1000).tolist() for frame, pose in frames.items()}
