"""Shapes in signatures are checked at every call while the tests run."""

import torch
from jaxtyping import install_import_hook

install_import_hook(["hipart.models", "hipart.metrics"], "beartype.beartype")

torch.set_num_threads(1)
