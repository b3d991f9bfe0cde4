"""Next-token generation: the comparison of Table 4's "sequential" rows, every token its own step.

One causal sequence of 1 + 64 positions: part by part in ``order``, the sparse token of a part,
then its dense ones. The stacks are HiARM's; LSAB and PH see one token at a time, so that both
models have the same blocks and differ in what a step generates.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hipart.config import PriorConfig
from hipart.models.generation import Choose, Decode, PoseConditioning, most_probable, read_off
from hipart.models.layers import TransformerStack, learned_embedding
from hipart.models.prior import PriorLogits
from hipart.models.quantizer import CodeTable
from hipart.shapes import Float, Int
from hipart.skeleton import DENSE_PER_PART, NUM_JOINTS, NUM_PARTS, ORDERS


class SequentialPrior(nn.Module):
    """The distribution of each token given the 17 joints and all tokens before it."""

    order: Tensor
    order_inverse: Tensor

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
        self.slots = 1 + dense_per_part
        self.steps = NUM_PARTS * self.slots
        self.sparse = CodeTable(sparse_codes, width, config.tied_logits)
        self.dense = CodeTable(dense_codes, width, config.tied_logits)
        self.project_pose = nn.Linear(2 * NUM_JOINTS, width)
        self.every_step = PoseConditioning(width) if config.conditioning == "every_step" else None
        self.step_embedding = learned_embedding(self.steps, width)
        self.slot_embedding = learned_embedding(self.slots, width)
        self.token_blocks = TransformerStack(config.local_blocks, *shape)
        self.global_blocks = TransformerStack(config.blocks, *shape)
        self.global_norm = nn.LayerNorm(width)
        self.head_blocks = TransformerStack(config.head_blocks, *shape)
        self.head_norm = nn.LayerNorm(width)
        order = torch.tensor(ORDERS[config.order]())
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("order_inverse", order.argsort(), persistent=False)

    def forward(
        self,
        pose: Float[Tensor, "batch 17 2"],
        sparse_tokens: Int[Tensor, "batch 16"],
        dense_tokens: Int[Tensor, "batch dense"],
    ) -> PriorLogits:
        """Logits of every token, each from the given earlier ones; parts in natural order."""
        tables = self.sparse.table(), self.dense.table()
        groups = dense_tokens.unflatten(1, (NUM_PARTS, self.slots - 1))[:, self.order]
        z_s = F.embedding(sparse_tokens[:, self.order], tables[0]).unsqueeze(2)
        codes = torch.cat([z_s, F.embedding(groups, tables[1])], dim=2)
        refined = self._alone(self.token_blocks, codes + self.slot_embedding).flatten(1, 2)
        steps = torch.cat([self._start(pose), refined[:, :-1]], dim=1) + self.step_embedding
        if self.every_step is not None:
            steps = steps + self.every_step(pose).repeat_interleave(self.slots, dim=1)
        hidden = self.global_norm(self.global_blocks(steps, causal=True))
        vectors = self.head_norm(self._alone(self.head_blocks, hidden))
        grouped = vectors.unflatten(1, (NUM_PARTS, self.slots))[:, self.order_inverse]
        return PriorLogits(
            self.sparse.logits(grouped[:, :, 0], tables[0]),
            self.dense.logits(grouped[:, :, 1:], tables[1]).flatten(1, 2),
        )

    @torch.no_grad()
    def generate(
        self,
        pose: Float[Tensor, "batch 17 2"],
        decode: Decode = "argmax",
        choose: Choose = most_probable,
        given: Int[Tensor, "batch 16"] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The most probable token at every step, parts in natural order; 64 steps with a cache.

        Or the mean codes; see ``Prior.generate``.
        """
        assert not self.training, "call eval() first: generation knows no dropout"
        steps = [None] * self.steps if given is None else self._with_sparse(given)
        walked = self._walk(pose, steps, choose)
        sparse = [
            read_off(decode, self.sparse, tokens, logits if given is None else None)
            for logits, tokens in walked[:: self.slots]
        ]
        dense = [
            read_off(decode, self.dense, tokens, logits)
            for step, (logits, tokens) in enumerate(walked)
            if step % self.slots
        ]
        z_s = torch.stack(sparse, dim=1)[:, self.order_inverse]
        if not dense:
            return z_s, read_off(decode, self.dense, z_s.new_zeros(len(pose), 0).long(), None)
        z_d = torch.stack(dense, dim=1).unflatten(1, (NUM_PARTS, self.slots - 1))
        return z_s, z_d[:, self.order_inverse].flatten(1, 2)

    def _with_sparse(self, given: Tensor) -> list[Tensor | None]:
        """The token of every step where it is a part's sparse one, of those (batch, 16)."""
        ordered = given[:, self.order].unbind(1)
        return [
            None if step % self.slots else ordered[step // self.slots] for step in range(self.steps)
        ]

    @torch.no_grad()
    def stepwise_logits(
        self,
        pose: Float[Tensor, "batch 17 2"],
        sparse_tokens: Int[Tensor, "batch 16"],
        dense_tokens: Int[Tensor, "batch dense"],
    ) -> PriorLogits:
        """What ``forward`` returns, computed as ``generate`` does, step by step with a cache."""
        groups = dense_tokens.unflatten(1, (NUM_PARTS, self.slots - 1))
        given = torch.cat([sparse_tokens.unsqueeze(2), groups], dim=2)[:, self.order].flatten(1)
        logits = [one for one, _ in self._walk(pose, [*given.unbind(1)])]
        sparse = torch.stack(logits[:: self.slots], dim=1)[:, self.order_inverse]
        rest = [one for step, one in enumerate(logits) if step % self.slots]
        if not rest:
            return PriorLogits(sparse, logits[0].new_empty(pose.shape[0], 0, len(self.dense.codes)))
        dense = torch.stack(rest, dim=1).unflatten(1, (NUM_PARTS, self.slots - 1))
        return PriorLogits(sparse, dense[:, self.order_inverse].flatten(1, 2))

    def _walk(
        self, pose: Tensor, given: Sequence[Tensor | None], choose: Choose = most_probable
    ) -> list[tuple[Tensor, Tensor]]:
        """Logits and token step by step; the next input is a given token, or the chosen one."""
        tables = self.sparse.table(), self.dense.table()
        caches = self.global_blocks.new_caches(pose, self.steps)
        token = self._start(pose)
        found: list[tuple[Tensor, Tensor]] = []
        every = self.every_step(pose) if self.every_step is not None else None
        for step in range(self.steps):
            slot = step % self.slots
            position = token + self.step_embedding[step]
            if every is not None:
                part = step // self.slots
                position = position + every[:, part : part + 1]
            hidden = self.global_norm(self.global_blocks.step(position, caches, step))
            vector = self.head_norm(self.head_blocks(hidden))[:, 0]
            head, table = (self.dense, tables[1]) if slot else (self.sparse, tables[0])
            logits, known = head.logits(vector, table), given[step]
            chosen = choose(logits) if known is None else known
            found.append((logits, chosen))
            code = F.embedding(chosen.unsqueeze(1), table)
            token = self.token_blocks(code + self.slot_embedding[slot])
        return found

    def _start(self, pose: Tensor) -> Tensor:
        return torch.as_tensor(self.project_pose(pose.flatten(1)).unsqueeze(1))

    def _alone(self, blocks: TransformerStack, x: Tensor) -> Tensor:
        """Blocks in which every token attends to itself alone."""
        return torch.as_tensor(blocks(x.reshape(-1, 1, x.shape[-1])).reshape(x.shape))
