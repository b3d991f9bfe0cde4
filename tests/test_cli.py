"""The commands as a user types them, on one workspace, in the README's order."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result

from hipart.cli import main
from hipart.data.corpus import load_corpus
from hipart.experiment.file import base_at_scale
from hipart.metrics import action_mean, mpjpe, per_action
from hipart.tracking import serve
from tests.environment import unmeasured

SECRET = "a-secret-of-the-environment"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder in which codebook_ablation has run at smoke scale."""
    folder = tmp_path_factory.mktemp("user")
    os.environ["AWS_SECRET_ACCESS_KEY"] = SECRET
    try:
        done = invoke(folder, "run codebook_ablation --scale smoke --executor inline")
    finally:
        del os.environ["AWS_SECRET_ACCESS_KEY"]
    assert done.exit_code == 0, done.output
    (folder / "first.txt").write_text(done.output)
    return folder


def invoke(folder: Path, line: str) -> Result:
    here = Path.cwd()
    os.chdir(folder)
    try:
        return CliRunner().invoke(main, line.split())
    finally:
        os.chdir(here)


def said(folder: Path, line: str) -> str:
    result = invoke(folder, line)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_run_ends_with_its_table_its_files_and_what_to_do_next(folder: Path) -> None:
    output = (folder / "first.txt").read_text()
    assert "trained 46 now, reused 0" in output
    assert "SIMULATED" in output
    for name in ("table.csv", "table.md", "table.tex", "table.json"):
        assert f"wrote results/codebook_ablation/{name}" in output
    for name in ("codebook_ablation", "codebook_ablation_schedule"):
        assert (folder / f"results/codebook_ablation/figures/{name}.png").exists()
    assert "hipart-search ui" in output
    assert "\x1b" not in output


def test_secrets_of_the_environment_are_written_nowhere(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.name == "provenance.json" for path in files)
    assert any(path.name == "mlflow.db" for path in files)
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


def test_the_same_again_trains_nothing_and_writes_the_same_bytes(folder: Path) -> None:
    table = folder / "results/codebook_ablation/table.csv"
    before = table.read_bytes()
    output = said(folder, "run codebook_ablation --scale smoke")
    assert "trained 0 now, reused 46" in output
    assert table.read_bytes() == before
    rows = pl.read_csv(table)
    assert rows["arm"][0] == "base"
    assert rows["n"].to_list() == [2] * 5
    assert rows["mpjpe_mm_mean"].is_finite().all()


MIDST = """\
kind: ablation
title: A column of a stage in the midst
design: one_at_a_time
factors:
  - {name: rate, path: lifter.learning_rate, levels: [0.002]}
seeds: [0]
reseed: [lifter]
metric: {stage: evaluate, name: mpjpe_mm}
also:
  - {stage: densify, name: fine_error_px}
"""


@pytest.mark.parametrize("harm", ["gone", "damaged"])
def test_what_a_column_reports_is_made_again_though_all_after_it_is_there(
    folder: Path, tmp_path: Path, harm: str
) -> None:
    """A reported stage in the midst of a trial: its number would be missing for good."""
    folder = shutil.copytree(folder, tmp_path / "copy")
    (folder / "experiments").mkdir()
    (folder / "experiments/midst.yaml").write_text(MIDST)
    said(folder, "run midst --scale smoke --executor inline")
    table = folder / "results/midst/table.csv"
    before = table.read_bytes()
    for artifact in (folder / ".hipart/store/densify").iterdir():
        if harm == "gone":
            shutil.rmtree(artifact)
        else:
            (artifact / "metrics.json").write_text("")
    output = said(folder, "run midst --scale smoke --executor inline")
    assert "trained 1 now" in output
    assert table.read_bytes() == before


def test_another_experiment_trains_no_tokenizer_again(folder: Path) -> None:
    """Acceptance 4: an order ablation finds the tokenizers, and the plan says so before."""
    plan = said(folder, "plan order_ablation --scale smoke")
    row = next(line.split() for line in plan.splitlines() if line.startswith("tokenizer"))
    assert row[1:5] == ["4", "2", "2", "0"]
    output = said(folder, "run order_ablation --scale smoke --executor inline")
    assert not re.search(r"tokenizer \w+ started", output)
    assert "trained 8 now" in output


def test_plan_of_a_finished_run_has_nothing_to_do(folder: Path) -> None:
    assert "Nothing to train" in said(folder, "plan codebook_ablation --scale smoke")


def test_a_plan_says_whether_anything_is_shared_and_a_run_what_shows_it(folder: Path) -> None:
    assert "times fewer" in said(folder, "plan order_ablation --scale smoke")
    plan = " ".join(said(folder, "plan codebook_ablation").split())
    assert "15 trials ask for 57 stage jobs, of which 57 are distinct: nothing is asked" in plan
    assert "hipart-search plan order_ablation --scale smoke" in (folder / "first.txt").read_text()


def test_a_table_of_nothing_says_at_which_scale_there_is_something(folder: Path) -> None:
    told = "No trial is finished at scale laptop, but at --scale smoke."
    assert told in said(folder, "table codebook_ablation")
    assert "No trial is finished" not in said(folder, "table codebook_ablation --scale smoke")


def test_plan_estimates_from_what_was_measured(folder: Path) -> None:
    (folder / "more.yaml").write_text(
        "kind: ablation\ntitle: More seeds\ndesign: one_at_a_time\nfactors:\n"
        "  - {name: d, path: prior.lambda_dense, levels: [2.0]}\n"
        "seeds: [5, 6]\nmetric: {stage: evaluate, name: mpjpe_mm}\n"
    )
    output = said(folder, "plan more.yaml --scale smoke --workers 2")
    assert re.search(r"About .* of work, .* on 2 workers; from \d+ finished jobs", output)


def test_list_and_show(folder: Path) -> None:
    listed = said(folder, "list")
    assert "codebook_ablation" in listed and "order_ablation" in listed and "Fig. 5" in listed
    shown = said(folder, "show codebook_ablation --scale paper")
    assert "tokenizer.sparse_codebook.size" in shown
    assert "seeds 0, 1, 2, 3, 4 reach tokenizer, prior, regressor, lifter" in shown
    rows = {line.rsplit(None, 2)[0]: line.split()[-2:] for line in shown.splitlines() if line}
    assert rows["lifter"] == ["913,827", "913,827"], "0.9 M"
    assert rows["inference total"] == ["2,005,431", "5,137,847"], "budget: the paper's 2.0 M"
    assert rows["total without action head"] == ["2,379,959", "6,359,223"], "budget: 2.4 M"


@pytest.mark.parametrize(
    ("form", "mark"),
    [
        ("terminal", "MPJPE"),
        ("markdown", "| MPJPE"),
        ("latex", "\\toprule"),
        ("csv", "mpjpe_mm_mean"),
    ],
)
def test_table_from_the_store_in_every_form(folder: Path, form: str, mark: str) -> None:
    assert mark in said(folder, f"table codebook_ablation --scale smoke --format {form}")


def test_the_report_is_written_with_a_run_and_anew_from_the_store(folder: Path) -> None:
    page = folder / "results/codebook_ablation/report.html"
    assert "wrote results/codebook_ablation/report.html" in (folder / "first.txt").read_text()
    poses = re.search(r'id="pose-data">(.*?)</script>', page.read_text(), re.DOTALL)
    assert poses is not None
    arms = json.loads(poses[1])["arms"]
    assert [len(arm["samples"]) for arm in arms] == [6] * 5, "three arms and two controls"
    sample = arms[0]["samples"][0]
    assert [len(sample[name]) for name in ("joints", "lifted", "truth")] == [17, 17, 17]
    assert {name: len(points) for name, points in sample["levels"].items()} == {
        "dense": 48,
        "fine": 96,
    }
    said(folder, "report codebook_ablation --scale smoke --out mine/page.html")
    texts = [one.read_text() for one in (page, folder / "mine/page.html")]
    one, other = (re.sub(r"trained \d+ now, reused \d+", "", text) for text in texts)
    assert one == other
    output = said(folder, "report --all --scale smoke")
    assert output.splitlines()[-1] == "wrote results/index.html"
    index = (folder / "results/index.html").read_text()
    assert 'href="codebook_ablation/report.html"' in index
    assert "main_results" not in index
    for wrong in ("report", "report codebook_ablation --all", "report --all --out one.html"):
        refused = invoke(folder, wrong)
        assert refused.exit_code == 2
        assert "name an experiment" in refused.output


def test_a_run_that_has_ended_says_so_to_whom_it_is_to(folder: Path) -> None:
    told = folder / "told.json"
    (folder / "tell.sh").write_text(f"#!/bin/sh\ncat > {told}")
    (folder / "tell.sh").chmod(0o755)
    said(folder, "run codebook_ablation --scale smoke --executor inline --notify ./tell.sh")
    assert json.loads(told.read_text())["state"] == "finished"


def test_shells_complete_commands_and_experiments(folder: Path) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert "_HIPART_SEARCH_COMPLETE" in said(folder, f"completion {shell}")
    asked = {"_HIPART_SEARCH_COMPLETE": "bash_complete", "COMP_CWORD": "2"}
    found = subprocess.run(
        [Path(sys.executable).parent / "hipart-search"],
        env=unmeasured() | asked | {"COMP_WORDS": "hipart-search run codebook_a"},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert found == "plain,codebook_ablation\n"


READING = {
    "list": ["experiments", "suites"],
    "show codebook_ablation --scale smoke": ["name", "base", "arms", "seeds", "metric"],
    "show lifter_search --scale smoke": ["name", "base", "dimensions", "objectives", "budget"],
    "plan codebook_ablation --scale smoke": ["trials", "stages", "to_train", "work_s", "wait_s"],
    "plan lifter_search --scale smoke": ["simulated", "trials", "stages", "work_s", "wait_s"],
    "plan --suite paper --scale smoke": ["trials", "stages", "to_train", "work_s", "wait_s"],
    "table codebook_ablation --scale smoke": ["arms", "metrics", "footer"],
    "schedule codebook_ablation --scale smoke": ["began", "host", "pid", "stage", "seconds"],
    "data info": ["fingerprint", "samples", "licence"],
    "doctor": ["what", "found", "problem"],
    "status": ["experiment", "state", "done"],
    "clean": [],
}


@pytest.mark.parametrize("line", READING)
def test_what_only_reads_also_speaks_to_programs(folder: Path, line: str) -> None:
    found = json.loads(said(folder, f"{line} --json"))
    for one in found if isinstance(found, list) else [found]:
        assert set(READING[line]) <= set(one)
    if "codebook_ablation" in line and line.startswith("plan"):
        assert (found["to_train"], found["stages"]["tokenizer"]["distinct"]) == (0, 6)


def test_every_command_that_only_reads_has_json() -> None:
    writing = {
        "run",
        "report",
        "fidelity",
        "export",
        "predict",
        "preview",
        "import",
        "prepare",
        "get",
    }
    others = {"ui", "watch", "completion"}
    commands = dict(main.commands)
    for group in ("data", "cluster"):
        members = commands.pop(group)
        assert isinstance(members, click.Group)
        commands |= members.commands
    reading = {
        name for name, one in commands.items() if any("--json" in p.opts for p in one.params)
    }
    assert reading == set(commands) - writing - others


def test_schedule_says_which_machine_did_what(folder: Path) -> None:
    output = said(folder, "schedule codebook_ablation --scale smoke")
    head, row, *rest = output.strip().splitlines()
    wrote = [line for line in rest if line.startswith("wrote")]
    assert head.split() == ["host", "device", "workers", "worked", "jobs"]
    assert row.split()[:3] == [platform.node(), "cpu", "1"]
    assert "6 tokenizer, 6 prior" in output
    assert [line.rpartition("_")[2] for line in wrote] == ["schedule.svg", "schedule.png"]
    nothing = invoke(folder, "schedule codebook_ablation --scale paper")
    assert nothing.exit_code == 2
    assert "nothing is finished at this scale yet" in nothing.output


def test_explain_names_what_differs(folder: Path) -> None:
    tokenizers = sorted((folder / ".hipart/store/tokenizer").iterdir())
    identities = {
        path.name: json.loads((path / "identity.json").read_text()) for path in tokenizers
    }
    seeds: dict[str, list[str]] = {}
    for name, identity in identities.items():
        config = json.dumps({**identity["config"]["tokenizer"], "seed": None}, sort_keys=True)
        seeds.setdefault(config, []).append(name)
    one, two = next(names for names in seeds.values() if len(names) == 2)
    output = said(folder, f"explain {one} tokenizer/{two[:6]}")
    assert "tokenizer.seed" in output
    assert len(output.strip().splitlines()) == 2
    assert "same identity" in said(folder, f"explain {one} {one}")


def test_a_bundle_reproduces_the_tables_number(folder: Path) -> None:
    """Acceptance 9, in this environment; test_export does it without ray, mlflow and optuna."""
    output = said(folder, "export codebook_ablation --scale smoke --best mpjpe_mm --out best")
    assert "wrote best" in output
    lineage = json.loads((folder / "best/lineage.json").read_text())
    config = base_at_scale("smoke")
    corpus = load_corpus(config.data, config.detector)
    np.savez(folder / "poses.npz", poses=corpus.test.detected_2d, image_size=corpus.image_size)
    said(folder, "predict best --input poses.npz --out out.npz")
    import torch

    lifted = torch.as_tensor(np.load(folder / "out.npz")["pose_3d_mm"]).double() / 1000
    errors = mpjpe(lifted, torch.as_tensor(corpus.test.target_3d).double() / 1000)
    actions = per_action(errors, torch.as_tensor(corpus.test.action).long(), corpus.action_names)
    stored = lineage["stages"]["evaluate"]["metrics"]["mpjpe_mm"]
    assert action_mean(actions) == pytest.approx(stored, abs=1e-3)


def test_an_arm_is_exported_by_its_name(folder: Path) -> None:
    export = ["export", "codebook_ablation", "--scale", "smoke", "--out", str(folder / "one")]
    place = ["--workspace", str(folder / ".hipart")]
    done = CliRunner().invoke(main, [*export, *place, "--arm", "17 joints alone"])
    assert done.exit_code == 0, done.output
    assert "arm 17 joints alone, seed" in done.output and "the best of its arm" in done.output
    assert "it sees 17 joints alone: predicts no dense points" in done.output
    refused = CliRunner().invoke(main, [*export, *place, "--arm", "17 joint alone"])
    assert refused.exit_code == 2
    assert "unknown arm '17 joint alone' (did you mean 17 joints alone?)" in refused.output


def test_data_info_and_preview(folder: Path) -> None:
    info = said(folder, "data info --scale smoke")
    assert "fingerprint" in info and "walk" in info
    said(folder, "data preview --scale smoke --out preview.png")
    assert (folder / "preview.png").read_bytes()[:4] == b"\x89PNG"


def test_doctor_finds_this_machine_well(folder: Path) -> None:
    output = said(folder, "doctor")
    for what in ("cores", "GPUs", "torch", "open corpus", "writable"):
        assert what in output


def test_doctor_says_what_is_wrong(folder: Path) -> None:
    (folder / "taken").write_text("")
    result = invoke(folder, "doctor --workspace taken")
    assert result.exit_code == 1
    assert "cannot be written" in " ".join(result.output.split())


def test_ui_serves_this_machine_only(folder: Path, tmp_path: Path) -> None:
    from hipart.runtime import Runtime

    command = serve(Runtime(tmp_path), 5055)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert "5055" in command


@pytest.mark.parametrize(
    ("line", "unwanted"),
    [
        ("--help", {"torch", "ray", "mlflow", "polars", "rich", "numpy", "pydantic"}),
        ("plan codebook_ablation", {"torch", "ray", "mlflow", "polars", "scipy"}),
    ],
)
def test_reading_commands_import_nothing_heavy(line: str, unwanted: set[str]) -> None:
    code = (
        "import sys\nfrom hipart.cli import main\n"
        f"main({line.split()!r}, standalone_mode=False)\n"
        f"print(sorted(set({sorted(unwanted)!r}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
