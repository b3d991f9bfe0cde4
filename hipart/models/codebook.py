"""A codebook as the tokenizer has it: a quantiser between two linear layers."""

from typing import NamedTuple

from torch import Tensor, nn

from hipart.config import CodebookConfig
from hipart.models.quantizer import EmaQuantizer
from hipart.shapes import Float, Int


class Level(NamedTuple):
    """One quantised level of a pose: sparse (16 tokens) or dense (48, in Table 5 also 96)."""

    #: What was quantised: z_s or z_d' (code_dim channels).
    inputs: Float[Tensor, "batch tokens code_dim"]
    #: The nearest codes, without gradient.
    raw: Float[Tensor, "batch tokens code_dim"]
    #: The codes as the network goes on with them: straight-through, D channels.
    codes: Float[Tensor, "batch tokens width"]
    tokens: Int[Tensor, "batch tokens"]


def linear_where_needed(channels_in: int, channels_out: int) -> nn.Module:
    """A linear layer between unlike widths, nothing between equal ones."""
    return nn.Identity() if channels_in == channels_out else nn.Linear(channels_in, channels_out)


class Codebook(nn.Module):
    """A quantiser between two linear layers, which exist only where code_dim is not D."""

    def __init__(self, config: CodebookConfig, width: int) -> None:
        super().__init__()
        self.to_code = linear_where_needed(width, config.dim)
        self.quantizer = EmaQuantizer(config)
        self.from_code = linear_where_needed(config.dim, width)

    def forward(self, z: Float[Tensor, "batch tokens width"]) -> Level:
        """Quantise z; the codebook stays as it is."""
        inputs = self.to_code(z).to(self.quantizer.codes.dtype)
        quantized = self.quantizer.quantize(inputs)
        return Level(inputs, quantized.raw, self.from_code(quantized.codes), quantized.tokens)

    def nearest(self, z: Float[Tensor, "batch tokens width"]) -> Int[Tensor, "batch tokens"]:
        """Tokens of z; the codebook stays as it is."""
        return self.quantizer.nearest(self.to_code(z))

    def lookup(self, tokens: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch tokens width"]:
        """Codes of the tokens, D channels."""
        codes: Tensor = self.from_code(self.quantizer.lookup(tokens))
        return codes

    def widen(
        self, codes: Float[Tensor, "batch tokens code_dim"]
    ) -> Float[Tensor, "batch tokens width"]:
        """Codes, or means of them, as the network goes on with them: D channels."""
        widened: Tensor = self.from_code(codes)
        return widened

    def mean(
        self, probabilities: Float[Tensor, "batch tokens k"]
    ) -> Float[Tensor, "batch tokens width"]:
        """The mean code of every token, D channels."""
        return self.widen(probabilities @ self.quantizer.codes)
