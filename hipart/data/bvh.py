"""Motion in BVH files: a hierarchy of joints, and a line of channels for each frame."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hipart.data.motion import MAX_FRAMES, MAX_RATE_HZ
from hipart.data.textfiles import decimal_comma, numbers_of, other_case, utf8_of, words_of

Floats = NDArray[np.float64]

MAX_JOINTS = 500
MAX_NUMBER = 1e6
CHANNELS = tuple(f"{axis}{kind}" for kind in ("position", "rotation") for axis in "XYZ")


@dataclass(frozen=True)
class Joint:
    """A joint of the hierarchy: where it is seen from its parent, and its channels."""

    parent: str
    offset: Floats = field(default_factory=lambda: np.zeros(3))
    channels: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Bvh:
    """A file. ``rows`` (T, C) has the channels of all joints in their order; angles in degrees."""

    joints: dict[str, Joint]
    step_s: float
    rows: Floats

    @property
    def fps(self) -> float:
        """Frames a second."""
        return 1 / self.step_s

    def columns(self) -> Iterator[tuple[str, Joint, dict[str, int]]]:
        """Each joint with the columns of its channels."""
        start = 0
        for name, joint in self.joints.items():
            yield name, joint, {channel: start + n for n, channel in enumerate(joint.channels)}
            start += len(joint.channels)


def read_bvh(path: Path) -> Bvh:
    """Read a file. ValueError says what is wrong and in which line."""
    return parse(utf8_of(path, "BVH").decode())


def parse(text: str) -> Bvh:
    r"""What the text of a file says; its lines end in ``\n``."""
    lines = text.split("\n")
    words = next((words for line in lines if (words := words_of(line))), [""])
    if words[0].upper() != "HIERARCHY":
        raise ValueError(f"is no BVH file: it begins with {words[0]!r:.40} and not with HIERARCHY")
    start = _start_of_motion(lines)
    joints = read_hierarchy(lines[:start])
    step, rows = _read_motion(lines, start + 1, sum(len(one.channels) for one in joints.values()))
    found = Bvh(joints, step, rows)
    _check_numbers(found)
    return found


def _start_of_motion(lines: Sequence[str]) -> int:
    """Where the line MOTION is."""
    for number, line in enumerate(lines):
        first = "".join(words_of(line)[:1])
        if first == "MOTION":
            return number
        if other_case(first, ["MOTION"]):
            raise ValueError(f"line {number + 1}: {first!r} must be written MOTION: case counts")
    raise ValueError("ends before MOTION: it is truncated")


def read_hierarchy(lines: Sequence[str]) -> dict[str, Joint]:
    """The joints of a header by name, in the order of their channels. End sites are left out."""
    header = _Header()
    for number, line in enumerate(lines, 1):
        for part in re.split(r"([{}])", line):
            if words := words_of(part):
                try:
                    header.take(words)
                except ValueError as error:
                    raise ValueError(f"line {number}: {error}") from None
    return header.whole()


class _Header:
    """A hierarchy as far as it has been read."""

    def __init__(self) -> None:
        self._joints: dict[str, Joint] = {}
        self._chain: list[tuple[str, Joint]] = []
        self._named: tuple[str, Joint] | None = None

    def take(self, words: list[str]) -> None:
        """One statement, or one brace."""
        kind, fields = words[0], words[1:]
        known = {
            "HIERARCHY": lambda _: None,
            "ROOT": self._root,
            "JOINT": self._joint,
            "End": self._end,
            "{": self._open,
            "}": self._close,
            "OFFSET": self._offset,
            "CHANNELS": self._channels,
        }
        if right := other_case(kind, known):
            raise ValueError(f"{kind!r} must be written {right}: case counts")
        if kind not in known:
            raise ValueError(f"unknown word {kind!r:.40}; known are {', '.join(known)}")
        known[kind](fields)

    def whole(self) -> dict[str, Joint]:
        """All joints, if the header is complete."""
        if not self._joints:
            raise ValueError("has no ROOT")
        if self._chain or self._named:
            name = (self._named or self._chain[-1])[0]
            raise ValueError(f"MOTION comes inside of {name}: a closing brace is missing")
        return self._joints

    def _root(self, fields: list[str]) -> None:
        if self._joints:
            raise ValueError("a second ROOT; a file may hold one skeleton")
        self._add("", fields)

    def _joint(self, fields: list[str]) -> None:
        parent, joint = self._here("JOINT")
        if self._joints.get(parent) is not joint:
            raise ValueError(
                "JOINT inside of an End Site, which ends a chain; move it out of there"
            )
        self._add(parent, fields)

    def _add(self, parent: str, fields: list[str]) -> None:
        name = " ".join(fields)
        if not name or name in self._joints:
            raise ValueError(f"a second joint {name!r:.40}" if name else "a joint without a name")
        if len(self._joints) == MAX_JOINTS:
            raise ValueError(f"more than {MAX_JOINTS} joints")
        self._named = name, Joint(parent)
        self._joints[name] = self._named[1]

    def _end(self, _: list[str]) -> None:
        self._named = "End Site", Joint(self._here("End Site")[0])

    def _open(self, _: list[str]) -> None:
        if self._named is None:
            raise ValueError("a brace without a joint before it")
        self._chain.append(self._named)
        self._named = None

    def _close(self, _: list[str]) -> None:
        self._here("}")
        self._chain.pop()

    def _offset(self, fields: list[str]) -> None:
        _, joint = self._here("OFFSET")
        numbers = numbers_of(fields)
        if len(numbers) != 3:
            raise ValueError(f"OFFSET needs 3 numbers, found {len(numbers)}")
        joint.offset[:] = numbers

    def _channels(self, fields: list[str]) -> None:
        name, joint = self._here("CHANNELS")
        names = [one.capitalize() for one in fields[1:]]
        if not fields or fields[0] != str(len(names)):
            count = fields[0] if fields else "nothing"
            raise ValueError(f"CHANNELS of {name} says {count!r:.20} and names {len(names)}")
        unknown = [one for one in names if one not in CHANNELS]
        if unknown:
            raise ValueError(f"unknown channel {unknown[0]!r:.40}; known are {', '.join(CHANNELS)}")
        if len(set(names)) != len(names) or joint.channels:
            raise ValueError(f"a channel of {name} is named twice")
        joint.channels.extend(names)

    def _here(self, what: str) -> tuple[str, Joint]:
        if not self._chain or self._named:
            raise ValueError(f"{what} outside of the braces of a joint")
        return self._chain[-1]


def _read_motion(lines: Sequence[str], start: int, columns: int) -> tuple[float, Floats]:
    """Seconds a frame, and the rows (T, columns) of what follows MOTION."""
    body = [(n, line) for n, line in enumerate(lines[start:], start + 1) if line.strip()]
    frames = _stated(body[:1], "Frames")
    step = _stated(body[1:2], "Frame Time")
    if not 1 / MAX_RATE_HZ <= step <= 1:
        raise ValueError(f"Frame Time must be {1 / MAX_RATE_HZ} to 1 seconds, found {step:g}")
    if not 1 <= frames <= MAX_FRAMES or frames != int(frames):
        raise ValueError(f"Frames must be a count from 1 to {MAX_FRAMES}, found {frames:g}")
    found = len(body) - 2
    if not frames <= found <= frames + 1:  # some programs count from 0
        why = "; it is truncated" if found < frames else ""
        raise ValueError(f"says {frames:g} frames and holds {found}{why}")
    if not columns:
        raise ValueError("no joint has channels")
    return step, np.stack(
        [_row(number, line, columns) for number, line in body[2 : int(frames) + 2]]
    )


def _stated(body: Sequence[tuple[int, str]], what: str) -> float:
    for number, line in body:
        name, _, value = line.partition(":")
        if name.strip() == what:
            try:
                return float(value)
            except ValueError:
                raise ValueError(
                    f"line {number}: {what}: {value.strip()!r:.40} is not a number"
                    + decimal_comma([value])
                ) from None
        if right := other_case(name.strip(), [what]):
            raise ValueError(
                f"line {number}: {name.strip()!r} must be written {right}: case counts"
            )
    raise ValueError(f"`{what}:` must follow MOTION; it is missing")


def _row(number: int, line: str, columns: int) -> Floats:
    try:
        row = numbers_of(line.split())
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from None
    if len(row) != columns:
        raise ValueError(f"line {number}: {len(row)} numbers for {columns} channels")
    return np.array(row)


def _check_numbers(bvh: Bvh) -> None:
    for name, joint, columns in bvh.columns():
        if not (np.abs(joint.offset) <= MAX_NUMBER).all():
            raise ValueError(f"OFFSET of {name} is {joint.offset.tolist()}")
        for channel, column in columns.items():
            bad = np.flatnonzero(~(np.abs(bvh.rows[:, column]) <= MAX_NUMBER))
            if len(bad):
                value = bvh.rows[bad[0], column]
                raise ValueError(f"{channel} of {name} is {value:g} at frame {bad[0]}")
