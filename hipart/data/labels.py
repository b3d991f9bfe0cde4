"""What the clips of a folder show: from a CSV file, or from the files' names."""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hipart.data.motion import MAX_RATE_HZ
from hipart.data.names import nearest, shown

COLUMNS = ("clip", "label", "subject", "fps")
#: Endings of AMASS's file names that say nothing about the movement.
ENDINGS = r"_(poses|stageii)$"


@dataclass(frozen=True)
class Label:
    """The action that a clip shows; whose movement it is and its frames a second, if known."""

    text: str
    subject: str | None = None
    fps: float | None = None


def from_names(names: Iterable[str]) -> dict[str, Label]:
    """The letters of each name: ``walk_slow-03`` is ``walk_slow``.

    ValueError lists the names without letters.
    """
    found = {name: Label(_letters(name), cmu_subject(name)) for name in names}
    mute = [name for name, label in found.items() if not label.text]
    if mute:
        raise ValueError(
            f"{len(mute)} file name(s) have no letters to make a label of: {shown(mute)}; "
            "give --labels FILE.csv with the columns clip,label"
        )
    return found


def _letters(name: str) -> str:
    return "_".join(re.findall(r"[^\W\d_]+", re.sub(ENDINGS, "", name))).lower()


def cmu_subject(name: str) -> str | None:
    """The subject in a name of CMU's database, ``07_01``, as three digits."""
    found = re.match(r"(\d{1,3})_\d{1,3}(?=_|$)", name)
    return f"{int(found[1]):03d}" if found else None


def read_labels(path: Path, names: Iterable[str], fill: bool = False) -> dict[str, Label]:
    """Labels by clip from a CSV file with the columns clip, label and, if wanted, subject and fps.

    A clip without a row takes the letters of its name if ``fill``, and is refused otherwise.
    ValueError also for rows that name no clip, rows without a label, and clips with two rows.
    """
    names = list(names)
    given = _rows(path)
    unknown = [f"{clip}{nearest(clip, names)}" for clip in given if clip not in names]
    if unknown:
        raise ValueError(
            f"{path}: {len(unknown)} row(s) name no clip of the folder: "
            f"{shown(unknown)}; the clips are {shown(names)}"
        )
    missing = [name for name in names if name not in given]
    if missing and not fill:
        raise ValueError(
            f"{path}: no label for {len(missing)} clip(s): {shown(missing)}; add rows, or take "
            "labels from their names with --fill-labels"
        )
    return {**from_names(missing), **given}


def _rows(path: Path) -> Mapping[str, Label]:
    found: dict[str, Label] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True, strict=True)
            _check_columns(path, [column.strip() for column in reader.fieldnames or ()])
            reader.fieldnames = [column.strip() for column in reader.fieldnames or ()]
            for row in reader:
                where = f"{path}: line {reader.line_num}"
                if None in row or None in row.values():
                    raise ValueError(f"{where}: must have {len(reader.fieldnames)} fields")
                clip, text, subject, rate = ((row.get(name) or "").strip() for name in COLUMNS)
                if not clip or not text:
                    raise ValueError(f"{where}: clip and label may not be empty")
                if clip in found:
                    raise ValueError(f"{where}: a second row of {clip!r}")
                person = _person(subject) or cmu_subject(clip)
                found[clip] = Label(text, person, _rate(where, rate))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: cannot be read as CSV: {error}") from None
    return found


def _person(subject: str) -> str:
    """A subject in one form: 7, 0007 and other scripts' 7 are 007, as CMU's are written."""
    return f"{int(subject):03d}" if re.fullmatch(r"\d{1,99}", subject) else subject


def _rate(where: str, text: str) -> float | None:
    if not text:
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 1 <= rate <= MAX_RATE_HZ:
        raise ValueError(f"{where}: fps must be 1 to {MAX_RATE_HZ:g} or empty, found {text!r:.40}")
    return rate


def _check_columns(path: Path, columns: list[str]) -> None:
    unknown = [f"{one!r}{nearest(one, COLUMNS)}" for one in columns if one not in COLUMNS]
    missing = [one for one in COLUMNS[:2] if one not in columns]
    if unknown or missing or len(set(columns)) != len(columns):
        raise ValueError(
            f"{path}: the first line must name the columns clip,label or clip,label,subject "
            f"or clip,label,subject,fps; unknown: {shown(unknown)}; missing: {shown(missing)}"
        )
