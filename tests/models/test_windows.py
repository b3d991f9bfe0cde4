"""Windows of frames: every row answered once, edges padded, no window across two sequences."""

import pytest
import torch
from torch import nn

from hipart.config import AnyLifterConfig, MixSteLifterConfig, PoseFormerLifterConfig
from hipart.config import TransformerLifterConfig as SingleFrame
from hipart.models.windows import lift, windows

LENGTHS = (7, 3, 12, 5, 1)
SEQUENCE = torch.tensor([n for n, length in enumerate(LENGTHS) for _ in range(length)]) * 10 + 3
ROWS = len(SEQUENCE)
TEMPORAL = [PoseFormerLifterConfig(frames=5), MixSteLifterConfig(frames=5)]
EVERY = [*TEMPORAL, SingleFrame()]


@pytest.mark.parametrize("model", EVERY, ids=lambda model: model.kind)
def test_every_row_finds_its_own_answer(model: AnyLifterConfig) -> None:
    found = windows(model, SEQUENCE)
    assert torch.equal(found.answered[found.window, found.place], torch.arange(ROWS))


@pytest.mark.parametrize("model", TEMPORAL, ids=lambda model: model.kind)
def test_no_window_spans_two_sequences(model: AnyLifterConfig) -> None:
    shown = SEQUENCE[windows(model, SEQUENCE).shown]
    assert shown.shape[1] == 5
    assert (shown == shown[:, :1]).all()


def test_a_poseformer_window_is_centred_and_padded_at_the_edges() -> None:
    shown = windows(TEMPORAL[0], SEQUENCE).shown
    assert shown[0].tolist() == [0, 0, 0, 1, 2]
    assert shown[3].tolist() == [1, 2, 3, 4, 5]
    assert shown[6].tolist() == [4, 5, 6, 6, 6]
    assert shown[-1].tolist() == [ROWS - 1] * 5


def test_mixste_windows_cut_a_sequence_and_the_last_reaches_back() -> None:
    shown = windows(TEMPORAL[1], SEQUENCE).shown
    assert shown[:2].tolist() == [[0, 1, 2, 3, 4], [2, 3, 4, 5, 6]]
    assert shown[2].tolist() == [7, 8, 9, 9, 9]
    assert shown[-1].tolist() == [ROWS - 1] * 5
    assert len(shown) == sum(-(-length // 5) for length in LENGTHS)


class Sees(nn.Module):
    """A lifter that answers with the first coordinate of what it was shown, frame by frame."""

    def __init__(self, whole: bool) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, poses: torch.Tensor) -> torch.Tensor:
        answer = poses[..., :1].expand(*poses.shape[:-1], 3)
        return answer if self.whole else answer[:, 2]


@pytest.mark.parametrize("model", TEMPORAL, ids=lambda model: model.kind)
@pytest.mark.parametrize("batch", [1, 12, 1000])
def test_lifting_gives_every_row_the_answer_to_itself(model: AnyLifterConfig, batch: int) -> None:
    poses = torch.arange(ROWS, dtype=torch.float32)[:, None, None].expand(ROWS, 17, 2)
    lifted = lift(Sees(model.kind == "mixste"), model, poses, SEQUENCE, batch)
    assert torch.equal(lifted[:, 0, 0], torch.arange(ROWS, dtype=torch.float32))
