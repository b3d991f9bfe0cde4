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
from tests.data import h36m_miniature, pw3d_miniature

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
    assert "35 sequences, 140 bodies" in told and f"--data {out}" in told
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
        assert "Failed" not in text
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


def test_3dpw_is_a_test_set(h36m: Path, tmp_path: Path) -> None:
    root = tmp_path / "files"
    pw3d_miniature.write_pw3d(root)
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
    say("data", "preview", "--scale", "smoke", "--data", h36m, "--out", tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size > 10_000
    told = say("data", "info", "--scale", "smoke", "--data", h36m, "--json")
    assert DAMAGED in json.loads(told)["damaged"]
