"""The shapes in signatures are really checked while tests run, and not needed otherwise."""

import subprocess
import sys

import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import TypeCheckError

from hipart.config import CodebookConfig
from hipart.models.quantizer import EmaQuantizer


def test_a_wrong_shape_is_refused() -> None:
    quantizer = EmaQuantizer(CodebookConfig(size=4, dim=4))
    with pytest.raises((TypeCheckError, BeartypeCallHintViolation)):
        quantizer.nearest(torch.zeros(4, 4))


def test_models_import_without_jaxtyping() -> None:
    code = (
        "import sys; sys.modules['jaxtyping'] = None; sys.modules['beartype'] = None\n"
        "import hipart.models.parameters, hipart.metrics, torch\n"
        "from hipart.models.quantizer import EmaQuantizer\n"
        "assert EmaQuantizer.nearest.__annotations__['z'] is torch.Tensor\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
