"""``data import`` as a user calls it: what is imported, what is left out, what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from hipart.cli import main
from hipart.data.motion import BONES, read_motion
from tests.data.recordings import amass_arrays, joints, packaged, write_bvh

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


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    assert "no such folder" in refused("bvh", tmp_path / "nowhere", "--out", tmp_path / "motion")
    (tmp_path / "notes.txt").touch()
    error = refused("amass", tmp_path, "--out", tmp_path / "motion")
    assert "files of .npz, found 0; it holds 1 of .txt" in error
