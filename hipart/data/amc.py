"""Acclaim's motion, AMC files: numbers of a skeleton's root and bones, frame by frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hipart.data.asf import ANGLES, ROOT, Asf, Line, content_of, read_asf
from hipart.data.bvh import MAX_NUMBER
from hipart.data.motion import MAX_FRAMES, MAX_RATE_HZ
from hipart.data.names import nearest, shown
from hipart.data.textfiles import words_of

Floats = NDArray[np.float64]

#: So many bytes of motion are taken apart at once.
BLOCK_BYTES = 1 << 20
#: No frame is longer; one that is, is read line by line.
FRAME_BYTES = 1 << 16
#: No number of a file is longer; what is, is read line by line.
LONGEST_WORD = 40


@dataclass(frozen=True)
class Amc:
    """Motion: ``values`` (T, n) of the root and each bone by name; ``fps`` where the file says."""

    degrees: bool
    fps: float | None
    frames: int
    values: Mapping[str, Floats]

    def rows(self, wanted: slice) -> "Amc":
        """Some of its frames."""
        values = {name: array[wanted] for name, array in self.values.items()}
        return replace(self, frames=len(values[ROOT]), values=values)


def read_amc(path: Path, asf: Asf) -> Amc:
    """Read the motion of a skeleton. ValueError says what is wrong and in which line."""
    return parse_amc(content_of(path, "AMC"), asf)


def check_whole(path: Path) -> None:
    """ValueError for a file that is no ASF or AMC file, or ends before it should.

    The motion of a partial name (``01_01.amc.part``) is known by its name, too. Of motion the first
    and the last frame are compared; its skeleton is not needed.
    """
    if ".asf" in path.name.lower():
        read_asf(path)
        return
    data = content_of(path, "AMC")
    _, _, start, _ = _header(data, degrees=True)
    head, tail = data[start : start + FRAME_BYTES], data[max(start, len(data) - FRAME_BYTES) :]
    first, *others = _frames(head)
    if not others:
        raise ValueError("ends inside of its first frame: it is truncated")
    if first != _frames(tail)[-1]:
        raise ValueError("ends inside of its last frame: it is truncated")


def _frames(data: bytes) -> list[list[tuple[bytes, int]]]:
    """The names of each frame that begins here, with how many words follow them."""
    found: list[list[tuple[bytes, int]]] = [[]]
    for line in data.splitlines():
        words = line.partition(b"#")[0].split()
        if len(words) == 1 and words[0].isdigit():
            found.append([])
        elif words:
            found[-1].append((words[0], len(words)))
    return found[1:] or found


def parse_amc(data: bytes, asf: Asf) -> Amc:
    """What a file of motion says, of this skeleton; it is UTF-8."""
    degrees, fps, start, line = _header(data, asf.degrees)
    wanted = asf.numbers()
    table = _by_columns(data, start, wanted)
    if table is None:
        table = _by_lines(data[start:], line, asf)
    ends = np.cumsum([len(names) for names in wanted.values()])
    parts = np.split(table, ends[:-1], axis=1)
    return Amc(degrees, fps, len(table), dict(zip(wanted, parts, strict=True)))


def _header(data: bytes, degrees: bool) -> tuple[bool, float | None, int, int]:
    """Whether angles are degrees, frames a second if said, where frames begin: byte and line."""
    fps, start, number = None, 0, 1
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        words = words_of(data[start:end].decode().partition("#")[0])
        if len(words) == 1 and words[0].isdecimal():
            return degrees, fps, start, number
        if words and not words[0].startswith(":"):
            raise ValueError(
                f"line {number}: is no AMC file: {words[0]!r:.40} stands before the first frame; "
                "comments, keywords such as :FULLY-SPECIFIED and a frame's number may"
            )
        if words:
            line = Line(number, words)
            keyword = words[0][1:].lower()
            degrees = ANGLES.get(keyword, degrees)
            if keyword == "samples-per-second":
                fps = float(line.floats(1)[0])
                if not 1 <= fps <= MAX_RATE_HZ:
                    line.wrong(f"a rate must be 1 to {MAX_RATE_HZ:g} a second, found {fps:g}")
        start, number = end + 1, number + 1
    raise ValueError("holds no frame: it ends after its header, so it is truncated")


def _by_columns(data: bytes, start: int, wanted: Mapping[str, tuple[str, ...]]) -> Floats | None:
    """The numbers (T, n) of a file whose frames are all written alike, which is the usual case.

    None for any other, and for whatever may be wrong: then lines have to be looked at.
    """
    columns = _columns(data, start, wanted)
    if columns is None:
        return None
    width, names, numbers = columns
    found: list[Floats] = []
    pending: list[bytes] = []
    first: NDArray[np.bytes_] | None = None
    frames = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + BLOCK_BYTES) + 1
        end = end if end > start and start + BLOCK_BYTES < len(data) else len(data)
        words = pending + data[start:end].split()
        start = end
        whole = len(words) // width * width
        pending = words[whole:]
        if not whole:
            continue
        if max(map(len, words)) > LONGEST_WORD:
            return None
        table = np.array(words[:whole]).reshape(-1, width)
        first = table[0, names] if first is None else first
        try:
            counts, part = table[:, 0].astype(np.int64), table[:, numbers].astype(np.float64)
        except (ValueError, OverflowError):
            return None
        begun = frames if found else int(counts[0])
        if (table[:, names] != first).any() or (counts != begun + np.arange(len(table))).any():
            return None
        if not (np.abs(part) <= MAX_NUMBER).all():
            return None
        found.append(part)
        frames = begun + len(table)
    return np.concatenate(found) if found and not pending else None


def _columns(
    data: bytes, start: int, wanted: Mapping[str, tuple[str, ...]]
) -> tuple[int, list[int], list[int]] | None:
    """How many words the first frame has, where its names are, and its numbers in our order."""
    width, names, at = 1, [], {}
    for line in data[start : start + FRAME_BYTES].splitlines()[1:]:
        words = words_of(line.decode(errors="replace"))  # the last line may be cut in a letter
        if words and words[0].isdecimal():
            break
        if not words or words[0] in at or len(words) - 1 != len(wanted.get(words[0], words)):
            return None
        names.append(width)
        at[words[0]] = width + 1
        width += len(words)
    if any(count and name not in at for name, count in wanted.items()):
        return None
    numbers = [at[name] + n for name, count in wanted.items() for n in range(len(count))]
    return width, names, numbers


def _by_lines(data: bytes, number: int, asf: Asf) -> Floats:
    """The numbers (T, n) of frames whose bones may come in any order. ValueError names the line."""
    wanted = asf.numbers()
    ends = np.cumsum([len(names) for names in wanted.values()])
    places = {
        name: slice(end - len(names), end)
        for (name, names), end in zip(wanted.items(), ends, strict=True)
    }
    lines = [
        Line(number + n, words)
        for n, text in enumerate(data.decode().split("\n"))
        if (words := words_of(text.partition("#")[0]))
    ]
    rows: list[Floats] = []
    seen: set[str] = set()
    for line in lines:
        name, last = line.words[0], line is lines[-1]
        if name.isdecimal() and len(line.words) == 1:
            _check_frame(line, rows, int(lines[0].words[0]), seen, wanted)
            rows.append(np.zeros(ends[-1]))
            seen = set()
            continue
        if name not in wanted:
            line.wrong(
                f"bone {name!r:.40} is not in {asf.name}{nearest(name, wanted)}; it has: "
                f"{shown(wanted)}"
            )
        torn = "; the file ends here: it is truncated" if last else ""
        if len(line.words) - 1 != len(wanted[name]):
            line.wrong(
                f"{name} has {len(line.words) - 1} number(s) for {len(wanted[name])} degree(s) of "
                f"freedom in {asf.name} ({' '.join(wanted[name]) or 'none'}){torn}"
            )
        if name in seen:
            line.wrong(f"a second line of {name} in one frame")
        seen.add(name)
        rows[-1][places[name]] = line.floats(len(wanted[name]))
    lacking = _lacking(seen, wanted)
    if lacking:
        lines[-1].wrong(f"the last frame lacks {shown(lacking)}: the file is truncated")
    return np.stack(rows)


def _check_frame(
    line: Line, rows: list[Floats], first: int, seen: set[str], wanted: Mapping[str, Sequence[str]]
) -> None:
    """Whether a frame may begin here."""
    expected = first + len(rows)
    if int(line.words[0]) != expected:
        line.wrong(f"frame {line.words[0]:.20} where {expected} must follow: frames are missing")
    if rows and (lacking := _lacking(seen, wanted)):
        line.wrong(f"the frame before lacks {shown(lacking)}")
    if len(rows) == MAX_FRAMES:
        line.wrong(f"more than {MAX_FRAMES} frames")


def _lacking(seen: set[str], wanted: Mapping[str, Sequence[str]]) -> list[str]:
    return [name for name, numbers in wanted.items() if numbers and name not in seen]
