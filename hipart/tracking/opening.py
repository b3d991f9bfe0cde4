"""MLflow, opened quietly: at a sqlite file, which is made first if it is not there, or a server.

``mlflow`` is imported in here and only when something is opened, which takes seconds.
"""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: MLflow without its banners, telemetry and calls of git.
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
#: MLflow's HTTP without tries of its own, which last minutes: whoever calls decides on the next.
RETRIES, TIMEOUT = "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"
TIMEOUT_S = 30
TOO_MANY_REQUESTS, SERVER_ERROR = 429, 500


def quiet() -> None:
    """Silence MLflow in this process and those it starts; must come before its import."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


def at_server(address: str) -> "MlflowClient":
    """A server, without tries of MLflow's own."""
    os.environ[RETRIES] = "0"
    os.environ.setdefault(TIMEOUT, str(TIMEOUT_S))
    return _open(address)


def at_database(file: Path) -> "MlflowClient":
    """A sqlite file. It appears whole: MLflow can't open one whose making was interrupted."""
    if not file.exists():
        folder = file.with_name(".mlflow-new")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        _open(f"sqlite:///{folder / file.name}")
        (folder / file.name).rename(file)
        shutil.rmtree(folder)
    return _open(f"sqlite:///{file}")


def is_away(error: Exception) -> bool:
    """Whether a server was not reached or could not serve, so that the same may work later."""
    from mlflow.exceptions import MlflowException

    if not isinstance(error, MlflowException):
        return False
    status: int = error.get_http_status_code()  # where there was no answer, MLflow says 500
    return status == TOO_MANY_REQUESTS or status >= SERVER_ERROR


def _open(uri: str) -> "MlflowClient":
    quiet()
    from mlflow import MlflowClient

    return MlflowClient(uri)
