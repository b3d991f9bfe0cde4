"""Windows of consecutive frames for temporal lifters; none ever spans two sequences or a gap."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from hipart.config import AnyLifterConfig, window_frames
from hipart.models.chunks import in_chunks
from hipart.shapes import Float, Int


class Windows(NamedTuple):
    """Which rows each of M windows shows and answers, and where each of N rows finds its answer.

    ``shown`` (M, T), ``answered`` (M, A) rows; ``window`` (N,), ``place`` (N,) below A.
    """

    shown: Int[Tensor, "windows frames"]
    answered: Int[Tensor, "windows answers"]
    window: Int[Tensor, " rows"]
    place: Int[Tensor, " rows"]

    def gather(self, answers: Float[Tensor, "windows ..."]) -> Float[Tensor, "rows 17 3"]:
        """The answer to each row from those of all windows in turn."""
        return answers if answers.dim() == 3 else answers[self.window, self.place]


def rows(
    table: Float[Tensor, "rows ..."], chosen: Int[Tensor, "windows frames"]
) -> Float[Tensor, "windows ..."]:
    """What windows show or answer: (windows, frames, ...), or (windows, ...) of single frames."""
    return table[chosen if chosen.shape[-1] > 1 else chosen[..., 0]]


def windows(
    model: AnyLifterConfig,
    sequence: Int[Tensor, " rows"],
    frame: Int[Tensor, " rows"] | None = None,
) -> Windows:
    """How a lifter goes through rows that lie sequence by sequence, frame after frame.

    ``frame`` counts in each sequence; without it the rows of one follow one another by the word of
    whoever numbered them. ValueError where a temporal lifter is given frames that do not.

    A lifter of single frames sees each row alone. PoseFormer sees each row in the middle of its
    window, MixSTE cuts every sequence into windows that it answers whole; the last one reaches
    back over rows already answered. What lies before a sequence's first and after its last frame
    is filled with that frame (edge padding, as in VideoPose3D).
    """
    every = torch.arange(len(sequence), device=sequence.device)
    frames = window_frames(model)
    if frames == 1:
        return Windows(every[:, None], every[:, None], every, torch.zeros_like(every))
    if frame is not None:
        _check_consecutive(sequence, frame)
    first, length = _runs(sequence)
    if model.kind == "mixste":
        return _chunks(first, length, frames)
    offsets = torch.arange(frames, device=every.device) - frames // 2
    lowest = first.repeat_interleave(length)[:, None]
    highest = (first + length - 1).repeat_interleave(length)[:, None]
    shown = (every[:, None] + offsets).clamp(lowest, highest)
    return Windows(shown, every[:, None], every, torch.zeros_like(every))


def lift(
    lifter: nn.Module,
    model: AnyLifterConfig,
    poses: Float[Tensor, "rows joints 2"],
    sequence: Int[Tensor, " rows"],
    batch: int,
    frame: Int[Tensor, " rows"] | None = None,
) -> Float[Tensor, "rows 17 3"]:
    """The 3D pose of every row, about ``batch`` frames at a time. ValueError as ``windows``."""
    through = windows(model, sequence, frame)
    count, frames = through.shown.shape
    lifted = in_chunks(
        lambda one: lifter(rows(poses, through.shown[one])),
        torch.arange(count, device=poses.device),
        max(1, batch // frames),
    )
    return through.gather(torch.cat([*lifted]))


def _check_consecutive(sequence: Tensor, frame: Tensor) -> None:
    step = frame.diff()
    gaps = ((sequence.diff() == 0) & (step != 1)).nonzero().flatten()
    if len(gaps):
        at = int(gaps[0])
        raise ValueError(
            f"sequence {int(sequence[at])} goes from frame {int(frame[at])} to frame "
            f"{int(frame[at + 1])}, and windows of a temporal lifter take frames that follow one "
            "another; end the sequence at the gap (`hipart-search data prepare` does), or take a "
            "lifter of single frames"
        )


def _runs(sequence: Tensor) -> tuple[Tensor, Tensor]:
    """First row and length of every run of equal numbers."""
    _, length = torch.unique_consecutive(sequence, return_counts=True)
    return length.cumsum(0) - length, length


def _chunks(first: Tensor, length: Tensor, frames: int) -> Windows:
    counts = (length + frames - 1) // frames
    before = counts.cumsum(0) - counts
    of_run = torch.arange(len(first), device=first.device)
    # Window by window: which run, which of its windows, and where that one starts in it.
    run = of_run.repeat_interleave(counts)
    number = torch.arange(len(run), device=first.device) - before[run]
    start = (number * frames).minimum((length[run] - frames).clamp_min(0))
    within = start[:, None] + torch.arange(frames, device=first.device)
    shown = first[run][:, None] + within.minimum(length[run][:, None] - 1)
    # Row by row: the first window that has it.
    run = of_run.repeat_interleave(length)
    position = torch.arange(len(run), device=first.device) - first[run]
    window = before[run] + position // frames
    return Windows(shown, shown, window, position - start[window])
