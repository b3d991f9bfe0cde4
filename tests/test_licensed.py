"""The licensed sets, in little, through the commands: prepared, trained on, tested on."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hipart.cli import main
from hipart.config import DataConfig, DetectorConfig
from hipart.data.cameras import normalise_screen
from hipart.data.corpus import load_corpus
from hipart.data.prepared import array_of
from hipart.data.pw3d.frames import JOINTS_14
from hipart.data.pw3d.placements import places
from hipart.predictor import Predictor
from tests.data import h36m_miniature, pw3d_miniature
from tests.data.pw3d_miniature import Truth

pytestmark = pytest.mark.slow

DAMAGED = "S9 Greeting"


def say(*arguments: object, status: int = 0) -> str:
    """What a command prints; it ends with ``status``."""
    result = CliRunner(env={"COLUMNS": "200"}).invoke(main, [str(one) for one in arguments])
    assert result.exit_code == status, result.output
    return result.output


@pytest.fixture(scope="module")
def h36m(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared corpus."""
    folder = tmp_path_factory.mktemp("h36m")
    mini = h36m_miniature.write(folder / "files")
    out = folder / "corpus"
    told = say("data", "prepare", "h36m", "--root", mini.root, "--smpl", mini.smpl, "--out", out)
    assert "35 sequences before four cameras, 100 bodies train, 80 frames test, 40 of them" in told
    assert "without dense points: 40 test frames, no body" in told and f"--data {out}" in told
    return out


def run(folder: Path, name: str, data: Path, *more: object) -> Path:
    """The results of an experiment at smoke scale."""
    results = folder / "results"
    say(
        *("run", name, "--scale", "smoke", "--data", data, "--executor", "inline"),
        *("--workspace", folder / "workspace", "--results", results, *more),
    )
    return results / Path(name).stem


def test_experiments_run_on_human36m(h36m: Path, tmp_path: Path) -> None:
    for name in ("codebook_ablation", "main_results"):
        results = run(tmp_path, name, h36m)
        text = (results / "table.md").read_text()
        assert "Human3.6M" in text and "2D by cpn" in text and "SIMULATED" not in text
        assert "damaged clips included" in text and "on all its test frames" in text
        assert "Failed" not in text and "| simulated" not in text
    shown = say(
        *("table", "main_results", "--scale", "smoke", "--data", h36m, "--layout", "paper"),
        *("--workspace", tmp_path / "workspace"),
    )
    assert all(action in shown for action in ("Greeting", "Sitting", "SittingDown", "Walking"))
    metrics = [
        json.loads(path.read_text())
        for path in (tmp_path / "workspace/store/evaluate").glob("*/metrics.json")
    ]
    assert len(metrics) >= 20
    for one in metrics:
        actions = {name for name in one if name.startswith("mpjpe_mm/")}
        assert actions == {
            f"mpjpe_mm/{action}"
            for action in ("Greeting", "Sitting", "SittingDown", "Waiting", "Walking")
        }
        assert one["mpjpe_mm"] == pytest.approx(np.mean([one[name] for name in actions]))
        assert one["mpjpe_sound_mm"] != one["mpjpe_mm"], "S9 with and without what is damaged"
        assert one["mpjpe_fit_mm"] != one["mpjpe_mm"], "frames with a body, and all"
        assert all(np.isfinite([*one.values()]))


def test_exact_points_are_compared_over_frames_that_have_them(h36m: Path, tmp_path: Path) -> None:
    experiment = tmp_path / "points.yaml"
    experiment.write_text(
        "kind: ablation\ntitle: Points\ndesign: arms\nseeds: [0]\n"
        "metric: {stage: evaluate, name: mpjpe_mm}\n"
        "base: {lifter.dense_input: none}\n"
        "arms:\n"
        "  - {name: exact points, set: {lifter.dense_input: exact}}\n"
        "  - {name: tokens, set: {lifter.dense_input: generated, densify.exact: tokens}}\n"
        "claims: [{says: Points help, place: here, better: exact points, worse: base}]\n"
    )
    text = (run(tmp_path, str(experiment), h36m) / "table.md").read_text()
    assert "frames with a body" in text and "which alone have exact dense points" in text
    assert "Failed" not in text and "Not a number" not in text and "not measured" not in text
    metrics = [
        json.loads(path.read_text())
        for path in (tmp_path / "workspace/store/evaluate").glob("*/metrics.json")
    ]
    assert {"mpjpe_mm" in one for one in metrics} == {True, False}
    assert all("mpjpe_fit_mm" in one and all(np.isfinite([*one.values()])) for one in metrics)


def test_3dpw_is_a_test_set(h36m: Path, tmp_path: Path) -> None:
    root = tmp_path / "files"
    truths = pw3d_miniature.write_pw3d(root)
    told = say("data", "doctor", "3dpw", "--root", root)
    assert told.startswith("ready: ") and "3DPW-Occ" in told
    told = say("data", "doctor", "3dpw", "--root", h36m, status=1)
    assert told.startswith("missing: ") and "has no folder sequenceFiles" in told
    out = tmp_path / "3dpw"
    say(
        *("data", "prepare", "3dpw", "--root", root, "--train", h36m, "--out", out),
        *("--origin", "hips_mid"),
    )
    given = DetectorConfig(kind="given")
    corpus = load_corpus(DataConfig(corpus="3dpw"), given, out)
    alone = load_corpus(DataConfig(corpus="h36m"), given, h36m)
    np.testing.assert_array_equal(corpus.train.dense_2d, alone.train.dense_2d)
    assert corpus.action_names == (*alone.action_names, "all")
    assert {corpus.action_names[one] for one in corpus.test.action} == {"all"}
    theirs = np.array(array_of(out, "test", "dense_2d"))
    np.testing.assert_allclose(
        normalise_screen(corpus.test.dense_2d, corpus.image_size),
        normalise_screen(theirs, (1000, 1000)),
        atol=1e-5,
    )
    assert len(corpus.joints) == 14 and corpus.root == (1, 4)
    experiment = tmp_path / "one.yaml"
    experiment.write_text(
        "kind: ablation\ntitle: One\ndesign: arms\nseeds: [0]\n"
        "metric: {stage: evaluate, name: mpjpe_mm}\n"
        "base: {data.test_samples: 40}\n"
        "arms: [{name: sparse, set: {lifter.dense_input: none}}]\n"
    )
    results = run(tmp_path, str(experiment), out)
    assert "root hips\\_mid, 14 joints" in (results / "table.md").read_text()
    _adversarial(tmp_path, experiment, out, truths)
    say("data", "preview", "--scale", "smoke", "--data", h36m, "--out", tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size > 10_000
    told = say("data", "info", "--scale", "smoke", "--data", h36m, "--json")
    facts = json.loads(told)
    assert DAMAGED in facts["damaged"]
    bodies, samples = facts["samples_with_a_body"], facts["samples"]
    assert bodies["train"] == samples["train"] and 0 < bodies["test"] < samples["test"]


def _adversarial(
    folder: Path, experiment: Path, corpus: Path, truths: dict[tuple[str, int], Truth]
) -> None:
    """3DPW-AdvOcc of the trained model, beside the same written as loops."""
    name, person, frames = "downtown_bus_00", 0, [0, 4]
    best = folder / "best"
    place = ("--workspace", folder / "workspace")
    say("export", experiment, "--scale", "smoke", "--data", corpus, *place, "--out", best)
    card = (best / "README.md").read_text()
    assert "licensed to persons" in card and "MakeHuman" not in card and "SIMULATED" not in card
    pixels = truths[name, person].pixels[frames]
    corner = pixels.min(axis=1) - 20
    side = (pixels.max(axis=1) + 20 - corner).max(axis=1)
    exact = (pixels - corner[:, None]) * 224 / side[:, None, None]
    where = places(40)
    noise = np.random.default_rng(0).normal(0, 6, (len(frames), len(where), 17, 2))
    np.savez(
        folder / "found.npz",
        patch=40,
        layout="h36m17",
        detections=exact[:, None] + noise,
        box=np.column_stack([corner, side]),
        sequence=[name] * len(frames),
        person=[person] * len(frames),
        frame=frames,
    )
    asked = ("advocc", best, "--data", corpus, "--detections", folder / "found.npz")
    told = json.loads(say(*asked, "--json"))
    predictor = Predictor.load(best)
    errors = []
    for row in range(len(frames)):
        real = corner[row] + (exact[row] + noise[row]) * side[row] / 224
        truth = truths[name, person].joints[frames[row]]
        target = 1000 * (truth - truth[[1, 4]].mean(axis=0))
        worst = 0.0
        for at, pose in enumerate(predictor.predict(real, (1080, 1920))["pose_3d_mm"]):
            lifted = pose - pose[[1, 4]].mean(axis=0)
            inside = (exact[row] > where[at]) & (exact[row] < np.minimum(where[at] + 40, 224))
            seen = [j for j in JOINTS_14 if not inside[j].all()]
            worst = max(worst, float(np.linalg.norm(lifted - target, axis=1)[seen].mean()))
        errors.append(worst)
    assert told["mpjpe_mm"] == pytest.approx(np.mean(errors), rel=1e-4)
    assert (told["frames"], told["patch_px"], told["joints"]) == (2, 40, 14)
    assert 0 < told["p_mpjpe_mm"] < told["mpjpe_mm"]
    assert "MPJPE" in say(*asked)
    other = json.loads(json.dumps({"frame": [0, 77]}))
    with np.load(folder / "found.npz") as held:
        np.savez(folder / "found.npz", **(dict(held) | other))
    assert "has no frame 77 of person 0 in downtown_bus_00" in say(*asked, status=2)
