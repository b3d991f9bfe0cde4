"""Which code, on which machine, with which versions. Never part of a key."""

import platform
import socket
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "numpy", "ray", "mlflow", "optuna", "polars")


@cache
def code_version() -> dict[str, Any]:
    """Version of the package and, in a source checkout, its commit and whether files changed."""
    package = Path(__file__).resolve().parent
    found: dict[str, Any] = {"version": _installed("hipart-search"), "commit": None, "dirty": False}
    top = _git(package, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != package.parent:
        return found
    found["commit"] = _git(package, "rev-parse", "HEAD")
    found["dirty"] = bool(_git(package, "status", "--porcelain", "--", "."))
    return found


def machine() -> dict[str, Any]:
    """Host, platform and the versions of the packages that compute."""
    return {
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _installed(name) for name in PACKAGES},
    }


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
