"""What is computed for many rows at once, and for fewer where so many do not fit into memory."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


def in_chunks(run: Callable[[Tensor], T], rows: Tensor, size: int) -> Iterator[T]:
    """``run`` on ``size`` rows at a time, in their order.

    A chunk that does not fit into memory is halved, and with it those that follow.
    """
    while len(rows):
        size = min(size, len(rows))
        try:
            found = run(rows[:size])
        except torch.OutOfMemoryError:
            if size == 1:
                raise
            size = -(-size // 2)
            continue
        yield found
        rows = rows[size:]
