"""A damaged artifact is set aside and its job done again; what needs it waits."""

from pathlib import Path

import pytest

from hipart.config import PipelineConfig, PriorConfig
from hipart.data.corpus import fingerprint
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.jobs import StageJob, jobs
from hipart.runtime import Runtime
from hipart.scheduling import upstream
from hipart.scheduling.events import Event, JobFailed, JobFinished, JobRepeated
from hipart.scheduling.executor import Workplace
from hipart.scheduling.graph import StageGraph
from hipart.scheduling.inline import InlineExecutor
from hipart.scheduling.plan import make_plan
from hipart.stages.context import StageContext
from hipart.store import Artifact, ArtifactStore

BASE = base_at_scale("smoke")
DATA = fingerprint(BASE.data)
RASTER = BASE.model_copy(
    update={"prior": PriorConfig(**{**BASE.prior.model_dump(), "order": "raster"})}
)


class Lab:
    """A store, and trials that run on idle stages, which read nothing and write a file."""

    def __init__(self, folder: Path) -> None:
        self.runtime = Runtime(folder)
        self.store = ArtifactStore(self.runtime.store)
        self.store.prepare()
        self.events: list[Event] = []

    def run(self, *configs: PipelineConfig) -> StageGraph:
        upstream._whole.clear()  # as in a process that has just begun
        self.events.clear()
        workplace = Workplace.of(self.runtime, "benchmarks.idle_stages")
        graph = StageGraph(
            self.store, InlineExecutor(workplace, self.events.append), self.events.append
        )
        for config in configs:
            graph.ensure(jobs(config, DATA))
        graph.run()
        return graph

    def artifact(self, job: StageJob) -> Artifact:
        found = self.store.find(job.stage, job.key)
        assert found is not None
        return found

    def of(self, kind: type) -> list[str]:
        return [event.job.stage for event in self.events if isinstance(event, kind)]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    lab = Lab(tmp_path)
    lab.run(BASE)
    return lab


def damage(artifact: Artifact, how: str) -> None:
    file = artifact.path / "provenance.json"
    match how:
        case "cut":
            file.write_bytes(file.read_bytes()[:-3])
        case "flipped":
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 1
            file.write_bytes(content)
        case "gone":
            file.unlink()


def test_an_artifact_as_it_was_written_is_whole(lab: Lab) -> None:
    assert [one.damage() for one in lab.store.artifacts()] == [None] * 5


@pytest.mark.parametrize("how", ["cut", "flipped", "gone"])
def test_what_a_new_job_stands_on_is_checked_set_aside_and_done_again(lab: Lab, how: str) -> None:
    tokenizer = jobs(BASE, DATA)["tokenizer"]
    damage(lab.artifact(tokenizer), how)
    why = lab.artifact(tokenizer).damage()
    assert why is not None
    assert why.startswith("provenance.json ")
    graph = lab.run(RASTER)
    assert graph.open_jobs == 0
    assert lab.of(JobFailed) == []
    assert lab.of(JobRepeated) == ["tokenizer", "prior"]
    assert lab.of(JobFinished) == ["tokenizer", "prior", "densify", "lifter", "evaluate"]
    assert lab.artifact(tokenizer).damage() is None
    (aside,) = (lab.store.root / ".damaged").iterdir()
    assert aside.name == f"tokenizer-{tokenizer.key}.0"
    assert why in (aside / "damage.txt").read_text()
    said = [event.reason for event in lab.events if isinstance(event, JobRepeated)]
    assert all(why in reason and str(aside) in reason for reason in said)


def test_one_that_is_gone_is_done_again_for_all_that_need_it(lab: Lab) -> None:
    tokenizer = jobs(BASE, DATA)["tokenizer"]
    lab.artifact(tokenizer).path.rename(lab.store.root.parent / "elsewhere")
    lab.run(BASE)
    assert lab.events  # nothing that is finished asks for it
    assert lab.of(JobFinished) == []
    lab.store.set_aside(lab.artifact(jobs(BASE, DATA)["prior"]), "for the test")
    lab.run(BASE, RASTER)
    assert lab.of(JobFailed) == []
    assert lab.of(JobFinished).count("tokenizer") == 1


def test_one_far_above_a_new_job_is_done_again_though_all_between_is_there(lab: Lab) -> None:
    """A new lifter needs the dense points alone, but a worker looks at all that these stand on."""
    found = jobs(BASE, DATA)
    lab.store.set_aside(lab.artifact(found["tokenizer"]), "for the test")
    other = with_changes(BASE, {"lifter.learning_rate": 0.002})
    planned = make_plan([jobs(other, DATA)], lab.store)
    assert sorted(job.stage for job in planned.to_train) == ["evaluate", "lifter", "tokenizer"]
    lab.run(other)
    assert lab.of(JobFailed) == []
    assert lab.of(JobFinished) == ["tokenizer", "lifter", "evaluate"]
    assert lab.artifact(found["tokenizer"]).damage() is None


def test_a_job_that_is_damaged_again_and_again_fails_what_needs_it(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Artifact, "damage", lambda self: "rotten" if self.stage == "tokenizer" else None
    )
    lab.run(RASTER)
    assert lab.of(JobFinished) == ["tokenizer"] * 2
    assert lab.of(JobFailed) == ["prior", "densify", "lifter", "evaluate"]


def test_one_that_was_emptied_is_done_again(lab: Lab) -> None:
    tokenizer = jobs(BASE, DATA)["tokenizer"]
    for file in lab.artifact(tokenizer).path.iterdir():
        file.unlink()
    lab.run(RASTER)
    assert lab.of(JobRepeated) == ["tokenizer", "prior"]
    assert lab.of(JobFailed) == []
    assert lab.artifact(tokenizer).damage() is None


def test_old_artifacts_without_checksums_are_taken_as_they_are(lab: Lab) -> None:
    tokenizer = jobs(BASE, DATA)["tokenizer"]
    (lab.artifact(tokenizer).path / "checksums.json").unlink()
    lab.run(RASTER)
    assert lab.of(JobRepeated) == []


def test_what_is_damaged_while_a_job_reads_it_makes_no_artifact(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.idle_stages import prior

    train, calls = prior.train, []

    def disturbed(context: StageContext) -> dict[str, float]:
        if not calls:
            file = context.upstream["tokenizer"] / "provenance.json"
            file.write_text(file.read_text()[:-3])
        calls.append(context)
        return train(context)

    monkeypatch.setattr(prior, "train", disturbed)
    graph = lab.run(RASTER)
    assert graph.open_jobs == 0
    assert lab.of(JobFailed) == []
    assert lab.of(JobFinished).count("prior") == 1
    assert len(calls) == 2
    assert [one.damage() for one in lab.store.artifacts()] == [None] * 9
