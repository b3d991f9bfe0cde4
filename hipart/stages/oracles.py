"""The exact thing in place of a generated one: in which step dense points lose their worth.

What lifting gains when one thing at a time is exact is what that thing is worth
(``DensifyConfig.exact``); the mean of several sampled generations says what of the error is chance
of the draw (``DensifyConfig.samples``). Nobody has any of it for a new image.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from hipart.config import DensifyConfig
from hipart.data.splits import SIDES, Side
from hipart.models.chunks import in_chunks
from hipart.models.coordinates import Coordinates, frame_of
from hipart.models.densifier import GENERATION_BATCH, densified
from hipart.models.generation import Choose, most_probable, sampled
from hipart.models.priors import AnyPrior
from hipart.models.tokenizer import Tokenizer
from hipart.skeleton import NUM_PARTS
from hipart.stages.context import StageContext
from hipart.stages.schedule import seeded
from hipart.stages.tensors import split_tensors

#: The purpose of a seed: which tokens are drawn.
DRAWS = 5


class Oracle(NamedTuple):
    """A trained prior and its tokenizer, with what is exact and how many samples are drawn."""

    prior: AnyPrior
    tokenizer: Tokenizer
    coordinates: Coordinates
    config: DensifyConfig
    #: Of all that is drawn.
    seed: int

    @torch.inference_mode()
    def points(
        self, detected: Tensor, exact: Mapping[int, Tensor], *place: int
    ) -> dict[int, Tensor]:
        """Dense poses (N, points, 2) in screen units by number of points.

        Args:
            detected: (N, 17, 2) joints in screen units.
            exact: (N, points, 2) in screen units by number of points, of the tokenizer's levels.
            place: which poses these are; what is drawn for them depends on it and on the seed.
        """
        given = None
        if self.config.exact in ("tokens", "sparse_tokens"):
            sparse, dense = self._tokens(detected, exact)
            if self.config.exact == "tokens":
                return self._decoded(detected, sparse, dense)
            given = sparse
        generated = self._generated(detected, given, place)
        if self.config.exact == "part_means":
            return {n: with_part_means(points, exact[n]) for n, points in generated.items()}
        if self.config.exact == "part_offsets":
            return {n: with_part_means(exact[n], points) for n, points in generated.items()}
        return generated

    def _tokens(self, detected: Tensor, exact: Mapping[int, Tensor]) -> tuple[Tensor, Tensor]:
        """Sparse and dense tokens of the exact poses, in the frame of their detected joints."""
        frame, finest = frame_of(detected, self.coordinates), exact[self.tokenizer.levels[-1]]
        return self.tokenizer.encode(finest if frame is None else frame.to(finest))

    def _decoded(self, detected: Tensor, sparse: Tensor, dense: Tensor) -> dict[int, Tensor]:
        frame, levels = frame_of(detected, self.coordinates), self.tokenizer.decode(sparse, dense)
        return levels if frame is None else {n: frame.back(points) for n, points in levels.items()}

    def _generated(
        self, detected: Tensor, given: Tensor | None, place: tuple[int, ...]
    ) -> dict[int, Tensor]:
        """One generation of the most probable tokens, or the mean of several that are drawn."""
        choices: list[Choose] = [most_probable] if not self.config.samples else []
        for draw in range(self.config.samples):
            seed = seeded(self.seed, DRAWS, *place, draw)
            choices.append(sampled(torch.Generator().manual_seed(seed)))
        models = self.prior, self.tokenizer, detected, self.coordinates, self.config.decode
        mean: dict[int, Tensor] = {}
        for choose in choices:
            for n, points in densified(*models, choose, given).items():
                share = points / len(choices)
                mean[n] = mean[n] + share if n in mean else share
        return mean


def with_part_means(points: Tensor, other: Tensor) -> Tensor:
    """Points (N, points, 2) moved part by part, so that every part has the mean of the other's.

    The points of the 16 parts follow one another, as many in each.
    """
    parts, others = (poses.unflatten(1, (NUM_PARTS, -1)) for poses in (points, other))
    moved: Tensor = parts - parts.mean(dim=2, keepdim=True) + others.mean(dim=2, keepdim=True)
    return moved.flatten(1, 2)


def oracle_batches(
    context: StageContext, tokenizer: Tokenizer, prior: AnyPrior, side: Side, rows: Tensor
) -> Iterator[dict[int, Tensor]]:
    """What the config's oracle makes of rows (n,) of a side, batch by batch; never captured.

    Where something is to be exact, a frame that no body fits has nothing: NaN, which no stage lifts
    (``PipelineConfig.lifts_exact_points``).
    """
    config, split = context.config, split_tensors(context.corpus, side, context.device)
    oracle = Oracle(prior, tokenizer, config.data.coordinates, config.densify, config.prior.seed)

    def run(some: Tensor) -> dict[int, Tensor]:
        known = some if config.densify.exact == "nothing" else some[split.fitted[some]]
        exact: dict[int, Tensor] = {level: split.levels[level][known] for level in tokenizer.levels}
        place = SIDES.index(side), int(some[0])
        if len(known) == len(some):
            return oracle.points(split.detected[some], exact, *place)
        made = {level: torch.full_like(split.levels[level][some], torch.nan) for level in exact}
        if len(known):
            points = oracle.points(split.detected[known], exact, *place)
            for level, all_of_them in made.items():
                all_of_them[split.fitted[some]] = points[level]
        return made

    yield from in_chunks(run, rows, GENERATION_BATCH["cuda" if rows.is_cuda else "cpu"])
