"""Shapes in signatures are checked at every call while the tests run."""

import torch
from jaxtyping import install_import_hook

CHECKED = ["hipart.models", "hipart.metrics"]
install_import_hook(CHECKED, "beartype.beartype")

torch.set_num_threads(1)
