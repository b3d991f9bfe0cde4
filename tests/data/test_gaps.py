"""No window of a temporal lifter crosses a gap, whichever frames a corpus keeps."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hipart.config import (
    AnyLifterConfig,
    DataConfig,
    DetectorConfig,
    MixSteLifterConfig,
    PoseFormerLifterConfig,
)
from hipart.data.corpus import load_corpus
from hipart.data.h36m.files import find
from hipart.data.h36m.source import H36mSource
from hipart.data.samples import Samples, runs
from hipart.models.windows import windows
from tests.data import h36m_miniature

TEMPORAL: list[AnyLifterConfig] = [PoseFormerLifterConfig(frames=5), MixSteLifterConfig(frames=5)]
FRAMES = 24
MODELS = pytest.mark.parametrize("model", TEMPORAL, ids=lambda model: model.kind)
#: For each frame of some performances whether it is kept.
PATTERNS = st.lists(st.lists(st.booleans(), min_size=1, max_size=30), min_size=1, max_size=5)


def check_windows(model: AnyLifterConfig, samples: dict[str, NDArray[np.integer]]) -> None:
    """Every window shows one performance's consecutive frames, at its edges the same one again."""
    sequence, frame = (torch.as_tensor(samples[name]) for name in ("sequence", "frame"))
    found = windows(model, sequence, frame)
    assert torch.equal(found.answered[found.window, found.place], torch.arange(len(frame)))
    for name in ("performance", "sequence"):
        shown = torch.as_tensor(samples[name])[found.shown]
        assert (shown == shown[:, :1]).all(), name
    steps = frame[found.shown].diff(dim=1)
    assert ((steps == 0) | (steps == 1)).all(), "a gap within a window"
    moves = steps.cumsum(dim=1)
    inner = (moves > 0) & (moves < moves[:, -1:])
    assert (steps[inner] == 1).all(), "a frame is shown again at an edge alone"


@MODELS
@given(patterns=PATTERNS)
@settings(max_examples=150, deadline=None)
def test_no_window_crosses_a_gap(model: AnyLifterConfig, patterns: list[list[bool]]) -> None:
    frames = [np.flatnonzero(pattern) for pattern in patterns]
    frames = [kept for kept in frames if len(kept)]
    if not frames:
        return
    numbers, start = [], 0
    for kept in frames:
        numbers.append(start + runs(kept))
        start = numbers[-1][-1] + 1
    samples = {
        "sequence": np.concatenate(numbers),
        "frame": np.concatenate(frames),
        "performance": np.repeat(np.arange(len(frames)), [len(kept) for kept in frames]),
    }
    check_windows(model, samples)
    lengths = np.bincount(samples["sequence"])
    missing = sum(int((np.diff(kept) > 1).sum()) for kept in frames)
    assert len(lengths) == len(frames) + missing, "and sequences end nowhere else"


@MODELS
@given(pattern=st.lists(st.booleans(), min_size=3, max_size=30))
@settings(max_examples=60, deadline=None)
def test_frames_that_do_not_follow_one_another_are_refused(
    model: AnyLifterConfig, pattern: list[bool]
) -> None:
    frame = torch.as_tensor(np.flatnonzero(pattern))
    joined = torch.full_like(frame, 7)
    if (frame.diff() == 1).all():
        windows(model, joined, frame)
        return
    at = int((frame.diff() != 1).nonzero()[0, 0])
    said = f"sequence 7 goes from frame {frame[at]} to frame {frame[at + 1]}"
    with pytest.raises(ValueError, match=said):
        windows(model, joined, frame)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> H36mSource:
    """Bodies of all frames of one training and one test sequence, with mirror images."""
    patch = pytest.MonkeyPatch()
    patch.setattr(h36m_miniature, "WITH_BODY", range(h36m_miniature.FRAMES))
    folder = tmp_path_factory.mktemp("h36m")
    mini = h36m_miniature.write(folder, ("S1", "S9"), ((5, 2), (9, 1)), FRAMES)
    patch.undo()
    return H36mSource(find(mini.root, mini.smpl), mirror=True)


@given(patterns=st.lists(st.lists(st.booleans(), min_size=FRAMES, max_size=FRAMES), min_size=4))
@settings(max_examples=15, deadline=None)
def test_of_human36m_whichever_bodies_there_are(
    source: H36mSource, patterns: list[list[bool]]
) -> None:
    """Through the source itself: every test frame, and no window across a training frame left out.

    A body that fits is taken from some frames of each of the four sequences.
    """
    whole, held = dict(source._bodies), dict(source._plans)
    source._plans.clear()
    try:
        for (name, bodies), pattern in zip(whole.items(), patterns, strict=False):
            kept = {key: value[np.array(pattern)] for key, value in vars(bodies).items()}
            source._bodies[name] = replace(bodies, **kept)
        for name in whole:
            source._plan(name)
        names = [" ".join(name) for name in source._plans]
        pieces = [source.samples(piece) for piece in _pieces(source) if piece.name in names]
    finally:
        source._plans.clear()
        source._plans |= held
        source._bodies |= whole
    rising = [one.sequence for one in pieces]
    together = np.concatenate(rising)
    assert (np.diff(together) >= 0).all(), "no two sequences have one number"
    test = [one for one in pieces if (one.subject == 5).all()]
    assert [len(one) for one in test] == [4 * FRAMES, 4 * FRAMES]
    for (name, _), pattern in zip(whole.items(), patterns, strict=False):
        if name[0] == "S9":
            one = pieces[names.index(" ".join(name))]
            np.testing.assert_array_equal(one.fitted, np.tile(pattern, 4))
    for model in TEMPORAL:
        check_windows(model, _columns(pieces))


def _pieces(source: H36mSource) -> tuple[object, ...]:
    vars(source).pop("pieces", None)
    return source.pieces


def _columns(pieces: list[Samples]) -> dict[str, NDArray[np.integer]]:
    found = {
        name: np.concatenate([getattr(one, name) for one in pieces])
        for name in ("sequence", "frame", "clip", "camera")
    }
    return found | {"performance": found["clip"] * 100 + found["camera"]}


@pytest.mark.parametrize("samples", [None, 2000])
def test_of_the_open_corpus(samples: int | None) -> None:
    data = DataConfig(
        sampling="sequences",
        placements=1,
        train_samples=samples,
        test_samples=samples,
        validation_samples=300,
    )
    corpus = load_corpus(data, DetectorConfig(kind="exact"))
    for side in ("train", "test", "validation"):
        for model in TEMPORAL:
            check_windows(model, _columns([corpus.side(side)]))
