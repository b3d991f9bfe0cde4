"""From windows to an exported bundle: temporal lifters and the mirrored pose, on real stages."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hipart.config import PipelineConfig
from hipart.data.corpus import fingerprint, load_corpus
from hipart.experiment.design import Arm, Trial
from hipart.experiment.errors import ExperimentError
from hipart.experiment.file import base_at_scale, load
from hipart.experiment.paths import with_changes
from hipart.export import export_bundle
from hipart.jobs import jobs
from hipart.metrics import frame_mean, mpjpe
from hipart.pipeline import FINAL_STAGE
from hipart.predictor import Predictor
from hipart.scheduling.executor import Workplace
from hipart.scheduling.worker import run_job
from hipart.store import ArtifactStore

ALONE = {"data.sampling": "sequences", "lifter.dense_input": "none"}
SMALL = {"lifter.model.frames": 9, "lifter.model.width": 16, "lifter.model.blocks": 1}
CHANGES: dict[str, dict[str, Any]] = {
    "poseformer": {"lifter.model.kind": "poseformer", **SMALL, **ALONE},
    "mixste": {"lifter.model.kind": "mixste", **SMALL, **ALONE},
    "flipped mlp": {"lifter.dense_input": "none", "evaluation.flip": True},
    "flipped mixste": {
        "lifter.model.kind": "mixste",
        "evaluation.flip": True,
        "data.test_samples": 300,  # two sequences and a part of one
        **SMALL,
        **ALONE,
    },
}


def done(config: PipelineConfig, root: Path) -> dict[str, float]:
    workplace = Workplace(root, None, threads=1, use_gpu=False)
    ArtifactStore(root).prepare()
    found = jobs(config, fingerprint(config.data))
    return {name: run_job(job, workplace, lambda *_: None) for name, job in found.items()}[
        FINAL_STAGE
    ].metrics


@pytest.mark.parametrize("kind", CHANGES)
def test_a_bundle_predicts_what_was_evaluated(kind: str, tmp_path: Path) -> None:
    config = with_changes(base_at_scale("smoke"), CHANGES[kind])
    measured = done(config, tmp_path / "store")
    assert np.isfinite(measured["mpjpe_mm"])
    trial = Trial(Arm("base", {}, None, config), 0, config)
    bundle = export_bundle(
        ArtifactStore(tmp_path / "store"),
        load("toy_gt_dense", "smoke"),
        [trial],
        fingerprint(config.data),
        "mpjpe_mm",
        tmp_path / "best",
    )
    corpus = load_corpus(config.data, config.detector)
    films = corpus.test.sequence if config.data.sampling == "sequences" else None
    found = Predictor.load(bundle).predict(corpus.test.detected_2d, corpus.image_size, films)
    pose = torch.as_tensor(found["pose_3d_mm"]).double() / 1000
    truth = torch.as_tensor(corpus.test.target_3d).double() / 1000
    assert frame_mean(mpjpe(pose, truth)) == pytest.approx(measured["mpjpe_frames_mm"], rel=1e-5)


def test_the_mirrored_pose_changes_the_answer(tmp_path: Path) -> None:
    plain = with_changes(base_at_scale("smoke"), {"lifter.dense_input": "none"})
    flipped = with_changes(plain, {"evaluation.flip": True})
    both = [done(config, tmp_path)["mpjpe_mm"] for config in (plain, flipped)]
    assert both[0] != both[1]
    keys = [jobs(config, "data") for config in (plain, flipped)]
    assert keys[0]["lifter"].key == keys[1]["lifter"].key


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lifter.model.kind": "mixste"}, "set data.sampling to sequences"),
        ({"lifter.model.kind": "poseformer", "lifter.model.frames": 10}, "no middle one"),
        (
            {"lifter.model.kind": "mixste", "data.sampling": "sequences", "data.train_every": 5},
            "windows of 81 consecutive frames, and data.train_every 5 takes one of every 5; set it "
            "to 1, and data.train_samples to draw fewer",
        ),
        (
            {"lifter.model.kind": "poseformer", "data.sampling": "sequences", "data.test_every": 2},
            "data.test_every 2 takes one of every 2; set it to 1, and data.test_samples",
        ),
        ({"evaluation.flip": True, "lifter.dense_input": "exact"}, "there are no exact ones"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ExperimentError, match=said):
        with_changes(PipelineConfig(), changes)
