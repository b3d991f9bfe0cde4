"""ASF and AMC files written for the tests: people who move, and skeletons drawn at random."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from hipart.data.motion import BONE_PARENTS, BONES, Clip
from hipart.data.retarget import rest_heads
from hipart.data.rigs import ACCLAIM
from tests.data.recordings import CMU_UNIT_M, SPLAY, global_turns, resampled, to_rest

CMU_LENGTH = 0.45


@dataclass
class WrittenBone:
    """A bone as it stands in a file: angles in the file's unit."""

    name: str
    parent: str
    direction: Sequence[float]
    length: float
    axis: Sequence[float] = (0, 0, 0)
    order: str = "XYZ"
    dof: Sequence[str] = ()


@dataclass
class WrittenSkeleton:
    """All that an ASF file says."""

    bones: Sequence[WrittenBone]
    degrees: bool = True
    length: float = CMU_LENGTH
    root_order: Sequence[str] = ("TX", "TY", "TZ", "RX", "RY", "RZ")
    root_axis: str = "XYZ"
    position: Sequence[float] = (0, 0, 0)
    orientation: Sequence[float] = (0, 0, 0)
    names: Mapping[str, str] = field(default_factory=dict)


def row(values: Sequence[float] | np.ndarray) -> str:
    return " ".join(f"{value:.9g}" for value in values)


def asf_text(skeleton: WrittenSkeleton) -> str:
    lines = ["# AST/ASF file written for a test", ":version 1.10", ":name SOMEBODY", ":units"]
    lines += ["  mass 1.0", f"  length {skeleton.length:g}"]
    lines += [f"  angle {'deg' if skeleton.degrees else 'rad'}"]
    lines += [":documentation", "   root of all, begin and end: words that mean nothing here"]
    lines += [":root", f"   order {' '.join(skeleton.root_order)}", f"   axis {skeleton.root_axis}"]
    lines += [f"   position {row(skeleton.position)}  # of all"]
    lines += [f"   orientation {row(skeleton.orientation)}", ":bonedata"]
    for number, bone in enumerate(skeleton.bones, 1):
        lines += ["  begin", f"     id {number}", f"     name {bone.name}"]
        lines += [f"     direction {row(bone.direction)}", f"     length {bone.length:.9g}"]
        lines += [f"     axis {row(bone.axis)}  {bone.order}"]
        if bone.dof:
            lines += [f"    dof {' '.join(bone.dof)}", "    limits (-160.0, 20.0)"]
            lines += ["           (-70.0 70.0)"] * (len(bone.dof) - 1)
        lines += ["  end"]
    children: dict[str, list[str]] = {}
    for bone in skeleton.bones:
        children.setdefault(bone.parent, []).append(bone.name)
    lines += [":hierarchy", "  begin"]
    lines += [f"    {parent} {' '.join(names)}" for parent, names in children.items()]
    return "\n".join([*lines, "  end"]) + "\n"


def amc_text(skeleton: WrittenSkeleton, values: Mapping[str, np.ndarray], first: int = 1) -> str:
    """``values`` (T, n) by the root and the bones that have degrees of freedom."""
    lines = ["#!OML:ASF somebody.asf", ":FULLY-SPECIFIED"]
    lines += [":DEGREES" if skeleton.degrees else ":RADIANS"]
    moving = ["root", *(bone.name for bone in skeleton.bones if bone.dof)]
    for frame in range(len(values["root"])):
        lines.append(str(first + frame))
        lines += [f"{name} {row(values[name][frame])}" for name in moving]
    return "\n".join(lines) + "\n"


def person(
    clip: Clip,
    fps: int = 120,
    *,
    unit_m: float = CMU_UNIT_M,
    length: float = CMU_LENGTH,
    degrees: bool = True,
    axes: str = "XYZ",
    dof: str = "XYZ",
    orientation: Sequence[float] = (0, 0, 0),
    body: float = 1.0,
) -> tuple[WrittenSkeleton, dict[str, np.ndarray]]:
    """A clip as Vicon would write it, each bone with a frame of its own.

    ``orientation`` is :root's, degrees: the skeleton is written lying so that it stands after it.
    """
    heads, rest = rest_heads() * body / unit_m, to_rest(SPLAY)
    tilt = Rotation.from_euler("xyz", orientation, degrees=True)
    rng = np.random.default_rng(7)
    times = np.arange(len(clip)) / 30
    wanted = np.minimum(np.arange((len(clip) - 1) * fps // 30 + 1) / fps, times[-1])
    every = [
        tilt.inv() * resampled(one, times, wanted) * back.inv() * tilt
        for one, back in zip(global_turns(clip), rest, strict=True)
    ]
    hips = np.stack([np.interp(wanted, times, column) for column in clip.root.T], axis=1)
    angle = 1 if degrees else np.pi / 180
    order = [f"R{axis}" for axis in dof]
    values = {
        "root": np.concatenate(
            [
                tilt.inv().apply(hips * body / unit_m),
                every[0].as_euler(dof.lower(), degrees=True) * angle,
            ],
            axis=1,
        )
    }
    bones: list[WrittenBone] = []
    ends = {"root": heads[0]}

    def add(name: str, parent: str, start: np.ndarray, end: np.ndarray, turn: Rotation) -> None:
        along = tilt.inv().apply(turn.apply(end - start))
        size = float(np.linalg.norm(along))
        direction = along / size if size > 1e-9 else np.array([0.0, 1.0, 0.0])
        bones.append(WrittenBone(name, parent, direction, size))

    for index, bone in enumerate(BONES[1:], 1):
        above = BONE_PARENTS[index]
        name, parent = ACCLAIM.theirs[bone], ACCLAIM.theirs[BONES[above]]
        if np.linalg.norm(heads[index] - ends[parent]) > 1e-9:
            add(f"link_{name}", parent, ends[parent], heads[index], rest[above])
            parent = f"link_{name}"
        children = [child for child, one in enumerate(BONE_PARENTS) if one == index]
        end = heads[children[0]] if children else heads[index] + [0, 0.05 / unit_m, 0]
        add(name, parent, heads[index], end, rest[index])
        ends[name] = end
        frame = Rotation.random(rng=rng)
        local = every[above].inv() * every[index]
        own = (frame.inv() * local * frame).as_euler(dof.lower(), degrees=True)
        bones[-1].axis = frame.as_euler(axes.lower(), degrees=True) * angle
        bones[-1].order, bones[-1].dof = axes, [one.lower() for one in order]
        values[name] = own * angle
    skeleton = WrittenSkeleton(
        bones,
        degrees,
        length,
        ("TX", "TY", "TZ", *order),
        orientation=np.array(orientation) * angle,
    )
    return skeleton, values


def write_person(folder: Path, take: str, clip: Clip, fps: int = 120, **options: object) -> Path:
    """``SUBJECT.asf`` and ``SUBJECT_TRIAL.amc`` of a take such as ``01_02``; the AMC file."""
    folder.mkdir(parents=True, exist_ok=True)
    skeleton, values = person(clip, fps, **options)  # type: ignore[arg-type]
    (folder / f"{take.partition('_')[0]}.asf").write_text(asf_text(skeleton))
    path = folder / f"{take}.amc"
    path.write_text(amc_text(skeleton, values))
    return path
