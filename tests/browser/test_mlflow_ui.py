"""What a person finds in MLflow after a run: by its pages, and by its registry."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, Page, expect
from screenshots import VIEWPORT, Walk, served

from hipart.cli import main
from hipart.predictor import Predictor

pytestmark = pytest.mark.slow

EXPERIMENT, PARENT = "codebook_ablation", "codebook_ablation · smoke"
BASE = ["base, seed 0", "base, seed 1"]
WIDER = ["sparse codebook size 16, seed 0", "sparse codebook size 16, seed 1"]
#: Its points are a regressor's, which no bundle makes.
REGRESSED = {"linear regression's points, seed 0", "linear regression's points, seed 1"}
TRIALS = {
    *BASE,
    *WIDER,
    *("dense code dimension 8, seed 0", "dense code dimension 8, seed 1"),
    *("17 joints alone, seed 0", "17 joints alone, seed 1"),
    *REGRESSED,
}
TOLERANCE_MM = 1e-3


def command(*arguments: object) -> str:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.output


@dataclass
class Mirrored:
    """A workspace after a run and an export with ``--register``."""

    folder: Path
    said: str

    @property
    def database(self) -> str:
        return f"sqlite:///{self.folder / 'w/mlflow.db'}"

    def register(self, *name: str) -> str:
        place = ("--scale", "smoke", "--workspace", self.folder / "w")
        return command(
            *("export", EXPERIMENT, *place, "--best", "mpjpe_mm"),
            *("--out", self.folder / "best", "--register", *name),
        )


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> Mirrored:
    folder = tmp_path_factory.mktemp("mirrored")
    command(
        *("run", EXPERIMENT, "--scale", "smoke", "--executor", "inline"),
        *("--workspace", folder / "w", "--results", folder / "r"),
    )
    made = Mirrored(folder, "")
    made.said = made.register()
    return made


def client_of(mirrored: Mirrored) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(mirrored.database)


def test_the_registered_model_predicts_what_the_bundle_does(
    mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    assert f"registered models:/{EXPERIMENT}/1" in mirrored.said
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mirrored.database)
    model = mlflow.pyfunc.load_model(f"models:/{EXPERIMENT}/1")
    poses = np.random.default_rng(0).uniform(100, 900, (5, 17, 2)).astype(np.float32)
    for size in ((1000, 1002), (640, 1100)):
        lifted = model.predict({"poses": poses, "image_size": np.array(size)})
        expected = Predictor.load(mirrored.folder / "best").predict(poses, size)["pose_3d_mm"]
        assert lifted.shape == (5, 17, 3) and lifted.dtype == np.float32
        assert np.abs(lifted - expected).max() < TOLERANCE_MM
    assert model.predict(model.input_example).shape == (2, 17, 3)
    for wrong in ({"poses": poses}, {"poses": poses[:, 1:], "image_size": np.array([9, 9])}):
        with pytest.raises(mlflow.MlflowException, match="enforce schema"):
            model.predict(wrong)


def test_a_version_names_its_trial_and_holds_no_pickle(mirrored: Mirrored) -> None:
    client = client_of(mirrored)
    version = client.get_model_version(EXPERIMENT, "1")
    run = client.get_run(version.run_id)
    facts = Predictor.load(mirrored.folder / "best").facts
    assert version.tags["weights_sha256"] == facts.weights_sha256
    assert run.data.tags["kind"] == "trial" and run.info.run_name in TRIALS
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    trials = client.search_runs([experiment], "tags.kind = 'trial'", order_by=["metrics.mpjpe_mm"])
    can_predict = [one for one in trials if one.info.run_name not in REGRESSED]
    assert can_predict[0].info.run_id == version.run_id
    names = [path.name for path in (mirrored.folder / "w/mlartifacts").rglob("model/**/*.*")]
    assert "model.safetensors" in names
    assert [name for name in names if name.endswith((".pkl", ".pickle", ".pt", ".py"))] == []


def test_a_bundle_is_registered_once_under_a_name(mirrored: Mirrored) -> None:
    assert f"is registered already as models:/{EXPERIMENT}/1" in mirrored.register()
    assert "registered models:/another name/1" in mirrored.register("another name")
    client = client_of(mirrored)
    versions = {one.name: one.version for one in client.search_model_versions()}
    assert len(client.search_model_versions()) == 2
    assert {name: str(version) for name, version in versions.items()} == {
        EXPERIMENT: "1", "another name": "1",
    }  # fmt: skip


def test_what_cannot_be_registered_is_told(mirrored: Mirrored, tmp_path: Path) -> None:
    line = ["export", EXPERIMENT, "--scale", "smoke", "--out", str(tmp_path / "best")]
    done = CliRunner().invoke(
        main, [*line, "--workspace", str(mirrored.folder / "w"), "--register", "a/b"]
    )
    assert done.exit_code == 2 and "model name 'a/b'" in done.output
    (tmp_path / "w").mkdir()
    (tmp_path / "w/store").symlink_to(mirrored.folder / "w/store")
    line += ["--workspace", str(tmp_path / "w")]
    done = CliRunner().invoke(main, [*line, "--register"])
    assert done.exit_code == 2 and "has no run in MLflow yet" in done.output
    alone = CliRunner(env={"MLFLOW_TRACKING_URI": "databricks"})
    assert alone.invoke(main, line).exit_code == 0
    assert alone.invoke(main, [*line, "--register"]).exit_code == 2


@pytest.fixture(scope="module")
def address(browser: Browser, mirrored: Mirrored) -> Iterator[str]:
    with served(mirrored.folder / "w") as serving:
        yield serving


@pytest.fixture
def walk(browser: Browser, address: str) -> Iterator[Walk]:
    page = browser.new_page(viewport=VIEWPORT)  # type: ignore[arg-type]
    yield Walk(page, address)
    page.close()


def shown(page: Page) -> set[str]:
    """The runs that are listed."""
    return set(page.locator(".ag-row a[href*='/runs/']").all_inner_texts())


def test_trials_lie_beneath_their_parent_and_are_filtered_by_a_tag(walk: Walk) -> None:
    walk.open_experiment(EXPERIMENT)
    expect(walk.row(PARENT)).to_be_visible()
    assert shown(walk.page) == {PARENT}
    walk.unfold(PARENT)
    expect(walk.row(BASE[0])).to_be_visible()
    assert shown(walk.page) == {PARENT, *TRIALS}
    walk.search("tags.factor = 'sparse codebook size'")
    expect(walk.row(BASE[0])).to_have_count(0)
    assert shown(walk.page) == {PARENT, *WIDER}


def test_two_trials_are_compared_by_what_was_varied(walk: Walk) -> None:
    walk.open_experiment(EXPERIMENT)
    walk.unfold(PARENT)
    walk.compare([BASE[0], WIDER[0]])
    axes = walk.page.locator(".parcoords .axis-title")
    expect(axes).to_have_text(["arm", "tokenizer.sparse_codebook.size", "mpjpe_mm"])


def test_the_parent_says_what_it_is_and_shows_a_figure_and_a_table(walk: Walk) -> None:
    page = walk.page
    walk.open_experiment(EXPERIMENT)
    walk.open_run(PARENT)
    expect(page.get_by_text("Codebook size and dimension").first).to_be_visible()
    page.get_by_text("Show more").click()
    expect(page.get_by_role("columnheader", name="MPJPE [mm]").first).to_be_visible()
    expect(
        page.get_by_text("hipart-search run codebook_ablation --scale smoke").first
    ).to_be_visible()
    walk.open_artifact(f"{EXPERIMENT}.png")
    figure = page.locator("img[src^='blob:'], img[src*='get-artifact']").first
    expect(figure).to_be_visible()
    assert figure.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300
    for table in ("table.csv", "arms.json"):
        walk.open_artifact(table)
        expect(page.get_by_text("sparse codebook size=16").first).to_be_visible()
        expect(page.get_by_text("mpjpe_mm_mean").first).to_be_attached()
