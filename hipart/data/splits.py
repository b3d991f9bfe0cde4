"""Which frames are for training and which for testing. No time range stands on both sides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Side = Literal["train", "test"]
SIDES: tuple[Side, Side] = ("train", "test")

TRAIN_SUBJECTS = ("S1", "S5", "S6", "S7", "S8")
TEST_SUBJECTS = ("S9", "S11")
#: Seconds left out between the two sides of a clip.
GAP_S = 1.0
#: A clip is cut when this many seconds remain beside the gap; test gets the last third of them.
MIN_BESIDE_GAP_S = 0.5
TEST_SHARE = 1 / 3
#: Labels whose clips of unknown subject may be the same recordings as a CMU subject's.
SAME_RECORDINGS = {"walking": "007", "basketball": "006"}


class _Clip(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def cmu_subject(self) -> str | None: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Segment:
    """Frames ``start`` to ``stop`` (exclusive) of a clip, all on one side."""

    clip: int
    side: Side
    start: int
    stop: int


def recording(clip: _Clip) -> str:
    """What a clip may share recordings with: a CMU subject's family, or only itself."""
    if clip.cmu_subject in SAME_RECORDINGS.values():
        return f"cmu subject {clip.cmu_subject}"
    if clip.cmu_subject is None and clip.label in SAME_RECORDINGS:
        return f"cmu subject {SAME_RECORDINGS[clip.label]}"
    return clip.name


def segments(clips: Sequence[_Clip], fps: float) -> list[Segment]:
    """Cut every clip in time, or give it whole to one side; a fixed rule, no chance in it.

    A family of clips that may show the same recordings trains as a whole. Any other clip of at
    least 1.5 s is cut: the first two thirds train, then a gap of 1 s, then test. A shorter one
    goes whole to training, except the second of every three of a label that has no cut clip.
    """
    gap, least = round(GAP_S * fps), round((GAP_S + MIN_BESIDE_GAP_S) * fps)
    families = [recording(clip) for clip in clips]
    cuts = [
        families.count(family) == 1 and len(clip) >= least
        for clip, family in zip(clips, families, strict=True)
    ]
    has_cut = {clip.label for clip, cut in zip(clips, cuts, strict=True) if cut}
    found: list[Segment] = []
    short_clips: dict[str, int] = {}
    for index, (clip, cut) in enumerate(zip(clips, cuts, strict=True)):
        frames = len(clip)
        if cut:
            middle = frames - gap - max(1, round((frames - gap) * TEST_SHARE))
            found.append(Segment(index, "train", 0, middle))
            found.append(Segment(index, "test", middle + gap, frames))
        elif families.count(families[index]) > 1 or clip.label in has_cut:
            found.append(Segment(index, "train", 0, frames))
        else:
            order = short_clips[clip.label] = short_clips.get(clip.label, -1) + 1
            found.append(Segment(index, "test" if order % 3 == 1 else "train", 0, frames))
    return found
