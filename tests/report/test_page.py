"""The report page: what is on it, and that nothing written anywhere can break it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import polars as pl
import pytest

from hipart.config import PipelineConfig
from hipart.experiment.design import Arm, Trial
from hipart.experiment.paths import with_changes
from hipart.jobs import StageJob, jobs
from hipart.pages import _Found, _training
from hipart.pipeline import PIPELINE
from hipart.report.grid import Grid, GridColumn, Text
from hipart.report.page.charts.base import Chart
from hipart.report.page.charts.training import (
    POINTS,
    SINGLE,
    Curve,
    codebooks,
    learning,
    validation,
)
from hipart.report.page.charts.work import sharing
from hipart.report.page.render import Page, write_page
from hipart.report.page.sharing import Users, blocks, summary
from hipart.session import Session
from hipart.store import Artifact, ArtifactStore

HOSTILE = '</script><script>alert(1)</script> \u2028 & "quoted"'
SECONDS = {"tokenizer": 30.0, "prior": 20.0, "densify": 5.0, "lifter": 10.0, "evaluate": 1.0}


class Outline(HTMLParser):
    """Elements of a page, and what stands in its scripts and cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.scripts: list[str] = []
        self.cells: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            self.scripts.append(data)
        if self.open[-1:] in (["td"], ["th"]):
            self.cells.append(data)

    def handle_endtag(self, tag: str) -> None:
        self.open = self.open[:-1] if self.open[-1:] == [tag] else self.open


def page(name: str) -> Page:
    texts = [Text(name), Text("52.1", "± 0.3", "best")]
    return Page(
        name=name,
        title=name,
        caption=name,
        facts=[("scale", name)],
        grid=Grid([GridColumn("arm", "", texts, "left"), GridColumn("MPJPE", "[mm] ↓", texts)], []),
        footer=[name],
        ranking=name,
        failed=[(name, name)],
        charts={"results": [Chart(name, name, {"data": {"values": [{"arm": name}]}}, 100)]},
        shared=[],
        poses={"arms": []},
        origins=(["arm"], [[name]]),
        commands=[(name, name)],
    )


def test_names_can_be_anything_and_stay_text(tmp_path: Path) -> None:
    text = write_page(page(HOSTILE), tmp_path / "one" / "report.html").read_text()
    assert "<script>alert" not in text
    outline = Outline(text)
    specs = next(one for one in outline.scripts if one.startswith("[{"))
    assert json.loads(specs)[0]["data"]["values"][0]["arm"] == HOSTILE
    assert HOSTILE in "".join(outline.cells)


def test_a_page_asks_nobody_for_anything(tmp_path: Path) -> None:
    text = write_page(page("one"), tmp_path / "report.html").read_text()
    assert "default-src 'none'" in text
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", text.split("<script")[0])
    assert len(text) < 2_000_000


def test_a_template_in_the_working_folder_takes_the_place_of_the_packaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dashboards").mkdir()
    (tmp_path / "dashboards/page.css").write_text("body { color: rebeccapurple }")
    text = write_page(page("one"), tmp_path / "report.html").read_text()
    assert "rebeccapurple" in text and "--ink" not in text


class Lab:
    """Two arms that share a tokenizer and a prior, with two seeds that reach only lifters."""

    def __init__(self, root: Path) -> None:
        base = PipelineConfig()
        other = with_changes(base, {"lifter.learning_rate": 0.02})
        arms = [Arm(name, {}, None, config) for name, config in (("base", base), ("slow", other))]
        self.trials = [
            Trial(arm, seed, with_changes(arm.config, {"lifter.seed": seed}))
            for arm in arms
            for seed in (0, 1)
        ]
        self.chains: list[dict[str, StageJob]] = [jobs(one.config, "d") for one in self.trials]
        self.store = ArtifactStore(root)
        self.store.prepare()
        self.users = Users(self.trials, self.chains)

    def finish(self, *chains: Mapping[str, StageJob]) -> dict[str, Artifact]:
        made = {job.key: job for chain in chains for job in chain.values()}
        for job in made.values():
            if job not in self.store:
                with self.store.claim(job) as work:
                    self.store.publish(job, work, {}, {"seconds": SECONDS[job.stage]})
        return self.store.held(made.values())


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "store")


def test_what_sharing_saved_is_what_all_but_one_of_the_trials_would_have_paid(lab: Lab) -> None:
    rows = {one.stage: one for one in summary(lab.chains, lab.finish(*lab.chains), lab.users)}
    tokenizer, lifter = rows["tokenizer"], rows["lifter"]
    assert (tokenizer.asked, tokenizer.distinct, tokenizer.done) == (4, 1, 1)
    assert (tokenizer.took, tokenizer.saved) == ("30 s", "1 min 30 s")
    assert (lifter.asked, lifter.distinct, lifter.done) == (4, 4, 4)
    assert (lifter.took, lifter.saved) == ("40 s", "0 s")


def test_a_block_is_as_tall_as_the_trials_that_stand_on_it(lab: Lab) -> None:
    drawn = blocks(lab.chains, lab.finish(*lab.chains[:3]), lab.users)
    by_stage: dict[str, list[Any]] = {}
    for one in drawn:
        by_stage.setdefault(one["stage"], []).append(one)
    (tokenizer,) = by_stage["tokenizer"]
    assert (tokenizer["from"], tokenizer["to"], tokenizer["arms"]) == (0, 4, "all 2 arms")
    assert (tokenizer["trials"], tokenizer["saved"]) == (4, "1 min 30 s")
    lifters = by_stage["lifter"]
    assert [(one["from"], one["to"]) for one in lifters] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert [one["state"] for one in lifters] == ["there"] * 3 + ["missing"]
    assert lifters[2]["arms"] == "slow, seed 0"
    chart = sharing(drawn)
    assert chart is not None and chart.spec["encoding"]["x"]["sort"] == list(SECONDS)


def curve(arms: str, seed: int, length: int = 200) -> Curve:
    losses = [1.0 + seed + 1 / (step + 1) for step in range(length)]
    return Curve("lifter", arms, f"seed {seed}", range(1, length + 1), losses)


def test_curves_keep_their_ends_and_of_very_many_the_arms_mean_is_drawn() -> None:
    few = learning("lifter", [curve("base", 0)])
    assert few is not None
    (one,) = few.spec["data"]["values"]
    assert len(one["step"]) == len(one["value"]) == POINTS
    assert (one["step"][0], one["step"][-1], one["name"]) == (1, 200, "base, seed 0")
    arms = [f"arm {number}" for number in range(SINGLE)]
    many = learning("lifter", [curve(arm, seed) for arm in arms for seed in (0, 1)])
    assert many is not None
    drawn = many.spec["data"]["values"]
    assert [one["name"] for one in drawn] == arms
    assert drawn[0]["value"][0] == pytest.approx(2.5)
    assert learning("prior", [curve("base", 0)]) is None


def test_errors_on_samples_held_out_have_a_chart_and_a_unit_of_their_own() -> None:
    metric = next(one for one in PIPELINE["lifter"].metrics if one.name == "validation_mpjpe_mm")
    measured = Curve("lifter", "base", "seed 0", [20, 40], [90.0, 80.0])
    chart = validation("lifter", metric, [measured, replace(measured, steps=[], values=[])])
    assert chart is not None and chart.title == "On samples held out: lifter"
    assert chart.spec["encoding"]["y"]["title"] == "validation MPJPE, frame mean [mm]"
    (one,) = chart.spec["data"]["values"]
    assert (one["step"], one["value"]) == ([20, 40], [90.0, 80.0])
    assert validation("prior", metric, [measured]) is None


def test_a_validation_that_only_some_rows_tell_is_drawn_beside_the_loss(lab: Lab) -> None:
    """Of a lifter that measured none there is the loss alone."""
    finished = lab.finish(*lab.chains)
    first, second = (chain["lifter"] for chain in lab.chains[:2])
    rows: list[dict[str, float]] = [{"step": step, "loss": 1 / step} for step in (1, 2, 3, 4)]
    write_history(finished[second.key], rows)
    rows = [row | ({"validation_mpjpe_mm": 90.0 / row["step"]} if row["step"] % 2 == 0 else {})
            for row in rows]  # fmt: skip
    write_history(finished[first.key], rows)
    session = SimpleNamespace(distinct={first.key: first, second.key: second})
    found = _Found(cast(Session, session), finished, lab.users, pl.DataFrame())
    loss, held_out = _training(found, "lifter")
    assert [one["step"] for one in loss.spec["data"]["values"]] == [[1, 2, 3, 4]] * 2
    (drawn,) = held_out.spec["data"]["values"]
    assert (drawn["step"], drawn["value"]) == ([2, 4], [45.0, 22.5])
    assert drawn["name"] == "base, seed 0"


def write_history(artifact: Artifact, rows: Sequence[Mapping[str, float]]) -> None:
    artifact.path.chmod(0o755)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (artifact.path / "history.jsonl").write_text(text)


def test_a_loss_that_is_not_positive_has_no_logarithm() -> None:
    positive = learning("lifter", [curve("base", 0)])
    mixed = learning("lifter", [replace(curve("base", 0), values=[-1.0] * 200)])
    assert positive is not None and mixed is not None
    assert positive.spec["encoding"]["y"]["scale"] == {"type": "log"}
    assert mixed.spec["encoding"]["y"]["scale"] == {"zero": False}


def test_codebooks_that_a_tokenizer_lacks_are_not_drawn() -> None:
    only = {"sparse_usage_pct": 40.0, "sparse_perplexity": 9.0}
    chart = codebooks([("base", "seed 0", only)])
    assert chart is not None
    assert [one["codebook"] for one in chart.spec["data"]["values"]] == ["sparse"]
    assert codebooks([("base", "", {})]) is None
