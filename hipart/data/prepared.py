"""A corpus that was prepared once from a user's own files, and lies in memory-mapped arrays.

A folder holds ``corpus.json`` and for each side one ``.npy`` for every array of ``Samples``. It is
written piece by piece and goes on where it was interrupted: ``corpus.json`` comes last, so a folder
that has one is whole.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hipart.data.samples import Samples
from hipart.data.splits import Side
from hipart.skeleton import NUM_DENSE, NUM_FINE, NUM_FINEST, NUM_JOINTS

FORM = 1
#: Of a corpus, raised when other samples are made of the same files. ``origin`` in its description
#: says by which it was made.
RECIPES = {"h36m": 2}
ABOUT = "corpus.json"
PLAN = "plan.json"
DONE = "done.txt"
#: Of one sample, in every array.
SHAPES: Mapping[str, tuple[int, ...]] = {
    "detected_2d": (NUM_JOINTS, 2),
    "exact_2d": (NUM_JOINTS, 2),
    "dense_2d": (NUM_DENSE, 2),
    "fine_2d": (NUM_FINE, 2),
    "finest_2d": (NUM_FINEST, 2),
    "target_3d": (NUM_JOINTS, 3),
    **dict.fromkeys(("action", "subject", "clip", "camera", "frame", "sequence"), ()),
}
assert set(SHAPES) == {field.name for field in fields(Samples)}


@dataclass(frozen=True)
class Piece:
    """Samples that are written at once: rows ``start`` to ``stop`` of a side."""

    name: str
    side: Side
    start: int
    stop: int


def pieces(lengths: Iterable[tuple[str, Side, int]]) -> tuple[Piece, ...]:
    """Pieces one after another within each side, of the samples that each holds."""
    ends: dict[Side, int] = {}
    found = []
    for name, side, length in lengths:
        start = ends.get(side, 0)
        ends[side] = start + length
        found.append(Piece(name, side, start, start + length))
    return tuple(found)


class Writer:
    """Writes pieces in any order, each once, and goes on with a folder that holds some.

    ``source`` says what the pieces are made of; where it differs from what a folder was begun with,
    the folder is begun anew.
    """

    def __init__(self, folder: Path, planned: Sequence[Piece], source: Mapping[str, Any]) -> None:
        self._folder = folder
        self._planned = {piece.name: piece for piece in planned}
        if len(self._planned) != len(planned):
            raise ValueError("pieces must have different names")
        plan = json.dumps([FORM, source, [vars(piece) for piece in planned]], sort_keys=True)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / PLAN).exists() or (folder / PLAN).read_text() != plan:
            self._begin(plan)
        held = (folder / DONE).read_text().splitlines() if (folder / DONE).exists() else []
        self.done = {name for name in held if name in self._planned}

    @property
    def left(self) -> list[Piece]:
        """What is not yet written, in order."""
        return [piece for piece in self._planned.values() if piece.name not in self.done]

    def write(self, piece: Piece, samples: Samples) -> None:
        """Put a piece into its place; it counts as done when all of it is on the disk."""
        if len(samples) != piece.stop - piece.start:
            raise ValueError(f"{piece.name}: {len(samples)} samples for {piece}")
        for name in SHAPES:
            # Mapped for a moment, so that what is written does not stay in the process's memory.
            array = np.load(self._folder / piece.side / f"{name}.npy", mmap_mode="r+")
            array[piece.start : piece.stop] = getattr(samples, name)
            array.flush()
        with (self._folder / DONE).open("a") as file:
            file.write(f"{piece.name}\n")
            file.flush()
            os.fsync(file.fileno())
        self.done.add(piece.name)

    def finish(self, about: Mapping[str, Any]) -> str:
        """Say that the folder is whole, and what it holds; returns its fingerprint."""
        if self.left:
            raise ValueError(f"{len(self.left)} pieces are not yet written")
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
        for side in sorted(self._sides()):
            for name in sorted(SHAPES):
                with (self._folder / side / f"{name}.npy").open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
        told = {
            "form": FORM,
            "fingerprint": digest.hexdigest()[:16],
            "sides": self._sides(),
            **about,
        }
        partial = self._folder / f".{ABOUT}"
        partial.write_text(json.dumps(told, indent=1))
        partial.rename(self._folder / ABOUT)
        return str(told["fingerprint"])

    def _sides(self) -> dict[Side, int]:
        """How many samples each side has."""
        ends: dict[Side, int] = {}
        for piece in self._planned.values():
            ends[piece.side] = max(ends.get(piece.side, 0), piece.stop)
        return ends

    def _begin(self, plan: str) -> None:
        for name in (ABOUT, DONE):
            (self._folder / name).unlink(missing_ok=True)
        for side, count in self._sides().items():
            (self._folder / side).mkdir(exist_ok=True)
            for name, shape in SHAPES.items():
                path = self._folder / side / f"{name}.npy"
                np.lib.format.open_memmap(path, "w+", _kind(shape), (count, *shape))
        (self._folder / PLAN).write_text(plan)


def as_samples(arrays: Mapping[str, NDArray[Any]]) -> Samples:
    """Arrays by the names of ``Samples``, in its types of numbers."""
    return Samples(**{name: arrays[name].astype(_kind(shape)) for name, shape in SHAPES.items()})


def read_about(folder: Path) -> dict[str, Any]:
    """What a prepared folder says of itself. ValueError as above."""
    try:
        about = json.loads((folder / ABOUT).read_text())
    except FileNotFoundError:
        begun = (folder / PLAN).exists()
        raise ValueError(
            f"{folder}: "
            + (
                "preparing it was interrupted; the same `hipart-search data prepare` goes on"
                if begun
                else "no prepared corpus; make one with `hipart-search data prepare`"
            )
        ) from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder / ABOUT}: cannot be read ({error})") from None
    if not isinstance(about, dict) or about.get("form") != FORM:
        raise ValueError(f"{folder}: prepared by another version; prepare it again")
    return about


def array_of(folder: Path, side: str, name: str) -> NDArray[Any]:
    """An array of a side, mapped and not read."""
    path = folder / side / f"{name}.npy"
    again = "prepare the corpus again"
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        count = len(np.load(folder / side / "frame.npy", mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read ({error}); {again}") from None
    if array.shape != (count, *SHAPES[name]):
        raise ValueError(f"{path}: of shape {array.shape}; {again}")
    return array


def _kind(shape: tuple[int, ...]) -> type[np.number[Any]]:
    return np.float32 if shape else np.int32
