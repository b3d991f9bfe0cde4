"""The commands on a search as a user types them, on one workspace."""

import csv
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from hipart.experiment.file import find
from hipart.runtime import Runtime
from hipart.search.session import open_search
from hipart.store.leases import owner
from hipart.watching import watch
from tests.test_cli import invoke, said
from tests.test_crash import mlflow_runs

RUN = "run lifter_search --scale smoke --executor inline"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder in which five trials of lifter_search were made at smoke scale."""
    folder = tmp_path_factory.mktemp("searcher")
    (folder / "first.txt").write_text(said(folder, f"{RUN} --trials 5"))
    return folder


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "results/lifter_search/trials.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_search_ends_with_table_trials_figures_and_what_to_do_next(folder: Path) -> None:
    output = " ".join((folder / "first.txt").read_text().split())
    assert "Search: 5 trials by tpe, seed 0: 5 measured in full." in output
    assert "the test split was measured for the base and the winners only" in output
    assert "The search ended: 5 trials were made." in output
    for name in ("table.csv", "table.md", "table.tex", "table.json", "trials.csv"):
        assert (folder / "results/lifter_search" / name).exists()
    for name in ("history", "schedule"):
        assert (folder / f"results/lifter_search/figures/lifter_search_{name}.png").exists()
    assert "hipart-search ui --optuna" in output


def test_tokenizer_and_prior_are_trained_once_and_test_is_asked_for_winner_and_base(
    folder: Path,
) -> None:
    store = folder / ".hipart/store"
    assert [len(list((store / name).iterdir())) for name in ("tokenizer", "prior", "densify")] == [
        1, 1, 1,
    ]  # fmt: skip
    splits = [
        json.loads(path.read_text())["config"].get("evaluation", {}).get("split", "test")
        for path in store.glob("evaluate/*/identity.json")
    ]
    assert splits.count("validation") == 5
    assert splits.count("test") in (1, 2)  # the base may be the winner
    table = pl.read_csv(folder / "results/lifter_search/table.csv")
    tested = table.filter(pl.col("test_mpjpe_mm_mean").is_not_null())["arm"].to_list()
    ranked = table.sort("mpjpe_mm_mean")["arm"].to_list()
    assert set(tested) == {"base", ranked[0]}


def test_the_first_trial_is_the_base(folder: Path) -> None:
    first = rows_of(folder)[0]
    assert (first["lifter"], first["mlp width"], first["batch size"]) == ("mlp", "32", "64")
    assert first["state"] == "complete"


@pytest.mark.parametrize("damaged", ["metrics.json", "checksums.json"])
def test_a_trial_s_damaged_numbers_are_set_aside_and_measured_again(
    folder: Path, damaged: str
) -> None:
    table = (folder / "results/lifter_search/table.csv").read_bytes()
    evaluated = sorted((folder / ".hipart/store/evaluate").iterdir())
    metrics = [(path / "metrics.json").read_bytes() for path in evaluated]
    broken = evaluated[1] / damaged
    broken.write_bytes(broken.read_bytes()[:-3])
    again = " ".join(said(folder, f"{RUN} --trials 5").split())
    assert f"evaluate/{evaluated[1].name[:8]}: {damaged}" in again
    assert "it is done again where it is needed" in again
    assert "trained 1 now" in again
    assert [(path / "metrics.json").read_bytes() for path in evaluated] == metrics
    assert (folder / "results/lifter_search/table.csv").read_bytes() == table


def test_what_a_column_reports_is_made_again_though_all_after_it_is_there(tmp_path: Path) -> None:
    """``quick_search`` has a column of tokenizers, which nothing needs any more."""
    command = "run quick_search --scale smoke --executor inline --trials 2"
    said(tmp_path, command)
    table = tmp_path / "results/quick_search/table.csv"
    before = table.read_bytes()
    assert pl.read_csv(table)["dense_reconstruction_px_mean"].is_finite().all()
    shutil.rmtree(tmp_path / ".hipart/store/tokenizer")
    said(tmp_path, command)
    assert table.read_bytes() == before


def test_the_same_command_trains_nothing_and_more_trials_go_on(folder: Path) -> None:
    first = " ".join((folder / "first.txt").read_text().split())
    count = first.partition(" stage jobs: trained ")[0].split()[-1]
    assert f"{count} stage jobs: trained {count} now, reused 0." in first
    figures = folder / "results/lifter_search/figures"
    schedule = (figures / "lifter_search_schedule.png").read_bytes()
    again = " ".join(said(folder, f"{RUN} --trials 5").split())
    assert f"{count} stage jobs: trained 0 now, reused {count}." in again
    assert (figures / "lifter_search_schedule.png").read_bytes() == schedule
    before = rows_of(folder)
    more = " ".join(said(folder, f"{RUN} --trials 7").split())
    assert "Search: 7 trials" in more
    assert rows_of(folder)[:5] == before
    runs = [name for name, _ in mlflow_runs(folder) if name.startswith("trial:")]
    assert len(runs) == len(set(runs)) == 7
    assert {status for _, status in mlflow_runs(folder)} == {"FINISHED"}


@pytest.mark.parametrize("form", ["terminal", "markdown", "latex", "csv", "json"])
def test_the_table_is_there_in_every_form(folder: Path, form: str) -> None:
    output = said(folder, f"table lifter_search --scale smoke --format {form}")
    assert "trial" in output
    assert "base" in output


def test_who_reads_leaves_the_study_as_it_is(folder: Path) -> None:
    study = folder / ".hipart/optuna.db"
    before = study.read_bytes()
    (folder / ".hipart/store/evaluate/0123456789abcdef").mkdir()  # of which nothing can be read
    for command in ("table", "report", "watch", "export"):
        out = " --out looked" if command == "export" else ""
        said(folder, f"{command} lifter_search --scale smoke{out}")
    (folder / ".hipart/store/evaluate/0123456789abcdef").rmdir()
    assert study.read_bytes() == before


def test_who_looks_sees_the_same_trials_until_the_search_goes_on(
    folder: Path, tmp_path: Path
) -> None:
    """Also where another search has measured more of the space meanwhile."""
    mine, look = tmp_path / "mine", "table lifter_search --scale smoke --format csv"
    shutil.copytree(folder, mine)
    before = said(mine, look)
    text = find("lifter_search").read_text()
    (mine / "other.yaml").write_text(text.replace("seed: 0", "seed: 1"))
    output = said(mine, f"{RUN.replace('lifter_search', 'other.yaml')} --trials 2")
    assert "2 trials were made" in output
    assert said(mine, look) == before


def test_watching_a_search_whose_file_was_changed_says_so(folder: Path) -> None:
    session = open_search("lifter_search", "smoke", None, Runtime(folder / ".hipart"))
    assert session.is_begun
    other = session.search.model_copy(update={"title": "changed", "seeds": (5,)})
    changed = replace(session, search=other)
    assert not changed.is_begun
    drawn = io.StringIO()
    watch(changed, Console(file=drawn, force_terminal=True, width=200))
    assert "the search in the file is another one" in drawn.getvalue()


@pytest.mark.parametrize("lost", [("lifter", "evaluate"), ("densify",)])
def test_what_is_lost_of_a_winner_is_measured_on_test_again_in_one_run(
    folder: Path, tmp_path: Path, lost: tuple[str, ...]
) -> None:
    """Its models and both its measurements; or its test measurement with a stage far above."""
    mine = shutil.copytree(folder, tmp_path / "mine")
    table = (mine / "results/lifter_search/table.csv").read_bytes()
    for stage in lost:
        shutil.rmtree(mine / ".hipart/store" / stage)
    for identity in (mine / ".hipart/store").glob("evaluate/*/identity.json"):
        if json.loads(identity.read_text())["config"].get("evaluation", {}).get("split") is None:
            shutil.rmtree(identity.parent)
    said(mine, f"{RUN} --trials 5")
    assert (mine / "results/lifter_search/table.csv").read_bytes() == table


def test_a_base_that_breaks_a_bound_is_never_trained(tmp_path: Path) -> None:
    (tmp_path / "bounded.yaml").write_text(
        "kind: search\ntitle: Bounded\nbudget: {trials: 2}\nseeds: [0]\n"
        "space: [{name: width, path: lifter.model.width, levels: [32, 64]}]\n"
        "constraints: [{metric: parameters_m, at_most: 1.0e-6}]\n"
        "objectives: [{stage: evaluate, name: mpjpe_mm}]\n"
    )
    output = said(tmp_path, "run bounded.yaml --scale smoke --executor inline")
    assert "every point of the space is known, 2 of them refused" in " ".join(output.split())
    assert not list((tmp_path / ".hipart/store").glob("*/*/metrics.json"))


def test_what_was_done_before_the_time_was_over_is_counted_and_drawn(tmp_path: Path) -> None:
    line = "run quick_search --scale smoke --executor inline --time 0.1s"
    told = " ".join(said(tmp_path, line).split())
    assert "1 stage jobs: trained 1 now, reused 0." in told
    assert "The search ended: its 0.1 s are over. 1 trial is unfinished" in told
    assert "training; nothing was measured on the test split." in told
    assert (tmp_path / "results/quick_search/figures/quick_search_schedule.png").exists()


def test_a_base_outside_the_space_is_not_trained_for_nothing_after_the_time(tmp_path: Path) -> None:
    (tmp_path / "outside.yaml").write_text(
        "kind: search\ntitle: Outside\nbudget: {trials: 1}\nseeds: [0]\n"
        "space: [{name: width, path: lifter.model.width, levels: [48, 64]}]\n"
        "objectives: [{stage: evaluate, name: mpjpe_mm}]\n"
    )
    line = "run outside.yaml --scale smoke --executor inline"
    said(tmp_path, f"{line} --time 0.1s")
    found = list((tmp_path / ".hipart/store").glob("*/*/metrics.json"))
    assert len(found) == 1
    said(tmp_path, line)
    told = " ".join(said(tmp_path, line).split())
    assert "measured for the base and the winners only, after the end." in told


def test_a_second_command_on_a_search_is_refused_while_the_first_one_lives(tmp_path: Path) -> None:
    session = open_search("lifter_search", "smoke", None, Runtime(tmp_path / ".hipart"))
    with session.alone():
        refused = invoke(tmp_path, f"{RUN} --trials 2")
    assert refused.exit_code == 2
    assert "lifter_search is already being searched in .hipart" in refused.output
    assert f"process {os.getpid()} on " in refused.output
    assert "`hipart-search watch lifter_search --scale smoke` follows it" in refused.output
    assert not (tmp_path / ".hipart/optuna.db").exists()
    assert list(session.runtime.journals.iterdir()) == []


def test_a_killed_command_s_search_goes_on_at_once(tmp_path: Path) -> None:
    session = open_search("lifter_search", "smoke", None, Runtime(tmp_path / ".hipart"))
    with session.alone():
        (lease,) = session.runtime.journals.iterdir()
        assert len(lease.name) < 40  # whatever the search is called
    record = session.open_study().draw(session.base.point)
    assert record is not None
    lease.write_text(json.dumps(owner() | {"pid": 0}))
    assert "Search: 1 trials" in said(tmp_path, f"{RUN} --trials 1")
    assert not lease.exists()


def test_winners_of_an_earlier_end_are_said_to_be_measured_on_test(tmp_path: Path) -> None:
    (tmp_path / "rates.yaml").write_text(
        "kind: search\ntitle: T\nsampler: {kind: grid}\nbudget: {trials: 1}\nseeds: [0]\n"
        "objectives: [{stage: evaluate, name: mpjpe_mm}]\n"
        "base: {lifter.dense_input: none}\n"
        "space: [{name: rate, path: lifter.learning_rate, levels: [1.0e-6, 0.004]}]\n"
    )
    line = "run rates.yaml --scale smoke --executor inline"
    first, second = (" ".join(said(tmp_path, f"{line} --trials {n}").split()) for n in (1, 2))
    assert "measured for the base and the winners only, after the end." in first
    assert (
        "measured for the base and the winners, after the end; 1 more was best at an earlier end"
        in second
    )


def test_the_best_bundle_predicts(folder: Path) -> None:
    said(folder, "export lifter_search --scale smoke --out best")
    assert "arm base, seed" in said(
        folder, "export lifter_search --scale smoke --out one --arm base"
    )
    poses = np.random.default_rng(0).uniform(100, 900, (3, 17, 2)).astype(np.float32)
    np.savez(folder / "poses.npz", poses=poses, image_size=np.array([1000, 1000]))
    assert "3 poses" in said(folder, "predict best --input poses.npz --out out.npz")
    assert "validation" in (folder / "best/README.md").read_text()


def test_show_and_plan_tell_the_space_and_its_cost(folder: Path) -> None:
    shown = said(folder, "show lifter_search --scale smoke")
    for word in ("exists where", "transformer blocks", "by its logarithm", "evaluation.split"):
        assert word in shown
    planned = said(folder, "plan lifter_search --scale smoke")
    assert "12 trials" in planned
    assert "simulated" in planned


def test_a_plan_says_of_what_it_knows_no_duration(folder: Path) -> None:
    (folder / "bounded.yaml").write_text(
        "kind: search\ntitle: Bounded\nuse: [lifter]\nbudget: {trials: 4}\n"
        "constraints: [{metric: latency_ms, at_most: 1000}]\n"
        "objectives: [{stage: evaluate, name: mpjpe_mm}]\nseeds: [0]\n"
    )
    found = json.loads(said(folder, "plan bounded.yaml --scale smoke --json"))
    assert found["assumed"] == {"profile": 60.0}
    assert found["stages"]["profile"] > 0
    planned = said(folder, "plan bounded.yaml --scale smoke")
    assert "No profile like these was measured yet: 60 s were assumed for each." in planned
    assert "assumed" not in said(folder, "plan lifter_search --scale smoke")


def test_a_simulation_writes_nothing(tmp_path: Path) -> None:
    output = said(tmp_path, "run full_search --scale smoke --simulate")
    assert output.startswith("SIMULATED: made-up values.")
    assert list(tmp_path.iterdir()) == []


def test_a_simulation_file_says_what_there_is_to_find(tmp_path: Path) -> None:
    (tmp_path / "land.yaml").write_text(
        "value: 40\neffects: {lifter: {levels: {mlp: 9}}}\nseconds: {lifter: 600}\n"
    )
    command = "run lifter_search --scale smoke --simulate land.yaml"
    assert "40" in said(tmp_path, command)
    (tmp_path / "land.yaml").write_text("effects: {lifterr: {levels: {mlp: 9}}}\n")
    refused = invoke(tmp_path, command)
    assert refused.exit_code == 2
    assert "land.yaml:1: at effects.lifterr: unknown dimension" in refused.output
    assert "did you mean lifter?" in refused.output


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("run codebook_ablation --scale smoke --trials 3", "are for searches"),
        ("run lifter_search --time soon", "write 90s, 10m or 2h"),
        ("run lifter_search --trials 0", "--trials"),
        ("table quick_search --scale smoke", "was not run in this workspace"),
        ("ui --optuna", "no search was run in this workspace"),
        ("fidelity --suite lifter_search", "lifter_search"),
        ("run lifter_serch", "did you mean lifter_search?"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_trained(
    tmp_path: Path, line: str, said: str
) -> None:
    refused = invoke(tmp_path, line)
    assert refused.exit_code == 2
    assert said in refused.output
    assert not (tmp_path / ".hipart").exists()


@pytest.mark.slow
def test_optunas_dashboard_serves_the_study(folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "hipart.cli", "ui", "--optuna", "--port", str(port)]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                url = f"http://127.0.0.1:{port}/api/studies"
                with urllib.request.urlopen(url, timeout=5) as answer:
                    studies = json.load(answer)["study_summaries"]
                break
            except OSError:
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.2)
    finally:
        process.terminate()
        process.communicate()
    assert [one["study_name"].startswith("lifter_search-smoke-") for one in studies] == [True]
