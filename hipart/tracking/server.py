"""Pages of others over what a run leaves: MLflow's and Optuna's, for a browser on this machine."""

import shutil
import sys
from pathlib import Path

from hipart.runtime import Runtime
from hipart.tracking.opening import quiet


def artifact_folder(runtime: Runtime) -> Path:
    """Where MLflow keeps files: beside its database."""
    return runtime.tracking_database.parent / "mlartifacts"


def serve(runtime: Runtime, port: int = 5000) -> list[str]:
    """The command that serves the mirror; MLflow is silenced in this process's environment.

    It listens on this machine only and answers to its names only, so that no page which the
    browser has open elsewhere can reach it under another name.
    """
    quiet()
    names = [f"{host}:{port}" for host in ("localhost", "127.0.0.1")]
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--host", "127.0.0.1"),
        *("--port", str(port)),
        *("--workers", "1"),
        *("--allowed-hosts", ",".join(names)),
        *("--cors-allowed-origins", ",".join(f"http://{name}" for name in names)),
        *("--backend-store-uri", f"sqlite:///{runtime.tracking_database.absolute()}"),
        *("--artifacts-destination", artifact_folder(runtime).absolute().as_uri()),
    ]


def serve_studies(runtime: Runtime, port: int = 5000) -> list[str]:
    """The command that serves Optuna's dashboard, on this machine only.

    Raises ValueError where no search has left a study in the workspace.
    """
    file = runtime.studies.absolute()
    if not file.exists():
        raise ValueError(f"{file}: no search was run in this workspace yet")
    here = Path(sys.executable).with_name("optuna-dashboard")
    command = str(here) if here.exists() else shutil.which("optuna-dashboard")
    if command is None:
        raise ValueError("optuna-dashboard is not installed: pip install optuna-dashboard")
    return [command, f"sqlite:///{file}", "--host", "127.0.0.1", "--port", str(port), "--quiet"]
