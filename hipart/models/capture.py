"""CUDA graphs: a call that is recorded once and then replayed, without launching its kernels anew.

Models this small are bound by launches: a step is some thousand kernels of a few microseconds.
"""

import time
from collections.abc import Callable
from typing import Generic, TypeVar, cast

import torch

T = TypeVar("T")

#: Calls that really run before one is recorded: libraries choose their kernels in them.
WARM_UP = 3
#: Recordings that were refused: torch's allocator may go on asking them whose memory is whose. One
#: that did not fit into memory is not among them, or that would never be free again.
_REFUSED: list[torch.cuda.CUDAGraph] = []


class Captured(Generic[T]):
    """A call without arguments, whose tensors stay where they are; on a CPU it just runs.

    Every call has the effect of ``call()``, the first ones too. What it returns is overwritten by
    the next call. Numbers drawn inside follow torch's generator of the device as it then stands.
    If the call cannot be recorded, it goes on running as it is, and ``refused`` says why; where it
    lacked memory for that, it raises ``torch.OutOfMemoryError``, as it would when it runs.
    """

    def __init__(self, call: Callable[[], T], device: torch.device) -> None:
        self._call, self._device = call, device
        self._left = WARM_UP
        self._graph: torch.cuda.CUDAGraph | None = None
        self._result: T | None = None
        #: Seconds that recording took, and why there was none.
        self.seconds = 0.0
        self.refused = "" if device.type == "cuda" else f"{device.type}: nothing to record"

    @property
    def recorded(self) -> bool:
        """Whether calls are replayed."""
        return self._graph is not None

    def __call__(self) -> T:
        """Run or replay."""
        if self.refused:
            return self._call()
        if self._left:
            self._left -= 1
            return self._aside()
        if self._graph is None:
            self._record()
            if self._graph is None:
                return self._call()
        self._graph.replay()
        return cast(T, self._result)

    def _aside(self) -> T:
        """On a stream of its own, as recording wants it."""
        stream = torch.cuda.Stream(self._device)
        stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(stream):
            result = self._call()
        torch.cuda.current_stream(self._device).wait_stream(stream)
        return result

    def _record(self) -> None:
        start = time.perf_counter()
        torch.cuda.synchronize(self._device)
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream(self._device)
        generator = torch.cuda.default_generators[stream.device_index]
        numbers = generator.clone_state()
        # A recording that is broken off does not leave its stream; the outer context does.
        before = torch.cuda.stream(torch.cuda.current_stream(self._device))
        try:
            with before, torch.cuda.graph(graph, stream=stream):
                self._result = self._call()
        except RuntimeError as error:
            generator.graphsafe_set_state(numbers)  # its own one takes itself for recorded
            # The recording that this broke off may have complained in its turn.
            for full in (error, error.__context__):
                if isinstance(full, torch.OutOfMemoryError):
                    raise full from None
            _REFUSED.append(graph)
            self.refused = f"{type(error).__name__}: {error}".splitlines()[0]
            return
        self._graph = graph
        self.seconds = time.perf_counter() - start
