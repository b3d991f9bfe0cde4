"""What nobody asks for is shown, and removed only when that is asked for."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hipart import cleaning, runner
from hipart.data.motion import motion_files
from hipart.experiment.errors import ExperimentError
from hipart.jobs import StageJob
from hipart.runtime import Runtime
from hipart.scheduling.beginning import Member, begin
from hipart.scheduling.journal import Journal
from hipart.search.session import open_search
from hipart.session import open_session
from hipart.store import Artifact, ArtifactStore
from hipart.store.leases import owner
from tests.test_cli import invoke, said

MINE = """\
kind: ablation
title: Two rates
design: one_at_a_time
factors:
  - {{name: rate, path: lifter.learning_rate, levels: [{rate}]}}
seeds: [0]
reseed: [lifter]
metric: {{stage: evaluate, name: mpjpe_mm}}
"""
BOUNDED = """\
kind: search
title: Flipped or not
space:
  - name: points
    levels:
      - {name: generated, set: {lifter.dense_input: generated}}
      - {name: exact, set: {lifter.dense_input: exact}}
  - name: flip
    levels:
      - {name: never, set: {evaluation.flip: false}}
      - {name: always, set: {evaluation.flip: true}}
objectives: [{stage: evaluate, name: mpjpe_mm}]
constraints: [{metric: latency_ms, at_most: 5}]
sampler: {kind: grid}
budget: {trials: 4}
reseed: [lifter]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder: an experiment of two arms, as if trained at smoke scale.

    Only that experiment is looked at: the packaged ones take seconds each time.
    """
    monkeypatch.setattr(cleaning, "available", lambda: experiments(tmp_path))
    (tmp_path / "experiments").mkdir()
    write(tmp_path, 0.025)
    train(tmp_path, at(tmp_path))
    return tmp_path


def train(folder: Path, runtime: Runtime) -> None:
    session = open_session(str(folder / "experiments/mine.yaml"), "smoke", None, runtime)
    session.store.prepare()
    for job in session.distinct.values():
        publish(session.store, job)


def publish(store: ArtifactStore, job: StageJob) -> None:
    with store.claim(job) as work:
        store.publish(job, work, {}, {"seconds": 1.0})


def artifacts(folder: Path) -> set[Artifact]:
    return set(ArtifactStore(at(folder).store).artifacts())


def experiments(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in (folder / "experiments").glob("*.yaml")}


def at(folder: Path) -> Runtime:
    return Runtime(folder / ".hipart")


def write(folder: Path, rate: float) -> None:
    (folder / "experiments/mine.yaml").write_text(MINE.format(rate=rate))


def own_motion(folder: Path) -> Path:
    """The packaged motion with one action called otherwise."""
    (arrays, description), (to_arrays, to_description) = motion_files(None), motion_files(folder)
    to_arrays.write_bytes(arrays.read_bytes())
    to_description.write_text(description.read_text().replace('"climb"', '"ascend"'))
    return folder


def kinds(folder: Path) -> list[str]:
    return sorted(one["kind"] for one in json.loads(said(folder, "clean --json")))


def test_what_an_experiment_asks_for_stays_and_what_it_asked_for_can_go(folder: Path) -> None:
    assert kinds(folder) == []
    assert "asked for by some experiment" in said(folder, "clean")
    write(folder, 0.035)
    assert kinds(folder) == ["evaluate", "lifter"]
    before = len(artifacts(folder))
    shown = said(folder, "clean")
    assert "hipart-search clean --free" in shown
    assert len(artifacts(folder)) == before
    assert "freed " in said(folder, "clean --free")
    assert len(artifacts(folder)) == before - 2
    assert kinds(folder) == []


def test_what_is_finished_while_it_looks_is_nobody_s_business(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a search that ran meanwhile, whose trials were not in its study yet."""
    monkeypatch.chdir(folder)
    (lifter, *_) = (at(folder).store / "lifter").iterdir()
    ask = cleaning._wanted

    def asked(runtime: Runtime) -> tuple[set[str], set[str], list[str]]:
        wanted = ask(runtime)
        shutil.copytree(lifter, lifter.with_name("0123456789abcdef"))
        return wanted

    before = cleaning.leftovers(at(folder)).found
    monkeypatch.setattr(cleaning, "_wanted", asked)
    assert cleaning.leftovers(at(folder)).found == before
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    shutil.rmtree(lifter.with_name("0123456789abcdef"))


def test_nothing_is_freed_where_there_is_no_store(folder: Path) -> None:
    assert "freed 0 B" in said(folder, "clean --free --workspace other")
    assert not (folder / "other").exists()


def test_what_cannot_be_removed_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here because it is no longer where it was found."""
    monkeypatch.chdir(folder)
    store = ArtifactStore(at(folder).store)
    for artifact in list(store.artifacts())[:2]:
        store.set_aside(artifact, "for a test")
    first, gone = cleaning.leftovers(at(folder)).found
    shutil.rmtree(gone.path)
    with pytest.raises(
        ValueError, match=r"cannot be removed \(No such file.*; freed \d"
    ) as refusal:
        cleaning.free([first, gone], at(folder))
    assert str(gone.path) in str(refusal.value)
    assert not first.path.exists()


def test_what_was_set_aside_or_begun_for_nobody_is_found(folder: Path) -> None:
    store = ArtifactStore(at(folder).store)
    artifact = next(store.artifacts())
    store.set_aside(artifact, "for a test")
    wanted = folder / f".hipart/store/.work/{artifact.stage}-{artifact.key}"
    unwanted = folder / ".hipart/store/.work/lifter-0123456789abcdef"
    for begun in (wanted, unwanted):
        begun.mkdir(exist_ok=True)
    assert kinds(folder) == ["begun", "damaged"]
    said(folder, "clean --free")
    assert (wanted.exists(), unwanted.exists()) == (True, False)


def test_a_command_runs_until_everything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "experiments").mkdir()
    write(tmp_path, 0.045)
    refused: list[str] = []
    written = runner._write

    def watched(*arguments: Any) -> None:
        refused.append(invoke(tmp_path, "clean --free").output)
        written(*arguments)

    monkeypatch.setattr(runner, "_write", watched)
    said(tmp_path, "run mine --scale smoke --executor inline")
    assert "mine is running in .hipart" in refused[0]
    said(tmp_path, "clean --free")


def test_nothing_is_removed_while_something_runs_or_where_others_may_need_it(folder: Path) -> None:
    write(folder, 0.035)
    journal = Journal(at(folder).journals, "mine", "smoke", 1, lambda _: None)
    refused = invoke(folder, "clean --free")
    assert refused.exit_code == 2
    assert "mine is running in .hipart" in refused.output
    assert kinds(folder) == ["evaluate", "lifter"]
    journal.end("finished")
    shared = invoke(folder, "clean --store .hipart/store")
    assert shared.exit_code == 2
    assert "others may ask for what it holds" in shared.output


def test_what_packaged_experiments_ask_for_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_session("codebook_ablation", "laptop", "textbook", at(folder))
    job = session.jobs[1]["tokenizer"]  # of an arm that is not the base
    publish(session.store, job)
    assert kinds(folder) == [job.stage]
    monkeypatch.undo()
    assert kinds(folder) == []


def test_an_experiment_that_does_not_fit_the_data_stops_no_cleaning(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Motion of one's own has no action of the packaged one, which an experiment leaves out."""
    motion = own_motion(tmp_path_factory.mktemp("motion"))
    text = MINE.format(rate=0.025).replace("design", "base: {data.leave_out: [climb]}\ndesign", 1)
    (folder / "experiments/mine.yaml").write_text(text)
    monkeypatch.chdir(folder)
    own = replace(at(folder), data=motion)
    with pytest.raises(ValueError, match="climb"):
        open_session(str(folder / "experiments/mine.yaml"), "smoke", None, own)
    left = cleaning.leftovers(own)
    assert (left.found, left.of_other_data) == ([], 7)


def test_what_was_trained_on_other_data_stays(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    motion = own_motion(tmp_path_factory.mktemp("motion"))
    own = replace(at(folder), data=motion)
    train(folder, own)
    write(folder, 0.035)
    before = artifacts(folder)
    told = "7 folders of other data stay; name their data with --data"
    assert f"{told}\n" in said(folder, "clean")
    shown = said(folder, f"clean --data {motion}")
    assert f"{told}, or nothing for the packaged motion\n" in shown
    assert f"hipart-search clean --data {motion} --free" in shown
    said(folder, f"clean --data {motion} --free")
    gone = before - artifacts(folder)
    assert {one.stage for one in gone} == {"lifter", "evaluate"}
    assert len(gone) == 2
    said(folder, "clean --free")
    assert len(artifacts(folder)) == len(before) - 4


@pytest.mark.parametrize("identity", ["{", "[]", "{}", '{"data": 1}'])
def test_an_artifact_of_which_nobody_can_tell_the_data_is_damaged(
    folder: Path, identity: str
) -> None:
    session = open_session(str(folder / "experiments/mine.yaml"), "smoke", None, at(folder))
    wanted, unwanted = (jobs["lifter"] for jobs in session.jobs)
    write(folder, 0.035)
    for job in (wanted, unwanted):
        (at(folder).store / "lifter" / job.key / "identity.json").write_text(identity)
    assert kinds(folder) == ["damaged", "evaluate"]
    assert "other data" not in said(folder, "clean --free")
    left = {artifact.key for artifact in artifacts(folder)}
    assert (wanted.key in left, unwanted.key in left) == (True, False)


def test_what_is_half_removed_is_no_artifact_and_goes_with_the_next_clean(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a version of before left it among artifacts."""
    write(folder, 0.035)
    earlier = at(folder).store / "lifter/.gone-0123456789abcdef"
    earlier.mkdir()

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(cleaning.shutil, "rmtree", killed)
        monkeypatch.chdir(folder)
        with pytest.raises(KeyboardInterrupt):
            cleaning.free(cleaning.leftovers(at(folder)).found, at(folder))
    assert len(artifacts(folder)) == 6
    said(folder, "plan experiments/mine.yaml --scale smoke")
    assert kinds(folder) == ["begun", "begun", "evaluate"]
    said(folder, "clean --free")
    assert kinds(folder) == []
    assert not list(at(folder).store.rglob(".gone-*"))


def test_what_was_begun_or_set_aside_of_other_data_stays(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As long as anything of other data is here, also what does not say of what data it is."""
    motion = own_motion(tmp_path_factory.mktemp("motion"))
    own = replace(at(folder), data=motion)
    session = open_session(str(folder / "experiments/mine.yaml"), "smoke", None, own)
    store, (job, other) = session.store, (jobs["lifter"] for jobs in session.jobs)
    publish(store, other)
    (artifact,) = (one for one in store.artifacts() if one.key == other.key)
    aside = store.set_aside(artifact, "for a test")
    assert aside is not None
    silent = store.root / ".work/lifter-0123456789abcdef"
    silent.mkdir()
    with store.claim(job) as begun:
        begin(Member(job, begun, lambda *_: None), store)
    shown = said(folder, "clean --free")
    assert "2 folders of other data stay" in shown
    assert "1 begun job does not say of what data" in shown
    assert (begun.exists(), aside.exists(), silent.exists()) == (True, True, True)
    write(folder, 0.035)
    said(folder, f"clean --data {motion} --free")
    assert (begun.exists(), aside.exists(), silent.exists()) == (True, False, True)
    (folder / "experiments/mine.yaml").rename(folder / "mine.yaml")
    said(folder, f"clean --data {motion} --free")
    assert begun.exists() is False
    said(folder, "clean --free")
    assert silent.exists() is False


def test_nothing_is_removed_while_a_job_is_done_for_another_workspace(folder: Path) -> None:
    write(folder, 0.035)
    store = ArtifactStore(at(folder).store)
    job = next(iter(store.artifacts()))
    with store.claim(StageJob(job.stage, "0123456789abcdef", "{}", {}, {})) as work:
        refused = invoke(folder, "clean --free")
        assert refused.exit_code == 2
        assert f"{job.stage}-0123456789abcdef: somebody is doing this job" in refused.output
        assert work.exists()
        assert len(artifacts(folder)) == 7
    (store.root / ".leases/lifter-0").write_text(json.dumps(owner() | {"pid": 0}))
    said(folder, "clean --free")  # of that one the process has ended
    assert len(artifacts(folder)) == 5


def test_an_experiment_that_cannot_be_had_at_one_scale_asks_for_nothing_there(
    folder: Path,
) -> None:
    mine = folder / "experiments/mine.yaml"
    for wrong in (
        "arms: [{name: deep, set: {prior.blocks: 12}}]\n",  # that many the paper's prior has
        "scales: {paper: {base: {prior.heads: 7}}}\n",
    ):
        write(folder, 0.025)
        mine.write_text(mine.read_text() + wrong)
        shown = said(folder, "clean")
        assert "mine at scale paper cannot be read" in shown
        assert "asked for by some experiment" in shown


def test_an_experiment_that_cannot_be_read_keeps_everything(folder: Path) -> None:
    write(folder, 0.035)
    (folder / "experiments/broken.yaml").write_text("kind: ablation\ntitle: [\n")
    refused = invoke(folder, "clean --free")
    assert refused.exit_code == 2
    assert "broken.yaml" in refused.output
    assert len(artifacts(folder)) == 7


def test_a_search_keeps_its_profiles_also_of_what_these_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The config forbids one point of it, and one breaks a measured bound."""
    monkeypatch.chdir(folder)
    (folder / "experiments/bounded.yaml").write_text(BOUNDED)
    session = open_search("experiments/bounded.yaml", "smoke", None, at(folder))
    study = session.open_study()
    forbidden = {"points": "exact", "flip": "always"}
    slow = {"points": "generated", "flip": "always"}
    for record in iter(study.draw, None):
        if record.point in (forbidden, slow):
            study.refused(record, "for a test")
        if record.point != forbidden:
            config = session.candidates.of(record.point).config
            for chain in session.candidates.chains(config, ("profile",)):
                if chain["profile"] not in session.store:
                    publish(session.store, chain["profile"])
    with pytest.raises(ExperimentError, match="flip needs dense points"):
        session.candidates.of(forbidden)
    assert cleaning.leftovers(at(folder)).found == []
    (folder / "experiments/bounded.yaml").unlink()
    assert {one.kind for one in cleaning.leftovers(at(folder)).found} == {"profile"}
