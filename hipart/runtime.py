"""Where and on what a run happens. Another type than PipelineConfig: nothing here is in a key."""

import os
import re
import shlex
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Runtime:
    """Folders, addresses and device shares of one run."""

    workspace: Path
    results: Path = Path("results")
    #: A folder of motion clips, or of a prepared corpus; None for the packaged motion.
    data: Path | None = None
    #: Folder or URI of a store that others share; None for the workspace's own.
    shared_store: str | None = None
    #: ``ray``, ``inline``, or ``auto`` for what suits the number of trials.
    executor: str = "auto"
    address: str | None = None
    workers: int | None = None
    #: None for one; for all there are where a run has a single trial.
    cpus_per_job: float | None = None
    gpus_per_job: float = 0.0
    #: Whether the first failing job ends the run.
    fail_fast: bool = False
    #: Seconds without any progress after which a worker is taken for hung.
    watchdog_s: float = 3600.0
    #: Whether nodes come when they are asked for; then ``workers`` says how many are asked for.
    autoscale: bool = False
    #: At most so many jobs of equal shapes are trained together; None for what suits the device.
    array: int | None = None
    #: Address of the MLflow server to mirror to; None for a database in the workspace.
    mlflow: str | None = None

    def __post_init__(self) -> None:
        _refuse_what_no_database_can_be_in(self.workspace)
        if self.mlflow is not None:
            _refuse_all_but_http(self.mlflow)

    @property
    def cpus(self) -> float:
        """Cores that a job has."""
        return 1.0 if self.cpus_per_job is None else self.cpus_per_job

    def shared_among(self, trials: int) -> "Runtime":
        """The same, settled for a run of so many trials.

        On this machine's CPU a single trial, in which one stage waits for the other, needs no Ray
        and has all cores. Asked with the trials of the experiment, finished ones too, so that a
        run that goes on has the threads, and so the rounding, of the one that was stopped.
        """
        shared = self.gpus_per_job or self.address
        executor, cpus = self.executor, self.cpus
        if executor == "auto":
            executor = "inline" if trials == 1 and not shared else "ray"
        if self.cpus_per_job is None and not shared:
            cpus = float(max(1, _cores() // max(1, trials)))
        return replace(self, executor=executor, cpus_per_job=cpus)

    @property
    def array_limit(self) -> int:
        """How many jobs may be trained together: a CPU gains nothing by it."""
        return self.array or (8 if self.gpus_per_job else 1)

    @property
    def store(self) -> Path:
        """Folder of the artifact store, or of this machine's copy of one at a URI."""
        if self.store_uri is not None:
            return self.workspace / "copies" / sha256(self.store_uri.encode()).hexdigest()[:12]
        return Path(self.shared_store) if self.shared_store else self.workspace / "store"

    @property
    def store_uri(self) -> str | None:
        """Where an object store is; None if the store is a folder."""
        at = self.shared_store or ""
        return at.rstrip("/") if "://" in at else None

    @property
    def journals(self) -> Path:
        """What running commands write down, for others to look on."""
        return self.workspace / "journals"

    @property
    def placed(self) -> str:
        """The options that say where everything is kept; nothing for where it is by default."""
        store = self.shared_store
        if not store or store == os.environ.get("HIPART_STORE"):
            return self.in_workspace
        return f"{self.in_workspace} --store {shlex.quote(store)}"

    @property
    def in_workspace(self) -> str:
        """The option that names the workspace; nothing for the one by default."""
        if self.workspace == default_workspace():
            return ""
        return f" --workspace {shlex.quote(str(self.workspace))}"

    @property
    def ui_command(self) -> str:
        """What shows all runs in MLflow, after ``hipart-search``."""
        if self.mlflow:
            return f"ui --mlflow {shlex.quote(self.mlflow)}"
        return f"ui{self.in_workspace}"

    @property
    def tracked(self) -> str:
        """The option that names the MLflow server; nothing for the one that is there without it."""
        if not self.mlflow or self.mlflow == os.environ.get("MLFLOW_TRACKING_URI"):
            return ""
        return f" --mlflow {shlex.quote(self.mlflow)}"

    @property
    def studies(self) -> Path:
        """Optuna's sqlite file."""
        return self.workspace / "optuna.db"

    @property
    def tracking_database(self) -> Path:
        """MLflow's sqlite file."""
        return self.workspace / "mlflow.db"


def _refuse_what_no_database_can_be_in(workspace: Path) -> None:
    """sqlite's files have addresses, in which these mean something else."""
    found = re.search(r"[?{}]|%[0-9A-Fa-f]{2}", str(workspace.absolute()))
    if found:
        raise ValueError(
            f"workspace {workspace.absolute()}: its path has {found[0]!r}, and databases can be in "
            "no folder with ?, {, } or % before two hexadecimal digits: name another one"
        )


def _refuse_all_but_http(address: str) -> None:
    """Nothing of an address that is refused is repeated: it may hold a password."""
    try:
        parts = urlsplit(address)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, good = urlsplit(""), False
    if "@" in parts.netloc:
        raise ValueError(
            "the MLflow address holds a user name or a password: leave them out, and set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        )
    if not good or parts.query or parts.fragment:
        raise ValueError(
            "MLflow's address (--mlflow or MLFLOW_TRACKING_URI) is that of a server, "
            "http://HOST:PORT or https://HOST/PATH; without one the mirror is a file in the "
            "workspace"
        )


def _cores() -> int:
    """Cores that this process may use; a container may have fewer than its machine."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):  # no control groups, or no quota
        return cores


def default_workspace() -> Path:
    """``HIPART_WORKSPACE`` or ``.hipart`` in the current folder."""
    return Path(os.environ.get("HIPART_WORKSPACE") or ".hipart")
