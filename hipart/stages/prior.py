"""Train stage 2: the autoregressive prior over the frozen tokenizer's tokens (Sec. 4.2, App. C)."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from hipart.config import PriorConfig
from hipart.data.folds import parts_of
from hipart.models.chunks import in_chunks
from hipart.models.coordinates import Coordinates
from hipart.models.prior import PriorWeights, prior_loss
from hipart.models.priors import AnyPrior, build_prior
from hipart.models.tokenizer import Tokenizer
from hipart.stages.checkpoint import load_weights, save_weights
from hipart.stages.context import StageContext
from hipart.stages.fit import train_together, with_adamw
from hipart.stages.history import Row
from hipart.stages.schedule import seeded
from hipart.stages.tensors import (
    Detections,
    Split,
    check_extent,
    check_fitted,
    fitted_tensors,
    framed,
    judged_on,
    only,
    split_tensors,
    training_detections,
)
from hipart.stages.tokenizer import EVALUATION_BATCH, WEIGHTS, load_tokenizer
from hipart.stages.training import Losses, Objective, Training


class PriorObjective(Objective):
    """L_2 on tokens of the exact poses, under the detected joints."""

    detected: Tensor
    sparse: Tensor
    dense: Tensor
    weights: Tensor

    def __init__(
        self,
        model: AnyPrior,
        tokenizer: Tokenizer,
        split: Split,
        config: PriorConfig,
        coordinates: Coordinates = "screen",
        detections: Detections | None = None,
    ) -> None:
        self.joint_loss_weight = config.joint_loss_weight
        self.token_corruption = config.token_corruption
        self._codes = [len(codes) for codes in tokenizer.codebooks]
        weights = torch.tensor([config.lambda_dense], device=split.action.device)

        def seen(detected: Tensor) -> dict[str, Tensor]:
            """What a step sees of every sample, under these detections."""
            pose, levels = framed(split._replace(detected=detected), coordinates)
            sparse, dense = tokens_of(tokenizer, levels)
            exact = [levels[level] for level in tokenizer.levels]
            joint = {"exact": torch.cat(exact, dim=1)} if config.joint_loss_weight else {}
            return {"detected": pose, "sparse": sparse, "dense": dense} | joint

        # Those of the first epoch at once: encoding every pose takes a fifth of a short epoch.
        self._now = split.detected if detections is None else detections(0)
        data = seen(self._now)
        data["detected"] = data["detected"].clone()  # on the screen it is others', too
        super().__init__(model, data | {"weights": weights})
        self._seen, self._detections = seen, detections
        self.tokenizer = tokenizer if config.joint_loss_weight else None

    def begin_epoch(self, epoch: int) -> None:
        """This epoch's detections, and the tokens of the poses in their frames."""
        detected = self._now if self._detections is None else self._detections(epoch)
        if detected is self._now:
            return
        self._now = detected
        for name, values in self._seen(detected).items():
            self.get_buffer(name).copy_(values)

    def _corrupted(self, tokens: Tensor, codes: int) -> Tensor:
        """The tokens, a share of them exchanged for any others."""
        if not self.token_corruption:
            return tokens
        drawn = (torch.rand(tokens.shape, device=tokens.device) * codes).long()
        wrong = torch.rand(tokens.shape, device=tokens.device) < self.token_corruption
        return torch.where(wrong, drawn, tokens)

    def forward(self, index: Tensor) -> Losses:
        """The loss of the poses at ``index`` (batch,)."""
        sparse, dense = self.sparse[index], self.dense[index]
        earlier = (
            self._corrupted(sparse, self._codes[0]),
            self._corrupted(dense, self._codes[1]),
        )
        logits = self.model(self.detected[index], *earlier)
        loss, parts = prior_loss(logits, sparse, dense, PriorWeights(self.weights[0]))
        if self.tokenizer is not None:
            poses = torch.cat([*self.tokenizer.decode_soft(*logits).values()], dim=1)
            joint = F.smooth_l1_loss(poses, self.get_buffer("exact")[index])
            loss = loss + self.joint_loss_weight * joint
            parts["joint_loss"] = joint.detach()
        return loss, parts


def train(context: StageContext) -> dict[str, float]:
    """Train on tokens of the exact poses under the detected 17 joints; measured teacher-forced."""
    return train_array([context])[0]


def train_array(contexts: Sequence[StageContext]) -> list[dict[str, float]]:
    """``train`` for every context, at once."""
    return train_together(contexts, prepare, finish)


def prepare(context: StageContext) -> Training:
    """The untrained model with its loss and data, and how it will be trained."""
    config, tokenizer = context.config.prior, load_tokenizer(context)
    split, detections = _training_samples(context)
    check_extent(context, "train")
    check_fitted(context.corpus, judged_on(context))
    with torch.random.fork_rng():
        torch.manual_seed(seeded(config.seed, 0))
        model = build_prior(config, tokenizer).to(context.device)
    coordinates = context.config.data.coordinates
    objective = PriorObjective(model, tokenizer, split, config, coordinates, detections)
    return with_adamw(objective, config, split.size)


def _training_samples(context: StageContext) -> tuple[Split, Detections]:
    """What is trained on, and its detections in every epoch: all, or all but a part."""
    split = split_tensors(context.corpus, "train", context.device)
    detections = training_detections(context)
    fold = context.config.prior.fold
    if fold is None:
        return split, detections
    part, folds = fold
    parts = torch.as_tensor(parts_of(context.corpus.train.clip, folds), device=context.device)
    rows = (parts != part).nonzero().flatten()
    return split.take(rows), only(detections, rows)


def finish(context: StageContext, training: Training, _: list[Row]) -> dict[str, float]:
    """Write the weights; how well they predict unseen poses' tokens, each from those before."""
    model = cast(AnyPrior, training.model)
    save_weights(context.work / WEIGHTS, model)
    split = fitted_tensors(context.corpus, judged_on(context), context.device)
    return _measure(model, load_tokenizer(context), split, context)


def load_prior(context: StageContext, tokenizer: Tokenizer, name: str = "prior") -> AnyPrior:
    """The trained prior of an upstream artifact, frozen, on the job's device.

    ``name`` is what the trial calls it, where it has several.
    """
    model = build_prior(context.config.prior, tokenizer).to(context.device)
    load_weights(context.upstream[name] / WEIGHTS, model)
    return model.requires_grad_(False).eval()


@torch.no_grad()
def tokens_of(tokenizer: Tokenizer, levels: Mapping[int, Tensor]) -> tuple[Tensor, Tensor]:
    """Tokens of poses, by their points of the finest level in the coordinates of the data.

    (N, 16) and, in the paper, (N, 48).
    """
    finest = levels[tokenizer.levels[-1]]
    parts = [*in_chunks(tokenizer.encode, finest, EVALUATION_BATCH)]
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


@torch.inference_mode()
def _measure(
    model: AnyPrior, tokenizer: Tokenizer, split: Split, context: StageContext
) -> dict[str, float]:
    detected, levels = framed(split, context.config.data.coordinates)
    sparse, dense = tokens_of(tokenizer, levels)

    def share(index: Tensor) -> Tensor:
        logits = model(detected[index], sparse[index], dense[index])
        loss, _ = prior_loss(logits, sparse[index], dense[index], context.config.prior)
        right_sparse = (logits.sparse.argmax(-1) == sparse[index]).double().mean()
        right_dense = (logits.dense.argmax(-1) == dense[index]).double().mean()
        values = torch.stack([loss.double(), 100 * right_sparse, 100 * right_dense])
        return values.cpu() * len(index) / split.size

    totals = torch.zeros(3, dtype=torch.float64)
    every = torch.arange(split.size, device=context.device)
    for values in in_chunks(share, every, EVALUATION_BATCH):
        totals += values
    names = ("cross_entropy", "sparse_accuracy_pct", "dense_accuracy_pct")
    metrics = dict(zip(names, totals.tolist(), strict=True))
    if not tokenizer.dense_per_part:
        del metrics["dense_accuracy_pct"]
    return metrics
