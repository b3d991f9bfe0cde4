"""An exported bundle as a version of a model in MLflow's registry, linked to its trial's run.

The version's files are the bundle and MLflow's description of it: weights are safetensors, the
code is the installed ``hipart.pyfunc``, and nothing is pickled. A version is known by the bundle,
so the same one is registered once.
"""

import hashlib
import json
import re
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hipart.session import Session
from hipart.skeleton import NUM_JOINTS
from hipart.tracking.opening import quiet
from hipart.tracking.records import RunRecord
from hipart.tracking.runs import RunBook
from hipart.tracking.server import artifact_folder
from hipart.tracking.specs import Subject, trial_spec

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

LOADER = "hipart.pyfunc"
FOLDER = "model"
WEIGHTS_TAG, CONFIG_TAG = "weights_sha256", "config_sha256"
#: What a process needs to load a version, besides this package.
NEEDS = ("torch", "numpy", "einops", "pydantic", "safetensors")
#: What any backend, address and file system takes as the name of a model.
NAME = re.compile(r"[\w.\- ]{1,200}")


class Registered(NamedTuple):
    """A version of a model; ``made`` unless it was there."""

    name: str
    version: str
    made: bool

    @property
    def address(self) -> str:
        """What ``mlflow.pyfunc.load_model`` takes."""
        return f"models:/{self.name}/{self.version}"


def register(session: Session, bundle: Path, name: str = "") -> Registered:
    """Register a bundle of one of the session's trials, by default under the experiment's name.

    Raises ValueError for a name that MLflow can't take, where the trial has no run in MLflow, and
    where MLflow can't be reached.
    """
    quiet()
    from mlflow.exceptions import MlflowException

    name = name or re.sub(r"[^\w.\- ]", "_", session.ablation.name)
    if not NAME.fullmatch(name):
        raise ValueError(f"model name {name!r}: allowed are letters, digits, '.', '-', '_', ' '")
    runtime = session.runtime
    try:
        book = RunBook(runtime.tracking_database, artifact_folder(runtime), runtime.mlflow)
        return _register(book, session, bundle, name)
    except MlflowException as error:
        raise ValueError(f"MLflow: {error.message}; {bundle} is written and complete") from error


def _register(book: RunBook, session: Session, bundle: Path, name: str) -> Registered:
    from hipart.predictor import CONFIG, read_facts

    config = hashlib.sha256((bundle / CONFIG).read_bytes()).hexdigest()
    tags = {WEIGHTS_TAG: read_facts(bundle).weights_sha256, CONFIG_TAG: config}
    for known in book.client.search_model_versions(f"tags.`{CONFIG_TAG}` = '{config}'"):
        if known.name == name:
            return Registered(name, str(known.version), made=False)
    run = _run_of(book, session, bundle)
    with tempfile.TemporaryDirectory() as place:
        folder = _save(bundle, Path(place))
        book.client.log_artifacts(run.run_id, str(folder), FOLDER)
    _ensure_model(book.client, name)
    made = book.client.create_model_version(
        name,
        source=f"{book.client.get_run(run.run_id).info.artifact_uri}/{FOLDER}",
        run_id=run.run_id,
        tags=tags,
        description=(bundle / "README.md").read_text(encoding="utf-8"),
    )
    return Registered(name, str(made.version), made=True)


def _run_of(book: RunBook, session: Session, bundle: Path) -> RunRecord:
    """The run of the trial that a bundle was exported from."""
    lineage = json.loads((bundle / "lineage.json").read_text(encoding="utf-8"))
    wanted = lineage["arm"], lineage["seed"]
    subject = Subject(session.ablation, session.fingerprint)
    for trial, jobs in zip(session.trials, session.jobs, strict=True):
        if (trial.arm.name, trial.seed) == wanted:
            run = book.find(trial_spec(subject, trial, jobs, parent_run_id=""))
            if run is not None:
                return run
    raise ValueError(
        f"the trial {wanted[0]!r}, seed {wanted[1]}, has no run in MLflow yet: give the command "
        f"that ran {session.ablation.name} once more, which completes the mirror; {bundle} is "
        "written and complete"
    )


def _save(bundle: Path, place: Path) -> Path:
    """MLflow's folder of a bundle, whatever the user's own folder is called."""
    import mlflow.pyfunc

    folder, copy = place / FOLDER, shutil.copytree(bundle, place / "bundle")
    mlflow.pyfunc.save_model(
        folder,
        loader_module=LOADER,
        data_path=str(copy),
        signature=_signature(),
        input_example=example(),
        pip_requirements=[f"{package}=={version(package)}" for package in NEEDS],
    )
    return folder


def example() -> dict[str, NDArray[Any]]:
    """What the model takes: two poses in an image of 1000 by 1000 pixels."""
    poses = np.linspace(300, 700, 2 * NUM_JOINTS * 2, dtype=np.float32)
    return {"poses": poses.reshape(2, NUM_JOINTS, 2), "image_size": np.array([1000, 1000])}


def _signature() -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    single, whole = np.dtype(np.float32), np.dtype(np.int64)
    return ModelSignature(
        inputs=Schema(
            [
                TensorSpec(single, (-1, NUM_JOINTS, 2), "poses"),
                TensorSpec(whole, (2,), "image_size"),
            ]
        ),
        outputs=Schema([TensorSpec(single, (-1, NUM_JOINTS, 3))]),
    )


def _ensure_model(client: "MlflowClient", name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(
            name,
            description="Lifts 17 detected 2D joints (pixels) to 3D (mm); see each version's card.",
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
