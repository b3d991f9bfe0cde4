"""The experiments that come with the project, and how a file is found."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hipart.experiment.design import Trial, arms, trials
from hipart.experiment.errors import ExperimentError
from hipart.experiment.file import ablations, available, find, load
from hipart.experiment.scales import SCALES
from hipart.jobs import jobs

ROOT = Path(__file__).resolve().parents[2]
KEY_IN_COMMENT = r"#.*\b(figures|claims|seeds|metric|also):\s*[\[{]"
CODEBOOK = "tokenizer.{}_codebook.{}"


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ablations())
def test_every_experiment_is_good_at_every_scale(name: str, scale: str) -> None:
    ablation = load(name, scale)
    assert (ablation.name, ablation.scale, ablation.preset) == (name, scale, "budget")
    assert ablation.metric.goal in ("min", "max")
    assert len(arms(ablation)) > 1
    assert len(trials(ablation)) == len(arms(ablation)) * len(ablation.seeds)


@pytest.mark.parametrize(
    "path",
    sorted([*ROOT.glob("experiments/**/*.yaml"), *ROOT.glob("search_spaces/*.yaml")]),
    ids=lambda path: path.stem,
)
def test_no_key_is_swallowed_by_a_comment(path: Path) -> None:
    assert re.findall(KEY_IN_COMMENT, path.read_text()) == []


def test_the_capacity_ablation_draws_its_tradeoff() -> None:
    assert load("capacity_ablation", "laptop").figures == ("curves", "tradeoff")
    assert re.findall(KEY_IN_COMMENT, "# dearer.figures: [curves]\n") == ["figures"]


def test_the_codebook_ablation_is_figure_5() -> None:
    base, *others, _, _ = arms(load("codebook_ablation", "paper"))
    assert base.published is not None
    assert base.published.value == 42.0
    tried = {(path, value) for arm in others for path, value in arm.changes.items()}
    assert tried == {
        (CODEBOOK.format(scale, name), value)
        for scale in ("sparse", "dense")
        for name, values in {"size": (1024, 3072, 4096), "dim": (32, 64, 256)}.items()
        for value in values
    }
    assert not any(arm.published for arm in others), "Fig. 5 states no other number"


@pytest.mark.parametrize(("scale", "factors"), [("laptop", 1), ("workstation", 4)])
def test_the_codebook_ablation_beside_three_controls(scale: str, factors: int) -> None:
    ablation = load("codebook_ablation", scale)
    tried = [arm.factor for arm in arms(ablation)[1:-3]]
    assert tried == [one.name for one in ablation.factors]
    assert len(ablation.factors) == factors
    assert len(ablation.seeds) == 3, "two leave intervals that decide nothing"
    assert arms(ablation)[-1].config.lifts_exact_points


def test_the_codebook_ablation_of_0_1_is_found_as_it_was() -> None:
    ablation = load("codebook_ablation", "laptop-v1")
    assert ablation.seeds == (0, 1)
    assert len(arms(ablation)) == 1 + 4 + 2


@pytest.mark.parametrize("scale", SCALES)
def test_controls_of_the_codebook_ablation_train_no_tokenizer(scale: str) -> None:
    found = trials(load("codebook_ablation", scale))
    stages = {trial.arm.name: list(jobs(trial.config, "d", trial.targets)) for trial in found}
    assert stages["base"] == ["tokenizer", "prior", "densify", "lifter", "evaluate", "probe"]
    assert stages["17 joints alone"] == ["lifter", "evaluate"]
    assert stages["linear regression's points"] == ["regressor", "lifter", "evaluate"]


@pytest.mark.parametrize("scale", SCALES)
def test_densification_has_every_kind_of_regressor(scale: str) -> None:
    found = {arm.name: arm.config for arm in arms(load("densification", scale))}
    kinds = [
        config.regressor.model.kind
        for config in found.values()
        if config.lifter.dense_input == "regressed"
    ]
    assert kinds == ["mean_pose", "joint_offset", "linear", "mlp", "graph"]


@pytest.mark.parametrize("scale", SCALES)
def test_the_order_ablation_trains_no_tokenizer_of_its_own(scale: str) -> None:
    def tokenizers(found: list[Trial]) -> set[str]:
        return {jobs(trial.config, "data")["tokenizer"].key for trial in found}

    codebooks = trials(load("codebook_ablation", scale))
    base = [trial for trial in codebooks if trial.arm.name == "base"]
    seeds = {trial.seed for trial in base}
    orders = [one for one in trials(load("order_ablation", scale)) if one.seed in seeds]
    assert tokenizers(orders) == tokenizers(base)


def test_a_local_file_hides_the_packaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = find("order_ablation").resolve()
    monkeypatch.chdir(tmp_path)
    Path("experiments").mkdir()
    local = Path("experiments/order_ablation.yaml")
    local.write_text(packaged.read_text())
    assert find("order_ablation") == available()["order_ablation"] == local
    assert find(str(packaged)) == packaged
    assert find("codebook_ablation").is_file()


def test_the_preset_is_the_file_s_or_the_one_asked_for(tmp_path: Path) -> None:
    text = find("order_ablation").read_text()
    (tmp_path / "textbook.yaml").write_text(f"preset: textbook\n{text}")
    written = load(str(tmp_path / "textbook.yaml"), "paper")
    asked = load("order_ablation", "paper", "textbook")
    assert written.preset == asked.preset == "textbook"
    assert written.base_config == asked.base_config
    assert not written.base_config.prior.tied_logits


def test_loading_an_experiment_imports_nothing_heavy() -> None:
    code = (
        "import sys; from hipart.experiment.file import load; load('codebook_ablation', 'smoke');"
        "print(*{'torch', 'numpy', 'polars', 'rich', 'ray'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_a_file_of_this_folder_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands that are printed after ``run own.yaml`` say ``own``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text("kind: ablation\n")
    assert find("own") == Path("own.yaml")
    with pytest.raises(ExperimentError, match="unknown experiment"):
        find("owner")
