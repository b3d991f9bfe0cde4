"""All tokens at once: the classification of Table 4, after PCT (Geng et al., CVPR 2023).

One learned query a token beside the projected pose, bidirectional blocks, and the same two heads
as HiARM. Without LSAB and PH, and without any token seeing another's choice.
"""

import torch
from torch import Tensor, nn

from hipart.config import PriorConfig
from hipart.models.generation import Choose, Decode, PoseConditioning, most_probable, read_off
from hipart.models.layers import TransformerStack, learned_embedding
from hipart.models.prior import PriorLogits
from hipart.models.quantizer import CodeTable
from hipart.shapes import Float, Int
from hipart.skeleton import DENSE_PER_PART, NUM_JOINTS, NUM_PARTS


class ClassificationPrior(nn.Module):
    """Independent distributions of all tokens given the 17 joints."""

    def __init__(
        self,
        config: PriorConfig,
        sparse_codes: Float[Tensor, "k_s dim_s"],
        dense_codes: Float[Tensor, "k_d dim_d"],
        dense_per_part: int = DENSE_PER_PART,
    ) -> None:
        """Build around the tokenizer's two codebooks, which stay as they are."""
        super().__init__()
        width = config.width
        shape = (width, config.attention_width, config.heads, config.mlp_hidden, config.dropout)
        self.sparse = CodeTable(sparse_codes, width, config.tied_logits)
        self.dense = CodeTable(dense_codes, width, config.tied_logits)
        self.project_pose = nn.Linear(2 * NUM_JOINTS, width)
        self.dense_per_part = dense_per_part
        self.every_step = PoseConditioning(width) if config.conditioning == "every_step" else None
        self.queries = learned_embedding(NUM_PARTS * (1 + dense_per_part), width)
        self.blocks = TransformerStack(config.blocks, *shape)
        self.norm = nn.LayerNorm(width)

    def forward(
        self,
        pose: Float[Tensor, "batch 17 2"],
        sparse_tokens: Int[Tensor, "batch 16"] | None = None,
        dense_tokens: Int[Tensor, "batch dense"] | None = None,
    ) -> PriorLogits:
        """Logits of every token from the pose alone; given tokens are not looked at."""
        start = self.project_pose(pose.flatten(1)).unsqueeze(1)
        queries = self.queries.expand(pose.shape[0], -1, -1)
        if self.every_step is not None:
            parts = self.every_step(pose)  # the sparse query of each part, then its dense ones
            dense = parts.repeat_interleave(self.dense_per_part, dim=1)
            queries = queries + torch.cat([parts, dense], dim=1)
        sequence = torch.cat([start, queries], dim=1)
        vectors = self.norm(self.blocks(sequence))[:, 1:]
        sparse, dense = vectors[:, :NUM_PARTS], vectors[:, NUM_PARTS:]
        return PriorLogits(
            self.sparse.logits(sparse, self.sparse.table()),
            self.dense.logits(dense, self.dense.table()),
        )

    @torch.no_grad()
    def generate(
        self,
        pose: Float[Tensor, "batch 17 2"],
        decode: Decode = "argmax",
        choose: Choose = most_probable,
        given: Int[Tensor, "batch 16"] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The most probable tokens, or their mean codes, in one pass; see ``Prior.generate``."""
        p_s, p_d = self(pose)
        sparse = choose(p_s) if given is None else given
        return (
            read_off(decode, self.sparse, sparse, p_s if given is None else None),
            read_off(decode, self.dense, choose(p_d), p_d),
        )
