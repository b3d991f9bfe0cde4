"""Which lifters there are. A new one: its file here, its config class, and one line below."""

from torch import nn

from hipart.config import MlpLifterConfig, TransformerLifterConfig
from hipart.models.lifters.mlp import MlpLifter
from hipart.models.lifters.transformer import TransformerLifter

#: Lifter by the ``kind`` of its config; each is built from (config, number of input joints).
LIFTERS: dict[str, type[nn.Module]] = {
    "transformer": TransformerLifter,
    "mlp": MlpLifter,
}


def build_lifter(config: TransformerLifterConfig | MlpLifterConfig, num_inputs: int) -> nn.Module:
    """A lifter of normalised poses (batch, num_inputs, 2) to (batch, 17, 3) metres.

    The output is relative to the root joint because the targets are; no joint is set to zero.
    """
    return LIFTERS[config.kind](config, num_inputs)
