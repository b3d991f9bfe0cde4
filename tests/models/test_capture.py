"""Recording calls. There is no GPU here: what torch does around a recording is imitated."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from hipart.models.capture import _REFUSED, WARM_UP, Captured

GPU = torch.device("cuda", 1)


class Device:
    """Streams and the generator of GPU 1, as torch has them before, in and after a recording."""

    def __init__(self) -> None:
        self.stream = "default"
        self.drawing = "as seeded"
        #: Whether the end of a recording fails once it was broken off, as it does on a GPU.
        self.invalidated = True

    def clone_state(self) -> str:
        return self.drawing

    def graphsafe_set_state(self, state: str) -> None:
        self.drawing = state

    @contextmanager
    def on(self, stream: str) -> Iterator[None]:
        before, self.stream = self.stream, stream
        try:
            yield
        finally:
            self.stream = before

    @contextmanager
    def graph(self, _: object, stream: "Stream") -> Iterator[None]:
        """As ``torch.cuda.graph``: whoever breaks it off leaves its stream and generator set."""
        assert stream.device_index == GPU.index
        before = self.stream, self.drawing
        self.stream, self.drawing = "recording", "as recorded"
        try:
            yield
        except RuntimeError:
            if self.invalidated:
                raise RuntimeError("operation failed due to a previous error") from None
            self.stream, self.drawing = before
            raise
        self.stream, self.drawing = before


class Stream:
    def __init__(self, device: torch.device) -> None:
        self.device_index = device.index


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Device:
    device = Device()
    for name, value in {
        "synchronize": lambda _: None,
        "CUDAGraph": object,
        "Stream": Stream,
        "stream": device.on,
        "current_stream": lambda _: device.stream,
        "default_generators": {GPU.index: device},
        "graph": device.graph,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    return device


def test_on_a_cpu_every_call_runs() -> None:
    calls: list[int] = []
    run = Captured(lambda: calls.append(len(calls)), torch.device("cpu"))
    for _ in range(WARM_UP + 3):
        run()
    assert len(calls) == WARM_UP + 3
    assert not run.recorded
    assert "cpu" in run.refused


@pytest.mark.parametrize("invalidated", [False, True])
def test_a_recording_that_does_not_fit_is_no_reason_to_run_without(
    invalidated: bool, gpu: Device
) -> None:
    gpu.invalidated = invalidated

    def call() -> None:
        raise torch.OutOfMemoryError("as told")

    run, kept = Captured(call, GPU), len(_REFUSED)
    with pytest.raises(torch.OutOfMemoryError, match="as told"):
        run._record()
    assert not run.refused
    assert len(_REFUSED) == kept, "what it holds has to be free for the next attempt"
    assert (gpu.stream, gpu.drawing) == ("default", "as seeded")


def test_what_cannot_be_recorded_runs_and_draws_as_before(gpu: Device) -> None:
    seen: list[tuple[str, str]] = []

    def call() -> int:
        if gpu.stream == "recording":
            raise RuntimeError("operation not permitted when stream is capturing")
        seen.append((gpu.stream, gpu.drawing))
        return len(seen)

    run = Captured(call, GPU)
    run._left = 0
    assert [run(), run()] == [1, 2]
    assert not run.recorded
    assert "previous error" in run.refused
    assert seen == 2 * [("default", "as seeded")]
