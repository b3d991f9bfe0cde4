"""Stage 1: multi-scale skeletal tokenization, MSST (Sec. 4.1, Alg. 2).

The paper's levels are 48 and 96 points: 16 sparse and 48 dense tokens. Table 5 tries others; the
rule is that every level but the finest is quantised beside the 16 parts, and the finest is only
decoded. Below, comments name the paper's parts for its own levels.
"""

from itertools import pairwise
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from hipart.config import TokenizerConfig
from hipart.models.codebook import Codebook, Level
from hipart.models.coders import ActionHead, Decoder, Encoder
from hipart.models.mixer import JointLinear
from hipart.models.part_weighting import PartWeighting
from hipart.shapes import Float, Int
from hipart.skeleton import NUM_PARTS


class TokenizerOutput(NamedTuple):
    """Everything that the stage 1 loss reads."""

    #: Rebuilt 2D poses (batch, points, 2) by number of points: x^_d and x^_f, weighed.
    poses: dict[int, Tensor]
    sparse: Level
    #: Coarse to fine; the paper has one, of 48 tokens.
    dense: list[Level]
    action_logits: Float[Tensor, "batch actions"]


class Tokenizer(nn.Module):
    """MSST: a fine 2D pose <-> 16 sparse and 48 dense tokens."""

    def __init__(self, config: TokenizerConfig, num_actions: int) -> None:
        super().__init__()
        width, levels = config.width, config.levels
        self.levels = levels
        #: Tokens of each quantised level.
        self.scales = (NUM_PARTS, *levels[:-1])
        self.dense_per_part = sum(self.scales[1:]) // NUM_PARTS
        down = (*reversed(levels), NUM_PARTS)
        ups = list(pairwise(self.scales))
        fused = 2 * width if ups else width
        self.encoders = nn.ModuleList(  # E_f, E_d
            Encoder(config, width if place else 2, *joints)
            for place, joints in enumerate(pairwise(down))
        )
        books = [Codebook(config.sparse_codebook, width)]  # C_s
        self.upsamplers = nn.ModuleList(  # D_s
            Decoder(config, (2 * width if place else width, width), joints)
            for place, joints in enumerate(ups)
        )
        self.fusions = nn.ModuleList(nn.Linear(2 * width, width) for _ in ups)
        if ups and config.codebooks == "hierarchical":
            books.append(Codebook(config.dense_codebook, width))  # C_d
        self.books = nn.ModuleList(books)
        self.decoders = nn.ModuleList(  # D_d, D_f
            [Decoder(config, (width, 2), (level, level)) for level in levels[:-1]]
            + [Decoder(config, (fused, 2), (self.scales[-1], levels[-1]))]
        )
        #: Whether P_A reads what D_f does (Alg. 2) instead of the codes of all levels (Eq. 4).
        self.action_of_upsampled = config.action_input == "dense_and_upsampled"
        shape = (self.scales[-1], fused) if self.action_of_upsampled else (sum(self.scales), width)
        self.action_head = ActionHead(config, *shape, num_actions)  # P_A
        if config.joint_init == "block":
            for module in (*self.encoders, *self.upsamplers, *self.decoders):
                if isinstance(module.to_joints, JointLinear):
                    module.to_joints.begin_in_blocks()
        self.begins_with_data = {
            "sparse": config.sparse_codebook.init == "data",
            "dense": config.dense_codebook.init == "data",
        }
        self.weighting: PartWeighting | None = None
        if config.part_weighting:
            self.weighting = PartWeighting(levels, config.part_weighting)
        #: Of one training step: the codebooks move with the last of them.
        self.micro_batches = 1
        #: What was quantised in those that came so far, and its tokens, level by level.
        self._seen: list[list[tuple[Tensor, Tensor]]] = []

    @property
    def sparse(self) -> Codebook:
        """C_s."""
        return cast(Codebook, self.books[0])

    @property
    def dense(self) -> Codebook:
        """C_d, of every dense level; with ``codebooks: shared`` it is C_s."""
        return cast(Codebook, self.books[-1])

    @property
    def codebooks(self) -> tuple[Float[Tensor, "k_s dim_s"], Float[Tensor, "k_d dim_d"]]:
        """The sparse and the dense codebook, C_s and C_d."""
        return self.sparse.quantizer.codes, self.dense.quantizer.codes

    @torch.no_grad()
    def begin(self, poses: dict[int, Tensor], generator: torch.Generator) -> None:
        """Take from training poses what is not drawn: weights of parts, and codes.

        ``poses`` (N, points, 2) by level, as ``forward`` gets them. Codes begin at embeddings of
        the untrained encoders, sparse ones first, since dense embeddings depend on them.
        """
        if self.weighting is not None:
            self.weighting.fit({level: poses[level] for level in self.levels})
        finest = poses[self.levels[-1]]
        for place, (book, asked) in enumerate(
            zip(self.books, self.begins_with_data.values(), strict=False)
        ):
            if asked:
                levels, _ = self._quantize(finest)
                shared = len(self.books) == 1
                chosen = levels if shared else (levels[1:] if place else levels[:1])
                z = torch.cat([level.inputs.flatten(0, 1) for level in chosen])
                cast(Codebook, book).quantizer.begin_at(z, generator)

    def weigh(self, points: Float[Tensor, "batch _ 2"], level: int) -> Float[Tensor, "batch _ 2"]:
        """Points of a level as the loss compares them."""
        return points if self.weighting is None else self.weighting.weigh(points, level)

    def unweigh(self, poses: dict[int, Tensor]) -> dict[int, Tensor]:
        """Rebuilt poses by number of points, as points again."""
        if self.weighting is None:
            return poses
        return {level: self.weighting.back(pose, level) for level, pose in poses.items()}

    def forward(self, finest: Float[Tensor, "batch _ 2"]) -> TokenizerOutput:
        """Alg. 2, lines 3-8, on 2D poses x_f of the finest level, in the coordinates of the data.

        Its ``poses`` are weighed as the loss compares them.
        """
        levels, upsampled = self._quantize(finest)
        if self.training:
            self._follow(levels)
        codes = [level.codes for level in levels]
        told = _with(codes[-1], upsampled) if self.action_of_upsampled else torch.cat(codes, dim=1)
        action_logits = self.action_head(told)
        poses = self._poses(codes, upsampled)
        return TokenizerOutput(poses, levels[0], levels[1:], action_logits)

    @torch.no_grad()
    def encode(
        self, finest: Float[Tensor, "batch _ 2"]
    ) -> tuple[Int[Tensor, "batch 16"], Int[Tensor, "batch _"]]:
        """Tokens q_s and q_d of 2D poses of the finest level; the codebooks stay as they are.

        The dense tokens stand part by part: (batch, 16 * dense_per_part).
        """
        (sparse, *dense), _ = self._quantize(finest)
        grouped = [level.tokens.unflatten(1, (NUM_PARTS, -1)) for level in dense]
        empty = sparse.tokens.new_empty(finest.shape[0], NUM_PARTS, 0)
        return sparse.tokens, torch.cat([empty, *grouped], dim=2).flatten(1)

    def decode(
        self, sparse_tokens: Int[Tensor, "batch 16"], dense_tokens: Int[Tensor, "batch _"]
    ) -> dict[int, Tensor]:
        """2D poses (batch, points, 2) of the tokens by number of points (Alg. 1, line 16)."""
        return self._decode(self.sparse.lookup(sparse_tokens), self.dense.lookup(dense_tokens))

    def decode_soft(
        self,
        sparse_logits: Float[Tensor, "batch 16 k_s"],
        dense_logits: Float[Tensor, "batch _ k_d"],
    ) -> dict[int, Tensor]:
        """``decode`` of the codes' means under their probabilities; it passes gradients (PCT)."""
        sparse = self.sparse.mean(sparse_logits.softmax(-1))
        return self._decode(sparse, self.dense.mean(dense_logits.softmax(-1)))

    def decode_codes(
        self,
        sparse_codes: Float[Tensor, "batch 16 dim_s"],
        dense_codes: Float[Tensor, "batch _ dim_d"],
    ) -> dict[int, Tensor]:
        """``decode`` of codes, or of means of codes, in the codebooks' own dimensions."""
        return self._decode(self.sparse.widen(sparse_codes), self.dense.widen(dense_codes))

    def _decode(self, sparse: Tensor, dense: Tensor) -> dict[int, Tensor]:
        sizes = [scale // NUM_PARTS for scale in self.scales[1:]]
        groups = dense.unflatten(1, (NUM_PARTS, self.dense_per_part))
        codes = [sparse, *(part.flatten(1, 2) for part in groups.split(sizes, dim=2))]
        upsampled: Tensor | None = None
        for coarser, upsampler in zip(codes, self.upsamplers, strict=False):
            upsampled = upsampler(_with(coarser, upsampled))
        return self.unweigh(self._poses(codes, upsampled))

    def _quantize(self, finest: Tensor) -> tuple[list[Level], Tensor | None]:
        """Encode from fine to sparse, then quantise from sparse to dense.

        Also returns what the last sparser level was upsampled to (z^'_s), if there is one.
        """
        embeddings, z = [], self.weigh(finest, self.levels[-1])
        for encoder in self.encoders:
            z = encoder(z)
            embeddings.append(z)
        levels = [self.sparse(embeddings[-1])]
        upsampled: Tensor | None = None
        for z, upsampler, fusion in zip(
            reversed(embeddings[:-1]), self.upsamplers, self.fusions, strict=True
        ):
            upsampled = upsampler(_with(levels[-1].codes, upsampled))
            levels.append(self.dense(fusion(torch.cat([z, upsampled], dim=-1))))
        return levels, upsampled

    def _follow(self, levels: list[Level]) -> None:
        """Let each codebook follow everything that it quantised, in one step of its average.

        What it quantised lies level by level, in the order of the whole batch, so that a dead code
        restarts at the same embedding however the batch was divided.
        """
        self._seen.append([(level.inputs.detach(), level.tokens) for level in levels])
        if len(self._seen) < self.micro_batches:
            return
        seen, self._seen = [*zip(*self._seen, strict=True)], []
        groups = [seen] if len(self.books) == 1 else [seen[:1], seen[1:]]
        for book, group in zip(self.books, groups, strict=True):
            inputs = torch.cat([z.flatten(0, 1) for level in group for z, _ in level])
            tokens = torch.cat([tokens.flatten() for level in group for _, tokens in level])
            cast(Codebook, book).quantizer.follow(inputs, tokens)

    def _poses(self, codes: list[Tensor], upsampled: Tensor | None) -> dict[int, Tensor]:
        """D_d on the codes of each dense level, D_f on the last codes and what lies above them."""
        inputs = [*codes[1:], _with(codes[-1], upsampled)]
        return {
            level: decoder(x)
            for level, decoder, x in zip(self.levels, self.decoders, inputs, strict=True)
        }


def _with(codes: Tensor, upsampled: Tensor | None) -> Tensor:
    return codes if upsampled is None else torch.cat([codes, upsampled], dim=-1)
