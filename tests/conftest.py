"""Shapes in signatures are checked at every call while the tests run; slow files go first."""

import pytest
import torch
from jaxtyping import install_import_hook

install_import_hook(["hipart.models", "hipart.metrics"], "beartype.beartype")

torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: short ones at the end leave no process of the two without work."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
