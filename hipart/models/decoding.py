"""The steps of one generation by HiARM: with keys and values kept, or everything anew each time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from hipart.models.generation import Choose, most_probable
from hipart.models.layers import Cache
from hipart.shapes import Float, Int
from hipart.skeleton import NUM_PARTS

if TYPE_CHECKING:
    from hipart.models.prior import Prior


class CachedDecoding:
    """One generation under way: each step computes its own position only.

    Keys and values of earlier positions are kept in tensors allocated once; every shape is
    known before the first step.
    """

    def __init__(self, prior: Prior, pose: Float[Tensor, "batch 17 2"]) -> None:
        self.prior = prior
        self.tables = prior.sparse.table(), prior.dense.table()
        self.global_caches = prior.global_blocks.new_caches(pose, NUM_PARTS)
        self.head_caches: Sequence[Cache] = ()
        if not prior.one_pass:
            self.head_caches = prior.head_blocks.new_caches(pose, 1 + prior.dense_per_part)
        self.step = 0
        self.group = prior.start(pose)
        #: In one pass: z_s^i of Eq. 11, and what it and h^i gave for the dense tokens.
        self.before = None
        if prior.no_part is not None:
            self.before = prior.no_part.expand(pose.shape[0], 1, -1)
        self.dense_slots = pose
        #: What the pose adds at every step, if it does.
        self.pose = prior.every_step(pose) if prior.every_step is not None else None

    def sparse_logits(self) -> Float[Tensor, "batch k_s"]:
        """GCSAB at the new position, then PH on slot 0 alone; in one pass on all slots."""
        prior = self.prior
        group = self.group + prior.step_embedding[self.step]
        if self.pose is not None:
            group = group + self.pose[:, self.step : self.step + 1]
        hidden = prior.global_norm(prior.global_blocks.step(group, self.global_caches, self.step))
        if self.before is not None:
            slots = prior.head(hidden, self.before)[:, 0]
            self.dense_slots = slots[:, 1:]
            return prior.sparse.logits(slots[:, 0], self.tables[0])
        slot = prior.head_norm(prior.head_blocks.step(hidden, self.head_caches, 0))
        return prior.sparse.logits(slot[:, 0], self.tables[0])

    def dense_logits(
        self,
        sparse: Int[Tensor, " batch"],
        given: Int[Tensor, "batch r"] | None = None,
        choose: Choose = most_probable,
    ) -> tuple[Float[Tensor, "batch r k_d"], Int[Tensor, "batch r"]]:
        """PH on the dense slots, which see slot 0 in the cache and one another; and their tokens.

        When nested, slot by slot: each sees those before it and starts from the token before it.
        In one pass they are there already, whatever the sparse token is. Tokens that are not
        ``given`` are chosen.
        """
        prior = self.prior
        if self.before is not None:
            logits = prior.dense.logits(self.dense_slots, self.tables[1])
            return logits, choose(logits) if given is None else given
        above = F.embedding(sparse, self.tables[0]).unsqueeze(1)
        if not prior.nested or not prior.dense_per_part:
            logits = self._dense_slots(above + prior.head_slots, 1)
            return logits, choose(logits) if given is None else given
        found: list[Tensor] = []
        tokens: list[Tensor] = []
        for slot in range(prior.dense_per_part):
            found.append(self._dense_slots(above + prior.head_slots[slot], 1 + slot))
            tokens.append(choose(found[-1]) if given is None else given[:, slot : slot + 1])
            above = F.embedding(tokens[-1], self.tables[1])
        return torch.cat(found, dim=1), torch.cat(tokens, dim=1)

    def _dense_slots(self, queries: Tensor, start: int) -> Tensor:
        prior = self.prior
        slots = prior.head_norm(prior.head_blocks.step(queries, self.head_caches, start))
        return prior.dense.logits(slots, self.tables[1])

    def append(self, sparse: Int[Tensor, " batch"], dense: Int[Tensor, "batch r"]) -> None:
        """LSAB: turn the group just generated into the next input."""
        self.step += 1
        if self.step < NUM_PARTS:
            z_s = F.embedding(sparse.unsqueeze(1), self.tables[0])
            z_d = F.embedding(dense.unsqueeze(1), self.tables[1])
            self.group = self.prior.local(z_s, z_d)
            self.before = z_s if self.before is not None else None


class FullDecoding:
    """The same generation without any cache: the reference that the cached one must equal."""

    def __init__(self, prior: Prior, pose: Float[Tensor, "batch 17 2"]) -> None:
        self.prior = prior
        self.tables = prior.sparse.table(), prior.dense.table()
        self.start = prior.start(pose)
        self.pose = prior.every_step(pose) if prior.every_step is not None else None
        self.hidden = self.start
        self.sparse: list[Tensor] = []
        self.dense: list[Tensor] = []

    def sparse_logits(self) -> Float[Tensor, "batch k_s"]:
        """LSAB on all groups so far, GCSAB on the whole sequence, PH for slot 0."""
        prior, groups = self.prior, self.start
        if self.sparse:
            z_s = F.embedding(torch.stack(self.sparse, dim=1), self.tables[0])
            z_d = F.embedding(torch.stack(self.dense, dim=1), self.tables[1])
            groups = torch.cat([self.start, prior.local(z_s, z_d)], dim=1)
        if self.pose is not None:
            groups = groups + self.pose[:, : groups.shape[1]]
        self.hidden = prior.causal(groups)[:, -1:]
        if prior.one_pass:
            slot = prior.head(self.hidden, self._before())[:, 0]
        else:
            slot = prior.head_norm(prior.head_blocks(self.hidden))
        return prior.sparse.logits(slot[:, 0], self.tables[0])

    def _before(self) -> Tensor:
        """z_s^i of Eq. 11."""
        if not self.sparse:
            assert self.prior.no_part is not None
            return self.prior.no_part.expand(self.start.shape[0], 1, -1)
        return F.embedding(self.sparse[-1].unsqueeze(1), self.tables[0])

    def dense_logits(
        self,
        sparse: Int[Tensor, " batch"],
        given: Int[Tensor, "batch r"] | None = None,
        choose: Choose = most_probable,
    ) -> tuple[Float[Tensor, "batch r k_d"], Int[Tensor, "batch r"]]:
        """PH on all slots; when nested, once for each dense slot."""
        r = self.prior.dense_per_part
        nested = self.prior.nested and r > 0
        one_pass = self.prior.one_pass
        z_s = self._before() if one_pass else F.embedding(sparse.unsqueeze(1), self.tables[0])
        dense = sparse.new_zeros(sparse.shape[0], r)
        for slot in range(r if nested else 1):
            z_d = F.embedding(dense.unsqueeze(1), self.tables[1])
            slots = self.prior.head(self.hidden, z_s, z_d)[:, 0, 1:]
            logits = self.prior.dense.logits(slots, self.tables[1])
            tokens = choose(logits) if given is None else given
            if nested:
                dense[:, slot] = tokens[:, slot]
        return logits, dense if nested else tokens

    def append(self, sparse: Int[Tensor, " batch"], dense: Int[Tensor, "batch r"]) -> None:
        """Remember the group just generated."""
        self.sparse.append(sparse)
        self.dense.append(dense)
