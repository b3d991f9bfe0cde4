"""Predict a file: detected joints in, 3D poses out, in the form that each suffix names."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hipart.predicting.bvh import write_bvh
from hipart.predicting.coco import read_coco
from hipart.predicting.found import Asked, Found
from hipart.predicting.npz import read_npz, write_npz
from hipart.predicting.picture import write_gif, write_png
from hipart.predicting.plain import write_json
from hipart.predictor import Predictor, checked_size

T = TypeVar("T")

#: What reads and what writes a file, by its suffix.
READERS: dict[str, Callable[[Path], Asked]] = {".npz": read_npz, ".json": read_coco}
WRITERS: dict[str, Callable[[Found, Path], None]] = {
    ".npz": write_npz,
    ".json": write_json,
    ".bvh": write_bvh,
    ".png": write_png,
    ".gif": write_gif,
}


def predict_file(
    bundle: Path, source: Path, out: Path, image_size: tuple[int, int] | None = None
) -> int:
    """Predict what ``source`` holds into ``out``; both forms go by the suffix.

    ``image_size`` (width, height) is for a source that doesn't tell it. Returns the number of
    poses; raises ValueError naming the file and what is wrong in it. What stood in ``out``
    before stays until all of the new is written.
    """
    read, write = _by(READERS, source, "read"), _by(WRITERS, out, "write")
    predictor = Predictor.load(bundle)
    asked = read(source)
    try:
        size = _size(asked.image_size, image_size)
        answers = predictor.predict(asked.poses, size, asked.sequence)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    part = out.with_name(f".{os.getpid()}.{out.name}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write(Found(asked.poses, answers), part)
        part.replace(out)
    except OSError as error:
        raise ValueError(f"{out}: cannot be written ({error.strerror})") from None
    except ValueError as error:
        raise ValueError(f"{out}: {error}") from None
    finally:
        part.unlink(missing_ok=True)
    return len(asked.poses)


def parsed_size(text: str) -> tuple[int, int]:
    """Width and height of ``1920x1080``. Raises ValueError."""
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and len(text) < 20):
        raise ValueError(f"--image-size {text}: allowed is WIDTHxHEIGHT in pixels, as in 1920x1080")
    return checked_size((int(width), int(height)))


def _by(table: dict[str, T], file: Path, what: str) -> T:
    if file.suffix.lower() not in table:
        raise ValueError(f"{file}: suffix {file.suffix!r}, can {what} {', '.join(table)}")
    return table[file.suffix.lower()]


def _size(told: tuple[int, ...] | None, given: tuple[int, int] | None) -> tuple[int, int]:
    if told is None and given is None:
        raise ValueError("doesn't tell the size of its images: add --image-size WIDTHxHEIGHT")
    size = checked_size(told or given or ())
    if given is not None and size != given:
        raise ValueError(f"tells an image size of {size}, --image-size {given}: leave that out")
    return size
