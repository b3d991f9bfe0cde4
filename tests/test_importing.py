"""``data import`` as a user calls it: what is imported, what is left out, what is refused."""

import json
import os
import weakref
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from hipart.cli import main
from hipart.data.importing import find_files, import_files
from hipart.data.labels import Label
from hipart.data.motion import BONES, Clip, read_motion
from hipart.data.motion_writer import MotionWriter
from hipart.data.sources import AcclaimReader
from tests.data.acclaim_files import write_person
from tests.data.recordings import (
    amass_arrays,
    joints,
    packaged,
    write_along_bones,
    write_bvh,
)

JUMP, KICK, RUN = "deepmimic_jump", "deepmimic_kick", "deepmimic_run"


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["data", "import", *map(str, arguments)])


def said(*arguments: object) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: object) -> str:
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("Error: ")
    return result.stderr


@pytest.fixture(scope="module")
def cmu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three recordings at three rates, in two units; one of them torn; a table of labels."""
    folder = tmp_path_factory.mktemp("cmu")
    write_bvh(folder / "01_01.bvh", packaged()[JUMP], 120)
    write_bvh(folder / "01_02.bvh", packaged()[KICK], 60)
    write_bvh(folder / "02_01.bvh", packaged()[RUN], 30, unit_m=0.01)
    torn = (folder / "01_01.bvh").read_text()
    (folder / "02_02.bvh").write_text(torn[: len(torn) // 2])
    (folder / "labels.csv").write_text(
        "clip,label\n01_01,jump\n01_02,kick\n02_01,run\n02_02,jump\n"
    )
    return folder


def test_a_cmu_folder_with_a_torn_file_and_mixed_rates_and_units(cmu: Path, tmp_path: Path) -> None:
    out = tmp_path / "motion"
    output = said("bvh", cmu, "--labels", cmu / "labels.csv", "--out", out)
    motion = read_motion(out)
    assert motion.fps == 30
    assert [(clip.name, clip.label, clip.cmu_subject) for clip in motion.clips] == [
        ("01_01", "jump", "001"),
        ("01_02", "kick", "001"),
        ("02_01", "run", "002"),
    ]
    for clip, name in zip(motion.clips, (JUMP, KICK, RUN), strict=True):
        apart = joints(clip) - joints(packaged()[name])[: len(clip)]
        assert np.linalg.norm(apart, axis=-1).max() < 0.004
    lines = output.splitlines()
    frames = sum(map(len, motion.clips))
    assert f"wrote {out}: 3 clip(s), {frames} frames, {frames / 30:.1f} s at 30 fps" in lines
    assert (
        "frame rates found: 120 fps in 1 file(s), 60 fps in 1 file(s), 30 fps in 1 file(s)" in lines
    )
    assert "units found: CMU's units of 56 mm in 2 file(s), centimetres in 1 file(s)" in lines
    assert "left out: 1 file(s)" in lines
    assert lines[lines.index("left out: 1 file(s)") + 1].startswith("  02_02.bvh: ")
    assert (out / "preview.png").read_bytes().startswith(b"\x89PNG")
    assert f"Next: hipart-search data info --data {out}" in lines
    info = CliRunner().invoke(
        main, ["data", "info", "--scale", "smoke", "--data", str(out), "--json"]
    )
    assert info.exit_code == 0, info.output
    assert json.loads(info.stdout)["clips"] == 3


def test_the_same_files_give_the_same_bytes(cmu: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        said("bvh", cmu, "--labels", cmu / "labels.csv", "--out", tmp_path / name, "--no-preview")
    for name in ("clips.npz", "clips.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_labels_are_said_to_be_missing(cmu: Path, tmp_path: Path) -> None:
    error = refused("bvh", cmu, "--out", tmp_path / "motion")
    assert "01_01, 01_02, 02_01, 02_02" in error and "--labels" in error
    table = tmp_path / "labels.csv"
    table.write_text("clip,label\n01_01,jump\n01_03,kick\n")
    error = refused("bvh", cmu, "--labels", table, "--out", tmp_path / "motion")
    assert "01_03 (did you mean 01_02?)" in error
    assert not (tmp_path / "motion").exists()


def test_an_unknown_rig_is_refused_until_its_bones_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    write_bvh(folder / "kick.bvh", packaged()[KICK], 30, name=lambda bone: f"my{bone}")
    error = refused("bvh", folder, "--out", tmp_path / "motion")
    assert "none of 1 file(s) could be imported\n  kick.bvh: lacks 13 bone(s): Hips" in error
    assert "found: myHips" in error and "--rig" in error
    rig = tmp_path / "rig.yaml"
    rig.write_text("".join(f"{bone}: my{bone}\n" for bone in BONES))
    output = said("bvh", folder, "--rig", rig, "--out", tmp_path / "motion", "--no-preview")
    assert "labels are the letters of the files' names" in output
    assert read_motion(tmp_path / "motion").clips[0].label == "kick"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    folder, out = tmp_path / "own", tmp_path / "motion"
    folder.mkdir()
    write_bvh(folder / "kick.bvh", packaged()[KICK], 30)
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    options = ("bvh", folder, "--out", out, "--no-preview")
    assert "exists and is not empty" in refused(*options, "--force")
    (out / "thesis.txt").unlink()
    said(*options)
    assert "earlier import; replace it with --force" in refused(*options)
    said(*options, "--fps", 60, "--force")
    assert read_motion(out).fps == 60
    assert sorted(path.name for path in tmp_path.iterdir()) == ["motion", "own"]


def test_an_amass_folder(tmp_path: Path) -> None:
    folder, out = tmp_path / "amass" / "07", tmp_path / "motion"
    folder.mkdir(parents=True)
    np.savez(folder / "walk_07_poses.npz", **amass_arrays(packaged()[RUN]))
    np.savez(folder / "07_02_poses.npz", **amass_arrays(packaged()[KICK], 60))
    np.savez(folder / "shape.npz", betas=np.zeros(16))
    np.savez(folder / "run_markers.npz", markers=np.zeros(16))
    table = tmp_path / "labels.csv"
    table.write_text("clip,label\n07_02_poses,kick\n")
    options = ("--labels", table, "--fill-labels", "--out", out, "--no-preview")
    output = said("amass", folder.parent, *options)
    assert "left out: 1 file(s)\n  run_markers.npz: lacks poses, trans, mocap_f" in output
    assert "frame rates found: 60 fps in 1 file(s), 30 fps in 1 file(s)" in output
    assert [(clip.label, clip.cmu_subject) for clip in read_motion(out).clips] == [
        ("kick", "007"),
        ("walk", None),
    ]


def test_a_name_that_cannot_be_written_leaves_its_file_out(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    write_bvh(files / "run.bvh", packaged()[RUN], 30)
    try:
        write_bvh(Path(os.fsdecode(os.fsencode(files) + b"/kick\xff.bvh")), packaged()[KICK], 30)
    except OSError:
        pytest.skip("this file system has no such names")
    output = said("bvh", files, "--out", tmp_path / "motion", "--no-preview")
    assert "left out: 1 file(s)" in output and "is no UTF-8; give it another one" in output
    assert [clip.name for clip in read_motion(tmp_path / "motion").clips] == ["run"]


def test_an_import_that_ended_between_its_files_can_be_replaced(tmp_path: Path) -> None:
    files, out = tmp_path / "files", tmp_path / "motion"
    files.mkdir()
    write_bvh(files / "run.bvh", packaged()[RUN], 30)
    said("bvh", files, "--out", out)
    (out / "clips.json").unlink()
    (out / "preview.png").unlink(missing_ok=True)
    (out / "thesis.txt").write_text("mine")  # then it is no folder of an import
    assert "exists and is not empty" in refused("bvh", files, "--out", out, "--force")
    (out / "thesis.txt").unlink()
    assert "replace it with --force" in refused("bvh", files, "--out", out)
    said("bvh", files, "--out", out, "--force", "--no-preview")
    assert len(read_motion(out).clips) == 1


@pytest.mark.parametrize("entries", [["clips"], ["a/root"], ["a/root", "a/rot", "b"], [], None])
def test_arrays_of_someone_else_are_not_replaced(tmp_path: Path, entries: list[str] | None) -> None:
    files, out = tmp_path / "files", tmp_path / "motion"
    files.mkdir()
    write_bvh(files / "run.bvh", packaged()[RUN], 30)
    out.mkdir()
    if entries is None:
        (out / "clips.npz").write_bytes(b"no archive")
    else:
        np.savez(out / "clips.npz", **dict.fromkeys(entries, np.zeros(3)))
    before = (out / "clips.npz").read_bytes()
    assert "exists and is not empty" in refused("bvh", files, "--out", out, "--force")
    assert (out / "clips.npz").read_bytes() == before


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    assert "no such folder" in refused("bvh", tmp_path / "nowhere", "--out", tmp_path / "motion")
    (tmp_path / "notes.txt").touch()
    error = refused("amass", tmp_path, "--out", tmp_path / "motion")
    assert "files of .npz, found 0; it holds 1 of .txt" in error


@pytest.fixture(scope="module")
def acclaim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Takes of four persons as CMU's database lays them out, with labels; some are damaged."""
    folder = tmp_path_factory.mktemp("acclaim")
    names = (JUMP, KICK, RUN, JUMP)
    for number, name in enumerate(names, 1):
        write_person(folder / "subjects" / f"{number:02d}", f"{number:02d}_01", packaged()[name])
    damaged = folder / "subjects" / "03"
    text = (damaged / "03_01.amc").read_text()
    (damaged / "03_02.amc").write_text(text[: len(text) // 2])
    (damaged / "03_03.amc").write_text(text.replace("lfemur", "lfemru"))
    (folder / "subjects" / "05").mkdir()
    (folder / "subjects" / "05" / "05_01.amc").write_text(text)
    (folder / "subjects" / "05" / "05.asf").write_text(":version 1.10\n:bonedata\n")
    rows = [f"{number:02d}_01,{name[10:]}" for number, name in enumerate(names, 1)]
    rows += ["03_02,run", "03_03,run", "05_01,run"]
    (folder / "labels.csv").write_text("\n".join(["clip,label", *rows]) + "\n")
    return folder


def test_an_acclaim_folder(acclaim: Path, tmp_path: Path) -> None:
    out = tmp_path / "motion"
    output = said("amc", acclaim, "--labels", acclaim / "labels.csv", "--out", out)
    motion = read_motion(out)
    assert [(clip.name, clip.label, clip.cmu_subject) for clip in motion.clips] == [
        ("01_01", "jump", "001"),
        ("02_01", "kick", "002"),
        ("03_01", "run", "003"),
        ("04_01", "jump", "004"),
    ]
    for clip, name in zip(motion.clips, (JUMP, KICK, RUN, JUMP), strict=True):
        assert np.linalg.norm(joints(clip) - joints(packaged()[name]), axis=-1).max() < 0.004
    assert "frame rates found: 120 fps in 4 file(s)" in output
    assert "units found: inches divided by 0.45 in 4 file(s)" in output
    assert "left out: 3 file(s)" in output
    assert "03_02.amc: line " in output and "it is truncated" in output
    assert "03_03.amc: line 7: bone 'lfemru' is not in 03.asf (did you mean lfemur?)" in output
    assert "05_01.amc: 05.asf: has no :root section" in output
    assert (out / "preview.png").read_bytes().startswith(b"\x89PNG")
    assert motion.split == "person"
    assert "split by person (3 and 1): train " in output


def test_the_split_that_is_wanted(acclaim: Path, tmp_path: Path) -> None:
    out = tmp_path / "motion"
    options = ("amc", acclaim, "--labels", acclaim / "labels.csv", "--no-preview", "--out", out)
    assert "\nsplit: train " in said(*options, "--split", "time")
    assert read_motion(out).split == "time"
    assert "split" not in json.loads((out / "clips.json").read_text())
    folder = tmp_path / "two"
    folder.mkdir()
    write_bvh(folder / "01_01.bvh", packaged()[JUMP], 30)
    write_bvh(folder / "walk.bvh", packaged()[RUN], 30)
    table = tmp_path / "labels.csv"
    options = ("bvh", folder, "--labels", table, "--no-preview", "--out", tmp_path / "other")
    table.write_text("clip,label\n01_01,jump\nwalk,walk\n")
    error = refused(*options, "--split", "person")
    assert "--split person: 1 clip(s) do not say whose they are" in error
    table.write_text("clip,label,subject\n01_01,jump,ann\nwalk,walk,bob\n")
    error = refused(*options, "--split", "person")
    assert "--split person: there are 2 person(s); one for each side, 3, are needed" in error
    assert not (tmp_path / "other").exists()


def test_rates_of_files_that_do_not_say(acclaim: Path, tmp_path: Path) -> None:
    table, out = tmp_path / "labels.csv", tmp_path / "motion"
    table.write_text("clip,label,subject,fps\n01_01,jump,,60\n02_01,kick,,\n")
    options = ("amc", acclaim, "--labels", table, "--no-preview", "--out", out)
    assert "no letters" in refused(*options, "--fill-labels")
    rest = "".join(f"{one},x,,\n" for one in ("03_01", "03_02", "03_03", "04_01", "05_01"))
    table.write_text(table.read_text() + rest)
    output = said(*options, "--rate", 240)
    assert "frame rates found: 60 fps in 1 file(s), 240 fps in 3 file(s)" in output
    first, *_, last = (len(clip) for clip in read_motion(out).clips)
    assert first - 1 == pytest.approx(4 * (last - 1), abs=4)  # the same frames at two rates
    table.write_text(table.read_text().replace(",,60", ",,0"))
    assert "line 2: fps must be 1 to 1000 or empty, found '0'" in refused(*options, "--force")


def test_a_rig_whose_offsets_run_along_its_bones(tmp_path: Path) -> None:
    folder = tmp_path / "lafan"
    folder.mkdir()
    write_along_bones(folder / "kick.bvh", packaged()[KICK], 30)
    options = ("bvh", folder, "--no-preview", "--out", tmp_path / "motion")
    assert "rest pose" in refused(*options)
    output = said(*options, "--rest", "first-frame")
    assert "a pose of reference in the first frame was dropped in 1 file(s)" in output
    (clip,) = read_motion(tmp_path / "motion").clips
    apart = joints(clip) - joints(packaged()[KICK])[: len(clip)]
    assert np.linalg.norm(apart, axis=-1).max() < 0.004


def test_clips_are_written_one_by_one_as_they_were_all_at_once(tmp_path: Path) -> None:
    """The bytes are those of numpy's own writer, so folders keep their fingerprints."""
    folder = tmp_path / "own"
    folder.mkdir()
    for name in (JUMP, KICK):
        write_bvh(folder / f"{name[10:]}.bvh", packaged()[name], 30)
    said("bvh", folder, "--no-preview", "--out", tmp_path / "motion")
    held = {}
    with np.load(tmp_path / "motion" / "clips.npz") as stored:
        held = {name: stored[name] for name in stored.files}
    assert list(held) == ["jump/root", "jump/rot", "kick/root", "kick/rot"]
    assert held["kick/rot"].dtype == np.float16
    np.savez_compressed(tmp_path / "again.npz", **held)
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "motion" / "clips.npz").read_bytes()


def test_no_clip_is_held_once_it_is_written(tmp_path: Path) -> None:
    path = write_person(tmp_path / "files", "01_01", packaged()[KICK])
    for number in range(2, 5):
        path.with_name(f"01_{number:02d}.amc").write_bytes(path.read_bytes())
    files = find_files(path.parent, ".amc")
    alive: list[int] = []
    written: list[weakref.ref[Clip]] = []

    def keep(clip: Clip) -> None:
        alive.append(sum(one() is not None for one in written))
        written.append(weakref.ref(clip))

    import_files(files, {name: Label("kick") for name in files}, AcclaimReader(), keep=keep)
    assert len(written) == 4
    assert max(alive) <= 1  # the one before, until the next is made


def test_a_writer_that_is_left_leaves_nothing(tmp_path: Path) -> None:
    clip = packaged()[KICK]
    with pytest.raises(KeyboardInterrupt), MotionWriter(tmp_path / "motion") as writer:
        writer.add(Clip("kick", "kick", None, clip.root, clip.rot))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
