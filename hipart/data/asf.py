"""Acclaim's skeletons, ASF files: bones, their lengths, directions and axes.

The format is M. Schafer's "Acclaim Skeleton File Definition V1.10" (1994); where it leaves room,
Vicon's reading of it holds, whose programs wrote CMU's files: rotations are about fixed axes, in
the order of their tokens.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hipart.data.bvh import MAX_JOINTS, MAX_NUMBER
from hipart.data.names import nearest, shown
from hipart.data.textfiles import numbers_of, utf8_of, words_of

Floats = NDArray[np.float64]

ROOT = "root"
MOVES = ("tx", "ty", "tz")
TURNS = ("rx", "ry", "rz")
#: Degrees of freedom of a bone; ``l`` is along it.
DOF = (*MOVES, *TURNS, "l")
#: Words for angles, and whether they are degrees.
ANGLES = {"deg": True, "degree": True, "degrees": True, "rad": False, "radian": False}
ANGLES |= {"radians": False}


@dataclass(frozen=True)
class Bone:
    """A bone, which begins where its parent ends.

    ``along`` (3,) is from its beginning to its end in the rest pose, in the file's unit; ``axis``
    the frame that its angles are about; ``dof`` its degrees of freedom in the order of the motion's
    numbers.
    """

    parent: str
    along: Floats
    axis: Rotation
    dof: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asf:
    """A skeleton. ``bones`` by name, parents before children, without the root.

    ``order`` are the root's numbers in the motion; ``position`` (3,) and ``orientation`` place the
    whole; ``length`` is the scale of :units, by which or over which numbers become a unit.
    """

    name: str
    length: float
    degrees: bool
    order: tuple[str, ...]
    position: Floats
    orientation: Rotation
    bones: Mapping[str, Bone]

    def numbers(self) -> dict[str, tuple[str, ...]]:
        """The root and every bone by name, with what each one's numbers in a frame are."""
        return {ROOT: self.order} | {name: bone.dof for name, bone in self.bones.items()}


def read_asf(path: Path) -> Asf:
    """Read a skeleton. ValueError says what is wrong and in which line."""
    return parse_asf(content_of(path, "ASF").decode(), path.name)


def content_of(path: Path, kind: str) -> bytes:
    """What a text file holds, in UTF-8. ValueError also if it is a web page."""
    data = utf8_of(path, kind)
    if data.lstrip()[:1] == b"<":
        raise ValueError(
            f"is a web page and no {kind} file: delete it and fetch it again "
            f"(it begins {data.lstrip()[:30]!r})"
        )
    return data


@dataclass
class Line:
    """The words of a line, without comments."""

    number: int
    words: list[str]

    def wrong(self, why: str) -> NoReturn:
        """ValueError that names the line."""
        raise ValueError(f"line {self.number}: {why}")

    def floats(self, count: int) -> Floats:
        """The numbers after the first word."""
        what, fields = self.words[0], self.words[1 : count + 1]
        try:
            found = np.array(numbers_of(fields))
        except ValueError as error:
            self.wrong(f"{what}: {error}")
        if len(found) != count:
            self.wrong(f"{what} needs {count} number(s), found {len(found)}")
        if not (np.abs(found) <= MAX_NUMBER).all():
            self.wrong(f"{what} is {' '.join(fields)}; sizes up to {MAX_NUMBER:g} are read")
        if re.match(r"[-+.]?\d", "".join(self.words[count + 1 : count + 2])):
            self.wrong(
                f"{what} needs {count} number(s), found more: {' '.join(self.words[1:]):.60}; "
                "a comma divides numbers, so decimals need a point"
            )
        return found


def parse_asf(text: str, name: str = "ASF") -> Asf:
    r"""What the text of a skeleton says; its lines end in ``\n``."""
    sections = _sections(text)
    for needed in ("root", "bonedata", "hierarchy"):
        if needed not in sections:
            raise ValueError(
                f"has no :{needed} section, without which it is no skeleton; it has: "
                f"{shown(':' + one for one in sections)}"
            )
    length, degrees = _units(sections.get("units", []))
    order, position, orientation = _root(sections["root"], degrees)
    loose = dict(_bones(sections["bonedata"], degrees))
    bones = _attached(loose, sections["hierarchy"])
    return Asf(name, length, degrees, order, position, orientation, bones)


def _sections(text: str) -> dict[str, list[Line]]:
    """The lines of each section by its keyword, without comments; what precedes them is no ASF."""
    found: dict[str, list[Line]] = {}
    here: list[Line] | None = None
    for number, line in enumerate(text.split("\n"), 1):
        words = words_of(re.sub(r"[,()]", " ", line.partition("#")[0]))
        if not words:
            continue
        if words[0].startswith(":"):
            keyword = words[0][1:].lower()
            if keyword in found:
                raise ValueError(f"line {number}: a second :{keyword} section")
            here = found[keyword] = []
        elif here is None:
            raise ValueError(
                f"line {number}: is no ASF file: it begins with {words[0]!r:.40}, and an ASF file "
                "with a keyword such as :version"
            )
        else:
            here.append(Line(number, words))
    return found


def _units(lines: Sequence[Line]) -> tuple[float, bool]:
    """The scale of lengths, and whether angles are degrees."""
    length, degrees = 1.0, True
    for line in lines:
        match line.words[0].lower():
            case "length":
                length = float(line.floats(1)[0])
                if not length > 0:
                    line.wrong(f"length must be above 0, found {length:g}")
            case "angle":
                degrees = _angle(line)
    return length, degrees


def _angle(line: Line) -> bool:
    word = line.words[1].lower() if len(line.words) > 1 else ""
    if word not in ANGLES:
        line.wrong(f"angle must be deg or rad, found {word!r:.40}")
    return ANGLES[word]


def _root(lines: Sequence[Line], degrees: bool) -> tuple[tuple[str, ...], Floats, Rotation]:
    order: tuple[str, ...] = ()
    axes, position, angles = "xyz", np.zeros(3), np.zeros(3)
    for line in lines:
        match line.words[0].lower():
            case "order":
                order = _freedom(line, (*MOVES, *TURNS))
            case "axis":
                axes = _axes(line, line.words[1:])
            case "position":
                position = line.floats(3)
            case "orientation":
                angles = line.floats(3)
    if not order:
        raise ValueError(":root has no order, which says what its numbers are: TX TY TZ RX RY RZ")
    return order, position, Rotation.from_euler(axes, angles, degrees)


def _freedom(line: Line, known: Sequence[str]) -> tuple[str, ...]:
    """The degrees of freedom that a line names, in its order."""
    found = tuple(word.lower() for word in line.words[1:])
    unknown = [word for word in found if word not in known]
    if unknown:
        line.wrong(f"unknown degree of freedom {unknown[0]!r:.40}; known are {', '.join(known)}")
    if len(set(found)) != len(found):
        line.wrong(f"a degree of freedom is named twice: {' '.join(found)}")
    return found


def _axes(line: Line, words: Sequence[str]) -> str:
    """The order of three axes, lower case: about fixed axes, as scipy has it."""
    axes = words[0].lower() if words else ""
    if sorted(axes) != ["x", "y", "z"]:
        line.wrong(f"the order of axes must be x, y and z in any order, found {axes!r:.40}")
    return axes


def _bones(lines: Sequence[Line], degrees: bool) -> Iterator[tuple[str, Bone]]:
    """Every bone with its name; none has a parent yet."""
    names: set[str] = set()
    held: dict[str, Line] | None = None
    for line in lines:
        word = line.words[0].lower()
        if word == "begin":
            if held is not None:
                line.wrong("begin inside of a bone: its end is missing")
            held = {"begin": line}
        elif held is None:
            line.wrong(f"{line.words[0]!r:.40} outside of begin and end")
        elif word == "end":
            name, bone = _bone(held, degrees)
            if name in names or name == ROOT:
                line.wrong(f"a second bone {name!r:.40}")
            if len(names) == MAX_JOINTS:
                line.wrong(f"more than {MAX_JOINTS} bones")
            names.add(name)
            yield name, bone
            held = None
        else:
            held.setdefault(word, line)
    if held is not None:
        held["begin"].wrong("the bone that begins here has no end: the file is truncated")
    if not names:
        raise ValueError(":bonedata has no bone")


def _bone(held: Mapping[str, Line], degrees: bool) -> tuple[str, Bone]:
    begin = held["begin"]
    if "name" not in held or len(held["name"].words) < 2:
        begin.wrong("a bone without a name")
    name = held["name"].words[1]
    for needed in ("direction", "length"):
        if needed not in held:
            begin.wrong(f"bone {name} has no {needed}")
    direction, length = held["direction"].floats(3), float(held["length"].floats(1)[0])
    size = float(np.linalg.norm(direction))
    if length < 0 or (length and not size):
        held["length"].wrong(f"bone {name} is {length:g} long along {direction.tolist()}")
    along = direction * (length / size) if size else direction
    dof = _freedom(held["dof"], DOF) if "dof" in held else ()
    axis = Rotation.identity()
    if "axis" in held:
        line = held["axis"]
        axis = Rotation.from_euler(_axes(line, line.words[4:]), line.floats(3), degrees)
    elif any(one in TURNS for one in dof):
        begin.wrong(f"bone {name} turns and has no axis to turn about")
    return name, Bone("", along, axis, dof)


def _attached(loose: Mapping[str, Bone], lines: Sequence[Line]) -> dict[str, Bone]:
    """The bones with their parents, parents first."""
    children: dict[str, list[str]] = {}
    parent_of: dict[str, str] = {}
    for line in lines:
        parent, *names = line.words
        if not names and parent.lower() in ("begin", "end"):
            continue
        for name in (parent, *names):
            if name not in loose and name != ROOT:
                line.wrong(f"bone {name!r:.40} is not in :bonedata{nearest(name, loose)}")
        for name in names:
            if name in parent_of or name == ROOT:
                line.wrong(f"{name} hangs on {parent_of.get(name, 'nothing')} already")
            parent_of[name] = parent
        children.setdefault(parent, []).extend(names)
    found: dict[str, Bone] = {}
    above = [ROOT]
    while above:
        parent = above.pop(0)
        for name in children.get(parent, []):
            bone = loose[name]
            found[name] = Bone(parent, bone.along, bone.axis, bone.dof)
            above.append(name)
    adrift = [name for name in loose if name not in found]
    if adrift:
        raise ValueError(f":hierarchy does not lead from root to {shown(adrift)}")
    return found
