"""The exact thing in place of a generated one: what is exact, what is drawn, what is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from hipart.config import DensifyConfig, PipelineConfig
from hipart.data.corpus import fingerprint, load_corpus
from hipart.experiment.errors import ExperimentError
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.jobs import jobs
from hipart.models.coordinates import frame_of
from hipart.models.densifier import densified
from hipart.models.generation import sampled
from hipart.models.priors import build_prior
from hipart.models.tokenizer import Tokenizer
from hipart.scheduling.executor import Workplace
from hipart.scheduling.worker import run_job
from hipart.skeleton import NUM_PARTS
from hipart.stages.densify import POSES
from hipart.stages.oracles import DRAWS, Oracle
from hipart.stages.schedule import seeded
from hipart.stages.tensors import split_tensors
from hipart.store import ArtifactStore

SMOKE = base_at_scale("smoke")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def poses() -> tuple[Tensor, dict[int, Tensor]]:
    """Detected joints and exact points of a few test samples."""
    split = split_tensors(load_corpus(SMOKE.data, SMOKE.detector), "test", CPU)
    return split.detected[:6], {level: split.levels[level][:6] for level in (48, 96)}


@pytest.fixture(scope="module")
def plain() -> Oracle:
    """Of untrained models, whose points are far from the exact ones."""
    torch.manual_seed(0)
    tokenizer = Tokenizer(SMOKE.tokenizer, 3).eval()
    prior = build_prior(SMOKE.prior, tokenizer).eval()
    return Oracle(prior, tokenizer, "body", DensifyConfig(), seed=0)


def means(points: Tensor) -> Tensor:
    found: Tensor = points.unflatten(1, (NUM_PARTS, -1)).mean(dim=2)
    return found


def offsets(points: Tensor) -> Tensor:
    parts = points.unflatten(1, (NUM_PARTS, -1))
    found: Tensor = parts - parts.mean(dim=2, keepdim=True)
    return found


def with_config(oracle: Oracle, **changes: Any) -> Oracle:
    return oracle._replace(config=DensifyConfig(**changes))


def test_exact_tokens_are_the_tokenizers_own(
    plain: Oracle, poses: tuple[Tensor, dict[int, Tensor]]
) -> None:
    detected, exact = poses
    found = with_config(plain, exact="tokens").points(detected, exact)
    frame = frame_of(detected, "body")
    assert frame is not None
    with torch.no_grad():
        rebuilt = plain.tokenizer.decode(*plain.tokenizer.encode(frame.to(exact[96])))
    for level in (48, 96):
        assert torch.allclose(found[level], frame.back(rebuilt[level]), atol=1e-6)
    decoded_softly = with_config(plain, exact="tokens", decode="mean").points(detected, exact)
    assert all(torch.equal(found[level], decoded_softly[level]) for level in (48, 96))


def test_exact_sparse_tokens_are_given_to_the_prior(
    plain: Oracle, poses: tuple[Tensor, dict[int, Tensor]]
) -> None:
    detected, exact = poses
    found = with_config(plain, exact="sparse_tokens").points(detected, exact)
    frame = frame_of(detected, "body")
    assert frame is not None
    with torch.no_grad():
        sparse, dense = plain.tokenizer.encode(frame.to(exact[96]))
        seen = frame.to(detected)
        given, upon = plain.prior.generate(seen, given=sparse)
    assert torch.equal(given, sparse) and not torch.equal(upon, dense)
    rebuilt = plain.tokenizer.decode(given, upon)
    for level in (48, 96):
        assert torch.allclose(found[level], frame.back(rebuilt[level]), atol=1e-6)


def test_parts_have_their_exact_means_or_their_exact_offsets(
    plain: Oracle, poses: tuple[Tensor, dict[int, Tensor]]
) -> None:
    detected, exact = poses
    generated = plain.points(detected, exact)
    by_means = with_config(plain, exact="part_means").points(detected, exact)
    by_offsets = with_config(plain, exact="part_offsets").points(detected, exact)
    for level in (48, 96):
        assert not torch.allclose(means(generated[level]), means(exact[level]), atol=1e-2)
        assert torch.allclose(means(by_means[level]), means(exact[level]), atol=1e-5)
        assert torch.allclose(offsets(by_means[level]), offsets(generated[level]), atol=1e-5)
        assert torch.allclose(means(by_offsets[level]), means(generated[level]), atol=1e-5)
        assert torch.allclose(offsets(by_offsets[level]), offsets(exact[level]), atol=1e-5)


def test_samples_are_drawn_with_a_seed_and_averaged(
    plain: Oracle, poses: tuple[Tensor, dict[int, Tensor]]
) -> None:
    detected, exact = poses
    four = with_config(plain, samples=4)
    found, again = four.points(detected, exact, 0, 0), four.points(detected, exact, 0, 0)
    assert torch.equal(found[96], again[96])
    for other in (
        four.points(detected, exact, 1, 0),
        four.points(detected, exact, 0, 256),
        four._replace(seed=1).points(detected, exact, 0, 0),
        with_config(plain, samples=1).points(detected, exact, 0, 0),
        plain.points(detected, exact, 0, 0),
    ):
        assert not torch.allclose(found[96], other[96], atol=1e-4)
    alone = []
    for draw in range(4):
        generator = torch.Generator().manual_seed(seeded(0, DRAWS, 0, 0, draw))
        models = plain.prior, plain.tokenizer, detected
        alone.append(densified(*models, "body", "argmax", sampled(generator))[96])
    assert torch.allclose(found[96], torch.stack(alone).mean(dim=0), atol=1e-5)


def test_a_stage_densifies_with_each(tmp_path: Path) -> None:
    """Every side, with the errors that what is exact leaves; lifted and measured as any other."""
    workplace = Workplace(tmp_path / "store", None, threads=1, use_gpu=False)
    store = ArtifactStore(workplace.store)
    store.prepare()
    exact = split_tensors(load_corpus(SMOKE.data, SMOKE.detector), "validation", CPU).levels[96]
    found: dict[str, dict[str, float]] = {}
    cases: dict[str, dict[str, Any]] = {
        "plain": {},
        "tokens": {"densify.exact": "tokens"},
        "sparse_tokens": {"densify.exact": "sparse_tokens"},
        "part_means": {"densify.exact": "part_means"},
        "part_offsets": {"densify.exact": "part_offsets"},
        "samples": {"densify.decode": "argmax", "densify.samples": 2},
    }
    for name, changes in cases.items():
        config = with_changes(SMOKE, changes)
        for job in jobs(config, fingerprint(config.data)).values():
            result = run_job(job, workplace, lambda *_: None)
            if job.stage == "densify":
                found[name], densify = result.metrics, job
        artifact = store.find("densify", densify.key)
        assert artifact is not None
        points = load_file(artifact.path / POSES)
        assert {one.partition("/")[0] for one in points} == {"train", "test", "validation"}
        if name == "part_means":
            assert torch.allclose(means(points["validation/96"]), means(exact), atol=1e-5)
    error, within = "fine_error_px", "fine_within_part_px"
    assert len({metrics[error] for metrics in found.values()}) == len(found)
    assert found["part_means"][error] == pytest.approx(found["plain"][within], rel=1e-3)
    assert found["part_means"][within] == pytest.approx(found["plain"][within], rel=1e-3)
    assert found["part_offsets"][within] == pytest.approx(0, abs=1e-2)


def test_what_is_generated_plainly_has_the_key_that_it_had() -> None:
    plain = jobs(SMOKE, "data")
    for job in plain.values():
        assert '"exact":"nothing"' not in job.hashed and '"samples"' not in job.hashed
    for changes in ({"densify.exact": "part_means"}, {"densify.decode": "argmax"}):
        other = jobs(with_changes(SMOKE, changes), "data")
        differing = {name for name in plain if plain[name].key != other[name].key}
        assert differing == {"densify", "lifter", "evaluate"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"densify.samples": 4, "densify.decode": "mean"}, "set decode to argmax"),
        ({"densify.samples": 4, "densify.exact": "tokens"}, "none is drawn"),
        ({"densify.exact": "tokens", "evaluation.flip": True}, "set densify.exact to nothing"),
        ({"densify.samples": 4, "evaluation.flip": True}, "densify.samples 4.*evaluation.flip"),
        (
            {"densify.exact": "part_means", "occlusion.kind": "mask", "occlusion.ratio": 0.2},
            "occlusion.kind has dense points generated anew",
        ),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ExperimentError, match=said):
        with_changes(PipelineConfig(), changes)


def test_what_is_not_lifted_is_not_refused() -> None:
    unused = {"densify.exact": "tokens", "evaluation.flip": True, "lifter.dense_input": "none"}
    assert with_changes(PipelineConfig(), unused).evaluation.flip
