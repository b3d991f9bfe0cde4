"""MLflow's own pages over the mirror's database, for a browser on this machine."""

import sys
from pathlib import Path

from hipart.runtime import Runtime
from hipart.tracking.runs import quiet


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
