"""BVH files: the way there and back, and what is said about bad ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hipart.data.body import BODY_FILE
from hipart.data.bvh import Bvh, parse, read_bvh, read_hierarchy
from hipart.data.bvh_recording import recording, unit_of
from hipart.data.importing import find_files, import_files
from hipart.data.labels import Label, from_names, read_labels
from hipart.data.motion import BONE_PARENTS, BONES, Clip
from hipart.data.retarget import leg_length, rest_heads, retarget
from hipart.data.rigs import CMU, Rig, read_rig
from hipart.data.sources import as_source, bvh_source
from hipart.data.textfiles import MAX_FILE_BYTES
from tests.data.recordings import (
    Z_UP,
    damaged,
    joints,
    packaged,
    refuses,
    write_along_bones,
    write_bvh,
)

#: Rotations are kept in half precision, which moves a hand by a millimetre or two.
NEAR_M = 0.004
KICK = "deepmimic_kick"


def imported(path: Path, rig: Rig = CMU, fps: float = 30) -> Clip:
    source = bvh_source(path, rig)
    root, rot = retarget(source.recording, rest_heads(), fps)
    return Clip(path.stem, "kick", None, root, rot.astype(np.float32))


def small(tmp_path: Path) -> str:
    clip = packaged()[KICK]
    short = Clip("short", "kick", None, clip.root[:6], clip.rot[:6])
    return write_bvh(tmp_path / "small.bvh", short, fps=30, t_pose=False).read_text()


def test_the_rest_pose_is_the_bodys() -> None:
    """Heads of the bones against the joints that the skinning coefficients give at rest."""
    with np.load(BODY_FILE) as stored:
        at_rest = stored["reference/joints"].sum(axis=1) + stored["reference/hips"]
        assert leg_length(rest_heads()) == pytest.approx(float(stored["reference/leg"]), abs=1e-6)
    bones = ("RightUpLeg", "RightLeg", "RightFoot", "LeftUpLeg", "LeftLeg", "LeftFoot", "Spine")
    bones += ("LeftArm", "LeftForeArm", "LeftHand", "RightArm", "RightForeArm", "RightHand")
    places = [*range(1, 8), *range(11, 17)]
    heads = rest_heads()[[BONES.index(bone) for bone in bones]]
    assert np.abs(at_rest[places] - heads).max() < 0.0005
    mirrored = rest_heads()[[BONES.index(bone.replace("Left", "Right")) for bone in BONES]]
    left = [bone.startswith("Left") for bone in BONES]
    assert np.allclose(mirrored[left], (rest_heads() * [-1, 1, 1])[left], atol=1e-6)
    assert BONE_PARENTS[0] == -1


@pytest.mark.parametrize(
    ("fps", "unit_m", "turn", "order", "body"),
    [
        (120, 0.0254 / 0.45, None, "ZYX", 1.0),
        (60, 0.01, None, "ZXY", 1.0),
        (30, 1.0, None, "XYZ", 1.0),
        (30, 0.001, None, "YXZ", 1.0),
        (60, 0.0254, Z_UP, "ZYX", 1.0),
        (30, 0.01, Rotation.from_euler("y", 90, degrees=True), "ZYX", 1.0),
        (30, 0.01, None, "ZYX", 1.2),
        (30, 0.01, Rotation.from_euler("y", 25, degrees=True), "ZYX", 1.0),
        (30, 0.01, Rotation.from_euler("y", -140, degrees=True), "ZYX", 1.0),
    ],
    ids=[
        *("cmu", "centimetres", "metres", "millimetres", "inches, z up", "faces x"),
        *("a tall person", "faces along no axis", "faces backwards along no axis"),
    ],
)
def test_motion_comes_back(
    tmp_path: Path, fps: int, unit_m: float, turn: Rotation | None, order: str, body: float
) -> None:
    clip = packaged()[KICK]
    path = write_bvh(tmp_path / "kick.bvh", clip, fps, unit_m, turn=turn, order=order, body=body)
    found = imported(path)
    assert len(found) in (len(clip) - 1, len(clip))  # a frame's time is rounded in the file
    apart = joints(found) - joints(clip)[: len(found)]
    assert np.linalg.norm(apart, axis=-1).max() < NEAR_M


@pytest.mark.parametrize("yaw", [0.0, 45.0, -130.0])
def test_offsets_that_run_along_the_bones(tmp_path: Path, yaw: float) -> None:
    """The first frame says where a person stands, whichever way they face."""
    clip = packaged()[KICK]
    path = write_along_bones(tmp_path / "kick.bvh", clip, yaw)
    with pytest.raises(ValueError, match="rest pose"):
        bvh_source(path)
    source = bvh_source(path, rest="first-frame")
    assert source.dropped and source.unit == "centimetres"
    root, rot = retarget(source.recording, rest_heads())
    found = Clip("kick", "kick", None, root, rot.astype(np.float32))
    assert len(found) in (len(clip) - 1, len(clip))  # a frame's time is rounded in the file
    apart = joints(found) - joints(clip)[: len(found)]
    assert np.linalg.norm(apart, axis=-1).max() < NEAR_M


def test_a_first_frame_of_the_movement_is_taken_for_how_a_person_stands(tmp_path: Path) -> None:
    """Then limbs still point where they do; what is off is the trunk's own bend in that frame."""
    clip = packaged()["deepmimic_run"]
    path = write_along_bones(tmp_path / "run.bvh", clip, first=False)
    source = bvh_source(path, rest="first-frame")
    assert not source.dropped
    root, rot = retarget(source.recording, rest_heads())
    found = Clip("run", "run", None, root, rot.astype(np.float32))
    ours, theirs = (joints(one)[: len(found)] for one in (found, clip))
    knees = [ours[:, [1, 4]] - ours[:, [2, 5]], theirs[:, [1, 4]] - theirs[:, [2, 5]]]
    turned = Rotation.align_vectors(*(one.reshape(-1, 3) for one in knees))[0]
    apart = turned.apply(knees[1].reshape(-1, 3)) - knees[0].reshape(-1, 3)
    assert np.linalg.norm(apart, axis=-1).max() < NEAR_M


def test_a_first_frame_that_does_not_stand_is_refused(tmp_path: Path) -> None:
    path = write_along_bones(tmp_path / "lying.bvh", packaged()[KICK], tilt=45)
    with pytest.raises(ValueError, match="rest pose"):
        bvh_source(path, rest="first-frame")


def test_another_rate_is_the_same_movement(tmp_path: Path) -> None:
    clip = packaged()[KICK]
    found = imported(write_bvh(tmp_path / "kick.bvh", clip, 120), fps=15)
    assert abs(len(found) - len(clip) / 2) <= 1
    assert np.linalg.norm(joints(found) - joints(clip)[::2][: len(found)], axis=-1).max() < NEAR_M


def test_only_a_frame_that_stands_apart_is_dropped(tmp_path: Path) -> None:
    clip = packaged()[KICK]
    with_pose = bvh_source(write_bvh(tmp_path / "a.bvh", clip, 30))
    without = bvh_source(write_bvh(tmp_path / "b.bvh", clip, 30, t_pose=False))
    assert with_pose.dropped and not without.dropped
    assert len(with_pose.recording.seconds) == len(without.recording.seconds) == len(clip)
    still = Clip("still", "stand", None, clip.root[:3] * 0, clip.rot[:3] * 0)
    calm = write_bvh(tmp_path / "c.bvh", still, 30, t_pose=False)
    assert not bvh_source(calm).dropped


def test_a_skeleton_with_other_names_and_fewer_bones(tmp_path: Path) -> None:
    clip = packaged()[KICK]
    path = write_bvh(tmp_path / "kick.bvh", clip, 30, name=lambda bone: f"rig:{bone}")
    rig = tmp_path / "rig.yaml"
    spared = {"Neck1", "LHipJoint", "RHipJoint", "LeftToeBase", "RightToeBase"}
    rig.write_text("".join(f"{bone}: rig:{bone}\n" for bone in BONES if bone not in spared))
    found = imported(path, read_rig(rig))
    apart = np.linalg.norm(joints(found) - joints(clip)[: len(found)], axis=-1)
    assert np.delete(apart, [9, 10], axis=1).max() < NEAR_M
    with pytest.raises(ValueError, match=r"lacks 13 bone\(s\): Hips.*found: rig:Hips.*--rig"):
        imported(path)


def test_the_map_of_mixamos_bones(tmp_path: Path) -> None:
    clip = packaged()[KICK]
    rig = read_rig(Path(__file__).parents[2] / "docs" / "mixamo.yaml")
    path = write_bvh(tmp_path / "kick.bvh", clip, 30, 0.01, name=lambda b: rig.theirs.get(b, b))
    found = imported(path, rig)
    apart = np.linalg.norm(joints(found) - joints(clip)[: len(found)], axis=-1)
    assert np.delete(apart, [9, 10], axis=1).max() < NEAR_M


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("LeftArm: rig:LeftArn\n", ["lacks 1", "rig:LeftArn (for LeftArm)", "mean rig:LeftArm?"]),
        ("LeftArn: rig:LeftArm\n", ["rig.yaml", "unknown", "LeftArn (did you mean LeftArm?)"]),
        ("LeftArm: 3\n", ["rig.yaml", "LeftArm", "3"]),
        ("LeftArm: rig:Hips\n", ["rig.yaml", "rig:Hips is named for both Hips and LeftArm"]),
        ("LeftArm: rig:LeftHand\nLeftHand: rig:LeftArm\n", ["must hang below"]),
        ("", ["rig.yaml", "no bone for LeftArm"]),
        ("LeftArm: [\n", ["rig.yaml", "YAML"]),
    ],
)
def test_a_bad_rig_is_refused(tmp_path: Path, line: str, words: list[str]) -> None:
    path = write_bvh(tmp_path / "kick.bvh", packaged()[KICK], 30, name=lambda bone: f"rig:{bone}")
    rest = [bone for bone in BONES if f"{bone}:" not in line and bone != "LeftArm"]
    rig = tmp_path / "rig.yaml"
    rig.write_text("".join(f"{bone}: rig:{bone}\n" for bone in rest) + line)
    with pytest.raises(ValueError) as caught:
        imported(path, read_rig(rig))
    for word in words:
        assert word in str(caught.value)


def test_a_hierarchy_is_read() -> None:
    text = """HIERARCHY
    ROOT Hips
    {
        OFFSET 0 0 0
        CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
        JOINT Left Leg {
            OFFSET 1 2 3
            CHANNELS 3 Zrotation Yrotation XROTATION
            End Site
            {
                OFFSET 0 1 0
            } } }
    """
    found = read_hierarchy(text.splitlines())
    assert list(found) == ["Hips", "Left Leg"]
    assert found["Left Leg"].parent == "Hips"
    assert found["Left Leg"].offset.tolist() == [1, 2, 3]
    assert len(found["Hips"].channels) == 6
    assert found["Left Leg"].channels == ["Zrotation", "Yrotation", "Xrotation"]


def last_line(text: str, new: str) -> str:
    lines = text.splitlines()
    return "\n".join([*lines[:-1], new])


def in_end_site(text: str, joint: str = "JOINT Nail { }") -> str:
    """A joint hangs on the first end of a chain."""
    return text.replace("OFFSET 0 1 0\n", f"OFFSET 0 1 0\n{joint}\n", 1)


BAD = {
    "nothing": (lambda text: " \n", ["is empty"]),
    "another format": (lambda text: "<html>" + text, ["'<html>HIERARCHY'", "HIERARCHY"]),
    "binary": (lambda text: text + "\0", ["binary"]),
    "motion": (
        lambda text: text.replace("MOTION", "Motion"),
        ["line ", "'Motion' must be written MOTION"],
    ),
    "hierarchy": (
        lambda text: text.replace("HIERARCHY", "Hierarchy"),
        ["line 1: 'Hierarchy' must be written HIERARCHY"],
    ),
    "joint": (
        lambda text: text.replace("JOINT Neck1", "Joint Neck1"),
        ["line ", "'Joint' must be written JOINT"],
    ),
    "frames": (
        lambda text: text.replace("Frames:", "FRAMES:"),
        ["line ", "'FRAMES' must be written Frames"],
    ),
    "frame time": (
        lambda text: text.replace("Frame Time", "Frame time"),
        ["line ", "'Frame time' must be written Frame Time"],
    ),
    "commas in the time": (
        lambda text: text.replace("Time: 0.03", "Time: 0,03"),
        ["line ", "Frame Time: '0,03", "a decimal point is needed"],
    ),
    "commas in a row": (
        lambda text: last_line(text, "0,5 " * 78),
        ["line ", "'0,5'", "a decimal point is needed"],
    ),
    "commas in an offset": (
        lambda text: text.replace("OFFSET 0 1 0", "OFFSET 0 1,5 0"),
        ["line ", "'1,5'", "a decimal point is needed"],
    ),
    "in an end site": (in_end_site, ["line ", "JOINT inside of an End Site"]),
    "no motion": (lambda text: text[: text.index("MOTION")], ["before MOTION", "truncated"]),
    "torn header": (lambda text: "\n".join(text.splitlines()[:20]) + "\nMOTION", ["closing brace"]),
    "fewer frames": (lambda text: text[: text.rindex("\n", 0, -2)], ["6 frames and holds 5"]),
    "no frames": (lambda text: text.replace("Frames: 6", "Frames: 0"), ["Frames", "found 0"]),
    "frames no count": (lambda text: text.replace("Frames: 6", "Frames: x"), ["Frames: 'x'"]),
    "frames too many": (lambda text: text.replace("Frames: 6", "Frames: 9e9"), ["2000000"]),
    "no frames said": (lambda text: text.replace("Frames: 6\n", ""), ["Frames", "missing"]),
    "no time": (lambda text: text.replace("Time: 0.03", "Time: 3.03"), ["Frame Time", "3.03"]),
    "time zero": (lambda text: text.replace("Time: 0.03", "Time: -0.03"), ["Frame Time", "-0.03"]),
    "torn row": (lambda text: last_line(text, "1 2 3"), ["line ", "3 numbers for 78"]),
    "a word": (lambda text: last_line(text, "one " * 78), ["line ", "'one'"]),
    "NaN": (lambda text: last_line(text, "nan " * 78), ["Xposition of Hips is nan at frame 5"]),
    "huge": (lambda text: last_line(text, "0 " * 77 + "1e9"), ["Xrotation", "1e+09", "frame 5"]),
    "channel": (lambda text: text.replace("Zrotation", "Wrotation"), ["'Wrotation'", "Zrotation"]),
    "channel count": (lambda text: text.replace("CHANNELS 3", "CHANNELS 4"), ["'4'", "names 3"]),
    "two roots": (lambda text: text.replace("JOINT LHipJoint", "ROOT B"), ["a second ROOT"]),
    "twice": (lambda text: text.replace("JOINT Neck1", "JOINT Neck"), ["second joint 'Neck'"]),
    "offset": (lambda text: text.replace("OFFSET 0 1 0", "OFFSET 0 1"), ["line ", "3 numbers"]),
    "unknown word": (lambda text: text.replace("End Site", "Ende"), ["line ", "'Ende'", "JOINT"]),
    "no root": (lambda text: text.replace("ROOT Hips", "JOINT Hips"), ["JOINT outside"]),
    "fixed": (
        lambda text: (
            text.replace("6 Xposition Yposition Zposition", "3")
            .replace("MOTION", "\nMOTION")
            .replace("Frames: 6", "Frames: 1")
            .split("Frame Time")[0]
            + "Frame Time: 0.03\n"
            + "0 " * 75
        ),
        ["no position channels"],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    edit, words = BAD[name]
    path = tmp_path / "bad.bvh"
    path.write_text(edit(small(tmp_path)))
    with pytest.raises(ValueError) as caught:
        recording(read_bvh(path))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_called_by_its_name(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "wide.bvh"
    path.write_bytes(small(tmp_path).encode(encoding))
    with pytest.raises(ValueError, match="is UTF-16: save it as UTF-8"):
        read_bvh(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_names_may_hold_any_letters(tmp_path: Path, encoding: str, end: str) -> None:
    """In UTF-8 the bytes 85 and A0 end no line and no word; in Latin-1 their signs do neither."""
    names = ["Hüfte", "Hals\u0085", "linke\u00a0Hand"]
    text = small(tmp_path).replace("ROOT Hips", f"ROOT {names[0]}")
    text = text.replace("JOINT Neck1", f"JOINT {names[1]}")
    text = text.replace("JOINT LeftHand", f"JOINT {names[2]}")
    path = tmp_path / "named.bvh"
    path.write_bytes(text.replace("\n", end).encode(encoding))
    found = read_bvh(path)
    assert [
        list(found.joints)[BONES.index(bone)] for bone in ("Hips", "Neck1", "LeftHand")
    ] == names
    assert len(found.rows) == 6


def test_names_of_other_scripts_are_imported(tmp_path: Path) -> None:
    """Of their letters' bytes in UTF-8 some are 85 and A0: of à, Å and 腰."""
    theirs = {"Hips": "腰", "LeftArm": "bras à gauche", "RightArm": "Å", "Head": "\u2028"}
    clip = packaged()[KICK]
    path = tmp_path / "kick.bvh"
    write_bvh(path, clip, 30, name=lambda bone: theirs.get(bone, bone))
    rig = tmp_path / "rig.yaml"
    lines = [f'{bone}: "{theirs.get(bone, bone)}"\n' for bone in BONES if bone != "Head"]
    rig.write_text("".join(lines), encoding="utf-8")
    assert len(imported(path, read_rig(rig))) in (len(clip) - 1, len(clip))


@pytest.mark.parametrize("name", ["Nail", "End Site"])
def test_a_bad_file_does_not_take_the_others_with_it(tmp_path: Path, name: str) -> None:
    """A joint on an end of a chain ended the import; one by the end's own name hung it."""
    text = small(tmp_path).replace("JOINT LeftHand\n", "JOINT Another\n")
    bad = in_end_site(text, f"JOINT {name} {{ JOINT LeftHand {{ }} }}")
    files = {"good": tmp_path / "small.bvh", "bad": tmp_path / "bad.bvh"}
    files["bad"].write_text(bad)
    found = import_files(files, {one: Label("kick") for one in files}, bvh_source)
    assert [clip.name for clip in found.clips] == ["good"]
    assert "JOINT inside of an End Site" in found.left_out["bad.bvh"]


def test_frames_are_counted_at_the_wanted_rate(tmp_path: Path) -> None:
    """Three frames at 120 a second were a clip of one frame at 30."""
    clip = packaged()[KICK]
    short = Clip("short", "kick", None, clip.root[:2], clip.rot[:2])
    path = write_bvh(tmp_path / "short.bvh", short, 120, t_pose=False)
    text = path.read_text().replace("Frames: 5", "Frames: 3")
    path.write_text("\n".join(text.splitlines()[:-2]))
    label = {"short": Label("kick")}
    with pytest.raises(ValueError, match=r"fewer than two frames at the wanted rate of 30 fps"):
        import_files({"short": path}, label, bvh_source)
    assert len(import_files({"short": path}, label, bvh_source, fps=60).clips[0]) == 2


def test_a_file_of_enormous_size_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.bvh"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(ValueError, match=f"has {MAX_FILE_BYTES + 1} bytes"):
        read_bvh(path)


def test_a_leg_of_no_size_is_refused(tmp_path: Path) -> None:
    assert [unit_of(leg) for leg in (0.8, 14.2, 31.5, 80, 800)] == [
        *("metres", "CMU's units of 56 mm", "inches", "centimetres", "millimetres")
    ]
    with pytest.raises(ValueError, match="thigh and shin are 4 long"):
        unit_of(4)
    path = write_bvh(tmp_path / "giant.bvh", packaged()[KICK], 30, 1.0, body=5)
    with pytest.raises(ValueError, match=r"are 4\.01 long"):
        bvh_source(path)


def test_positions_of_another_unit_are_refused(tmp_path: Path) -> None:
    clip = packaged()["deepmimic_run"]
    fast = Clip("fast", "run", None, clip.root * 100, clip.rot)
    path = write_bvh(tmp_path / "fast.bvh", fast, 30, 1.0)
    with pytest.raises(ValueError, match=r"the hips (move at|are) \d+ m.*one unit"):
        import_files({"fast": path}, {"fast": Label("run")}, bvh_source)


def test_a_rest_pose_that_does_not_stand_is_refused(tmp_path: Path) -> None:
    lying = Rotation.from_euler("x", 45, degrees=True)
    path = write_bvh(tmp_path / "lying.bvh", packaged()[KICK], 30, turn=lying)
    with pytest.raises(ValueError, match="rest pose"):
        bvh_source(path)


@pytest.mark.parametrize("axis", ["x", "z"])
@pytest.mark.parametrize("angle", [6, -20, 30])
def test_a_rest_pose_that_leans_is_refused(tmp_path: Path, axis: str, angle: int) -> None:
    """Up was rounded to an axis, so that everybody leaned."""
    leaning = Rotation.from_euler(axis, angle, degrees=True)
    path = write_bvh(tmp_path / "leaning.bvh", packaged()[KICK], 30, 0.01, turn=leaning)
    words = (
        rf"legs of the rest pose lean by {abs(angle)}\.0 degrees, .*at most 4 .*--rest first-frame"
    )
    with pytest.raises(ValueError, match=words):
        bvh_source(path)


LEGS = ("HipJoint", "Leg", "Foot", "ToeBase")


@pytest.mark.parametrize(("axis", "angle"), [("x", 15), ("x", -30), ("z", 20)])
def test_a_rest_pose_whose_trunk_leans_is_refused(tmp_path: Path, axis: str, angle: int) -> None:
    """The spine's turns are from there on, so that everybody leaned by as much."""
    bvh = read_bvh(write_bvh(tmp_path / "bent.bvh", packaged()[KICK], 30, 0.01))

    def bent(degrees: float) -> Bvh:
        turn = Rotation.from_euler(axis, degrees, degrees=True)
        joints = {
            name: joint if name.endswith(LEGS) else replace(joint, offset=turn.apply(joint.offset))
            for name, joint in bvh.joints.items()
        }
        return replace(bvh, joints=joints)

    with pytest.raises(ValueError, match=r"trunk of the rest pose leans by \d+\.\d .*at most 12 "):
        as_source(bent(angle))
    as_source(bent(np.copysign(9, angle)))


def test_legs_of_a_rest_pose_may_lean_a_little(tmp_path: Path) -> None:
    leaning = Rotation.from_euler("x", 3, degrees=True)
    bvh_source(write_bvh(tmp_path / "a.bvh", packaged()[KICK], 30, 0.01, turn=leaning))


def test_damaged_files_end_in_a_reason(tmp_path: Path) -> None:
    """Bytes changed, cut, doubled: a clip or a ValueError, and nothing else."""
    whole = small(tmp_path).encode()
    rng = np.random.default_rng(0)
    refused = 0
    path = tmp_path / "damaged.bvh"
    for data in damaged(whole, 250, rng):
        path.write_bytes(data)
        refused += refuses(imported, path)
    assert 100 < refused < 250


def test_labels_from_names() -> None:
    found = from_names(["walk_slow-03", "Jump1", "B3 - walk1_poses"])
    assert [label.text for label in found.values()] == ["walk_slow", "jump", "b_walk"]
    with pytest.raises(ValueError, match=r"2 file name\(s\).*01_01, 01_02.*--labels"):
        from_names(["01_01", "run", "01_02"])


@pytest.mark.parametrize("subject", ["7", "07", "007", "0007", "٧", "٠٠٧", " 7 "])
def test_a_person_has_one_number(tmp_path: Path, subject: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(f"clip,label,subject\nown,run,{subject}\n", encoding="utf-8")
    assert read_labels(table, ["own"]) == {"own": Label("run", "007")}


@pytest.mark.parametrize("subject", ["1007", "7a", "²", pytest.param("9" * 5000, id="many digits")])
def test_other_subjects_are_as_they_are_written(tmp_path: Path, subject: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(f"clip,label,subject\nown,run,{subject}\n", encoding="utf-8")
    assert read_labels(table, ["own"])["own"].subject == subject


def test_labels_from_a_table(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    rows = "\ufeffclip, label, subject\n07_01,walk,\nown,run,Ann\n08_01,run,7\n09_01,run,07\n"
    table.write_text(rows, encoding="utf-8")
    found = read_labels(table, ["07_01", "own", "08_01", "09_01"])
    assert found.pop("08_01") == found.pop("09_01") == Label("run", "007"), "one person"
    assert found == {"07_01": Label("walk", "007"), "own": Label("run", "Ann")}
    table.write_text("clip,label,subject\n07_01,walk,\nown,run,Ann\n")
    with pytest.raises(ValueError, match=r"no label for 1 clip\(s\): kick.*--fill-labels"):
        read_labels(table, ["07_01", "own", "kick"])
    assert read_labels(table, ["07_01", "own", "kick"], fill=True)["kick"] == Label("kick")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("clip,label\nwalkk,w\n", ["walkk (did you mean walk?)", "the clips are walk"]),
        ("clip,labels\nwalk,w\n", ["'labels' (did you mean label?)", "missing: label"]),
        ("clip,label\nwalk,w\nwalk,w\n", ["line 3", "second row of 'walk'"]),
        ("clip,label\nwalk,\n", ["line 2", "empty"]),
        ("clip,label\nwalk\n", ["line 2", "2 fields"]),
        ("clip,label\nwalk,a,b\n", ["line 2", "2 fields"]),
        ("", ["columns clip,label"]),
        ('clip,label\n"walk,w\n', ["CSV"]),
    ],
)
def test_a_bad_table_is_refused(tmp_path: Path, text: str, words: list[str]) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(text)
    with pytest.raises(ValueError) as caught:
        read_labels(table, ["walk"])
    for word in (str(table), *words):
        assert word in str(caught.value)


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "walk.bvh").touch()
    (tmp_path / "b" / "run.BVH").touch()
    (tmp_path / "b" / "._run.bvh").touch()  # what a Mac puts beside a file
    assert list(find_files(tmp_path, ".bvh")) == ["a-walk", "run", "b-walk"]
    (tmp_path / "a-walk.bvh").touch()
    with pytest.raises(ValueError, match="would both be the clip a-walk"):
        find_files(tmp_path, ".bvh")
    with pytest.raises(ValueError, match=r"files of \.npz, found 0; it holds 4 of \.bvh"):
        find_files(tmp_path, ".npz")


def test_a_second_row_more_than_stated_is_the_last(tmp_path: Path) -> None:
    text = small(tmp_path)
    assert len(parse(text.replace("Frames: 6", "Frames: 5")).rows) == 5
    with pytest.raises(ValueError, match="says 4 frames and holds 6"):
        parse(text.replace("Frames: 6", "Frames: 4"))
