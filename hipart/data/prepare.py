"""A user's own files made into a corpus, once: ``hipart-search data prepare``."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from hipart.data.prepared import ABOUT, Piece, Writer, read_about
from hipart.data.samples import Samples

#: ``progress(done, total)``: samples.
Progress = Callable[[int, int], None]


class Source(Protocol):
    """Files that were found, read and checked, and can be made into samples piece by piece.

    Making a piece takes little memory, and gives the same numbers whenever it is done.
    """

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """All pieces, in the order in which they are made."""
        ...

    @property
    def origin(self) -> Mapping[str, Any]:
        """What the samples are made of: files by name with their digests, and settings. As JSON."""
        ...

    @property
    def about(self) -> Mapping[str, Any]:
        """What ``corpus.json`` says beside the fingerprint. As JSON.

        ``corpus`` (its name in ``data.corpus``), ``action_names``, ``subject_names``,
        ``clip_names``, ``damaged`` (names of clips whose markers are wrong), ``image_size``
        (width, height), ``fps``, ``detections`` (whose they are) and ``description``; where they
        are not the usual ones, ``joints`` that errors are measured over, ``root_joints`` whose
        middle poses are relative to, how many ``cameras`` see no mirror image, and how many test
        frames are ``without_body`` by the reason, whose dense points are NaN.
        """
        ...

    def samples(self, piece: Piece) -> Samples:
        """The samples of a piece. ValueError that names the file and what is wrong with it."""
        ...


def prepare(
    source: Source,
    folder: Path,
    progress: Progress = lambda *_: None,
    train: Path | None = None,
) -> str:
    """Write what is not yet written of a corpus into ``folder``; returns its fingerprint.

    ``train`` is the prepared corpus that trains for what is a test set only; it stays where it is.
    Goes on where an earlier call was stopped. A folder that holds a whole corpus of the same
    origin is left as it is; one of another origin is begun anew.
    """
    beside = {} if train is None else {"train": _training(train)}
    origin = json.loads(json.dumps(source.origin)) | beside
    if (folder / ABOUT).exists():
        held = read_about(folder)
        if held.get("origin") == origin:
            return str(held["fingerprint"])
    writer = Writer(folder, source.pieces, origin)
    total = sum(piece.stop - piece.start for piece in source.pieces)
    done = total - sum(piece.stop - piece.start for piece in writer.left)
    progress(done, total)
    for piece in writer.left:
        writer.write(piece, source.samples(piece))
        done += piece.stop - piece.start
        progress(done, total)
    return writer.finish({**source.about, "origin": origin, **beside})


def _training(folder: Path) -> dict[str, str]:
    about = read_about(folder)
    if "train" not in about["sides"]:
        raise ValueError(f"{folder}: has nothing to train on")
    return {"folder": str(folder.resolve()), "fingerprint": about["fingerprint"]}
