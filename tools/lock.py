"""Write ``requirements.lock`` from ``constraints.txt``: every file that pip may install, by digest.

``python tools/lock.py INDEX``, where INDEX is the address of a package index that answers in JSON
(PEP 691). Kept are the files for Linux on CPython 3.11 to 3.13, and those for everywhere.
"""

import json
import re
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
KEPT = re.compile(
    r"(-none-any\.whl|-(cp31[123]|cp3\d{1,2}|py3)-(cp31[123]|abi3|none)-(many)?linux.*\.whl|\.tar\.gz)$"
)
HEAD = """\
# Every package at the version of constraints.txt, with the digests of its files:
#   pip install --no-deps --require-hashes -r requirements.lock && pip install --no-deps .
# A torch for GPUs needs libraries that only its own index knows: install that one first.
# Made by tools/lock.py.
"""


def main() -> None:
    """Ask the index for every package; write the lock."""
    index = sys.argv[1].rstrip("/")
    lines = (TOP / "constraints.txt").read_text().splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    with ThreadPoolExecutor(8) as pool:
        entries = list(pool.map(lambda line: _entry(index, *line.split("==")), pinned))
    (TOP / "requirements.lock").write_text(HEAD + "".join(entries))


def _entry(index: str, name: str, version: str) -> str:
    request = urllib.request.Request(
        f"{index}/{re.sub(r'[-_.]+', '-', name).lower()}/",
        headers={"Accept": "application/vnd.pypi.simple.v1+json"},
    )
    with urllib.request.urlopen(request) as answer:
        files = json.load(answer)["files"]
    digests = sorted(
        one["hashes"]["sha256"] for one in files if _is_of(one["filename"], name, version)
    )
    if not digests:
        raise SystemExit(f"{name} {version}: the index has no file of it")
    return " \\\n    ".join([f"{name}=={version}", *(f"--hash=sha256:{d}" for d in digests)]) + "\n"


def _is_of(file: str, name: str, version: str) -> bool:
    """Whether a file is one of this version that could be installed."""
    stem = re.sub(r"[-_.]+", "[-_.]+", re.escape(name).replace("\\", ""))
    found = re.match(rf"{stem}-{re.escape(version)}(\.tar\.gz$|-)", file, re.IGNORECASE)
    return found is not None and KEPT.search(file) is not None


if __name__ == "__main__":
    main()
