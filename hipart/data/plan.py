"""Which samples there are: every take of a clip, placed several times, seen by four cameras.

The plan enumerates them without computing any, so that a small draw from a large corpus is cheap.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from hipart.config import DataConfig
from hipart.data.cameras import PLACES
from hipart.data.motion import Motion
from hipart.data.splits import (
    SIDES,
    TEST_SUBJECTS,
    TRAIN_SUBJECTS,
    Segment,
    Side,
    performers,
    segments,
)
from hipart.data.subset import check_left_out, shared

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]

NUM_CAMERAS = len(PLACES)
SUBJECTS = TRAIN_SUBJECTS + TEST_SUBJECTS
#: Side of the square, metres, that a performer stays in until being placed anew.
TAKE_SIDE_M = 1.5


@dataclass(frozen=True)
class Views:
    """Drawn samples as parallel arrays (N,). ``take`` and ``placement`` index the plan's tables.

    ``sequence`` numbers a take in a placement before a camera; ``mirrored`` are seen in a mirror.
    """

    take: Indices
    placement: Indices
    subject: Indices
    clip: Indices
    frame: Indices
    camera: Indices
    sequence: Indices
    mirrored: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True)
class Plan:
    """All samples of one side, ordered by take, placement, frame and camera.

    ``cast`` are its subjects. A take is ``frames`` frames of ``clip`` from ``start``, all (takes,).
    ``middle`` (takes, 2) is the (x, z) of the recording that placement p turns by ``yaw``
    (takes, P) and puts at ``place`` (takes, P, 2), metres; placements from ``mirrored_from`` on are
    seen in a mirror.
    """

    side: Side
    cast: tuple[str, ...]
    clip: Indices
    start: Indices
    frames: Indices
    middle: Floats
    yaw: Floats
    place: Floats
    mirrored_from: int

    def __len__(self) -> int:
        return int(self.frames.sum() * self.yaw.shape[1] * NUM_CAMERAS)

    def views(self, chosen: Indices) -> Views:
        """What the samples with these indices show. Placements go to the subjects in turn."""
        sizes = self.frames * self.yaw.shape[1] * NUM_CAMERAS
        ends = np.cumsum(sizes)
        take = np.searchsorted(ends, chosen, side="right")
        placement, rest = np.divmod(chosen - (ends - sizes)[take], self.frames[take] * NUM_CAMERAS)
        frame, camera = np.divmod(rest, NUM_CAMERAS)
        numbers = np.array([SUBJECTS.index(name) for name in self.cast])
        clip = self.clip[take]
        subject = numbers[(clip + placement) % len(self.cast)]
        sequence = (take * self.yaw.shape[1] + placement) * NUM_CAMERAS + camera
        frame += self.start[take]
        mirrored = placement >= self.mirrored_from
        return Views(take, placement, subject, clip, frame, camera, sequence, mirrored)


def sides(data: DataConfig) -> tuple[Side, ...]:
    """The sides that there are: validation only where something is held out for it."""
    return SIDES if data.validation_samples else SIDES[:2]


def make_plan(motion: Motion, data: DataConfig, side: Side) -> Plan:
    """Cut the side's segments into takes and draw, for each, where it is placed.

    The draw depends on the seed, the clip's name and the take's first frame, not on other clips,
    and more placements keep the earlier ones. Where mirror images train, too, there are as many
    placements of them. ValueError where ``data.leave_out`` names what does not train.
    """
    hold_out = data.validation_samples > 0
    cut = segments(motion.clips, motion.fps, hold_out, motion.split)
    parts = [part for part in cut if part.side == side]
    cast = performers(side, hold_out)
    if side == "train":
        parts, cast = _trained(motion, data, parts, cast)
    placements = data.placements * (2 if data.mirrored and side == "train" else 1)
    takes, middles, reaches, drawn = [], [], [], []
    for segment in parts:
        clip = motion.clips[segment.clip]
        for start, stop in cut_takes(clip.root[:, [0, 2]], segment.start, segment.stop):
            path = clip.root[start:stop, [0, 2]]
            low, high = path.min(axis=0), path.max(axis=0)
            takes.append((segment.clip, start, stop - start))
            middles.append((low + high) / 2)
            reaches.append(np.hypot(*(high - low)) / 2)
            rng = np.random.default_rng([data.seed, crc32(clip.name.encode()), start])
            drawn.append(rng.random((placements, 3)))
    table = np.array(takes, np.int64).reshape(-1, 3)
    chance = np.array(drawn).reshape(-1, placements, 3)
    room = np.maximum(data.floor_half_side_m - np.array(reaches).reshape(-1, 1, 1), 0)
    return Plan(
        side=side,
        cast=cast,
        clip=table[:, 0],
        start=table[:, 1],
        frames=table[:, 2],
        middle=np.array(middles, np.float32).reshape(-1, 2),
        yaw=(2 * np.pi * chance[..., 0]).astype(np.float32),
        place=((2 * chance[..., 1:] - 1) * room).astype(np.float32),
        mirrored_from=data.placements,
    )


def _trained(
    motion: Motion, data: DataConfig, parts: Sequence[Segment], cast: Sequence[str]
) -> tuple[list[Segment], tuple[str, ...]]:
    """The segments that train, and who performs them."""
    labels = [motion.clips[part.clip].label for part in parts]
    check_left_out(data, cast, sorted(set(labels)))
    out = set(data.leave_out)
    kept = [part for part, label in zip(parts, labels, strict=True) if label not in out]
    names = shared((motion.clips[part.clip].name for part in kept), data.share, data.seed)
    kept = [part for part in kept if motion.clips[part.clip].name in names]
    return kept, tuple(name for name in cast if name not in out)


def cut_takes(path: Floats, start: int, stop: int) -> list[tuple[int, int]]:
    """Longest runs of frames ``start`` to ``stop`` whose path (T, 2) stays in a 1.5 m square."""
    takes = []
    low = high = path[start]
    for frame in range(start, stop):
        low, high = np.minimum(low, path[frame]), np.maximum(high, path[frame])
        if (high - low).max() > TAKE_SIDE_M:
            takes.append((start, frame))
            start, low, high = frame, path[frame], path[frame]
    return [*takes, (start, stop)]


def draw(
    plan: Plan,
    wanted: int | None,
    rng: np.random.Generator,
    sampling: Literal["frames", "sequences"] = "frames",
) -> Indices:
    """Indices of ``wanted`` different samples (None: all), ascending.

    As whole ``sequences`` they come one sequence after another, and only the last drawn one is
    cut short. A smaller draw from the same generator state is part of a larger one. ValueError
    when there are not enough.
    """
    total = len(plan)
    if not total or (wanted or 0) > total:
        raise ValueError(
            f"data.{plan.side}_samples asks for {wanted or 'all'} samples of {total} that exist; "
            "ask for fewer under `base:` of the experiment, "
            "raise data.placements there, take `--scale smoke` or give more motion"
            + ("; 0 holds nothing out" if plan.side == "validation" else "")
        )
    if sampling == "sequences":
        return _draw_sequences(plan, total if wanted is None else wanted, rng)
    return np.arange(total) if wanted is None else np.sort(rng.permutation(total)[:wanted])


def _draw_sequences(plan: Plan, wanted: int, rng: np.random.Generator) -> Indices:
    of_take = plan.yaw.shape[1] * NUM_CAMERAS
    length = np.repeat(plan.frames, of_take)
    before = np.repeat(np.cumsum(plan.frames * of_take) - plan.frames * of_take, of_take)
    placement, camera = np.divmod(np.tile(np.arange(of_take), len(plan.frames)), NUM_CAMERAS)
    first = before + placement * length * NUM_CAMERAS + camera
    order = rng.permutation(len(length))
    until = np.cumsum(length[order])
    taken = np.searchsorted(until, wanted) + 1
    kept = np.minimum(length[order], wanted - (until - length[order]))[:taken]
    rows = [
        first[number] + NUM_CAMERAS * np.arange(count)
        for number, count in sorted(zip(order[:taken], kept, strict=True))
    ]
    return np.concatenate(rows)
