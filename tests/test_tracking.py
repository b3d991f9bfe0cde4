"""The mirror in MLflow: one run per trial and per job, whatever happened on the way."""

import json
import re
import shutil
import threading
import time
from queue import SimpleQueue
from types import SimpleNamespace

import pytest

from hipart.config import LifterConfig, PipelineConfig
from hipart.experiment.design import Arm, Trial
from hipart.experiment.form import Source
from hipart.jobs import jobs
from hipart.runtime import Runtime
from hipart.scheduling.events import (
    JobFailed,
    JobFinished,
    JobProgress,
    JobReused,
    JobStarted,
    JobWaiting,
)
from hipart.session import Session
from hipart.store import ArtifactStore
from hipart.tracking import MlflowMirror, server
from hipart.tracking.mirror import ProcessLine
from hipart.tracking.notes import parent_note, trial_note
from hipart.tracking.process import serve
from hipart.tracking.records import STAMP_TAG, TAG_LENGTH
from hipart.tracking.runs import RunBook

DATA = "feedbeef"
HELD_OUT = "validation_mpjpe_mm"
STEPS = 600  # of the tokenizer, times two metrics: more than MLflow takes in one call


class ThreadLine:
    """The mirror's process as a thread of this one: what it imports is imported once."""

    def __init__(self):
        self.inbox, self.answers = SimpleQueue(), []
        self.thread = threading.Thread(target=serve, args=(self.inbox, self.answers.append))
        self.thread.start()

    def send(self, message):
        self.inbox.put(message)

    def close(self, timeout_s):
        self.inbox.put(None)
        self.thread.join(timeout_s)
        return self.answers


class Lab:
    """Two trials that share everything but the lifter, in a workspace of their own."""

    def __init__(self, folder):
        self.runtime = Runtime(folder)
        self.store = ArtifactStore(self.runtime.store)
        self.store.prepare()
        self.warnings = []
        metric = SimpleNamespace(stage="evaluate", name="mpjpe_mm", goal="min")
        self.ablation = SimpleNamespace(
            name="lifter_ablation", title="Lifters", scale="smoke", preset="budget",
            source=Source(paper="HiPART", place="Fig. 5"), metric=metric,
            also=(), reseed=("lifter",),
        )  # fmt: skip
        faster = PipelineConfig(lifter=LifterConfig(learning_rate=0.01))
        changes = {"lifter.learning_rate": 0.01}
        arms = [
            Arm("base", {}, None, PipelineConfig()),
            Arm("rate=0.01", changes, None, faster, (("rate", "0.01"),)),
        ]
        self.trials = [Trial(arm, 0, arm.config) for arm in arms]
        self.jobs = [jobs(trial.config, DATA) for trial in self.trials]
        self.distinct = {job.key: job for chain in self.jobs for job in chain.values()}

    def mirror(self, line=None):
        session = Session(
            self.ablation, self.runtime, self.store, DATA, list(self.trials), list(self.jobs)
        )
        return MlflowMirror([session], self.warnings.append, line or ThreadLine())

    def train(self, job, started="2026-01-02T03:04:05+00:00", error=40.0):
        metrics = {"mpjpe_mm": error, "mpjpe_mm/Sitting Down": error + 1, "odd(name)": 1.0}
        with self.store.claim(job) as work:
            steps = STEPS if job.stage == "tokenizer" else 5
            rows = [{"step": step, "loss": 1 / step, "rate": 0.1} for step in range(1, steps + 1)]
            if job.stage == "lifter":  # which validates at some rows alone
                rows = [row | {HELD_OUT: 80.0 + row["step"]} if row["step"] % 2 == 0 else row
                        for row in rows]  # fmt: skip
            text = "".join(json.dumps(row) + "\n" for row in rows)
            if job.stage != "evaluate":
                (work / "history.jsonl").write_text(text)
            provenance = {"started_at": started, "seconds": 60.0, "commit": "abc", "host": "h"}
            self.store.publish(job, work, metrics, provenance)
        return JobFinished(job, metrics, 60.0)

    def run(self, mirror, only=None):
        for job in only or self.distinct.values():
            if job in self.store:
                mirror(JobReused(job))
                continue
            mirror(JobWaiting(job))
            mirror(JobStarted(job, "worker 0"))
            mirror(JobProgress(job, 1, 2, {"loss": 1.0}))
            mirror(self.train(job))

    @property
    def client(self):
        from mlflow import MlflowClient

        return MlflowClient(f"sqlite:///{self.runtime.tracking_database.absolute()}")

    def runs(self, experiment):
        """Active runs of an experiment by name; a name that occurs twice is an error.

        Of the name of a stage run what stands before its users.
        """
        client = self.client
        found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
        cut = " · " if experiment == "stages" else "\n"
        named = {run.info.run_name.partition(cut)[0]: run for run in found}
        assert len(named) == len(found)
        return named

    def states(self, experiment):
        return {name: run.info.status for name, run in self.runs(experiment).items()}


PARENT = "lifter_ablation · smoke"
TRIALS = {"base, seed 0", "rate 0.01, seed 0"}


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    """A database without runs: MLflow takes seconds to make one."""
    folder = tmp_path_factory.mktemp("blank")
    RunBook(folder / "mlflow.db", folder / "mlartifacts")
    return folder / "mlflow.db"


@pytest.fixture
def lab(tmp_path, blank):
    shutil.copy(blank, tmp_path / "mlflow.db")
    return Lab(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, blank):
    """A whole run, with a table attached."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copy(blank, folder / "mlflow.db")
    lab = Lab(folder)
    mirror = lab.mirror()
    lab.run(mirror)
    table = lab.runtime.workspace / "table.md"
    table.write_text("| 1 |\n")
    (lab.runtime.workspace / "table.csv").write_text('arm,mpjpe_mm_mean\n"a, b",1.5\nc,\n')
    mirror.finish([table, lab.runtime.workspace / "table.csv"])
    assert lab.warnings == []
    return lab


def snapshot(lab):
    return {
        name: {run.info.run_id: (dict(run.info), run.data.to_dictionary()) for run in runs.values()}
        for name in ("lifter_ablation", "stages")
        for runs in [lab.runs(name)]
    }


def test_one_run_per_trial_and_per_distinct_job(finished):
    assert finished.states("lifter_ablation") == dict.fromkeys({PARENT, *TRIALS}, "FINISHED")
    expected = {f"{job.stage} {job.key[:8]}" for job in finished.distinct.values()}
    assert len(expected) == 7
    assert finished.states("stages") == dict.fromkeys(expected, "FINISHED")


def test_what_a_trial_says(finished):
    runs = finished.runs("lifter_ablation")
    run = runs["rate 0.01, seed 0"]
    data = run.data
    assert data.tags["mlflow.parentRunId"] == runs[PARENT].info.run_id
    named = {
        "kind": "trial", "experiment": "lifter_ablation", "arm": "rate=0.01", "factor": "rate",
        "level": "0.01", "seed": "0", "scale": "smoke", "commit": "abc", "data": DATA,
        "reused": "none", "changes": '{"lifter.learning_rate":0.01}',
        "mlflow.source.name": "hipart-search run lifter_ablation --scale smoke",
        "mlflow.source.git.commit": "abc",
    }  # fmt: skip
    assert named.items() <= data.tags.items()
    assert data.tags["lifter_key"] == finished.jobs[1]["lifter"].key
    assert data.params["lifter.learning_rate"] == "0.01"
    assert data.params["tokenizer.sparse_codebook.size"] == "2048"
    assert "tokenizer.seed" in data.params and "lifter.seed" not in data.params
    assert data.metrics["evaluate/mpjpe_mm/Sitting Down"] == 41.0
    assert data.metrics["mpjpe_mm"] == data.metrics["evaluate/mpjpe_mm"] == 40.0
    assert data.metrics["seconds"] == 60.0 * len(finished.jobs[1])
    assert data.metrics["tokenizer/odd_name_"] == 1.0
    assert {(one.dataset.name, one.dataset.digest) for one in run.inputs.dataset_inputs} == {
        ("open · train", DATA),
        ("open · test", DATA),
    }
    note = data.tags["mlflow.note.content"]
    assert "lifter.learning\\_rate: 0.01" in note and finished.jobs[1]["lifter"].name in note


def test_trials_that_are_compared_differ_in_what_was_varied(finished):
    first, second = (run.data.params for run in finished.runs("lifter_ablation").values()
                     if run.data.params)  # fmt: skip
    assert {name for name in first if first[name] != second[name]} == {
        "arm",
        "lifter.learning_rate",
    }


def test_what_a_stage_run_says_of_those_who_use_it(finished):
    runs = finished.runs("stages")
    shared, own = (
        runs[f"{job.stage} {job.key[:8]}"]
        for job in (finished.jobs[1]["tokenizer"], finished.jobs[1]["lifter"])
    )
    assert shared.info.run_name.endswith(" · base, seed 0 and 1 more")
    assert own.info.run_name.endswith(" · rate 0.01, seed 0")
    assert shared.data.tags["used_by.lifter_ablation"] == "base, seed 0; rate 0.01, seed 0"
    assert own.data.tags["used_by.lifter_ablation"] == "rate 0.01, seed 0"
    assert own.data.tags["kind"] == "stage"


def test_what_the_parent_and_its_experiment_say(finished):
    parent = finished.runs("lifter_ablation")[PARENT]
    note = parent.data.tags["mlflow.note.content"]
    assert note.startswith("**Lifters (after HiPART, Fig. 5)**")
    assert "2 trials of 2 arms" in note and "\n| 1 |\n" in note
    assert "\nhipart-search run lifter_ablation --scale smoke --preset budget  #" in note
    assert parent.data.tags["kind"] == "experiment"
    experiment = finished.client.get_experiment_by_name("lifter_ablation")
    assert experiment.tags["mlflow.note.content"] == "Lifters (after HiPART, Fig. 5)"
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    [logged] = json.loads(parent.data.tags["mlflow.loggedArtifacts"])
    assert logged == {"path": "arms.json", "type": "table"}
    file = next((finished.runtime.workspace / "mlartifacts").rglob("arms.json"))
    told = {"columns": ["arm", "mpjpe_mm_mean"], "data": [["a, b", 1.5], ["c", ""]]}
    assert json.loads(file.read_text()) == told


def test_a_description_escapes_names_and_keeps_to_what_mlflow_keeps():
    title = "<b>`x`</b> | [a](b) *c*"
    metric = SimpleNamespace(stage="evaluate", name="mpjpe_mm")
    ablation = SimpleNamespace(
        name="a `b`; rm c", title=title, source=None, scale="smoke", preset="budget", metric=metric
    )
    arm = Arm("x=`1` <i>", {"lifter.model": "|`" * TAG_LENGTH}, None, PipelineConfig())
    trial = Trial(arm, 0, arm.config)
    table = "\n".join([*(f"| row {number} |" for number in range(1000)), "* a note"])
    for rows in (table, table[:99], ""):
        note = parent_note(ablation, [trial], rows)
        assert len(note) <= TAG_LENGTH
        assert title not in note
        assert note.startswith("**\\<b\\>\\`x\\`\\</b\\> \\| [a\\](b) \\*c\\***")
        assert "\nhipart-search run 'a `b`; rm c' --scale smoke" in note
        assert note.count("```") == 2
    assert "The rest is in `table.md`" in parent_note(ablation, [trial], table)
    assert "row 20 |" in parent_note(ablation, [trial], table)
    told = trial_note(ablation, trial, jobs(arm.config, DATA))
    assert len(told) <= TAG_LENGTH and "<i>" not in told.replace("\\<i\\>", "")


def test_history_is_logged_once_with_its_steps(finished):
    job = finished.jobs[0]["tokenizer"]
    run = finished.runs("stages")[f"tokenizer {job.key[:8]}"]
    history = finished.client.get_metric_history(run.info.run_id, "loss")
    assert [point.step for point in history] == list(range(1, STEPS + 1))
    assert history[-1].value == 1 / STEPS
    assert history[-1].timestamp - history[0].timestamp == 60_000 * (STEPS - 1) // STEPS
    assert run.data.metrics["tokenizer/mpjpe_mm"] == 40.0
    assert run.info.end_time == 1767323045000 + 60_000
    assert (run.data.tags["key"], run.data.tags["stage"]) == (job.key, "tokenizer")
    assert run.data.params["config.tokenizer.width"] == "128"


def test_what_only_some_rows_of_a_history_have_is_logged_at_their_steps(finished):
    job = finished.jobs[0]["lifter"]
    run = finished.runs("stages")[f"lifter {job.key[:8]}"]
    history = finished.client.get_metric_history(run.info.run_id, HELD_OUT)
    assert [(point.step, point.value) for point in history] == [(2, 82.0), (4, 84.0)]
    losses = finished.client.get_metric_history(run.info.run_id, "loss")
    assert [point.step for point in losses] == [1, 2, 3, 4, 5]


def test_files_lie_at_the_parent_and_are_replaced(finished):
    before = snapshot(finished)
    table = finished.runtime.workspace / "table.md"
    table.write_text("| 2 |")
    mirror = finished.mirror()
    finished.run(mirror)
    mirror.finish([table])
    parent = finished.runs("lifter_ablation")[PARENT]
    files = finished.client.list_artifacts(parent.info.run_id)
    assert [file.path for file in files] == ["arms.json", "table.csv", "table.md"]
    copy = next((finished.runtime.workspace / "mlartifacts").rglob("table.md"))
    assert copy.read_text() == "| 2 |"
    after = snapshot(finished)
    notes = []
    for moment in (before, after):
        facts, data = moment["lifter_ablation"][parent.info.run_id]
        facts.pop("end_time")
        notes.append(data["tags"].pop("mlflow.note.content"))
    assert before == after
    assert "| 2 |" in notes[1] and notes[0].replace("| 1 |", "| 2 |") == notes[1]
    assert finished.warnings == []


def test_what_a_killed_command_left_is_taken_up(lab):
    killed = lab.mirror()
    chain = list(lab.jobs[0].values())
    lab.run(killed, chain[:2])  # likely before MLflow is open: still not reused
    killed(JobStarted(chain[2], "worker 0"))
    killed.close()  # as after kill -9: nothing was ended
    assert lab.states("lifter_ablation") == {
        PARENT: "RUNNING", "base, seed 0": "RUNNING", "rate 0.01, seed 0": "RUNNING",
    }  # fmt: skip
    assert lab.states("stages")[f"densify {chain[2].key[:8]}"] == "RUNNING"
    lab.train(chain[2])  # finished by a worker after its driver had died
    mirror = lab.mirror()
    lab.run(mirror)
    mirror.finish()
    assert set(lab.states("lifter_ablation").values()) == {"FINISHED"}
    states = lab.states("stages")
    assert (len(states), set(states.values())) == (7, {"FINISHED"})
    assert lab.runs("lifter_ablation")["base, seed 0"].data.tags["reused"] == "none"


def test_a_killed_mirror_logs_no_history_twice(lab, monkeypatch):
    import mlflow

    job = lab.jobs[0]["tokenizer"]
    finished = lab.train(job)
    log_batch = mlflow.MlflowClient.log_batch

    def cut_off(client, run_id, metrics=(), params=(), tags=()):
        stamped = any(tag.key == STAMP_TAG for tag in tags)
        log_batch(client, run_id, metrics, params, [] if stamped else tags)
        if stamped:
            raise ConnectionError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "log_batch", cut_off)
        mirror = lab.mirror()
        mirror(finished)
        mirror.close()
    assert len(lab.warnings) == 1 and "the power went" in lab.warnings[0]
    mirror = lab.mirror()
    mirror.close()
    run = lab.runs("stages")[f"tokenizer {job.key[:8]}"]
    assert run.info.status == "FINISHED"
    history = lab.client.get_metric_history(run.info.run_id, "loss")
    assert [point.step for point in history] == list(range(1, STEPS + 1))


def test_a_job_trained_anew_replaces_its_run(lab):
    job = lab.jobs[0]["tokenizer"]
    lab.train(job)
    lab.mirror().close()
    shutil.rmtree(lab.store.find(job.stage, job.key).path)
    mirror = lab.mirror()
    mirror(JobStarted(job, "worker 0"))
    mirror(lab.train(job, started="2026-02-02T00:00:00+00:00", error=39.0))
    mirror.close()
    run = lab.runs("stages")[f"tokenizer {job.key[:8]}"]
    assert run.data.metrics["tokenizer/mpjpe_mm"] == 39.0
    assert len(lab.client.get_metric_history(run.info.run_id, "loss")) == STEPS


def test_a_failure_shows_and_is_healed_by_the_next_run(lab):
    mirror = lab.mirror()
    base, faster = lab.jobs
    lab.run(mirror, base.values())
    mirror(JobStarted(faster["lifter"], "worker 0"))
    mirror(JobFailed(faster["lifter"], "CUDA out of memory"))
    mirror(JobFailed(faster["evaluate"], "needs lifter, which failed"))
    mirror.finish()
    assert lab.states("lifter_ablation") == {
        PARENT: "FINISHED", "base, seed 0": "FINISHED", "rate 0.01, seed 0": "FAILED",
    }  # fmt: skip
    run = lab.runs("stages")[f"lifter {faster['lifter'].key[:8]}"]
    assert (run.info.status, run.data.tags["error"]) == ("FAILED", "CUDA out of memory")
    trial = lab.runs("lifter_ablation")["rate 0.01, seed 0"]
    assert trial.data.tags["error"] == "CUDA out of memory"
    mirror = lab.mirror()
    lab.run(mirror)
    mirror.finish()
    assert set(lab.states("lifter_ablation").values()) == {"FINISHED"}
    assert set(lab.states("stages").values()) == {"FINISHED"}
    assert "error" not in lab.runs("lifter_ablation")["rate 0.01, seed 0"].data.tags


def test_a_trial_is_finished_with_its_final_jobs(lab):
    base, faster = lab.jobs
    for job in lab.distinct.values():
        if job not in (base["densify"], faster["evaluate"]):
            lab.train(job)
    lab.mirror().finish()
    states = lab.states("lifter_ablation")
    assert states["base, seed 0"] == "FINISHED" != states["rate 0.01, seed 0"]


def test_a_finished_run_keeps_the_numbers_of_a_stage_that_was_lost(lab):
    for job in lab.distinct.values():
        lab.train(job)
    lab.mirror().finish()
    whole = lab.runs("lifter_ablation")["base, seed 0"]
    assert "densify/mpjpe_mm" in whole.data.metrics
    shutil.rmtree(lab.store.root / "densify" / lab.jobs[0]["densify"].key)
    lab.mirror().finish()
    assert set(lab.states("lifter_ablation").values()) == {"FINISHED"}
    again = lab.runs("lifter_ablation")["base, seed 0"]
    assert (again.info.run_id, again.data.metrics) == (whole.info.run_id, whole.data.metrics)


def test_stopping_kills_what_is_open(lab):
    mirror = lab.mirror()
    lab.run(mirror, [lab.jobs[0]["tokenizer"]])
    mirror(JobStarted(lab.jobs[0]["prior"], "worker 0"))
    mirror.abort()
    assert set(lab.states("lifter_ablation").values()) == {"KILLED"}
    assert set(lab.states("stages").values()) == {"FINISHED", "KILLED"}


def test_a_trial_drawn_later_gets_its_run(lab):
    lab.train(lab.jobs[1]["tokenizer"])
    second = lab.trials.pop(), lab.jobs.pop()
    mirror = lab.mirror()
    mirror.add(*second)
    mirror.close()
    assert lab.states("lifter_ablation") == dict.fromkeys(TRIALS, "SCHEDULED") | {PARENT: "RUNNING"}
    runs = lab.runs("lifter_ablation")
    assert runs["rate 0.01, seed 0"].data.tags["reused"] == "tokenizer"
    assert runs[PARENT].data.tags["trials"] == "2"


def test_a_trial_that_was_stopped_ends_with_what_it_was_judged_by(lab):
    trial, chain = lab.trials.pop(), lab.jobs.pop()
    reached = jobs(PipelineConfig(lifter=LifterConfig(learning_rate=0.01, epochs=2)), DATA)
    mirror = lab.mirror()
    mirror.add(trial, chain)
    lab.run(mirror, [*lab.jobs[0].values(), reached["lifter"], reached["evaluate"]])
    mirror.add(trial, chain, reached, "after 2 of 5 epochs")
    mirror.finish()
    assert lab.states("lifter_ablation") == dict.fromkeys({PARENT, *TRIALS}, "FINISHED")


def test_a_database_whose_making_was_interrupted_is_made_anew(tmp_path):
    lab = Lab(tmp_path)
    half = lab.runtime.workspace / ".mlflow-new"
    half.mkdir()
    (half / "mlflow.db").write_text("half a database")
    lab.mirror().close()
    assert lab.warnings == []
    assert set(lab.states("lifter_ablation")) == {PARENT, *TRIALS}
    assert not half.exists()


def test_errors_of_mlflow_are_told_once_and_stop_nothing(tmp_path):
    lab = Lab(tmp_path)
    lab.runtime.tracking_database.write_text("no database")
    mirror = lab.mirror()
    lab.run(mirror)
    mirror.finish([tmp_path / "absent.md"])
    assert len(lab.warnings) == 1
    assert "MLflow could not be written" in lab.warnings[0]


def test_the_server_listens_to_this_machine_alone(tmp_path):
    command = server.serve(Runtime(tmp_path), 5123)
    options = dict(zip(command[4::2], command[5::2], strict=True))
    assert options["--host"] == "127.0.0.1"
    assert options["--allowed-hosts"] == "localhost:5123,127.0.0.1:5123"
    assert options["--backend-store-uri"] == f"sqlite:///{tmp_path / 'mlflow.db'}"


def test_the_mirrors_own_process_gives_an_account(lab):
    mirror = lab.mirror(ProcessLine())
    lab.run(mirror)
    account = mirror.finish()
    assert lab.warnings == []
    assert re.fullmatch(
        r"MLflow: 10 runs, \d+\.\d s of computing; waited for \d+\.\d s at the end", account
    )
    assert lab.states("lifter_ablation") == dict.fromkeys({PARENT, *TRIALS}, "FINISHED")
    assert set(lab.states("stages").values()) == {"FINISHED"}


def test_a_mirror_whose_process_dies_says_so_and_holds_nobody_up(lab):
    line = ProcessLine()
    mirror = lab.mirror(line)
    while line._process is None:
        time.sleep(0.01)
    line._process.kill()
    lab.run(mirror)
    mirror.finish()
    assert len(lab.warnings) == 1
    assert "its process ended with status -9" in lab.warnings[0]


def test_two_experiments_share_the_runs_of_their_jobs(lab):
    other = SimpleNamespace(**{**vars(lab.ablation), "name": "other"})
    sessions = [
        Session(ablation, lab.runtime, lab.store, DATA, [trial], [chain])
        for ablation, trial, chain in zip((lab.ablation, other), lab.trials, lab.jobs, strict=True)
    ]
    mirror = MlflowMirror(sessions, lab.warnings.append, ThreadLine())
    lab.run(mirror)
    mirror.finish()
    assert lab.states("lifter_ablation") == {PARENT: "FINISHED", "base, seed 0": "FINISHED"}
    assert set(lab.states("other").values()) == {"FINISHED"}
    assert len(lab.states("stages")) == 7
    assert lab.warnings == []
