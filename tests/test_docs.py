"""What README and docs say: references are current, links lead somewhere, commands are ones."""

import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
import reference

from hipart.cli import main
from hipart.data.corpus import load_corpus
from hipart.experiment.file import base_at_scale
from tests.test_cli import invoke, said

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("dashboards/*.md")])
SHELL = re.compile(r"^```(?:sh|bash)\n(.*?)^```", re.DOTALL | re.MULTILINE)
EXPERIMENT = re.compile(r"^```yaml\n(kind: (?:ablation|search)\n.*?)^```", re.DOTALL | re.MULTILINE)
#: Words of docs that stand for something of the reader's.
READERS = {"HEAD:6379": "127.0.0.1:6379"}


@pytest.mark.parametrize("name", ["configuration", "commands"])
def test_references_are_what_the_code_says(name: str) -> None:
    written = (ROOT / f"docs/{name}.md").read_text()
    assert written == getattr(reference, name)(), "run: python tools/reference.py"


def test_a_setting_has_its_meaning_its_default_and_its_scales() -> None:
    text = reference.configuration()
    row = next(line for line in text.splitlines() if line.startswith("| `temperature`"))
    assert row.endswith("| tau, Eq. 3. |")
    assert "| a number above 0 and at most 10 | `0.07` |" in row
    assert "## `tokenizer.sparse_codebook`" in text


def commands(page: Path) -> Iterator[list[str]]:
    """The words of every ``hipart-search`` command in a page's blocks of shell."""
    for block in SHELL.findall(page.read_text()):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if "hipart-search" in words:
                yield [
                    READERS.get(word, word) for word in words[words.index("hipart-search") + 1 :]
                ]


def parsed(words: list[str]) -> click.Context:
    """The context of a command as it would be invoked; raises what click does of a wrong one."""
    command: click.Command = main
    while isinstance(command, click.Group) and words:
        found = command.commands.get(words[0])
        if found is None:
            raise click.UsageError(f"no command {words[0]}")
        command, words = found, words[1:]
    return command.make_context(command.name or "", words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_is_one(page: Path) -> None:
    wrong = []
    for words in commands(page):
        ended = [at for at, word in enumerate(words) if word in ("&&", "|", ">", "&", ";")]
        try:
            parsed(words[: ended[0]] if ended else words)
        except click.UsageError as error:
            wrong.append((" ".join(words), error.format_message()))
    assert wrong == []


def test_there_are_commands_to_look_at() -> None:
    assert sum(len(list(commands(page))) for page in PAGES) > 30
    with pytest.raises(click.UsageError):
        parsed(["run", "codebook_ablation", "--scael", "smoke"])


EXPERIMENTS = [
    pytest.param(block, id=page.name)
    for page in PAGES
    for block in EXPERIMENT.findall(page.read_text())
]


@pytest.mark.parametrize("block", EXPERIMENTS)
def test_every_experiment_can_be_planned(block: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(block)
    planned = said(tmp_path, "plan mine.yaml --json")
    assert json.loads(planned)["work_s"] > 0


@pytest.mark.slow
def test_the_readme_s_ten_minutes_run_from_top_to_bottom(tmp_path: Path) -> None:
    """At smoke scale; pages that are served are left out, and keys are those that are there."""
    corpus = load_corpus(*(getattr(base_at_scale("smoke"), name) for name in ("data", "detector")))
    poses = corpus.test.detected_2d[:3]
    np.savez(tmp_path / "poses.npz", poses=poses, image_size=np.array(corpus.image_size))
    said(tmp_path, "run codebook_ablation --scale smoke --executor inline")
    keys = [f"tokenizer/{one}" for one in os.listdir(tmp_path / ".hipart/store/tokenizer")]
    done = []
    for words in commands(ROOT / "README.md"):
        if words[0] in ("ui", "watch", "completion") or "--suite" in words and words[0] == "run":
            continue
        # A user's own data: tests/test_licensed.py.
        if any(word.endswith(".yaml") or word in ("mine", "DIR", "--data") for word in words):
            continue
        line = ["explain", *keys[:2]] if words[0] == "explain" else list(words)
        options = {name for one in parsed(line).command.params for name in one.opts}
        if "--scale" in options and "--scale" not in line:
            line += ["--scale", "smoke"]
        if words[0] == "run":
            line += ["--executor", "inline"]
            line += ["--trials", "2"] if "search" in line[1] and "--simulate" not in line else []
        result = invoke(tmp_path, shlex.join(line))
        assert result.exit_code == 0, f"{line}: {result.output}"
        done.append(words[0])
    assert {"list", "show", "plan", "run", "table", "report", "export", "predict"} <= set(done)
    assert (tmp_path / "out.npz").exists()
