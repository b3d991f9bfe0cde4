"""Ray, started on this machine for a run, or joined where it runs."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from hipart.runtime import Runtime

#: Below Ray's own processes, and far above the mirror's idle one: at Ray's 15 that one would take a
#: twelfth of a busy core, at 5 still a hundredth.
WORKER_NICENESS = "1"


def start_ray(runtime: Runtime) -> None:
    """Start Ray on this machine, or join the cluster at ``runtime.address``.

    A cluster that happens to run on this machine is joined only if asked for. One that is started
    listens on the loopback interface alone.
    """
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_DISABLE_IMPORT_WARNING", "1")
    os.environ.setdefault("RAY_worker_niceness", WORKER_NICENESS)
    with warnings.catch_warnings(), nullcontext() if runtime.address else _loopback():
        warnings.simplefilter("ignore")
        ray.init(
            address=runtime.address or "local",
            include_dashboard=None if runtime.address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )


@contextmanager
def _loopback() -> Iterator[None]:
    """Have Ray start as it does where it knows no clusters: every port on loopback.

    Elsewhere that is its default; on Linux a node address of 127.0.0.1 is not heeded.
    """
    from ray._private import ray_constants

    name, before = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, ray_constants.ENABLE_RAY_CLUSTER
    kept = os.environ.get(name)
    os.environ[name], ray_constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
        if kept is None:
            del os.environ[name]
        else:
            os.environ[name] = kept
