"""Which code an artifact says it was trained with."""

import importlib.util
import subprocess
from pathlib import Path
from typing import Any

from hipart import provenance


def version_of(checkout: Path) -> dict[str, Any]:
    """What the module says that lies in a checkout."""
    spec = importlib.util.spec_from_file_location("copied", checkout / "hipart/provenance.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, Any] = module.code_version()
    return found


def git(checkout: Path, *arguments: str) -> None:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    subprocess.run(["git", "-C", str(checkout), *who, *arguments], check=True, capture_output=True)


def test_code_that_is_not_committed_is_said_to_be_dirty(tmp_path: Path) -> None:
    (tmp_path / "hipart").mkdir()
    assert provenance.__file__ is not None
    code = (tmp_path / "hipart/provenance.py", Path(provenance.__file__).read_text())
    code[0].write_text(code[1])
    assert version_of(tmp_path)["commit"] is None, "no checkout"
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    clean = version_of(tmp_path)
    assert len(clean["commit"]) == 40 and clean["dirty"] is False
    (tmp_path / "notes.txt").touch()
    assert version_of(tmp_path)["dirty"] is False, "beside the package"
    code[0].write_text(code[1] + "\n# edited\n")
    assert version_of(tmp_path)["dirty"] is True
    code[0].write_text(code[1])
    assert version_of(tmp_path)["dirty"] is False
    (tmp_path / "hipart/new.py").touch()
    assert version_of(tmp_path)["dirty"] is True, "a new file"
