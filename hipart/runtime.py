"""Where and on what a run happens. Another type than PipelineConfig: nothing here is in a key."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Runtime:
    """Folders, addresses and device shares of one run."""

    workspace: Path
    results: Path = Path("results")
    motion: Path | None = None
    executor: str = "ray"
    address: str | None = None
    workers: int | None = None
    cpus_per_job: float = 1.0
    gpus_per_job: float = 0.0
    #: At most so many jobs of equal shapes are trained together; None for what suits the device.
    array: int | None = None

    @property
    def array_limit(self) -> int:
        """How many jobs may be trained together: a CPU gains nothing by it."""
        return self.array or (8 if self.gpus_per_job else 1)

    @property
    def store(self) -> Path:
        """Folder of the artifact store."""
        return self.workspace / "store"

    @property
    def tracking_database(self) -> Path:
        """MLflow's sqlite file."""
        return self.workspace / "mlflow.db"


def default_workspace() -> Path:
    """``HIPART_WORKSPACE`` or ``.hipart`` in the current folder."""
    return Path(os.environ.get("HIPART_WORKSPACE") or ".hipart")
