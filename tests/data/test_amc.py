"""ASF and AMC files: an independent forward kinematics, the way there and back, and bad ones."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from hipart.data import amc as amc_module
from hipart.data.amc import check_whole, parse_amc, read_amc
from hipart.data.amc_recording import joints as bone_ends
from hipart.data.amc_recording import metres_of, skeleton_of
from hipart.data.asf import Asf, parse_asf, read_asf
from hipart.data.importing import import_files
from hipart.data.labels import Label
from hipart.data.motion import Clip
from hipart.data.retarget import rest_heads, retarget
from hipart.data.rigs import ACCLAIM
from hipart.data.sources import AcclaimReader
from hipart.data.textfiles import MAX_FILE_BYTES
from tests.data.acclaim_files import (
    CMU_LENGTH,
    WrittenSkeleton,
    amc_text,
    asf_text,
    person,
    write_person,
)
from tests.data.recordings import CMU_UNIT_M, damaged, joints, packaged, refuses

KICK = "deepmimic_kick"
ORDERS = ["".join(order) for order in permutations("XYZ")]
#: Rotations are kept in half precision, which moves a hand by a millimetre or two.
NEAR_M = 0.004


# --- kinematics written once more, with nothing of the product's ----------------------------------


def turned(axes: Sequence[str], angles: Sequence[float]) -> np.ndarray:
    """The matrix of rotations about fixed axes, the first one first."""
    found = np.eye(3)
    for axis, angle in zip(axes, angles, strict=True):
        c, s = np.cos(angle), np.sin(angle)
        about = {
            "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
            "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
            "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
        }
        found = np.array(about[axis.lower()]) @ found
    return found


def forward(
    skeleton: WrittenSkeleton, values: dict[str, np.ndarray], frame: int, unit_m: float
) -> dict[str, np.ndarray]:
    """Where the root is and where each bone ends, metres, as the format's definition says."""
    angle = np.pi / 180 if skeleton.degrees else 1.0

    def own(dof: Sequence[str], numbers: np.ndarray) -> np.ndarray:
        places = [n for n, one in enumerate(dof) if one.lower().startswith("r")]
        return turned([dof[n][1] for n in places], numbers[places] * angle)

    placed = turned(skeleton.root_axis, np.array(skeleton.orientation) * angle)
    at = np.zeros(3)
    for one, number in zip(skeleton.root_order, values["root"][frame], strict=True):
        if one.lower().startswith("t"):
            at["xyz".index(one[1].lower())] = number
    turns = {"root": placed @ own(skeleton.root_order, values["root"][frame])}
    ends = {"root": np.array(skeleton.position) + placed @ at}
    for bone in skeleton.bones:
        frame_of = turned(bone.order, np.array(bone.axis) * angle)
        local = own(bone.dof, values[bone.name][frame]) if bone.dof else np.eye(3)
        turns[bone.name] = turns[bone.parent] @ frame_of @ local @ frame_of.T
        along = np.array(bone.direction) * bone.length
        ends[bone.name] = ends[bone.parent] + turns[bone.name] @ along
    return {name: end * unit_m for name, end in ends.items()}


def somebody(
    seed: int, degrees: bool = True, unit_m: float = CMU_UNIT_M, length: float = CMU_LENGTH
) -> tuple[WrittenSkeleton, dict[str, np.ndarray]]:
    """A person's bones with axes, degrees of freedom and numbers at random, all in any order."""
    rng = np.random.default_rng(seed)
    base, _ = person(short(2), unit_m=unit_m, length=length, degrees=degrees)
    angle = 1.0 if degrees else np.pi / 180
    values = {}
    for bone in base.bones:
        bone.order = ORDERS[rng.integers(6)]
        bone.axis = rng.uniform(-180, 180, 3) * angle
        kept = rng.permutation(["rx", "ry", "rz"])[: rng.integers(4)]
        bone.dof = [str(one) for one in kept]
        values[bone.name] = rng.uniform(-70, 70, (3, len(kept))) * angle
    order = [str(one) for one in rng.permutation(["TX", "TY", "TZ", "RX", "RY", "RZ"])]
    scale = [1 / unit_m if one.startswith("T") else 90 * angle for one in order]
    values["root"] = rng.uniform(-1, 1, (3, 6)) * scale
    skeleton = replace(
        base,
        root_order=order,
        root_axis=ORDERS[rng.integers(6)],
        position=rng.uniform(-1, 1, 3) / unit_m,
        orientation=rng.uniform(-180, 180, 3) * angle,
    )
    return skeleton, values


def short(frames: int) -> Clip:
    clip = packaged()[KICK]
    return Clip("short", "kick", None, clip.root[:frames], clip.rot[:frames])


UNITS = {
    "CMU's": (CMU_UNIT_M, CMU_LENGTH, "inches divided by 0.45"),
    "inches": (0.0254, 1.0, "inches"),
    "metres": (1.0, 1.0, "metres"),
    "inches in centimetres": (0.0254, 2.54, "centimetres times 2.54"),
    "half metres": (0.5, 0.5, "metres times 0.5"),
    "millimetres": (0.001, 1.0, "millimetres"),
}


@pytest.mark.parametrize("degrees", [True, False], ids=["degrees", "radians"])
@pytest.mark.parametrize("unit", UNITS)
def test_joints_are_where_forward_kinematics_puts_them(unit: str, degrees: bool) -> None:
    unit_m, length, called = UNITS[unit]
    seen: set[str] = set()
    for seed in range(4):
        skeleton, values = somebody(seed, degrees, unit_m, length)
        asf = parse_asf(asf_text(skeleton))
        amc = parse_amc(amc_text(skeleton, values).encode(), asf)
        metres, name = metres_of(asf, ACCLAIM.theirs)
        assert metres == pytest.approx(unit_m) and name == called
        found = bone_ends(asf, amc, metres)
        for frame in range(3):
            expected = forward(skeleton, values, frame, unit_m)
            assert found.keys() == expected.keys()
            for bone, end in expected.items():
                assert np.linalg.norm(found[bone][frame] - end) < 0.001
        seen |= {bone.order for bone in skeleton.bones}
        seen |= {" ".join(bone.dof) for bone in skeleton.bones}
    assert seen > set(ORDERS) and {"", "rx", "rz ry", "rz rx ry"} <= seen


# --- over to the reference body -------------------------------------------------------------------


def imported(path: Path, reader: AcclaimReader | None = None) -> Clip:
    source = (reader or AcclaimReader())(path)
    root, rot = retarget(source.recording, rest_heads(), 30)
    return Clip(path.stem, "kick", None, root, rot.astype(np.float32))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"fps": 60},
        {"axes": "ZXY", "dof": "YZX"},
        {"axes": "YXZ", "dof": "ZYX", "degrees": False},
        {"unit_m": 1.0, "length": 1.0},
        {"unit_m": 0.0254, "length": 1.0, "degrees": False},
        {"orientation": (90, 0, 0)},
        {"orientation": (0, 0, -90), "dof": "XZY"},
        {"body": 1.2},
    ],
    ids=str,
)
def test_motion_comes_back(tmp_path: Path, options: dict) -> None:
    clip = packaged()[KICK]
    path = write_person(tmp_path, "01_01", clip, **options)
    reader = AcclaimReader(rate=options.get("fps", 120))
    source, found = reader(path), imported(path, reader)
    assert source.fps == options.get("fps", 120) and not source.dropped
    assert len(found) == len(clip)
    assert np.linalg.norm(joints(found) - joints(clip), axis=-1).max() < NEAR_M


def test_frames_that_clips_skip_change_nothing(tmp_path: Path) -> None:
    path = write_person(tmp_path, "01_01", packaged()[KICK])
    few, all_of_them = (imported(path, AcclaimReader(fps=fps)) for fps in (30, 77))
    assert len(AcclaimReader(fps=30)(path).recording.seconds) * 4 - 3 == 181
    assert len(AcclaimReader(fps=77)(path).recording.seconds) == 181
    assert np.abs(few.root - all_of_them.root).max() < 1e-6
    assert np.abs(few.rot - all_of_them.rot).max() < 0.002


def test_a_first_frame_that_stands_apart_is_dropped(tmp_path: Path) -> None:
    path = write_person(tmp_path, "01_01", packaged()[KICK], 30)
    plain = imported(path, AcclaimReader(rate=30))
    lines = path.read_text().splitlines()
    start = lines.index("1")
    first = [
        line if n == 1 else " ".join([line.split()[0], *["0"] * (len(line.split()) - 1)])
        for n, line in enumerate(lines[start : lines.index("2")])
    ]
    first[0], first[1] = "0", " ".join([*first[1].split()[:4], "0", "0", "0"])
    path.write_text("\n".join([*lines[:start], *first, *lines[start:]]) + "\n")
    source = AcclaimReader(rate=30)(path)
    assert source.dropped
    assert len(source.recording.seconds) == len(plain)
    assert np.array_equal(imported(path, AcclaimReader(rate=30)).rot, plain.rot)


def test_a_file_that_says_its_rate(tmp_path: Path) -> None:
    path = write_person(tmp_path, "01_01", short(4), 30)
    assert AcclaimReader()(path).fps == 120
    assert AcclaimReader(rates={path: 60.0})(path).fps == 60
    path.write_text(path.read_text().replace(":DEGREES", ":DEGREES\n:SAMPLES-PER-SECOND 30"))
    assert AcclaimReader(rates={path: 60.0})(path).fps == 30


def test_frames_are_read_in_blocks_and_in_any_order_of_bones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    skeleton, values = somebody(3)
    values = {name: np.concatenate([rows] * 20) for name, rows in values.items()}
    asf = parse_asf(asf_text(skeleton))
    text = amc_text(skeleton, values, first=5)
    whole = parse_amc(text.encode(), asf)
    assert whole.frames == 60
    monkeypatch.setattr(amc_module, "_by_lines", None)
    monkeypatch.setattr(amc_module, "BLOCK_BYTES", 2000)
    blocks = parse_amc(text.replace("\n", "\r\n").encode(), asf)
    monkeypatch.undo()
    monkeypatch.setattr(amc_module, "_by_columns", lambda *_: None)
    lines = parse_amc(text.encode(), asf)
    monkeypatch.undo()
    shuffled = text.split("\n")
    place = shuffled.index("7")
    shuffled[place + 1], shuffled[place + 2] = shuffled[place + 2], shuffled[place + 1]
    mixed = parse_amc("\n".join(shuffled).encode(), asf)
    for name, numbers in whole.values.items():
        for other in (blocks, lines, mixed):
            assert np.array_equal(other.values[name], numbers)


def test_the_skeleton_of_a_file(tmp_path: Path) -> None:
    for name in ("01.asf", "HDM_bd.asf", "HDM.asf", "01_02.amc", "HDM_bd_01.amc", "x.amc"):
        (tmp_path / name).touch()
    assert skeleton_of(tmp_path / "01_02.amc").name == "01.asf"
    assert skeleton_of(tmp_path / "HDM_bd_01.amc").name == "HDM_bd.asf"
    with pytest.raises(ValueError, match=r"x\.asf.*must lie beside it.*01\.asf, HDM\.asf"):
        skeleton_of(tmp_path / "x.amc")
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "person.ASF").touch()
    assert skeleton_of(tmp_path / "one" / "x.amc").name == "person.ASF"


# --- bad files ------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def texts() -> tuple[str, str]:
    skeleton, values = person(short(6), 30)
    return asf_text(skeleton), amc_text(skeleton, values)


def pair(tmp_path: Path) -> tuple[str, str]:
    for name, text in zip(("01.asf", "01_01.amc"), texts(), strict=True):
        (tmp_path / name).write_text(text)
    return texts()


def without(text: str, start: str, end: str) -> str:
    return text[: text.index(start)] + text[text.index(end) :]


BAD_ASF = {
    "nothing": (lambda text: " \n", ["is empty"]),
    "binary": (lambda text: text + "\0", ["binary"]),
    "a web page": (lambda text: "<html><h1>Busy</h1>", ["is a web page", "fetch it again"]),
    "another format": (lambda text: "HIERARCHY\n" + text, ["line 1", "no ASF file", "HIERARCHY"]),
    "no root": (lambda t: without(t, ":root", ":bonedata"), ["no :root section", ":bonedata"]),
    "no hierarchy": (lambda t: t[: t.index(":hierarchy")], ["no :hierarchy section"]),
    "no bones": (lambda t: without(t, ":bonedata", ":hierarchy"), ["no :bonedata section"]),
    "no bone": (lambda t: without(t, "  begin\n     id 1\n", ":hier"), [":bonedata has no bone"]),
    "no order": (lambda t: t.replace("   order TX", "   odour TX"), [":root has no order"]),
    "order": (lambda t: t.replace("order TX", "order QX"), ["line 11", "'qx'", "tx, ty, tz, rx"]),
    "twice an order": (lambda t: t.replace("TX TY", "TX TX"), ["line 11", "named twice"]),
    "angle": (lambda t: t.replace("angle deg", "angle grad"), ["line 7", "deg or rad", "'grad'"]),
    "commas": (
        lambda t: t.replace("length 0.45", "length 0,45"),
        ["line 6", "length needs 1 number(s), found more: 0 45", "decimals need a point"],
    ),
    "commas in a direction": (
        lambda t: t.replace("direction ", "direction 0,5 0 0 #"),
        ["line ", "direction needs 3 number(s), found more: 0 5 0 0"],
    ),
    "length": (lambda t: t.replace("length 0.45", "length 0"), ["line 6", "above 0"]),
    "units": (lambda t: t.replace("length 0.45", "length 10"), ["thigh and shin", "length of 10"]),
    "torn": (lambda t: t[: t.index("limits")] + "\n:hierarchy\n", ["line ", "no end", "truncated"]),
    "nested": (lambda t: t.replace("  end\n", "", 1), ["line ", "begin inside of a bone"]),
    "loose": (lambda t: t.replace(":bonedata", ":bonedata\nid 7"), ["line 16", "outside of begin"]),
    "no name": (lambda t: t.replace("     name lfemur\n", ""), ["line ", "without a name"]),
    "no direction": (lambda t: t.replace("direction", "dir"), ["bone lhipjoint has no direction"]),
    "two numbers": (
        lambda t: t.replace("direction ", "direction 1 2\n#"),
        ["3 number(s), found 2"],
    ),
    "a word": (lambda t: t.replace("direction ", "direction a "), ["line ", "not a number"]),
    "huge": (lambda t: t.replace("direction ", "direction 1e9 "), ["line ", "1e9", "up to 1e+06"]),
    "negative": (lambda t: t.replace("     length ", "     length -"), ["bone ", "is -"]),
    "axis": (lambda t: t.replace("  XYZ", "  XYX"), ["line ", "x, y and z", "'xyx'"]),
    "no axis": (lambda t: t.replace("     axis", "     axle"), ["turns and has no axis"]),
    "dof": (lambda t: t.replace("dof rx", "dof rw"), ["line ", "'rw'", "rx, ry, rz, l"]),
    "twice": (lambda t: t.replace("name rfemur", "name lfemur"), ["second bone 'lfemur'"]),
    "unknown": (
        lambda t: t.replace("    lhipjoint", "    lhipjiont"),
        ["line ", "'lhipjiont'", "mean lhipjoint?"],
    ),
    "two parents": (lambda t: t.replace("lfemur ltibia", "lfemur ltibia lfoot"), ["already"]),
    "adrift": (lambda t: t.replace("    lfemur ltibia\n", ""), ["does not lead from root", "ltib"]),
    "other names": (
        lambda t: t.replace("lfemur", "lefthigh"),
        ["lacks 1 bone(s): lfemur (for LeftUpLeg)", "--rig"],
    ),
    "goes nowhere": (lambda t: t.replace("TX TY TZ ", ""), ["no tx, ty or tz", "nowhere"]),
    "lying": (
        lambda t: t.replace("orientation 0 0 0", "orientation 45 0 0"),
        ["rest pose"],
    ),
}


@pytest.mark.parametrize("name", BAD_ASF)
def test_a_bad_skeleton_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    edit, words = BAD_ASF[name]
    asf, amc = pair(tmp_path)
    (tmp_path / "01.asf").write_text(edit(asf))
    if name == "goes nowhere":
        rows = [line.split() for line in amc.splitlines()]
        amc = "\n".join(" ".join(r[:1] + r[4:] if r[0] == "root" else r) for r in rows)
        (tmp_path / "01_01.amc").write_text(amc)
    if name == "other names":
        (tmp_path / "01_01.amc").write_text(amc.replace("lfemur", "lefthigh"))
    with pytest.raises(ValueError) as caught:
        AcclaimReader()(tmp_path / "01_01.amc")
    for word in words:
        assert word in str(caught.value)


def last_line(text: str, new: str) -> str:
    return "\n".join([*text.splitlines()[:-1], new]) + "\n"


BAD_AMC = {
    "nothing": (lambda text: " \n", ["is empty"]),
    "binary": (lambda text: text + "\0", ["binary"]),
    "a web page": (lambda text: "<!DOCTYPE html>" + text, ["is a web page", "fetch it again"]),
    "no frame": (lambda text: text[: text.index("\n1\n") + 1], ["no frame", "truncated"]),
    "another format": (lambda text: "MOTION\n" + text, ["line 1", "no AMC file", "'MOTION'"]),
    "rate": (lambda t: ":SAMPLES-PER-SECOND 0\n" + t, ["line 1", "1 to 1000", "found 0"]),
    "a bone too many": (
        lambda t: t.replace("lfemur", "lfemru", 1),
        ["line 7", "'lfemru' is not in 01.asf (did you mean lfemur?)"],
    ),
    "too few numbers": (
        lambda t: t.replace("ltibia ", "ltibia 1 #"),
        ["line 8", "ltibia has 1 number(s) for 3 degree(s) of freedom in 01.asf (rx ry rz)"],
    ),
    "too many numbers": (lambda t: t.replace("ltibia ", "ltibia 1 "), ["line 8", "4 number(s)"]),
    "truncated in a line": (
        lambda t: last_line(t, " ".join(t.splitlines()[-1].split()[:2])),
        ["1 number(s) for 3", "the file ends here: it is truncated"],
    ),
    "truncated in a frame": (
        lambda t: last_line(t, ""),
        ["the last frame lacks rtoes: the file is truncated"],
    ),
    "a frame that lacks": (
        lambda t: "\n".join(t.splitlines()[:8] + t.splitlines()[9:]),
        ["line 29", "the frame before lacks lfoot"],
    ),
    "frames missing": (lambda t: without(t, "\n3\n", "\n4\n"), ["frame 4 where 3 must follow"]),
    "twice": (lambda t: t.replace("\nltoes ", "\nlfoot "), ["second line of lfoot"]),
    "a word": (lambda t: t.replace("ltibia ", "ltibia 1 2 x #"), ["line 8", "not a number"]),
    "commas": (
        lambda t: last_line(t, "rtoes 1 2 0,5"),
        ["line ", "rtoes: not a number", "'0,5'", "a decimal point is needed"],
    ),
    "no number": (lambda t: last_line(t, "rtoes 1 2 three"), ["line ", "not a number", "three"]),
    "NaN": (lambda t: last_line(t, "rtoes 1 2 nan"), ["line ", "nan", "up to"]),
    "huge": (lambda t: last_line(t, "rtoes 1 2 1e9"), ["line ", "1e9", "up to"]),
    "long": (lambda t: last_line(t, "rtoes 1 2 " + "9" * 400), ["line ", "up to"]),
    "no number of a frame": (lambda t: t.replace("\n2\n", "\n2" + "0" * 30 + "\n"), ["where 2"]),
}


@pytest.mark.parametrize("name", BAD_AMC)
def test_bad_motion_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    edit, words = BAD_AMC[name]
    _, amc = pair(tmp_path)
    (tmp_path / "01_01.amc").write_text(edit(amc))
    with pytest.raises(ValueError) as caught:
        AcclaimReader()(tmp_path / "01_01.amc")
    for word in words:
        assert word in str(caught.value)


def test_a_bone_by_the_name_of_a_number_begins_no_frame(tmp_path: Path) -> None:
    """Numbers of a bone that stand before the first frame ended the import."""
    asf, amc = pair(tmp_path)
    (tmp_path / "01.asf").write_text(asf.replace("rtoes", "7"))
    (tmp_path / "01_01.amc").write_text("7 1 2 3\n" + amc.replace("rtoes", "7"))
    with pytest.raises(ValueError, match="line 1: .* '7' stands before the first frame"):
        AcclaimReader()(tmp_path / "01_01.amc")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("block", [True, False], ids=["in blocks", "by lines"])
def test_names_may_hold_any_letters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, end: str, block: bool
) -> None:
    """In UTF-8 the bytes 85 and A0 end no line and no word; in Latin-1 their signs do neither."""
    asf, amc = pair(tmp_path)
    plain = AcclaimReader()(tmp_path / "01_01.amc").recording
    names = {"rtoes": "à\u0085", "thorax": "thorax\u00a0Å"}
    for name, text in (("01.asf", asf), ("01_01.amc", amc)):
        named = text.replace("rtoes", names["rtoes"]).replace("thorax", names["thorax"])
        (tmp_path / name).write_bytes(named.replace("\n", end).encode(encoding))
    monkeypatch.setattr(amc_module, "_by_lines" if block else "_by_columns", lambda *_: None)
    rig = replace(ACCLAIM, theirs={o: names.get(t, t) for o, t in ACCLAIM.theirs.items()})
    check_whole(tmp_path / "01_01.amc")
    found = AcclaimReader(rig)(tmp_path / "01_01.amc").recording
    assert np.array_equal(found.hips, plain.hips)
    assert np.array_equal(found.turned["Head"].as_quat(), plain.turned["Head"].as_quat())


def test_utf_16_is_called_by_its_name(tmp_path: Path) -> None:
    _, amc = pair(tmp_path)
    (tmp_path / "01_01.amc").write_text(amc, encoding="utf-16")
    with pytest.raises(ValueError, match="is UTF-16: save it as UTF-8"):
        AcclaimReader()(tmp_path / "01_01.amc")


def test_frames_are_counted_at_the_wanted_rate(tmp_path: Path) -> None:
    """Three frames at 100 a second were a clip of one frame at 30."""
    path = write_person(tmp_path, "01_01", short(2), 100)
    text = path.read_text()
    path.write_text(text[: text.index("\n4\n") + 1])
    label = {"01_01": Label("kick")}
    with pytest.raises(ValueError, match=r"fewer than two frames at the wanted rate of 30 fps"):
        import_files({"01_01": path}, label, AcclaimReader(rate=100))
    found = import_files({"01_01": path}, label, AcclaimReader(rate=100, fps=50), fps=50)
    assert len(found.clips[0]) == 2


def test_a_file_of_enormous_size_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.asf"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(ValueError, match=f"has {MAX_FILE_BYTES + 1} bytes"):
        read_asf(path)


def skeleton_and_motion(tmp_path: Path) -> tuple[Asf, Path]:
    pair(tmp_path)
    return read_asf(tmp_path / "01.asf"), tmp_path / "01_01.amc"


def test_a_cut_is_seen_without_the_skeleton(tmp_path: Path) -> None:
    """Wherever it falls, unless just between two frames or inside of a frame's last number."""
    _, path = skeleton_and_motion(tmp_path)
    whole = path.read_bytes()
    check_whole(path)
    frames = [whole.index(b"\n%d\n" % number) for number in range(2, 7)] + [len(whole) - 1]
    lasts = [whole.rindex(b" ", 0, end) for end in frames]
    cut = tmp_path / "01_01.amc.part"
    for size in np.random.default_rng(0).integers(0, len(whole), 300):
        cut.write_bytes(whole[:size])
        spared = any(last + 1 < size <= end + 1 for last, end in zip(lasts, frames, strict=True))
        assert refuses(check_whole, cut) == (not spared)
    asf = path.with_name("01.asf")
    check_whole(asf)
    for share in (0.3, 0.6, 0.95):
        torn = tmp_path / "01.asf.part"
        torn.write_text(asf.read_text()[: int(share * asf.stat().st_size)])
        assert refuses(check_whole, torn)


def test_damaged_files_end_in_a_reason(tmp_path: Path) -> None:
    """Bytes changed, cut, doubled: a clip or a ValueError, and nothing else."""
    skeleton, path = skeleton_and_motion(tmp_path)
    rng = np.random.default_rng(0)
    refused = 0
    for name, read in (("01.asf", read_asf), ("01_01.amc", lambda p: read_amc(p, skeleton))):
        whole = path.with_name(name).read_bytes()
        copy = tmp_path / f"damaged{name[-4:]}"
        for data in damaged(whole, 200, rng):
            copy.write_bytes(data)
            refused += refuses(read, copy)
    assert 100 < refused < 400
