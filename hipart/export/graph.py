"""A bundle's prediction as one graph of tensors, for runtimes that know no Python."""

import copy
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from hipart.config import window_frames
from hipart.flip import flip
from hipart.models.densifier import densified
from hipart.models.layers import KeyValues, TransformerStack
from hipart.predictor import POSE, Predictor, level_name
from hipart.shapes import Float, Int


class PoseGraph(nn.Module):
    """``Predictor.predict`` without its checks and batches: N poses in, N answers out.

    The steps of the prior are unrolled; N stays free. The sums are the Predictor's, in double
    precision as there, so that two tokens that are nearly equally probable fall alike in every
    runtime (docs/decisions/0032).
    """

    def __init__(self, predictor: Predictor) -> None:
        """Copy the models. Raises ValueError for a lifter that looks at neighbouring frames."""
        super().__init__()
        config = predictor.facts.config
        frames = window_frames(config.lifter.model)
        if frames > 1:
            raise ValueError(
                f"lifter {config.lifter.model.kind!r} looks at {frames} frames at once, and an "
                "exported graph sees every pose alone: leave out --onnx and --torch-export, or "
                "choose a lifter of single frames"
            )
        self.flip = config.evaluation.flip
        self.coordinates, self.decode = config.data.coordinates, config.densify.decode
        self.levels = predictor.levels
        self.tokenizer = copy.deepcopy(predictor.tokenizer)
        self.prior = copy.deepcopy(predictor.prior)
        self.lifter = copy.deepcopy(predictor.lifter)
        for module in self.modules():
            if isinstance(module, TransformerStack):
                # A method of this copy alone.
                module.__dict__["new_caches"] = partial(_growing_caches, len(module.blocks))
        generated = self.tokenizer.levels if self.tokenizer is not None else ()
        #: What ``forward`` returns, in its order.
        self.outputs = (POSE, *map(level_name, generated))

    def forward(
        self, poses: Float[Tensor, "batch 17 2"], image_size: Int[Tensor, " 2"]
    ) -> tuple[Tensor, ...]:
        """``poses`` in pixels of images of ``image_size`` (width, height).

        Returns the 3D joints (N, 17, 3) in millimetres and every generated level (N, points, 2)
        in pixels, all of them float32.
        """
        width, height = image_size.double().unbind()
        middle = torch.stack([torch.ones_like(width), height / width])
        screen = poses.double() * (2 / width) - middle
        lifted, *generated = self._lift(screen)
        if self.flip:
            lifted = (lifted + flip(self._lift(flip(screen))[0])) / 2
        pixels = [(level + middle) * (width / 2) for level in generated]
        return tuple(found.float() for found in (lifted * 1000, *pixels))

    def _lift(self, screen: Tensor) -> list[Tensor]:
        if self.prior is None or self.tokenizer is None:
            return [self.lifter(screen)]
        found = densified(self.prior, self.tokenizer, screen, self.coordinates, self.decode)
        seen = torch.cat([screen, *(found[level] for level in self.levels)], dim=1)
        return [self.lifter(seen), *found.values()]


class GrowingCache:
    """Keys or values of the positions so far, made anew at every step: a graph writes to nothing.

    It is read and written as the tensors of ``KeyValues`` are, along the third axis alone.
    """

    def __init__(self) -> None:
        self._held = torch.empty(0)

    def __setitem__(self, place: tuple[slice, slice, slice], new: Tensor) -> None:
        start = place[2].start
        self._held = torch.cat([self._held[:, :, :start], new], dim=2) if start else new

    def __getitem__(self, place: tuple[slice, slice, slice]) -> Tensor:
        return self._held[place]


def _growing_caches(blocks: int, like: Tensor, positions: int) -> list[Any]:
    return [KeyValues(*cast(Any, (GrowingCache(), GrowingCache()))) for _ in range(blocks)]
