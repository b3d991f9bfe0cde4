"""In which numbers a training step computes its matrix products."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch

Products = Literal["float32", "tf32", "bfloat16"]


def forward_in(products: Products, device: torch.device) -> AbstractContextManager[object]:
    """Around the forward pass, whose types the backward pass follows."""
    if products != "bfloat16":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


@contextmanager
def step_in(products: Products) -> Iterator[None]:
    """Around a whole step: what the device may do with products of float32 numbers."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if products == "tf32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
