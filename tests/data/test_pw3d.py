"""3DPW: what its files hold, what is made of it, and what is refused."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from hipart.config import DataConfig, DetectorConfig
from hipart.data.cameras import normalise_screen
from hipart.data.coco import KEYPOINTS, filled, from_coco
from hipart.data.corpus import load_corpus
from hipart.data.prepare import prepare
from hipart.data.prepared import read_about
from hipart.data.pw3d.detections import read_darkpose
from hipart.data.pw3d.files import Settings, find_files
from hipart.data.pw3d.frames import JOINTS_14, OCCLUDED, is_occluded
from hipart.data.pw3d.image import SIZE, into, out_of
from hipart.data.pw3d.placements import (
    hidden,
    places,
    read_placements,
    worst_case,
)
from hipart.data.pw3d.sequences import read_sequence
from hipart.data.pw3d.source import Pw3dSource, find
from hipart.data.regressor import read_regressor
from hipart.data.samples import Samples
from hipart.data.smpl import read_smpl
from hipart.skeleton import JOINTS, LEVELS, PART_JOINTS
from tests.data.pw3d_miniature import (
    INVALID,
    NO_WRIST,
    NOBODY,
    SEQUENCES,
    Truth,
    coco,
    write_darkpose,
    write_pw3d,
)
from tests.data.smpl_miniature import VERTICES

Truths = dict[tuple[str, int], Truth]
BUS, GUITAR = "downtown_bus_00", "flat_guitar_01"


class Strided:
    """Every 48th, 96th and 192nd vertex averaged: any labels do, where they are not the point."""

    def __init__(self, scale: float = 1) -> None:
        labels = [np.arange(VERTICES) % count for count in LEVELS]
        rows = np.concatenate([one + sum(LEVELS[:at]) for at, one in enumerate(labels)])
        weights = scale / np.bincount(rows)[rows]
        columns = np.tile(np.arange(VERTICES), len(LEVELS))
        self.means = sparse.csr_matrix((weights, (rows, columns)))

    def points(self, vertices: np.ndarray) -> np.ndarray:
        return np.stack([self.means @ one for one in vertices])


LEVEL_POINTS = Strided()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truths]:
    root = tmp_path_factory.mktemp("pw3d") / "data"
    truths = write_pw3d(root)
    write_darkpose(root, truths)
    return root, truths


@pytest.fixture(scope="module")
def root(written: tuple[Path, Truths]) -> Path:
    return written[0]


@pytest.fixture(scope="module")
def truths(written: tuple[Path, Truths]) -> Truths:
    return written[1]


def made(source: Pw3dSource) -> dict[str, Samples]:
    return {piece.name: source.samples(piece) for piece in source.pieces}


def valid(name: str, person: int) -> list[int]:
    frames = range(SEQUENCES[name][1])
    return [frame for frame in frames if frame not in INVALID.get((name, person), [])]


def rows_of(name: str) -> tuple[str, int, tuple[int, int]]:
    sequence, _, person = name.partition(" person ")
    return sequence, int(person), (1920, 1080) if sequence == GUITAR else (1080, 1920)


# --- what is made of the files ------------------------------------------------------------------


@pytest.mark.parametrize("root_point", ["h36m_pelvis", "hips_mid"])
def test_samples_are_what_was_written(root: Path, truths: Truths, root_point: Any) -> None:
    source = find(root, Settings(root=root_point, detections="exact"), LEVEL_POINTS)
    names = [f"{BUS} person 0", f"{BUS} person 1", f"{GUITAR} person 0"]
    assert [piece.name for piece in source.pieces] == names
    for name, samples in made(source).items():
        sequence, person, (width, height) = rows_of(name)
        truth, frames = truths[sequence, person], valid(sequence, person)
        assert samples.frame.tolist() == frames
        joints = truth.joints[frames]
        hip = joints[:, 0] if root_point == "h36m_pelvis" else (joints[:, 1] + joints[:, 4]) / 2
        np.testing.assert_allclose(samples.target_3d, 1000 * (joints - hip[:, None]), atol=1e-3)
        # The screen coordinates are those of the real image, whichever way it was held.
        screen = truth.pixels[frames] / width * 2 - [1, height / width]
        found = normalise_screen(samples.exact_2d.copy(), SIZE)
        np.testing.assert_allclose(found, screen, atol=1e-5)
        np.testing.assert_array_equal(samples.detected_2d, samples.exact_2d)
        assert samples.dense_2d.shape[1:] == (48, 2)


def test_points_are_projected_means_of_vertices(root: Path, truths: Truths) -> None:
    samples = made(find(root, Settings(detections="exact"), LEVEL_POINTS))[f"{BUS} person 1"]
    recording = read_sequence(root / f"3DPW/sequenceFiles/test/{BUS}.pkl")
    for row, frame in enumerate(valid(BUS, 1)):
        for count, found in zip(
            LEVELS, (samples.dense_2d, samples.fine_2d, samples.finest_2d), strict=True
        ):
            for point in (0, count - 1):
                mean = truths[BUS, 1].vertices[frame][point::count].mean(axis=0)
                u, v, w = recording.intrinsics @ mean
                x, y = 1000 / 1080 * u / w, 1000 / 1080 * (v / w - 960) + 500
                np.testing.assert_allclose(found[row, point], [x, y], atol=1e-3)


def test_ids_persons_and_what_is_told(root: Path) -> None:
    source = find(root, Settings(detections="exact"), LEVEL_POINTS)
    samples, about = made(source), source.about
    one, other = samples[f"{BUS} person 0"], samples[f"{BUS} person 1"]
    assert set(one.subject) == {0} and set(other.subject) == {1}
    assert set(one.clip) == set(other.clip) == {0} != set(samples[f"{GUITAR} person 0"].clip)
    # A window of frames never reaches over one that is left out, nor into another person.
    assert one.sequence.tolist() == [0, 0, 1, 1, 1, 1]
    assert other.sequence.tolist() == [2, 2, 2, 2, 2, 3, 3]
    assert about["clip_names"] == [BUS, GUITAR]
    assert about["subject_names"] == ["person 0", "person 1"]
    assert about["root"] == "h36m_pelvis" and about["joints"] == list(JOINTS_14)
    assert about["left_out"] == {"without a valid camera pose": 4}
    assert about["image_sizes"] == [[1080, 1920], [1920, 1080]]
    assert "2 of 24 sequences, 43 persons in frames" in about["description"]
    assert "4 without a valid camera pose" in about["description"]
    other_origin = find(root, Settings(detections="exact"), Strided(2)).origin
    assert json.dumps(source.origin) != json.dumps(other_origin)
    assert len(json.dumps(about)) < 2000
    kept = [JOINTS[joint] for joint in JOINTS_14]
    assert len(kept) == 14 and {*JOINTS} - {*kept} == {"Hip", "Spine", "Neck"}


def test_the_neutral_body_only_where_it_is_asked_for(root: Path, tmp_path: Path) -> None:
    some = find(root, Settings(detections="exact"), LEVEL_POINTS)
    same = find(root, Settings(detections="exact", body="neutral"), LEVEL_POINTS)
    assert some.origin != same.origin
    one, other = (source.samples(source.pieces[0]).target_3d for source in (some, same))
    assert np.abs(one - other).max() > 1
    shutil.copytree(root / "3DPW", tmp_path / "3DPW")
    shutil.copy(root / "J_regressor_h36m_correct.npy", tmp_path)
    with pytest.raises(ValueError, match=r"lacks basicModel_m_\S+, basicModel_f_\S+, basicModel_n"):
        find(tmp_path)
    shutil.copy(next(root.glob("models/*neutral*")), tmp_path)
    with pytest.raises(ValueError, match=r"lacks basicModel_m_\S+, basicModel_f_\S+; .*is\.tue"):
        find(tmp_path)
    assert find(tmp_path, Settings(body="neutral")).pieces


def test_levels_are_those_of_the_neutral_mesh(root: Path, truths: Truths) -> None:
    source = find(root, Settings(frames="advocc", detections="exact"))
    (samples,) = (one for name, one in made(source).items() if name.startswith(GUITAR))
    recording = read_sequence(root / f"3DPW/sequenceFiles/test/{GUITAR}.pkl")
    for row, frame in enumerate(samples.frame):
        seen = source.levels.points(truths[GUITAR, 0].vertices[frame][None])[0, :48]
        pixels = into(recording.project(seen), recording.size)
        np.testing.assert_allclose(samples.dense_2d[row], pixels, atol=1e-3)
    # On the neutral body the points of a part are in the order of their distance from its joint.
    body = read_smpl(next(root.glob("models/*neutral*")))
    joints = np.load(root / "J_regressor_h36m_correct.npy") @ body.template
    dense = source.levels.points(body.template[None])[0, :48]
    apart = np.linalg.norm(dense[:, None] - joints[list(PART_JOINTS)], axis=-1)
    own = apart[np.arange(48), np.arange(48) // 3]
    assert (np.diff(own.reshape(16, 3), axis=1) > 0).all()
    assert own.mean() < 0.8 * apart.mean()


def test_someone_behind_the_camera_or_out_of_the_image_is_left_out(
    root: Path, tmp_path: Path
) -> None:
    def change(held: dict[str, Any]) -> None:
        world = np.linalg.inv(held["cam_poses"][:2])
        for frame, place in enumerate(([0, 0, 0.1, 1], [9, 0, 4, 1])):
            joints = held["jointPositions"][0][frame].reshape(24, 3)
            moved = joints - joints[0] + world[frame, :3] @ place
            held["jointPositions"][0][frame] = moved.ravel()

    files = find_files(changed(root, tmp_path, BUS, change), Settings())
    source = Pw3dSource(files, None, LEVEL_POINTS)
    assert source.left_out["not in the image"] == 2


# --- 2D -----------------------------------------------------------------------------------------


def test_openpose_s_joints_are_the_true_ones_where_they_lie_there(
    root: Path, truths: Truths
) -> None:
    source = find(root, None, LEVEL_POINTS)
    found_in = made(source)
    for name, samples in found_in.items():
        sequence, person, size = rows_of(name)
        frames = samples.frame
        pixels = truths[sequence, person].pixels[frames]
        found = out_of(samples.detected_2d, size)
        limbs = [joint for joint in JOINTS_14 if joint not in (8, 10)]
        for row, frame in enumerate(frames):
            wanted = pixels[row].copy()
            if (sequence, person, frame) == NO_WRIST:
                wanted[13] = wanted[12]
            np.testing.assert_allclose(found[row, limbs], wanted[limbs], atol=1e-2)
        np.testing.assert_allclose(found[:, 0], pixels[:, [1, 4]].mean(axis=1), atol=1e-2)
        np.testing.assert_allclose(found[:, 10], pixels[:, 10], atol=1e-2)
    assert NOBODY[2] not in found_in[f"{BUS} person 1"].frame
    assert source.left_out == {"without a valid camera pose": 4, "without a detection": 1}


def test_darkpose_s_joints_come_by_sequence_person_and_frame(root: Path, truths: Truths) -> None:
    source = find(root, Settings(detections="darkpose"), LEVEL_POINTS)
    assert source.left_out["without a detection"] == 1
    found_in = made(source)
    for name, samples in found_in.items():
        sequence, person, size = rows_of(name)
        pixels = truths[sequence, person].pixels[samples.frame]
        found = out_of(samples.detected_2d, size)
        np.testing.assert_allclose(found[:, 1:7], pixels[:, 1:7] + [3, 0], atol=1e-2)
        np.testing.assert_allclose(found[:, 11:], pixels[:, 11:] + [3, 0], atol=1e-2)
    assert 0 not in found_in[f"{BUS} person 1"].frame
    with pytest.raises(
        ValueError, match=r"lacks darkpose_3dpw_trainset_output\.json, .*; Pose2Mesh"
    ):
        find(root, Settings(frames="occ", detections="darkpose"), LEVEL_POINTS)


@pytest.mark.parametrize(
    "change, told",
    [
        (lambda held: held.append(7), "entry 41: annotation_id must be an integer"),
        (lambda held: held[3].update(annotation_id=999), "entry 3: annotation_id 999 is not in"),
        (lambda held: held[3].update(keypoints=[[1, 2, 3]]), "entry 3: keypoints must be 17"),
        (lambda held: held[3].update(keypoints=[[1], [1, 2]]), "entry 3: keypoints must be 17"),
        (lambda held: held[3]["keypoints"][0].__setitem__(0, float("nan")), "entry 3: .*NaN"),
    ],
)
def test_damaged_detections_are_refused(
    root: Path, tmp_path: Path, change: Callable[[Any], Any], told: str
) -> None:
    name = "darkpose_3dpw_testset_output.json"
    held = json.loads((root / name).read_text())
    change(held)
    (tmp_path / name).write_text(json.dumps(held))
    with pytest.raises(ValueError, match=f"{name}: {told}".replace("entry 41", r"entry \d+")):
        read_darkpose(tmp_path / name, root / "3DPW_latest_test.json")
    with pytest.raises(ValueError, match="not JSON"):
        read_darkpose(root / name, root / "J_regressor_h36m_correct.npy")


def test_keypoints_that_were_not_seen_take_their_neighbour_s_place() -> None:
    points = np.concatenate([np.random.default_rng(0).random((4, 17, 2)), np.ones((4, 17, 1))], 2)
    place = {name: index for index, name in enumerate(KEYPOINTS)}
    whole = points.copy()
    points[0, [place[name] for name in ("left_knee", "left_ankle", "right_hip")]] = 0
    points[1, 1:5] = 0
    points[2, [place["left_hip"], place["right_hip"]]] = 0
    found, enough = filled(points)
    assert enough.tolist() == [True, True, False, True]
    left_hip = whole[0, place["left_hip"]].tolist()
    for name in ("left_knee", "left_ankle", "right_hip"):
        assert found[0, place[name]].tolist() == left_hip
    joints = from_coco(found[enough])
    assert joints[1, 10].tolist() == pytest.approx(whole[1, 0, :2].tolist())
    np.testing.assert_array_equal(found[3], whole[3])


@pytest.mark.parametrize("size", [(1080, 1920), (1920, 1080), (640, 480)])
def test_the_virtual_image_keeps_screen_coordinates(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).uniform(-100, 2000, (5, 17, 2))
    virtual = into(pixels, size)
    np.testing.assert_allclose(
        normalise_screen(virtual.copy(), SIZE), normalise_screen(pixels.copy(), size), atol=1e-12
    )
    np.testing.assert_allclose(out_of(virtual, size), pixels)


# --- which frames -------------------------------------------------------------------------------


def test_occ_is_seventeen_names_in_all_three_splits(root: Path) -> None:
    assert len(OCCLUDED) == len(set(OCCLUDED)) == 17
    assert is_occluded("courtyard_box_00") and is_occluded("outdoors_parcours_01")
    assert not is_occluded("courtyard_boxing_00") and not is_occluded("downtown_bus_00")
    about = find(root, Settings(frames="occ", detections="exact"), LEVEL_POINTS).about
    assert about["clip_names"] == ["courtyard_box_00", "outdoors_golf_00", GUITAR]
    assert about["description"].startswith("3DPW-Occ, 3 of 23 sequences, 37 persons in frames")


def test_advocc_is_every_thirtieth_frame_of_test(root: Path) -> None:
    samples = made(find(root, Settings(frames="advocc", detections="exact"), LEVEL_POINTS))
    assert {name: one.frame.tolist() for name, one in samples.items()} == {
        **{f"{BUS} person {person}": [0] for person in (0, 1)},
        f"{GUITAR} person 0": [0, 30],
    }
    assert samples[f"{GUITAR} person 0"].sequence.tolist() == [2, 3]


# --- the files ----------------------------------------------------------------------------------


def changed(root: Path, tmp_path: Path, name: str, change: Callable[[dict[str, Any]], Any]) -> Path:
    """A folder whose sequence was changed; all other files are those of ``root``."""
    for path in (*root.glob("*.*"), *root.glob("models/*.pkl")):
        (tmp_path / path.name).symlink_to(path)
    shutil.copytree(root / "3DPW", tmp_path / "3DPW")
    path = tmp_path / f"3DPW/sequenceFiles/{SEQUENCES[name][0]}/{name}.pkl"
    held = pickle.loads(path.read_bytes())
    change(held)
    path.write_bytes(pickle.dumps(held, 2))
    return tmp_path


@pytest.mark.parametrize("layout", ["big-endian", "Fortran", "lists of objects"])
def test_every_layout_of_arrays_is_read_alike(root: Path, tmp_path: Path, layout: str) -> None:
    def change(held: dict[str, Any]) -> None:
        for key in ("poses", "trans", "jointPositions", "poses2d", "betas"):
            if layout == "lists of objects":
                whole = np.empty(len(held[key]), object)
                whole[:] = held[key]
                held[key] = whole
            else:
                held[key] = [laid(one) for one in held[key]]
        held["cam_poses"] = laid(held["cam_poses"])

    def laid(array: np.ndarray) -> np.ndarray:
        return array.astype(">f8") if layout == "big-endian" else np.asfortranarray(array)

    before = read_sequence(root / f"3DPW/sequenceFiles/test/{BUS}.pkl")
    path = changed(root, tmp_path, BUS, change) / f"3DPW/sequenceFiles/test/{BUS}.pkl"
    after = read_sequence(path)
    np.testing.assert_array_equal(after.turn, before.turn)
    for one, other in zip(after.persons, before.persons, strict=True):
        for key in ("pose", "betas", "at", "joints", "openpose", "valid"):
            np.testing.assert_array_equal(getattr(one, key), getattr(other, key))


def spoil(key: str, person: int | None = 0) -> Callable[[Callable[[np.ndarray], Any]], Any]:
    """Changes one array of a sequence."""

    def how(change: Callable[[np.ndarray], Any]) -> Callable[[dict[str, Any]], None]:
        def apply(held: dict[str, Any]) -> None:
            if person is None:
                held[key] = change(held[key])
            else:
                held[key][person] = change(held[key][person])

        return apply

    return how


def nan_at(*place: int) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array = np.array(array, float)
        array[place] = np.nan
        return array

    return change


DAMAGED: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no key": (lambda held: held.pop("poses2d"), "lacks poses2d"),
    "another name": (spoil("sequence", None)(lambda _: "x"), "sequence is 'x'"),
    "one person too few": (lambda held: held["trans"].pop(), "trans is of 1 persons"),
    "nobody": (lambda held: held["genders"].clear(), "genders must hold a list"),
    "a gender": (spoil("genders")(lambda _: "x"), "person 0: genders must be m or f, found 'x'"),
    "a shape": (
        spoil("poses", 1)(lambda array: array[:, :66]),
        r"person 1: poses must have shape \(8, 72\), found \(8, 66\)",
    ),
    "fewer frames": (
        spoil("trans")(lambda array: array[:5]),
        r"person 0: trans must have shape \(8, 3\), found \(5, 3\)",
    ),
    "texts": (spoil("poses2d")(lambda _: np.array(["a"])), "person 0: poses2d must hold numbers"),
    "ragged": (spoil("trans")(lambda _: [[1.0], [1.0, 2.0]]), "trans must hold numbers"),
    "a NaN": (spoil("poses")(nan_at(4, 7)), "person 0: poses has a NaN or infinity at frame 4"),
    "millimetres": (
        spoil("jointPositions")(lambda array: 1000 * array),
        "person 0: jointPositions must be in metres",
    ),
    "few betas": (spoil("betas")(lambda array: array[:4]), "betas must be 10 or 300"),
    "a flag": (spoil("campose_valid")(lambda array: array + 2.0), "campose_valid must be 0 or 1"),
    "a camera": (
        spoil("cam_poses", None)(lambda array: 2 * array),
        "cam_poses is no rigid motion .* at frame 0",
    ),
    "a mirror": (
        spoil("cam_poses", None)(lambda array: array * [[1], [1], [-1], [1]]),
        "cam_poses is no rigid motion",
    ),
    "a camera's shape": (spoil("cam_poses", None)(lambda array: array[:, :3]), r"\(T, 4, 4\)"),
    "no focal length": (
        spoil("cam_intrinsics", None)(lambda array: array * [[0], [1], [1]]),
        "cam_intrinsics must be",
    ),
    "another image": (
        spoil("cam_intrinsics", None)(lambda array: array - [[0, 0, 0], [0, 0, 700], [0, 0, 0]]),
        "cam_intrinsics has a centre .* in the middle of neither 1080 x 1920 nor 1920 x 1080",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_sequence_is_refused_by_file_and_key(
    root: Path, tmp_path: Path, name: str
) -> None:
    change, told = DAMAGED[name]
    held = pickle.loads((root / f"3DPW/sequenceFiles/test/{BUS}.pkl").read_bytes())
    change(held)
    path = tmp_path / f"{BUS}.pkl"
    path.write_bytes(pickle.dumps(held, 2))
    with pytest.raises(ValueError, match=told) as error:
        read_sequence(path)
    assert str(error.value).startswith(str(path))


def test_a_frame_without_a_valid_camera_may_hold_anything(root: Path, tmp_path: Path) -> None:
    held = pickle.loads((root / f"3DPW/sequenceFiles/test/{BUS}.pkl").read_bytes())
    for key in ("poses", "jointPositions"):
        held[key][0][2] = np.nan
    path = tmp_path / f"{BUS}.pkl"
    path.write_bytes(pickle.dumps(held, 2))
    assert not read_sequence(path).persons[0].valid[2]


class Runs:
    """Would call something when it is unpickled."""

    def __reduce__(self) -> Any:
        return print, ("run",)


def test_what_is_no_sequence_is_refused(root: Path, tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / f"{BUS}.pkl"
    with pytest.raises(ValueError, match=f"{BUS}.pkl: cannot be read"):
        read_sequence(path)
    whole = (root / f"3DPW/sequenceFiles/test/{BUS}.pkl").read_bytes()
    for content, told in (
        (pickle.dumps({"sequence": BUS, "poses": Runs()}), r"refused.*print"),
        (pickle.dumps([1, 2]), "found a list"),
        (whole[: len(whole) // 2], "damaged"),
        (b"", "damaged"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"{BUS}.pkl: .*{told}"):
            read_sequence(path)
    assert capsys.readouterr().out == ""


def test_what_is_missing_is_named_and_where_it_comes_from(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no folder"):
        find(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="has no folder sequenceFiles; .*virtualhumans"):
        find(tmp_path, None, LEVEL_POINTS)
    (tmp_path / "3DPW/sequenceFiles/train").mkdir(parents=True)
    (tmp_path / "3DPW/sequenceFiles/train/courtyard_arguing_00.pkl").touch()
    with pytest.raises(ValueError, match=r"test: holds no \.pkl.*virtualhumans"):
        find(tmp_path, None, LEVEL_POINTS)
    shutil.copytree(root / "3DPW/sequenceFiles/test", tmp_path / "3DPW/sequenceFiles/test")
    shutil.copytree(root / "models", tmp_path / "models")
    with pytest.raises(ValueError, match="lacks J_regressor_h36m_correct.npy; .*Pose2Mesh"):
        find(tmp_path, None, LEVEL_POINTS)
    with pytest.raises(ValueError, match="frames 'some': allowed are all, occ, advocc"):
        Settings(frames="some")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "held, told",
    [
        (np.zeros((17, 6890)), "add up to 1"),
        (np.ones((24, 6890)), r"must have shape \(17, 6890\), found \(24, 6890\)"),
        (np.array(["a"]), "array of numbers"),
        (np.full((17, 6890), np.nan), "add up to 1"),
        (np.array({"a": 1}, object), "cannot be read"),
    ],
)
def test_a_regressor_is_looked_at(tmp_path: Path, held: np.ndarray, told: str) -> None:
    np.save(tmp_path / "a.npy", held, allow_pickle=True)
    with pytest.raises(ValueError, match=f"a.npy: .*{told}"):
        read_regressor(tmp_path / "a.npy")


# --- prepared -----------------------------------------------------------------------------------


def test_a_prepared_folder_holds_it_and_goes_on_where_it_stopped(
    root: Path, tmp_path: Path
) -> None:
    source = find(root, Settings(root="hips_mid"), LEVEL_POINTS)

    class Stopped(Pw3dSource):
        def samples(self, piece: Any) -> Samples:
            if piece.name.startswith(GUITAR):
                raise KeyboardInterrupt
            return super().samples(piece)

    files = find_files(root, Settings())
    with pytest.raises(KeyboardInterrupt):
        prepare(Stopped(files, Settings(root="hips_mid"), LEVEL_POINTS), tmp_path / "a")
    asked: list[int] = []
    stamp = prepare(source, tmp_path / "a", lambda done, _: asked.append(done))
    assert asked == [12, 42]  # the two persons of the first sequence are not made again
    assert prepare(source, tmp_path / "b") == stamp
    about = read_about(tmp_path / "a")
    with pytest.raises(ValueError, match="nothing to train on; prepare it with --train CORPUS"):
        load_corpus(DataConfig(corpus="3dpw"), DetectorConfig(kind="given"), tmp_path / "a")
    assert about["image_size"] == [1000, 1000] and about["fps"] == 30
    assert about["clip_names"] == [BUS, GUITAR] and about["action_names"] == ["all"]
    for key in ("target_3d", "detected_2d", "finest_2d", "sequence"):
        whole = np.concatenate([getattr(one, key) for one in made(source).values()])
        np.testing.assert_array_equal(np.load(tmp_path / f"a/test/{key}.npy"), whole)
    assert about["root"] == "hips_mid" and about["joints"] == list(JOINTS_14)
    assert about["origin"]["settings"]["detections"] == "openpose"
    assert about["fingerprint"] == stamp


# --- 3DPW-AdvOcc --------------------------------------------------------------------------------


@pytest.mark.parametrize("patch, count", [(40, 400), (80, 256)])
def test_placements_are_those_of_the_grid(patch: int, count: int) -> None:
    found = places(patch)
    assert len(found) == count
    assert found[0].tolist() == [0, 0] and found[1].tolist() == [10, 0]
    assert found[-1].tolist() == [10 * (int(count**0.5) - 1)] * 2
    corners = np.array([[[15.0, 5], [10, 5], [223.5, 223.5]]])
    under = hidden(corners, patch)
    assert under.shape == (1, count, 3)
    # A point on the patch's edge is seen.
    assert under[0, 0].tolist() == [True, True, False]
    assert under[0, 1].tolist() == [True, False, False]
    assert under[0, -1].tolist() == [False, False, True]
    with pytest.raises(ValueError, match="allowed are 40 and 80"):
        places(60)


def test_the_worst_case_is_what_two_loops_find() -> None:
    chance = np.random.default_rng(0)
    lifted, target = chance.normal(0, 50, (5, 9, 17, 3)), chance.normal(0, 50, (5, 17, 3))
    visible = chance.random((5, 9, 17)) < 0.5
    visible[0, 3] = False
    lifted[0, 3] += 1e6
    lifted[1, 4, 12] += 1e6
    visible[1, 4, 12] = False
    lifted[2, :, 0] += 1e6  # no joint of the fourteen
    found = worst_case(lifted, target, visible)
    for frame in range(5):
        worst, at = -1.0, -1
        for placement in range(9):
            errors = [
                float(np.sqrt(((lifted[frame, placement, j] - target[frame, j]) ** 2).sum()))
                for j in JOINTS_14
                if visible[frame, placement, j]
            ]
            error = sum(errors) / len(errors) if errors else 0.0
            if error > worst:
                worst, at = error, placement
        assert found.placement[frame] == at
        assert found.error_mm[frame] == pytest.approx(worst)
    assert found.error_mm.max() < 1e3
    lifted[3, 2, 5] = np.nan
    visible[3, 2, 5] = True
    with pytest.raises(ValueError, match="frame 3 has a NaN"):
        worst_case(lifted, target, visible)
    with pytest.raises(ValueError, match=r"found \(5, 9, 17, 3\), \(5, 16, 3\)"):
        worst_case(lifted, target[:, :16], visible)


def placed(layout: str = "h36m17", patch: int = 80) -> dict[str, Any]:
    chance = np.random.default_rng(1)
    joints = chance.uniform(20, 200, (2, 17, 2))
    points = joints if layout == "h36m17" else np.stack([coco(one) for one in joints])
    return {
        "patch": patch,
        "layout": layout,
        "detections": np.repeat(points[:, None], len(places(patch)), axis=1),
        "box": np.array([[100.0, 200, 448], [0, 0, 224]]),
        "sequence": np.array([GUITAR, GUITAR]),
        "person": np.array([0, 0]),
        "frame": np.array([0, 30]),
    }


@pytest.mark.parametrize("layout", ["h36m17", "coco17"])
@pytest.mark.parametrize("suffix", ["npz", "json"])
def test_detections_of_all_placements_are_read(tmp_path: Path, layout: str, suffix: str) -> None:
    held, path = placed(layout), tmp_path / f"a.{suffix}"
    if suffix == "npz":
        np.savez(path, **held)
    else:
        listed = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in held.items()}
        path.write_text(json.dumps(listed))
    found = read_placements(path)
    assert found.joints.shape == (2, 256, 17, 2) and found.patch == 80
    assert found.names == ((GUITAR, 0, 0), (GUITAR, 0, 30))
    joints = placed()["detections"]
    np.testing.assert_allclose(found.joints[:, :, 11:], joints[:, :, 11:])
    image = found.in_image()
    np.testing.assert_allclose(image[0, 7, 11], [100, 200] + 2 * joints[0, 7, 11])
    np.testing.assert_allclose(image[1], found.joints[1])
    exact = np.concatenate([image[:, 0, 11:13], np.full((2, 1, 2), -50.0)], axis=1)
    np.testing.assert_array_equal(found.hidden(exact)[:, :, :2], hidden(joints[:, 0, 11:13], 80))
    assert not found.hidden(exact)[:, :, 2].any()


@pytest.mark.parametrize(
    "change, told",
    [
        ({"patch": 60}, "patch must be 40 or 80, found 60"),
        ({"layout": "mpii"}, "layout must be h36m17 or coco17"),
        ({"patch": 40}, r"detections must have shape \(N, 400, 17, 2\)"),
        ({"box": np.zeros((2, 3))}, "box must be 2 of x, y and a side above 0"),
        ({"box": np.full((2, 3), np.nan)}, "box has a NaN"),
        ({"frame": np.array([0, 0])}, "is there twice"),
        ({"person": np.array([0.0, 1])}, "person must be 2 integers"),
        ({"sequence": np.array([GUITAR])}, "sequence must be 2 texts"),
        ({"detections": np.array("x")}, "detections must be an array of numbers"),
        ({"frame": None}, "cannot be read"),
    ],
)
def test_damaged_placements_are_refused(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    np.savez(tmp_path / "a.npz", **{**placed(), **change})
    with pytest.raises(ValueError, match=f"a.npz: .*{told}"):
        read_placements(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", **{k: v for k, v in placed().items() if k != "box"})
    with pytest.raises(ValueError, match=r"b\.npz: lacks box"):
        read_placements(tmp_path / "b.npz")
    (tmp_path / "c.json").write_text('{"detections": [[1], [1, 2]]}')
    with pytest.raises(ValueError, match=r"c\.json: cannot be read"):
        read_placements(tmp_path / "c.json")
