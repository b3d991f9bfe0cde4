"""What must hold after a storm."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from hipart.store import Artifact, ArtifactStore
from hipart.tracking.specs import stage_outcome
from tests.chaos.storm import STORE, Storm
from tests.mlflow_server import Server


class Promise(NamedTuple):
    """One promise, and what breaks it."""

    what: str
    broken: list[str]

    def __str__(self) -> str:
        if not self.broken:
            return f"{self.what}: holds"
        return f"{self.what}: DOES NOT HOLD ({len(self.broken)}): {'; '.join(self.broken[:5])}"


def verdict(storm: Storm, calm: Path) -> list[Promise]:
    """Every promise, looked at after the last undisturbed run of every experiment."""
    store = ArtifactStore(storm.folder / STORE)
    artifacts = {artifact.key: artifact for artifact in store.artifacts()}
    return [
        Promise("no finished artifact lost", list(_lost(storm, artifacts))),
        Promise("none trained again without cause", list(_repeated(storm))),
        Promise("every artifact whole", list(_damaged(artifacts))),
        Promise("nothing left over in the store", list(_left(storm.folder / STORE))),
        Promise("MLflow mirrors the store", list(_unlike(storm.mlflow, artifacts))),
        Promise("tables equal those of a calm run, byte for byte", list(_tables(storm, calm))),
    ]


def _lost(storm: Storm, artifacts: Mapping[str, Artifact]) -> Iterator[str]:
    for key, texts in storm.seen.items():
        found = artifacts.get(key)
        if found is None:
            yield f"{key} is gone"
        elif not storm.spoilt[key] and (found.path / "provenance.json").read_text() != texts[0]:
            yield f"{key} is another"


def _repeated(storm: Storm) -> Iterator[str]:
    for key, texts in storm.seen.items():
        if len(texts) > 1 + storm.spoilt[key]:
            yield f"{key} {len(texts)} times, spoilt {storm.spoilt[key]} times"


def _damaged(artifacts: Mapping[str, Artifact]) -> Iterator[str]:
    """Weights that nobody stood on again may be damaged still; numbers may not."""
    for key, artifact in artifacts.items():
        if (why := artifact.damage(1 << 16)) is not None:
            yield f"{key}: {why}"


def _left(store: Path) -> Iterator[str]:
    for name in (".leases", ".work"):
        yield from (f"{name}/{path.name}" for path in (store / name).iterdir())


def _unlike(mlflow: Server, artifacts: Mapping[str, Artifact]) -> Iterator[str]:
    runs = mlflow.rows(
        "select t.value, r.run_uuid, r.status from runs r join tags t on "
        "t.run_uuid = r.run_uuid where t.key = 'hipart.id' and r.lifecycle_stage = 'active'"
    )
    points = mlflow.rows("select run_uuid, key, value, step from metrics")
    for identity, count in Counter(identity for identity, _, _ in runs).items():
        if count > 1:
            yield f"{identity} has {count} runs"
    yield from (f"{identity} is {status}" for identity, _, status in runs if status != "FINISHED")
    logged: dict[str, Counter[tuple[str, float, int]]] = {}
    for run, *point in points:
        logged.setdefault(run, Counter())[tuple(point)] += 1
    run_of = {identity: run for identity, run, _ in runs}
    for key, artifact in artifacts.items():
        run = run_of.get(f"job:{artifact.stage}:{key}")
        expected = Counter((p.name, p.value, p.step) for p in stage_outcome(artifact).points())
        if run is None:
            yield f"{key} has no run"
        elif logged.get(run) != expected:
            yield f"{key} has other points"


def _tables(storm: Storm, calm: Path) -> Iterator[str]:
    for number in range(storm.rounds):
        name = f"results/round{number}/table.csv"
        if (storm.folder / name).read_bytes() != (calm / name).read_bytes():
            yield name
