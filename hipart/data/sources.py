"""Files of recordings read as they are: the movement, its rate, its unit."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from hipart.data import amc_recording
from hipart.data.amass import read_amass
from hipart.data.amc import read_amc
from hipart.data.asf import Asf, read_asf
from hipart.data.bvh import Bvh, read_bvh
from hipart.data.bvh_recording import RestPose, recording, unit_of
from hipart.data.retarget import FPS, Recording, starts_in_reference_pose
from hipart.data.rigs import ACCLAIM, CMU, Rig


@dataclass(frozen=True)
class Source:
    """What a file held: a recording, its frames a second, its unit, and what was dropped."""

    recording: Recording
    fps: float
    unit: str
    dropped: bool = False


def bvh_source(path: Path, rig: Rig = CMU, rest: RestPose = "offsets") -> Source:
    """A BVH file, without a pose of reference in its first frame."""
    return as_source(read_bvh(path), rig, rest)


def as_source(file: Bvh, rig: Rig = CMU, rest: RestPose = "offsets") -> Source:
    """The same of a file that has been read."""
    clip = recording(file, rig, rest)
    dropped = starts_in_reference_pose(clip, rest == "first-frame")
    if dropped:
        turned = {bone: turn[1:] for bone, turn in clip.turned.items()}
        clip = Recording(clip.seconds[:-1], clip.hips[1:], clip.leg, turned, clip.straight)
    return Source(clip, file.fps, unit_of(clip.leg), dropped)


def amass_source(path: Path) -> Source:
    """An AMASS file."""
    return Source(*read_amass(path), "metres")


@dataclass(frozen=True)
class AcclaimReader:
    """Reads an AMC file with the ASF file beside it, without a pose of reference at its start.

    A file that does not say its rate has that in ``rates``, or ``rate``. Frames that clips
    of ``fps`` frames a second skip are not turned into poses at all.
    """

    rig: Rig = ACCLAIM
    rate: float = amc_recording.FPS
    rates: Mapping[Path, float | None] | None = None
    fps: float = FPS

    def __call__(self, path: Path) -> Source:
        """The movement in metres."""
        skeleton = amc_recording.skeleton_of(path)
        try:
            asf = _read_asf(skeleton, skeleton.stat().st_mtime_ns)
        except ValueError as error:
            raise ValueError(f"{skeleton.name}: {error}") from None
        amc = read_amc(path, asf)
        rate = amc.fps or (self.rates or {}).get(path) or self.rate
        step = round(rate / self.fps)
        step = step if step > 1 and step * self.fps == rate else 1
        begin, unit = amc_recording.recording(asf, amc.rows(slice(2)), self.rig, rate)
        dropped = starts_in_reference_pose(begin)
        rows = amc.rows(slice(int(dropped), None, step))
        clip, unit = amc_recording.recording(asf, rows, self.rig, rate / step)
        return Source(clip, rate, unit, dropped)


@lru_cache(maxsize=4)
def _read_asf(path: Path, _: int) -> Asf:
    """A skeleton, which many takes share; the second argument is when it was written."""
    return read_asf(path)
