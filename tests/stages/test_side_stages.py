"""Probe and profile, and evaluation under occlusion, on a small trained trial."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hipart.data.corpus import fingerprint
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.jobs import jobs
from hipart.models.tokenizer import Tokenizer
from hipart.pipeline import PIPELINE
from hipart.scheduling.executor import Workplace
from hipart.scheduling.worker import run_job
from hipart.stages.probe import substructure
from hipart.stages.profile import attention_flops
from hipart.store import ArtifactStore

SMOKE = base_at_scale("smoke")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    place = Workplace(tmp_path_factory.mktemp("store"), None, threads=1, use_gpu=False)
    ArtifactStore(place.store).prepare()
    return place


def finish(workplace: Workplace, target: str, **changes: object) -> tuple[dict[str, float], Path]:
    config = with_changes(SMOKE, {name.replace("__", "."): v for name, v in changes.items()})
    found = jobs(config, fingerprint(config.data), (target,))
    outcomes = [run_job(job, workplace, lambda *_: None) for job in found.values()]
    return outcomes[-1].metrics, workplace.store / target / found[target].key


def test_probe_reports_what_the_pipeline_says(workplace: Workplace) -> None:
    metrics, folder = finish(workplace, "probe")
    assert set(metrics) == {metric.name for metric in PIPELINE["probe"].metrics}
    matrices = load_file(folder / "probe.safetensors")
    same = matrices["sparse_sparse"]
    assert torch.allclose(same.diagonal(), torch.ones(len(same)), atol=1e-5)
    assert 0 <= metrics["sparse_dense_cosine"] <= 1
    assert matrices["substructure_px"].shape == (16, 16)


def test_a_token_that_is_not_read_moves_nothing() -> None:
    """Only through the upsampled sparse codes can a sparse token reach the fine pose."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tokenizer = Tokenizer(SMOKE.tokenizer, num_actions=5).eval()
        poses = torch.randn(32, 96, 2)
    unit = torch.full((1,), 2.0)
    shift = substructure(tokenizer, poses, torch.Generator().manual_seed(0), unit)
    assert shift.max() > 0
    each = torch.full((32,), 2.0)
    again = substructure(tokenizer, poses, torch.Generator().manual_seed(0), each)
    assert torch.equal(again, shift)
    single = substructure(tokenizer, poses, torch.Generator().manual_seed(0), torch.ones(1))
    assert torch.allclose(shift, 2 * single)
    for parameter in tokenizer.upsamplers.parameters():
        torch.nn.init.zeros_(parameter)
    assert substructure(tokenizer, poses, torch.Generator().manual_seed(0), unit).max() == 0


def test_profile_reports_what_the_pipeline_says_and_trains_nothing(workplace: Workplace) -> None:
    config = SMOKE
    assert list(jobs(config, "x", ("profile",))) == ["profile"]
    metrics, _ = finish(workplace, "profile")
    assert set(metrics) == {metric.name for metric in PIPELINE["profile"].metrics}
    assert metrics["gflops"] == pytest.approx(
        metrics["generation_gflops"] + metrics["lifting_gflops"]
    )
    assert min(metrics.values()) > 0


def test_attention_is_counted() -> None:
    """Two FLOPs for every multiply-add of Q K^T and of the weights times V."""
    assert attention_flops((2, 4, 10, 8), (2, 4, 30, 8)) == 2 * 2 * (2 * 4 * 10 * 30 * 8)


def test_a_lifter_alone_costs_its_linear_layers(workplace: Workplace) -> None:
    metrics, _ = finish(workplace, "profile", lifter__dense_input="none")
    width, inputs = 32, 34
    layers = inputs * width + 2 * width * width + width * 51
    assert metrics["lifting_gflops"] == pytest.approx(2 * layers / 1e9)
    assert metrics["generation_gflops"] == 0


def test_occlusion_reuses_everything_but_the_evaluation(workplace: Workplace) -> None:
    clear, _ = finish(workplace, "evaluate")
    assert clear["hidden_joints_pct"] == 0
    before = len(list(ArtifactStore(workplace.store).artifacts()))
    masked, _ = finish(workplace, "evaluate", occlusion__kind="mask", occlusion__ratio=0.6)
    assert len(list(ArtifactStore(workplace.store).artifacts())) == before + 1
    assert masked["hidden_joints_pct"] == pytest.approx(60, abs=5)
    assert masked["mpjpe_mm"] != clear["mpjpe_mm"]
    nothing, _ = finish(workplace, "evaluate", occlusion__kind="mask", occlusion__ratio=0.0)
    assert nothing["mpjpe_mm"] == pytest.approx(clear["mpjpe_mm"], rel=1e-6)


def test_the_worst_patch_is_worse_than_any_other(workplace: Workplace) -> None:
    small, _ = finish(workplace, "evaluate", occlusion__kind="patch", occlusion__patch_px=1.0)
    large, _ = finish(workplace, "evaluate", occlusion__kind="patch", occlusion__patch_px=80.0)
    clear, _ = finish(workplace, "evaluate")
    assert clear["mpjpe_mm"] < small["mpjpe_mm"]
    assert large["hidden_joints_pct"] > small["hidden_joints_pct"]
