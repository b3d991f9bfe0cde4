"""Ray, started on this machine for a run, or joined where it runs."""

import logging
import os
import re
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from hipart.runtime import Runtime

#: Below Ray's own processes, and far above the mirror's idle one: at Ray's 15 that one would take a
#: twelfth of a busy core, at 5 still a hundredth.
WORKER_NICENESS = "1"
#: How long the head of a cluster may take to answer before Ray, which waits for minutes, is asked.
ANSWER_S = 10.0
#: How a client of HTTP/2 begins, with settings that say nothing. A server of gRPC answers with its
#: own, which are a frame of this kind with so long a head.
HTTP2_BEGINS = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
SETTINGS, HEAD_BYTES = 4, 9


def start_ray(runtime: Runtime) -> None:
    """Start Ray on this machine, or join the cluster at ``runtime.address``.

    A cluster that happens to run on this machine is joined only if asked for. One that is started
    listens on the loopback interface alone. ValueError where the address is none, where there is no
    cluster at it, or Ray does not start.
    """
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_DISABLE_IMPORT_WARNING", "1")
    os.environ.setdefault("RAY_worker_niceness", WORKER_NICENESS)
    address = (runtime.address or "").strip()
    if address:
        _check_answer(address)
    with warnings.catch_warnings(), nullcontext() if address else _loopback():
        warnings.simplefilter("ignore")
        try:
            ray.init(
                address=address or "local",
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (OSError, RuntimeError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise ValueError(
                f"--address {address}: {reason}"
                if address
                else f"Ray does not start on this machine: {reason}. With --executor inline all "
                "is trained in this process, without Ray"
            ) from error


def _check_answer(asked: str) -> None:
    """ValueError for what is no address, and where no Ray listens at one.

    It would wait for ever for one that is not there. Schemes other than its own are for Ray.
    """
    address = _resolved(asked)
    named = asked if address == asked else f"{asked} ({address})"
    if address.lower().startswith(("http://", "https://")):
        raise ValueError(
            f"--address {named}: that is a page, such as Ray's dashboard. Give HOST:PORT of the "
            "head, as `ray start --head` prints it"
        )
    form = re.fullmatch(r"(?:ray://)?\[?([^\[\]/]+?)\]?:([0-9]{1,5})", address)
    if form is None or not 0 < int(form[2]) < 1 << 16:
        if address == "auto" or ("://" in address and not address.startswith("ray://")):
            return
        raise ValueError(
            f"--address {named}: is no address. Give HOST:PORT of the head, as `ray start --head` "
            "prints it, ray://HOST:PORT, or auto; a port is 1 to 65535. Without --address (and "
            "RAY_ADDRESS) Ray is started here"
        )
    try:
        with socket.create_connection((form[1], int(form[2])), ANSWER_S) as connection:
            is_ray = _speaks_grpc(connection)
    except UnicodeError:
        raise ValueError(f"--address {named}: {form[1]!r} cannot be a machine's name") from None
    except OSError as error:
        raise ValueError(
            f"--address {named}: nothing answers there ({error}). Is the cluster up, and can "
            "this machine reach it? Without --address (and RAY_ADDRESS) Ray is started here"
        ) from None
    if not is_ray:
        raise ValueError(
            f"--address {named}: something answers there, but no Ray, or one that hangs. Give "
            "HOST:PORT of the head, as `ray start --head` prints it. Without --address (and "
            "RAY_ADDRESS) Ray is started here"
        )


def _resolved(address: str) -> str:
    """The address that ``auto`` means here; itself if Ray is to say that there is none."""
    if address != "auto":
        return address
    from ray._private.services import get_ray_address_from_environment

    try:
        return str(get_ray_address_from_environment(address, None))
    except ConnectionError:
        return address


def _speaks_grpc(connection: socket.socket) -> bool:
    """Whether the other side greets as Ray's servers do; taken for granted behind TLS."""
    if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        return True
    head = b""
    try:
        connection.sendall(HTTP2_BEGINS)
        while len(head) < HEAD_BYTES and (more := connection.recv(HEAD_BYTES - len(head))):
            head += more
    except OSError:
        return False
    return len(head) == HEAD_BYTES and head[3] == SETTINGS


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
