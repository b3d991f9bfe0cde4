"""Every experiment of the paper loads, and what the suite shares is counted from its files."""

from pathlib import Path

import pytest

from hipart.experiment.design import arms, trials
from hipart.experiment.errors import ExperimentError
from hipart.experiment.file import ablations, available, load
from hipart.experiment.scales import SCALES
from hipart.experiment.suite import load_suite
from hipart.jobs import jobs
from hipart.runtime import Runtime
from hipart.session import open_work

NAMES = load_suite("paper").experiments


#: Packaged ablations that the suite leaves out: a short one, and what the paper does not have.
BESIDE = (
    *("order_ablation", "central_claims", "worth", "label_efficiency"),
    *("readings", "exposure", "data_ablation"),
)


def test_the_suite_holds_every_experiment_of_the_paper_but_the_short_one() -> None:
    assert set(NAMES) == set(ablations()) - set(BESIDE)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", [*NAMES, *BESIDE])
def test_it_loads_at_every_scale(name: str, scale: str) -> None:
    ablation = load(name, scale)
    assert len(arms(ablation)) > 1
    assert ablation.source is not None or name in BESIDE
    ours = all(claim.place == "not in the paper" for claim in ablation.claims)
    assert ablation.source is not None or ours


def test_the_plan_counts_what_the_files_share(tmp_path: Path) -> None:
    work = open_work(None, "paper", "paper", None, Runtime(tmp_path))
    asked = [
        job.key
        for name in NAMES
        for trial in trials(load(name, "paper"))
        for job in jobs(trial.config, work.sessions[0].fingerprint, trial.targets).values()
    ]
    stages = work.plan.stages.values()
    assert sum(stage.asked for stage in stages) == len(asked)
    assert sum(stage.distinct for stage in stages) == len(set(asked))
    assert len(asked) >= 1.8 * len(set(asked))


def test_the_two_by_two_of_table_4_has_every_printed_value() -> None:
    ablation = load("ar_ablation", "paper")
    printed = {arm.name: arm.published.value for arm in arms(ablation) if arm.published}
    assert printed == {
        "base": 42.0,
        "order=raster": 43.1,
        "within part=sequential": 42.5,
        "order=raster, within part=sequential": 43.6,
        "classification": 46.3,
    }


def test_a_suite_that_is_none_is_refused_with_the_nearest() -> None:
    with pytest.raises(ExperimentError, match="papr.*paper"):
        load_suite("papr")


def test_a_suite_of_unknown_experiments_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "experiments" / "suites"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("kind: suite\ntitle: Mine\nexperiments: [toy_gt_dens]\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExperimentError, match="mine.yaml:3.*toy_gt_dens.*toy_gt_dense"):
        load_suite("mine")


def test_either_an_experiment_or_a_suite(tmp_path: Path) -> None:
    for experiment, suite in ((None, None), ("toy_gt_dense", "paper")):
        with pytest.raises(ValueError, match="--suite"):
            open_work(experiment, suite, "smoke", None, Runtime(tmp_path))


def test_a_combination_must_name_levels(tmp_path: Path) -> None:
    text = available()["ar_ablation"].read_text().replace("[raster, sequential]", "[rastr, x]")
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ExperimentError, match="rastr.*raster"):
        load(str(tmp_path / "mine.yaml"), "smoke")
