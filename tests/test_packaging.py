"""What a wheel and a source archive carry, and that a wheel works without the checkout."""

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environment import unmeasured

ROOT = Path(__file__).resolve().parents[1]
PACKAGED = ("experiments", "search_spaces", "dashboards")
MAX_BYTES = 3_000_000

pytestmark = pytest.mark.slow


def build(target: str, folder: Path) -> Path:
    """Build into ``folder`` with the hatchling that is installed: no network, no second venv."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(build("wheel", tmp_path_factory.mktemp("wheel"))) as archive:
        yield archive


def text(wheel: zipfile.ZipFile, ending: str) -> str:
    (name,) = [name for name in wheel.namelist() if name.endswith(ending)]
    return wheel.read(name).decode()


@pytest.mark.parametrize("folder", PACKAGED)
def test_wheel_carries_the_files_that_a_command_finds_by_name(
    wheel: zipfile.ZipFile, folder: str
) -> None:
    here = [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    assert here
    for path in here:
        packaged = f"hipart/_packaged/{path.relative_to(ROOT).as_posix()}"
        assert wheel.read(packaged) == path.read_bytes()


def test_wheel_carries_the_example_ablation(wheel: zipfile.ZipFile) -> None:
    assert "hipart/_packaged/experiments/codebook_ablation.yaml" in wheel.namelist()


def test_wheel_carries_the_open_corpus_whole(wheel: zipfile.ZipFile) -> None:
    corpus = ROOT / "hipart" / "data" / "open"
    here = [path for path in corpus.rglob("*") if path.is_file() and "__pycache__" not in str(path)]
    assert here
    for path in here:
        assert wheel.read(path.relative_to(ROOT).as_posix()) == path.read_bytes()


def test_wheel_carries_licence_notice_and_command(wheel: zipfile.ZipFile) -> None:
    assert text(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_text()
    assert text(wheel, "licenses/NOTICE") == (ROOT / "NOTICE").read_text()
    assert "hipart-search = hipart.cli:main" in text(wheel, "entry_points.txt")
    assert "License-Expression: Apache-2.0" in text(wheel, "METADATA")


def test_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"hipart"}
    too_large = [info.filename for info in wheel.infolist() if info.file_size > MAX_BYTES]
    assert not too_large
    strays = [
        name
        for name in wheel.namelist()
        if {"shared", "__pycache__", "results"} & set(name.split("/")[:-1])
    ]
    assert not strays


def test_wheel_runs_without_the_checkout(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    script = (
        "import sys, hipart, hipart.cli; print(hipart.__file__);"
        " sys.argv = ['hipart-search', '--help']; hipart.cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=unmeasured() | {"PYTHONPATH": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    first, _, rest = done.stdout.partition("\n")
    assert Path(first).is_relative_to(tmp_path)
    assert "Usage: hipart-search" in rest


def test_source_archive_can_be_installed_and_tested(tmp_path: Path) -> None:
    with tarfile.open(build("sdist", tmp_path)) as archive:
        members = archive.getmembers()
    names = {member.name.partition("/")[2] for member in members}
    assert {
        "pyproject.toml",
        "constraints.txt",
        "Makefile",
        "LICENSE",
        "NOTICE",
        "README.md",
        "ray_cluster.yaml",
        "hipart/config/lifters.py",
        "experiments/codebook_ablation.yaml",
        "tests/test_packaging.py",
    } <= names
    assert not [member.name for member in members if member.size > MAX_BYTES]
    assert not [name for name in names if name.startswith(("shared/", ".venv/", "results/"))]
