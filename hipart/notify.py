"""Tell somebody that a run has ended: a web address, or a command."""

import json
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

#: How long a server or a command may take.
PATIENCE_S = 30.0


@dataclass
class Ending:
    """What is told, as JSON. ``text`` is what chat services show."""

    name: str
    scale: str
    state: str = "failed"
    text: str = ""


@contextmanager
def notifying(
    target: str | None, name: str, scale: str, warn: Callable[[str], None]
) -> Iterator[Ending]:
    """Tell ``target`` how what happens inside ended; an error that ends it passes through.

    The one inside sets ``state``: finished, or failed where a trial did or it was stopped.
    """
    ending = Ending(name, scale)
    try:
        yield ending
    except BaseException as error:
        ending.state = f"failed: {type(error).__name__}"
        raise
    finally:
        if target:
            ending.text = f"hipart-search {name}, scale {scale}: {ending.state}"
            try:
                send(target, ending)
            except Exception as error:  # the run is done, whoever hears of it or not
                warn(f"nobody was notified: {_reason(error, target)}")


def send(target: str, ending: Ending) -> None:
    """POST to an http(s) address; else run a shell command with the JSON on its standard input."""
    message = json.dumps(asdict(ending)).encode()
    if _is_address(target):
        request = urllib.request.Request(
            target, message, {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S):
            return
    subprocess.run(target, shell=True, input=message, timeout=PATIENCE_S, check=True)


def _is_address(target: str) -> bool:
    return urlsplit(target).scheme in ("http", "https")


def _reason(error: Exception, target: str) -> str:
    """Without the address or the command: either may hold a password."""
    if _is_address(target):
        code = getattr(error, "code", None)
        return f"{urlsplit(target).hostname} {f'answered {code}' if code else 'was not reached'}"
    if isinstance(error, subprocess.CalledProcessError):
        return f"the command ended with {error.returncode}"
    return f"the command could not be run ({type(error).__name__})"
