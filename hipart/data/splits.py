"""Which frames train, which test and which choose. No time range stands on two sides."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

Side = Literal["train", "test", "validation"]
#: How the clips of a motion are split: each in time, or whole by the person who is seen.
Rule = Literal["time", "person"]
RULES: tuple[Rule, ...] = ("time", "person")
#: One for each side.
MIN_PERSONS = 3
#: A side's index is part of its seeds: new ones go to the end.
SIDES: tuple[Side, ...] = ("train", "test", "validation")

TRAIN_SUBJECTS = ("S1", "S5", "S6", "S7", "S8")
TEST_SUBJECTS = ("S9", "S11")
#: Who does not train when something is held out.
VALIDATION_SUBJECTS = ("S8",)
#: Seconds left out between two sides of a clip.
GAP_S = 1.0
#: What trains is cut for a side when this many seconds remain beside the gap; the last third of
#: them goes to that side. Validation takes from longer parts only (decision 23).
MIN_BESIDE_GAP_S = 0.5
MIN_FOR_VALIDATION_S = 2.0
TAKEN_SHARE = 1 / 3
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


def performers(side: Side, hold_out: bool) -> tuple[str, ...]:
    """The subjects of a side; ``hold_out`` takes those of validation from training."""
    if side == "train":
        held = VALIDATION_SUBJECTS if hold_out else ()
        return tuple(name for name in TRAIN_SUBJECTS if name not in held)
    return TEST_SUBJECTS if side == "test" else VALIDATION_SUBJECTS


def persons_needed(rule: Rule, persons: Sequence[str | None]) -> str:
    """What is in the way of splitting clips of these persons by such a rule, or nothing."""
    if rule == "time":
        return ""
    if None in persons:
        return f"{persons.count(None)} clip(s) do not say whose they are (cmu_subject)"
    found = len(set(persons))
    if found < MIN_PERSONS:
        return f"there are {found} person(s); one for each side, {MIN_PERSONS}, are needed"
    return ""


def segments(
    clips: Sequence[_Clip], fps: float, hold_out: bool = False, rule: Rule = "time"
) -> list[Segment]:
    """Which frames are on which side; a fixed rule, no chance in it."""
    if rule == "person":
        return _by_person(clips, hold_out)
    return _by_time(clips, fps, hold_out)


def _by_person(clips: Sequence[_Clip], hold_out: bool) -> list[Segment]:
    """Every clip whole, on the side of the person who is seen.

    Of the persons in the order of how many frames there are of them, the second of every three
    tests; with ``hold_out`` the second of every three of those who then train is for validation. So
    each side has much and little seen persons, and about a third and two ninths of the frames.
    """
    frames: Counter[str] = Counter()
    for clip in clips:
        frames[clip.cmu_subject or ""] += len(clip)
    order = sorted(frames, key=lambda person: (-frames[person], person))
    side: dict[str, Side] = dict.fromkeys(order, "train")
    side |= dict.fromkeys(order[1::3], "test")
    if hold_out:
        training = [person for person in order if side[person] == "train"]
        side |= dict.fromkeys(training[1::3], "validation")
    return [
        Segment(index, side[clip.cmu_subject or ""], 0, len(clip))
        for index, clip in enumerate(clips)
    ]


def _by_time(clips: Sequence[_Clip], fps: float, hold_out: bool) -> list[Segment]:
    """Cut every clip in time, or give it whole to one side.

    A family of clips that may show the same recordings trains as a whole. Any other clip of at
    least 1.5 s is cut: the first two thirds train, then a gap of 1 s, then test. A shorter one
    goes whole to training, except the second of every three of a label that has no cut clip.
    ``hold_out`` applies the rule to what then trains once more, for validation, but leaves parts
    of 1.5 s to 3 s whole: too little of them would train.
    """
    members = Counter(recording(clip) for clip in clips)
    alone = [members[recording(clip)] == 1 for clip in clips]
    whole = [Segment(index, "train", 0, len(clip)) for index, clip in enumerate(clips)]
    tested = _taken(clips, alone, whole, fps, "test", MIN_BESIDE_GAP_S)
    if not hold_out:
        return tested
    return _taken(clips, alone, tested, fps, "validation", MIN_FOR_VALIDATION_S)


def _taken(
    clips: Sequence[_Clip],
    alone: Sequence[bool],
    given: Sequence[Segment],
    fps: float,
    side: Side,
    beside_s: float,
) -> list[Segment]:
    """The segments, of which a part of those that trained is for ``side``.

    ``alone`` (clips,) says whose recording no other clip may show; what is cut has ``beside_s``
    seconds beside the gap.
    """
    gap, enough = round(GAP_S * fps), round((GAP_S + beside_s) * fps)
    least = round((GAP_S + MIN_BESIDE_GAP_S) * fps)
    open_to = {part for part in given if part.side == "train" and alone[part.clip]}
    has_long = {clips[part.clip].label for part in open_to if part.stop - part.start >= least}
    found: list[Segment] = []
    short: dict[str, int] = {}
    for part in given:
        label, frames = clips[part.clip].label, part.stop - part.start
        if part not in open_to:
            found.append(part)
        elif frames >= enough:
            middle = part.stop - gap - max(1, round((frames - gap) * TAKEN_SHARE))
            found.append(replace(part, stop=middle))
            found.append(replace(part, side=side, start=middle + gap))
        elif label in has_long:
            found.append(part)
        else:
            order = short[label] = short.get(label, -1) + 1
            found.append(replace(part, side=side) if order % 3 == 1 else part)
    return found
