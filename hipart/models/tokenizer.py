"""Stage 1: multi-scale skeletal tokenization, MSST (Sec. 4.1, Alg. 2)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor, nn

from hipart.config import CodebookConfig, TokenizerConfig
from hipart.models.layers import JointLinear, MixerBlock
from hipart.models.quantizer import EmaQuantizer
from hipart.shapes import Float, Int
from hipart.skeleton import DENSE_PER_PART, NUM_DENSE, NUM_FINE, NUM_PARTS


class Level(NamedTuple):
    """One quantised level, sparse (16 tokens) or dense (48 tokens) of a pose."""

    #: What was quantised: z_s or z_d' (code_dim channels).
    inputs: Float[Tensor, "batch tokens code_dim"]
    #: The nearest codes, without gradient.
    raw: Float[Tensor, "batch tokens code_dim"]
    #: The codes as the network goes on with them: straight-through, D channels.
    codes: Float[Tensor, "batch tokens width"]
    tokens: Int[Tensor, "batch tokens"]


class TokenizerOutput(NamedTuple):
    """Everything that the stage 1 loss reads."""

    dense_2d: Float[Tensor, "batch 48 2"]
    fine_2d: Float[Tensor, "batch 96 2"]
    sparse: Level
    dense: Level
    action_logits: Float[Tensor, "batch actions"]


class Encoder(nn.Module):
    """Mixer blocks, then a linear map to fewer joints (Fig. 10)."""

    def __init__(self, config: TokenizerConfig, channels: int, joints: int, out: int) -> None:
        super().__init__()
        width, hidden = config.width, (config.token_hidden, config.channel_hidden)
        self.embed = nn.Linear(channels, width)
        self.blocks = nn.Sequential(
            *(MixerBlock(joints, width, *hidden) for _ in range(config.encoder_blocks))
        )
        self.norm = nn.LayerNorm(width)
        self.to_joints = JointLinear(joints, out)
        self.project = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "batch _ _"]) -> Float[Tensor, "batch _ width"]:
        """Embed (batch, joints, channels) as (batch, out, width)."""
        z: Tensor = self.project(self.to_joints(self.norm(self.blocks(self.embed(x)))))
        return z


class Decoder(nn.Module):
    """A linear map to more joints where they differ, then Mixer blocks of the decoder's width."""

    def __init__(
        self, config: TokenizerConfig, channels: tuple[int, int], joints: tuple[int, int]
    ) -> None:
        super().__init__()
        width = config.decoder_width
        hidden = (config.token_hidden, config.decoder_channel_hidden)
        self.to_joints = JointLinear(*joints) if joints[0] != joints[1] else nn.Identity()
        self.embed = nn.Linear(channels[0], width)
        self.blocks = nn.Sequential(
            *(MixerBlock(joints[1], width, *hidden) for _ in range(config.decoder_blocks))
        )
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, channels[1])

    def forward(self, codes: Float[Tensor, "batch _ _"]) -> Float[Tensor, "batch _ _"]:
        """Map (batch, joints in, channels in) to (batch, joints out, channels out)."""
        out: Tensor = self.project(self.norm(self.blocks(self.embed(self.to_joints(codes)))))
        return out


class ActionHead(nn.Module):
    """P_A: two Mixer blocks over sparse and dense codes, then the action (Eq. 4). Training only."""

    def __init__(self, config: TokenizerConfig, num_actions: int) -> None:
        super().__init__()
        hidden = (config.token_hidden, config.channel_hidden)
        self.blocks = nn.Sequential(
            *(MixerBlock(NUM_PARTS + NUM_DENSE, config.width, *hidden) for _ in range(2))
        )
        self.norm = nn.LayerNorm(config.width)
        self.project = nn.Linear(config.width, num_actions)

    def forward(self, codes: Float[Tensor, "batch 64 width"]) -> Float[Tensor, "batch actions"]:
        """Logits of the actions."""
        logits: Tensor = self.project(self.norm(self.blocks(codes)).mean(1))
        return logits


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
        """Quantise z (and, in training mode, let the codebook follow it)."""
        inputs = self.to_code(z)
        quantized = self.quantizer(inputs)
        return Level(inputs, quantized.raw, self.from_code(quantized.codes), quantized.tokens)

    def nearest(self, z: Float[Tensor, "batch tokens width"]) -> Int[Tensor, "batch tokens"]:
        """Tokens of z; the codebook stays as it is."""
        return self.quantizer.nearest(self.to_code(z))

    def lookup(self, tokens: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch tokens width"]:
        """Codes of the tokens, D channels."""
        codes: Tensor = self.from_code(self.quantizer.lookup(tokens))
        return codes


class Tokenizer(nn.Module):
    """MSST: a fine 2D pose <-> 16 sparse and 48 dense tokens.

    Names follow the paper: encoders E_f, E_d; decoders D_s, D_d, D_f; codebooks C_s, C_d.
    """

    def __init__(self, config: TokenizerConfig, num_actions: int) -> None:
        super().__init__()
        width = config.width
        self.encode_fine = Encoder(config, 2, NUM_FINE, NUM_DENSE)  # E_f
        self.encode_dense = Encoder(config, width, NUM_DENSE, NUM_PARTS)  # E_d
        self.sparse = Codebook(config.sparse_codebook, width)  # C_s
        self.decode_sparse = Decoder(config, (width, width), (NUM_PARTS, NUM_DENSE))  # D_s
        self.fuse = nn.Linear(2 * width, width)
        self.dense = Codebook(config.dense_codebook, width)  # C_d
        self.decode_dense = Decoder(config, (width, 2), (NUM_DENSE, NUM_DENSE))  # D_d
        self.decode_fine = Decoder(config, (2 * width, 2), (NUM_DENSE, NUM_FINE))  # D_f
        self.action_head = ActionHead(config, num_actions)  # P_A

    @property
    def codebooks(self) -> tuple[Float[Tensor, "k_s dim_s"], Float[Tensor, "k_d dim_d"]]:
        """The sparse and the dense codebook, C_s and C_d."""
        return self.sparse.quantizer.codes, self.dense.quantizer.codes

    def forward(self, fine: Float[Tensor, "batch 96 2"]) -> TokenizerOutput:
        """Alg. 2, lines 3-8, on normalised 2D poses x_f."""
        z_d = self.encode_fine(fine)
        sparse = self.sparse(self.encode_dense(z_d))
        upsampled = self.decode_sparse(sparse.codes)
        dense = self.dense(self.fuse(torch.cat([z_d, upsampled], dim=-1)))
        dense_2d, fine_2d = self._to_poses(dense.codes, upsampled)
        action_logits = self.action_head(torch.cat([sparse.codes, dense.codes], dim=1))
        return TokenizerOutput(dense_2d, fine_2d, sparse, dense, action_logits)

    @torch.no_grad()
    def encode(
        self, fine: Float[Tensor, "batch 96 2"]
    ) -> tuple[Int[Tensor, "batch 16"], Int[Tensor, "batch 48"]]:
        """Tokens q_s and q_d of fine 2D poses; the codebooks stay as they are."""
        z_d = self.encode_fine(fine)
        q_s = self.sparse.nearest(self.encode_dense(z_d))
        upsampled = self.decode_sparse(self.sparse.lookup(q_s))
        q_d = self.dense.nearest(self.fuse(torch.cat([z_d, upsampled], dim=-1)))
        return q_s, q_d

    def decode(
        self, sparse_tokens: Int[Tensor, "batch 16"], dense_tokens: Int[Tensor, "batch 48"]
    ) -> tuple[Float[Tensor, "batch 48 2"], Float[Tensor, "batch 96 2"]]:
        """Dense and fine 2D poses of the tokens (Alg. 1, line 16)."""
        upsampled = self.decode_sparse(self.sparse.lookup(sparse_tokens))
        return self._to_poses(self.dense.lookup(dense_tokens), upsampled)

    def _to_poses(self, dense_codes: Tensor, upsampled: Tensor) -> tuple[Tensor, Tensor]:
        fine_2d = self.decode_fine(torch.cat([dense_codes, upsampled], dim=-1))
        return self.decode_dense(dense_codes), fine_2d


def local_alignment(
    sparse_codes: Float[Tensor, "batch 16 width"],
    dense_codes: Float[Tensor, "batch 48 width"],
    temperature: float,
) -> Float[Tensor, ""]:
    """L_local, Eq. 3: InfoNCE between a part's sparse code and the mean of its dense codes.

    Cosine similarities; the 15 other parts of the same pose are the negatives; mean over parts
    and poses (the paper sums over parts). Equal codes everywhere give ln 16.
    """
    dense_means = reduce(dense_codes, "b (p r) d -> b p d", "mean", r=DENSE_PER_PART)
    anchors = F.normalize(sparse_codes, dim=-1)
    similarity = anchors @ F.normalize(dense_means, dim=-1).transpose(1, 2)
    own_part = torch.arange(NUM_PARTS, device=similarity.device).repeat(len(similarity))
    return F.cross_entropy(rearrange(similarity, "b i k -> (b i) k") / temperature, own_part)


def tokenizer_loss(
    output: TokenizerOutput,
    fine: Float[Tensor, "batch 96 2"],
    dense: Float[Tensor, "batch 48 2"],
    action: Int[Tensor, " batch"],
    config: TokenizerConfig,
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """L_1, Eq. 6: the loss and its detached, unweighted parts.

    Norms are means over all elements, or with ``loss_reduction: sum`` sums over joints and
    channels (and L_local a sum over parts), averaged over the batch.

    Poses in normalised image coordinates. The codebook term ``|sg(z) - zq|^2`` has no gradient
    (EMA codebooks) and the value of the commitment term, so it is left out.
    """

    def squared_error(a: Tensor, b: Tensor) -> Tensor:
        each = 1 if config.loss_reduction == "mean" else a[0].numel()
        return each * F.mse_loss(a, b)

    parts = {
        "fine_error": squared_error(output.fine_2d, fine),
        "dense_error": squared_error(output.dense_2d, dense),
        "commitment": squared_error(output.sparse.inputs, output.sparse.raw)
        + squared_error(output.dense.inputs, output.dense.raw),
        "local_alignment": local_alignment(
            output.sparse.codes, output.dense.codes, config.temperature
        ),
        "global_alignment": F.cross_entropy(output.action_logits, action),
    }
    if config.loss_reduction == "sum":
        parts["local_alignment"] = NUM_PARTS * parts["local_alignment"]
    loss = (
        parts["fine_error"]
        + parts["dense_error"]
        + config.commitment_weight * parts["commitment"]
        + config.lambda_local * parts["local_alignment"]
        + config.lambda_global * parts["global_alignment"]
    )
    return loss, {name: part.detach() for name, part in parts.items()}
