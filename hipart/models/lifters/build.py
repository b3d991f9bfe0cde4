"""Which lifters there are. A new one: its file here, its config class, and one line below."""

from hipart.config import AnyLifterConfig
from hipart.models.lifters.base import Lifter
from hipart.models.lifters.diffusion import DiffusionLifter
from hipart.models.lifters.mixste import MixSteLifter
from hipart.models.lifters.mlp import MlpLifter
from hipart.models.lifters.poseformer import PoseFormerLifter
from hipart.models.lifters.transformer import TransformerLifter

#: Lifter by the ``kind`` of its config; each is built from (config, number of input joints).
LIFTERS: dict[str, type[Lifter]] = {
    "transformer": TransformerLifter,
    "mlp": MlpLifter,
    "diffusion": DiffusionLifter,
    "poseformer": PoseFormerLifter,
    "mixste": MixSteLifter,
}


def build_lifter(config: AnyLifterConfig, num_inputs: int) -> Lifter:
    """A lifter of normalised poses (batch, num_inputs, 2) to (batch, 17, 3) metres.

    A temporal lifter takes windows (batch, frames, num_inputs, 2) and answers their middle
    frames (batch, 17, 3) or all of them (batch, frames, 17, 3). The output is relative to the
    root joint because the targets are; no joint is set to zero.
    """
    return LIFTERS[config.kind](config, num_inputs)
