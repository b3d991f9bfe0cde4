"""Generation in batches: recorded calls answer as plain ones do."""

import pytest
import torch
from torch import Tensor

from hipart.experiment.file import base_at_scale
from hipart.models.chunks import in_chunks
from hipart.models.densifier import GENERATION_BATCH, Densifier
from hipart.models.priors import build_prior
from hipart.models.tokenizer import Tokenizer


def build() -> tuple[Densifier, Tokenizer]:
    config = base_at_scale("smoke")
    torch.manual_seed(0)
    tokenizer = Tokenizer(config.tokenizer, 3).eval()
    prior = build_prior(config.prior, tokenizer).eval()
    how = config.data.coordinates, config.densify.decode
    return Densifier(prior, tokenizer, *how), tokenizer


def test_every_pose_is_answered_in_its_place() -> None:
    densifier, tokenizer = build()
    poses = torch.randn(2 * GENERATION_BATCH["cpu"] + 5, 17, 2)
    found = densifier(poses)
    assert {level: points.shape for level, points in found.items()} == {
        level: (len(poses), level, 2) for level in tokenizer.levels
    }
    last = densifier(poses[-5:])
    for level, points in found.items():
        assert torch.allclose(points[-5:], last[level], atol=1e-5)


def test_a_batch_that_is_filled_up_answers_as_a_plain_one() -> None:
    densifier, _ = build()
    for count in (7, GENERATION_BATCH["cpu"], 3):
        poses = torch.randn(count, 17, 2)
        plain, filled = densifier(poses), densifier._recall(poses)
        for level, points in plain.items():
            assert torch.allclose(points, filled[level], atol=1e-5)


def test_answers_outlive_the_next_call() -> None:
    densifier, _ = build()
    first = densifier._recall(torch.randn(3, 17, 2))
    kept = {level: points.clone() for level, points in first.items()}
    densifier._recall(torch.randn(3, 17, 2))
    assert all(torch.equal(first[level], points) for level, points in kept.items())


def test_batches_that_do_not_fit_are_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recorded ones, too, which stay at the size that fits."""
    densifier, _ = build()
    poses = torch.randn(GENERATION_BATCH["cpu"] + 5, 17, 2)
    whole, generate = densifier(poses), densifier._generate
    seen: list[int] = []

    def limited(batch: Tensor) -> dict[int, Tensor]:
        seen.append(len(batch))
        if len(batch) > 100:
            raise torch.OutOfMemoryError("as told")
        return generate(batch)

    monkeypatch.setattr(densifier, "_generate", limited)
    plain = densifier(poses)
    assert seen == [256, 128, 64, 64, 64, 64, 5]
    recorded = [*in_chunks(densifier._recall, poses, densifier.batch_size(poses))]
    assert densifier.batch_size(poses) == 64
    for level, points in whole.items():
        assert torch.allclose(points, plain[level], atol=1e-5)
        assert torch.allclose(points, torch.cat([one[level] for one in recorded]), atol=1e-5)
    monkeypatch.setattr(densifier, "_generate", lambda _: limited(poses))
    with pytest.raises(torch.OutOfMemoryError):
        densifier(poses)
