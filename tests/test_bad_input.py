"""Every kind of bad input is refused before anything is trained: exit code 2, and why."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hipart.cli import main
from hipart.store import FORMAT

GOOD = """\
kind: ablation
title: T
base:
  prior.order: raster
factors:
  - name: size
    path: tokenizer.sparse_codebook.size
    levels: [16]
metric: {stage: evaluate, name: mpjpe_mm}
design: one_at_a_time
seeds: [0]
"""
RUN = ["run", "mine.yaml", "--scale", "smoke", "--executor", "inline"]
Case = tuple[list[str], list[str]]


def written(old: str, new: str) -> Callable[[Path], list[str]]:
    """An experiment file with one mistake in it."""

    def prepare(folder: Path) -> list[str]:
        assert old in GOOD
        (folder / "mine.yaml").write_text(GOOD.replace(old, new))
        return RUN

    return prepare


def named_level(levels: str) -> Callable[[Path], list[str]]:
    plain = "    path: tokenizer.sparse_codebook.size\n    levels: [16]\n"
    return written(plain, f"    levels: [{levels}]\n")


def command(*arguments: str) -> Callable[[Path], list[str]]:
    def prepare(folder: Path) -> list[str]:
        (folder / "mine.yaml").write_text(GOOD)
        return list(arguments)

    return prepare


def motion(root: np.ndarray, rotations: np.ndarray) -> Callable[[Path], list[str]]:
    """A motion folder with one bad clip."""

    def prepare(folder: Path) -> list[str]:
        (folder / "mine.yaml").write_text(GOOD)
        clips = folder / "clips"
        clips.mkdir()
        packaged = Path(__file__).parent.parent / "hipart/data/open/motion.json"
        description = json.loads(packaged.read_text())
        clip = {"label": "walk", "cmu_subject": None, "frames": len(root)}
        description["clips"] = {"stroll": clip}
        (clips / "clips.json").write_text(json.dumps(description))
        np.savez(clips / "clips.npz", **{"stroll/root": root, "stroll/rot": rotations})
        return [*RUN, "--motion", "clips"]

    return prepare


def poses(shape: tuple[int, ...]) -> Callable[[Path], list[str]]:
    """A real bundle, and poses of a wrong shape."""

    def prepare(folder: Path) -> list[str]:
        (folder / "mine.yaml").write_text(GOOD)
        for step in (RUN, ["export", "mine.yaml", "--scale", "smoke", "--out", "best"]):
            done = CliRunner().invoke(main, step)
            assert done.exit_code == 0, done.output
        np.savez(folder / "poses.npz", poses=np.zeros(shape), image_size=np.array([1000, 1002]))
        return ["predict", "best", "--input", "poses.npz", "--out", "out.npz"]

    return prepare


def newer_store(folder: Path) -> list[str]:
    (folder / "mine.yaml").write_text(GOOD)
    store = folder / ".hipart" / "store"
    store.mkdir(parents=True)
    (store / "format.json").write_text(json.dumps({"format": FORMAT + 1}))
    return RUN


def store_not_writable(folder: Path) -> list[str]:
    (folder / "mine.yaml").write_text(GOOD)
    (folder / "taken").write_text("a file where the workspace should be")
    return [*RUN, "--workspace", "taken"]


ROOT = np.zeros((90, 3), np.float32)
ROTATIONS = np.zeros((90, 25, 3), np.float16)
NAN_ROOT = np.where(np.arange(90)[:, None] == 40, np.nan, ROOT).astype(np.float32)

CASES: dict[str, tuple[Callable[[Path], list[str]], list[str]]] = {
    "misspelt experiment": (
        command("run", "codebok_ablation"),
        ["codebok_ablation", "unknown experiment", "did you mean codebook_ablation?"],
    ),
    "misspelt path": (
        written("sparse_codebook.size", "sparse_codebok.size"),
        ["mine.yaml:7", "factors[0].path", "did you mean tokenizer.sparse_codebook.size?"],
    ),
    "wrong type": (
        written("levels: [16]", "levels: [16.5]"),
        ["mine.yaml", "tokenizer.sparse_codebook.size", "wrong type", "16.5", "whole number"],
    ),
    "out of range": (
        written("levels: [16]", "levels: [1]"),
        ["mine.yaml", "tokenizer.sparse_codebook.size", "out of range", "got 1", "at least 2"],
    ),
    "named level that changes nothing": (
        named_level("{name: same, set: {prior.order: raster}}"),
        ["mine.yaml", "size=same", "changes nothing", "raster"],
    ),
    "duplicate arm": (
        named_level("{name: a, set: {prior.epochs: 9}}, {name: b, set: {prior.epochs: 9}}"),
        ["mine.yaml", "size=b", "is the same as arm 'size=a'"],
    ),
    "steps beside epochs": (
        named_level("{name: a, set: {prior.epochs: 9, prior.steps: 100}}"),
        ["mine.yaml:7", "both are given, epochs and steps; give one of them", "prior"],
    ),
    "neither steps nor epochs": (
        written("prior.order: raster", "tokenizer.epochs: null"),
        ["mine.yaml:4", "tokenizer", "neither is given, epochs and steps; give one of them"],
    ),
    "decay over steps beside epochs": (
        written("prior.order: raster", "lifter.decay_epochs: 4\n  lifter.decay_steps: 100"),
        ["mine.yaml", "lifter", "both are given, decay_epochs and decay_steps"],
    ),
    "no step at all": (
        written("prior.order: raster", "prior.steps: 0"),
        ["mine.yaml:4", "prior.steps", "out of range", "got 0", "at least 1"],
    ),
    "misspelt coordinates": (
        written("prior.order: raster", "data.coordinates: bodi"),
        ["mine.yaml:4", "data.coordinates", "bodi", "body", "hip", "screen", "did you mean body?"],
    ),
    "misspelt decoding": (
        written("prior.order: raster", "densify.decode: meen"),
        ["mine.yaml:4", "densify.decode", "meen", "argmax", "did you mean mean?"],
    ),
    "misspelt setting of densify": (
        written("prior.order: raster", "densify.decod: mean"),
        ["mine.yaml:4", "densify.decod", "did you mean densify.decode?"],
    ),
    "tokens of which more than all are wrong": (
        written("prior.order: raster", "prior.token_corruption: 1.5"),
        ["mine.yaml:4", "prior.token_corruption", "out of range", "got 1.5"],
    ),
    "no share of labels": (
        written("prior.order: raster", "lifter.train_share: 0"),
        ["mine.yaml:4", "lifter.train_share", "out of range", "above 0"],
    ),
    "exact tokens of a pose that is made anew": (
        written("prior.order: raster", "densify.exact: tokens\n  evaluation.flip: true"),
        ["mine.yaml", "densify.exact tokens", "evaluation.flip", "set densify.exact to nothing"],
    ),
    "samples whose mean code is decoded": (
        written("prior.order: raster", "densify.samples: 8"),
        ["mine.yaml", "densify", "samples 8", "set decode to argmax"],
    ),
    "an arm whose settings nobody reads": (
        written("prior.order: raster", "lifter.dense_input: none"),
        [
            "would be arm 'base' again",
            "nothing that is measured depends on",
            "sparse_codebook.size",
            "leave it out",
        ],
    ),
    "a level that is not made": (
        written("prior.order: raster", "tokenizer.levels: [48]\n  lifter.levels: [96]"),
        ["mine.yaml", "lifter.levels has 96, and tokenizer.levels makes 48"],
    ),
    "labels of a single sample": (
        written("prior.order: raster", "lifter.train_share: 0.0001"),
        ["mine.yaml", "train_share 0.0001 of 256 samples", "fewer than two", "raise it"],
    ),
    "prior.decode, which is densify's": (
        written("prior.order: raster", "prior.decode: mean"),
        ["mine.yaml", "prior.decode: unknown path", "did you mean densify.decode?"],
    ),
    "one part of the training samples": (
        written("prior.order: raster", "densify.folds: 1"),
        ["mine.yaml:4", "densify.folds", "1 part would leave a prior nothing", "take 2 or more"],
    ),
    "more parts than clips": (
        written("prior.order: raster", "densify.folds: 17"),
        ["densify.folds", "256 training samples", "17 parts", "of 16", "take at most 16"],
    ),
    "a part that is not there": (
        written("prior.order: raster", "prior.fold: [3, 2]"),
        ["mine.yaml:4", "prior.fold", "[3, 2] is not [k, K]", "from 1"],
    ),
    "a part left out of the prior beside priors of parts": (
        written("prior.order: raster", "prior.fold: [1, 2]\n  densify.folds: 2"),
        ["mine.yaml", "densify.folds 2", "prior.fold [1, 2]", "set one of them to null"],
    ),
    "parts of which no prior generates any": (
        written("prior.order: raster", "densify.folds: 2\n  densify.exact: tokens"),
        ["mine.yaml:4", "densify.folds", "folds 2 and exact tokens", "set folds to null"],
    ),
    "misspelt head": (
        written("prior.order: raster", "prior.head: one_pass"),
        ["mine.yaml:4", "prior.head", "two_pass", "did you mean one_pass_prev?"],
    ),
    "misspelt input of the action head": (
        written("prior.order: raster", "tokenizer.action_input: dense_upsampled"),
        ["mine.yaml:4", "tokenizer.action_input", "did you mean dense_and_upsampled?"],
    ),
    "misspelt alignment": (
        written("prior.order: raster", "tokenizer.alignment: symetric"),
        ["mine.yaml:4", "tokenizer.alignment", "one_way", "did you mean symmetric?"],
    ),
    "a head in one pass where tokens come one by one": (
        written(
            "prior.order: raster", "prior.head: one_pass_prev\n  prior.within_part: sequential"
        ),
        ["mine.yaml:4", "prior.head", "one after the other", "set head to two_pass"],
    ),
    "name of a lifter that is not there": (
        named_level("{name: transformer, set: {lifter.epochs: 9}}"),
        ["mine.yaml", "factors.size.levels.transformer", "lifter.model.kind mlp", '"MLP"?'],
    ),
    "unknown metric": (
        written("name: mpjpe_mm", "name: mpjpe"),
        ["mine.yaml", "metric.name", "unknown metric", "mpjpe", "did you mean mpjpe_mm?"],
    ),
    "duplicate YAML key": (
        written("title: T\n", "title: T\ntitle: U\n"),
        ["mine.yaml:3", "duplicate key", "title"],
    ),
    "1e-4 as a string": (
        written("  prior.order: raster\n", '  prior.learning_rate: "1e-4"\n'),
        ["mine.yaml:4", "prior.learning_rate", '"1e-4"', "without quotes: 0.0001"],
    ),
    "impossible resource fraction": (
        command("run", "mine.yaml", "--scale", "smoke", "--cpus-per-job", "4096"),
        ["4096 CPU", "largest node has", "lower --cpus-per-job"],
    ),
    "empty motion clip": (
        motion(ROOT[:0], ROTATIONS[:0]),
        ["clips.json", "stroll", "frames"],
    ),
    "NaN in a motion clip": (
        motion(NAN_ROOT, ROTATIONS),
        ["clips.npz", "clip 'stroll'", "root has a nan", "frame 40"],
    ),
    "wrong input shape to predict": (
        poses((5, 16, 2)),
        ["poses.npz", "poses", "(5, 16, 2)", "17"],
    ),
    "a store written by a newer version": (
        newer_store,
        [".hipart/store/format.json", f"format {FORMAT + 1}", "newer version"],
    ),
    "a store folder that cannot be written": (
        store_not_writable,
        ["taken/store", "cannot be written", "--workspace"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_is_refused_with_the_reason(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    prepare, expected = CASES[name]
    arguments = prepare(tmp_path)
    before = sorted(tmp_path.glob(".hipart/store/*/*"))
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2, result.output
    said = result.output.lower()
    assert said.startswith("error: ")
    for part in expected:
        assert part.lower() in said, f"{part!r} is not in: {result.output}"
    assert sorted(tmp_path.glob(".hipart/store/*/*")) == before, "something was trained"


def test_the_file_without_the_mistakes_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(GOOD)
    result = CliRunner().invoke(main, ["plan", "mine.yaml", "--scale", "smoke"])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("number", ["nan", "inf"])
@pytest.mark.parametrize(
    "line",
    [
        "run codebook_ablation --cpus-per-job",
        "run codebook_ablation --gpus-per-job",
        "run lifter_search --simulate --device-hours",
        "data get cmu --subjects 1 --timeout",
        "data import amc . --rate",
    ],
)
def test_a_number_that_is_none_is_refused(line: str, number: str) -> None:
    result = CliRunner().invoke(main, [*line.split(), number])
    assert result.exit_code == 2, result.output
    option = line.rsplit(maxsplit=1)[-1]
    assert f"Invalid value for '{option}': " in result.stderr
    assert number in result.stderr
