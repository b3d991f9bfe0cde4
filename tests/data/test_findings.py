"""``data doctor`` on folders that are broken in ten ways: the first line names the fault."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from hipart.cli import main
from tests.data import h36m_miniature
from tests.data.h36m_miniature import Miniature
from tests.data.test_h36m import ANNOTATIONS

GT = "data/data_2d_h36m_gt.npz"
CPN = "data/data_2d_h36m_cpn_ft_h36m_dbb.npz"
POSES = "data/data_3d_h36m.npz"


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    return h36m_miniature.write(tmp_path_factory.mktemp("h36m"), ("S1", "S9"))


def says(root: Path, smpl: Path) -> tuple[str, int]:
    """The first line, and the exit status."""
    command = ["data", "doctor", "h36m", "--root", str(root), "--smpl", str(smpl)]
    result = CliRunner(env={"COLUMNS": "1000"}).invoke(main, command)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.output.splitlines()[0], result.exit_code


def table(root: Path, file: str, change: Callable[[Any], Any]) -> None:
    """Write an archive anew, changed."""
    with np.load(root / file, allow_pickle=True) as held:
        arrays = dict(held.items())
    key = next(name for name in arrays if name.startswith("positions"))
    arrays[key] = np.array(change(arrays[key].item()), object)
    np.savez(root / file, **arrays)


def each(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same change of every sequence."""
    return lambda held: {
        subject: {name: change(one) for name, one in named.items()}
        for subject, named in held.items()
    }


def swap(held: Any) -> Any:
    one = held["S9"]
    one["Greeting"], one["Waiting 1"] = one["Waiting 1"], one["Greeting"]
    return held


def bent(root: Path) -> None:
    """Bodies of another person's poses."""
    for subject in (1, 9):
        path = root / ANNOTATIONS / f"Human36M_subject{subject}_smpl_param.json"
        held = json.loads(path.read_text())
        for subactions in held.values():
            for frames in subactions.values():
                for body in frames.values():
                    body["pose"][3:] = [1.0] * 69
        path.write_text(json.dumps(held))


def shorter(views: list[Any]) -> list[Any]:
    return [view[:5] for view in views]


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no 3D": (
        lambda root: (root / POSES).unlink(),
        "missing: data_3d_h36m.npz: made by VideoPose3D",
    ),
    "3D cut off": (
        lambda root: (root / POSES).write_bytes((root / POSES).read_bytes()[:5000]),
        "data_3d_h36m.npz: damaged",
    ),
    "3D in millimetres": (
        lambda root: table(root, POSES, each(lambda one: one * 1000)),
        "joints must be in metres",
    ),
    "nothing to test on": (
        lambda root: table(root, POSES, lambda held: {"S1": held["S1"]}),
        "holds none of S9, S11 to test on",
    ),
    "2D without lenses": (
        lambda root: table(root, GT, each(lambda views: [view + 3 for view in views])),
        "data_2d_h36m_gt.npz: projected 3D joints lie up to 3 px off it",
    ),
    "detections too short": (
        lambda root: table(root, CPN, each(shorter)),
        "5 frames of detections for 8 of motion",
    ),
    "two sequences exchanged": (
        lambda root: table(root, POSES, swap),
        "projected 3D joints lie up to",
    ),
    "no bodies of a subject": (
        lambda root: (root / ANNOTATIONS / "Human36M_subject9_smpl_param.json").unlink(),
        "missing: ",
    ),
    "a NaN": (
        lambda root: table(root, CPN, each(lambda views: [view * np.nan for view in views])),
        "camera 0: has a NaN or infinity at frame 0",
    ),
    "bodies of somebody else": (bent, "mm from the markers (median), 25 mm are allowed"),
    "a regressor of another mesh": (
        lambda root: np.save(
            root / "data/Human36M/J_regressor_h36m_correct.npy", np.ones((17, 100))
        ),
        "must have shape (17, 6890)",
    ),
    "text that is no JSON": (
        lambda root: (root / ANNOTATIONS / "Human36M_subject9_joint_3d.json").write_text("{"),
        "not a readable JSON",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_first_line_names_the_fault(mini: Miniature, tmp_path: Path, fault: str) -> None:
    root = tmp_path / "files"
    shutil.copytree(mini.root / "data", root / "data")
    breaks, named = FAULTS[fault]
    breaks(root)
    line, status = says(root, mini.smpl)
    assert named in line
    assert status == 1


def test_it_says_what_has_no_body(mini: Miniature) -> None:
    """Bodies are of four frames in eight, and two of those are neighbours."""
    command = ["data", "doctor", "h36m", "--root", str(mini.root), "--smpl", str(mini.smpl)]
    told = CliRunner(env={"COLUMNS": "1000"}).invoke(main, command).output
    frames = len(h36m_miniature.NUMBERED) * h36m_miniature.FRAMES
    assert f"{frames // 2} of {frames} test frames have no body that fits" in told
    assert "up to 2 frames to train on follow one another" in told


def test_whoever_is_well_is_told_so(mini: Miniature, tmp_path: Path) -> None:
    line, _ = says(mini.root, mini.smpl)
    assert line.startswith("missing: Human36M_subject5_joint_3d.json"), "two of seven subjects"
    for subject in h36m_miniature.SUBJECTS:
        if subject not in ("S1", "S9"):
            h36m_miniature._write_annotations(mini.root / ANNOTATIONS, subject, {})
    line, status = says(mini.root, mini.smpl)
    assert line.startswith("ready: ") and status == 0
    line, status = says(tmp_path / "nowhere", mini.smpl)
    assert line == f"missing: {tmp_path / 'nowhere'}: no such folder" and status == 1
