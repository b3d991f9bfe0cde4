"""A user's files beneath a folder: found by their names, whatever the folders between."""

import hashlib
import os
from pathlib import Path

#: So deep files are looked for; and never among pictures, of which there are millions.
DEEPEST = 5
PICTURES = ("images", "imageFiles", "image", "img", "frames", "videos")


def located(root: Path, names: tuple[str, ...]) -> dict[str, Path]:
    """Those of these files that are there, each the nearest to ``root``.

    ValueError where ``root`` is no folder.
    """
    if not root.is_dir():
        raise ValueError(f"{root}: no such folder; --root names the one that holds the files")
    found: dict[str, Path] = {}
    level = [root]
    for _ in range(DEEPEST):
        below: list[Path] = []
        for folder in level:
            with os.scandir(folder) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    if entry.name in names and entry.is_file():
                        found.setdefault(entry.name, Path(entry.path))
                    elif entry.is_dir() and entry.name not in PICTURES:
                        below.append(Path(entry.path))
        level = below
    return found


def digest(path: Path) -> str:
    """16 hexadecimal digits of a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
