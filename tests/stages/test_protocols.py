"""What an evaluation reports of a hand-made corpus, against the same written out in NumPy."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file

from hipart.data.corpus import Corpus, Samples
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.models.lifters.build import build_lifter
from hipart.stages import evaluate
from hipart.stages.checkpoint import save_weights
from hipart.stages.context import StageContext
from hipart.stages.tokenizer import WEIGHTS

CONFIG = with_changes(
    base_at_scale("smoke"), {"lifter.dense_input": "none", "data.sampling": "sequences"}
)
ACTIONS = ("Greeting", "Sitting", "SittingDown")
CLIPS = ("S9 Greeting", "S9 Greeting 1", "S9 Sitting 1", "S9 SittingDown 1")
#: Four clips of three frames. Numbers go on from the first to the second, which is another
#: sequence, and in the last one frame is missing.
ACTION = np.repeat([0, 0, 1, 2], 3)
CLIP = np.repeat(range(4), 3)
FRAME = np.array([0, 1, 2, 3, 4, 5, 0, 1, 2, 0, 1, 3])
STEPS = [0, 1, 3, 4, 6, 7, 9]
DAMAGED = frozenset({"S9 Greeting"})


def corpus(damaged: frozenset[str] = frozenset()) -> Corpus:
    chance = np.random.default_rng(0)
    numbers = {name: np.asarray(of, np.int32) for name, of in (("action", ACTION), ("clip", CLIP))}
    numbers |= {"frame": FRAME.astype(np.int32), "sequence": CLIP.astype(np.int32)}
    points = [chance.uniform(300, 700, (12, size, 2)) for size in (17, 17, 48, 96, 192)]
    target = chance.normal(0, 60, (12, 17, 3))
    test = Samples(
        *(one.astype(np.float32) for one in (*points, target - target[:, :1])),
        subject=np.zeros(12, np.int32),
        camera=np.zeros(12, np.int32),
        **numbers,
    )
    return Corpus(
        test, test, None, ACTIONS, ("S9",), CLIPS, (1000, 1000), {"test": 50.0}, "f", "", damaged
    )


@pytest.fixture(scope="module")
def lifter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained one, whose poses are off by about as much as they are large."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_lifter(CONFIG.lifter.model, 17)
    folder = tmp_path_factory.mktemp("lifter")
    save_weights(folder / WEIGHTS, model, num_inputs="17")
    return folder


def evaluated(
    data: Corpus, lifter: Path, work: Path, **changes: Any
) -> tuple[dict[str, float], dict[str, NDArray[Any]]]:
    """The metrics, and all poses: those that are kept as examples."""
    config = with_changes(CONFIG, {name.replace("__", "."): v for name, v in changes.items()})
    device = torch.device("cpu")
    context = StageContext(config, data, {"lifter": lifter}, work, device, lambda *_: None)
    metrics = evaluate.train(context)
    return metrics, load_file(work / "examples.safetensors")


def over_actions(values: NDArray[Any], action: NDArray[Any]) -> float:
    return float(np.mean([values[action == one].mean() for one in np.unique(action)]))


def test_every_number_equals_its_formula(lifter: Path, tmp_path: Path) -> None:
    metrics, poses = evaluated(corpus(), lifter, tmp_path)
    lifted, target = (1000 * poses[name].astype(float) for name in ("lifted", "target"))
    off = np.linalg.norm(lifted - target, axis=-1)
    scale = (lifted * target).sum((1, 2)) / (lifted**2).sum((1, 2))
    fitted = np.linalg.norm(scale[:, None, None] * lifted - target, axis=-1)
    steps = np.linalg.norm(np.diff(lifted, axis=0) - np.diff(target, axis=0), axis=-1)[STEPS]
    curve = np.mean([(off < limit).mean(-1) for limit in range(0, 155, 5)], axis=0)
    expected = {
        "mpjpe_mm": over_actions(off.mean(-1), ACTION),
        "n_mpjpe_mm": over_actions(fitted.mean(-1), ACTION),
        "pck_pct": 100 * over_actions((off < 150).mean(-1), ACTION),
        "auc_pct": 100 * over_actions(curve, ACTION),
        "mpjve_mm": over_actions(steps.mean(-1), ACTION[1:][STEPS]),
        "mpjve_mm/SittingDown": steps[-1].mean(),
        "pck_pct/Sitting": 100 * (off[6:9] < 150).mean(),
        "mpjpe_frames_mm": off.mean(),
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    assert 1 < expected["auc_pct"] < expected["pck_pct"] < 99
    assert not any("sound" in name for name in metrics)


def test_damaged_clips_count_unless_it_says_sound(lifter: Path, tmp_path: Path) -> None:
    plain, _ = evaluated(corpus(), lifter, tmp_path)
    metrics, poses = evaluated(corpus(DAMAGED), lifter, tmp_path)
    more = {
        f"{name}_{mean}_mm" for name in ("mpjpe", "p_mpjpe") for mean in ("sound", "sound_frames")
    }
    assert set(metrics) - set(plain) == more
    assert {name: metrics[name] for name in plain} == plain
    off = 1000 * np.linalg.norm(poses["lifted"] - poses["target"], axis=-1).mean(-1)
    sound = over_actions(off[3:], ACTION[3:])
    assert metrics["mpjpe_sound_mm"] == pytest.approx(sound, rel=1e-5)
    assert metrics["mpjpe_sound_frames_mm"] == pytest.approx(off[3:].mean(), rel=1e-5)
    assert metrics["mpjpe_sound_mm"] != metrics["mpjpe_mm"]
    everything, _ = evaluated(corpus(frozenset(CLIPS)), lifter, tmp_path)
    assert everything == plain, "nothing sound is left to average"


def test_of_a_sliding_patch_only_errors_are_reported(lifter: Path, tmp_path: Path) -> None:
    """The worst place of the patch is another one in every frame and for every error."""
    metrics, _ = evaluated(corpus(DAMAGED), lifter, tmp_path, occlusion__kind="patch")
    clear, _ = evaluated(corpus(), lifter, tmp_path)
    assert not {"pck_pct", "auc_pct", "mpjve_mm"} & set(metrics)
    for name in ("mpjpe_mm", "p_mpjpe_mm", "n_mpjpe_mm"):
        assert metrics[name] > clear[name]


def test_velocity_is_of_whole_sequences_alone(lifter: Path, tmp_path: Path) -> None:
    metrics, _ = evaluated(corpus(), lifter, tmp_path, data__sampling="frames")
    assert "mpjve_mm" not in metrics
    data = corpus()
    every_other = replace(data.test, frame=2 * data.test.frame)
    metrics, _ = evaluated(replace(data, test=every_other), lifter, tmp_path)
    assert "mpjve_mm" not in metrics and "pck_pct" in metrics


def test_neither_order_nor_batches_change_an_action(
    lifter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = corpus(DAMAGED)
    before, _ = evaluated(data, lifter, tmp_path, data__sampling="frames")
    monkeypatch.setattr(evaluate, "BATCH", 5)
    shuffled = data.test.take(np.random.default_rng(1).permutation(12))
    after, _ = evaluated(replace(data, test=shuffled), lifter, tmp_path, data__sampling="frames")
    assert after == pytest.approx(before, rel=1e-5)
    assert {name for name in before if name.startswith("mpjpe_mm/")} == {
        f"mpjpe_mm/{action}" for action in ACTIONS
    }
