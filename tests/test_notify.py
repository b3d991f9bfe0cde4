"""Who is told that a run has ended, and what of it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from hipart.notify import notifying


class Receiver(HTTPServer):
    """A web service that keeps what it is told, or refuses."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told: list[dict[str, str]] = []
        self.code = 200


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.told.append(json.loads(self.rfile.read(length)))
        self.send_response(self.server.code)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def address(receiver: Receiver) -> str:
    return f"http://127.0.0.1:{receiver.server_port}/hook?token=secret"


def test_an_address_is_told_in_a_post(receiver: Receiver) -> None:
    warnings: list[str] = []
    with notifying(address(receiver), "mine", "smoke", warnings.append) as ending:
        ending.state = "finished"
    assert receiver.told == [
        {"name": "mine", "scale": "smoke", "state": "finished",
         "text": "hipart-search mine, scale smoke: finished"}
    ]  # fmt: skip
    assert warnings == []


def test_an_error_is_told_and_passes_through(receiver: Receiver) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        notifying(address(receiver), "mine", "smoke", lambda _: None),
    ):
        _ = 1 / 0
    assert receiver.told[0]["state"] == "failed: ZeroDivisionError"


def test_a_command_gets_it_on_its_standard_input(tmp_path: Path) -> None:
    with notifying(f"cat > {tmp_path / 'told'}", "mine", "smoke", lambda _: None) as ending:
        ending.state = "finished"
    assert json.loads((tmp_path / "told").read_text())["state"] == "finished"


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("http://127.0.0.1:9/?token=secret", "127.0.0.1 was not reached"),
        ("secret-command", "the command ended with 127"),
        ("exit 3 # secret", "the command ended with 3"),
    ],
)
def test_who_cannot_be_told_costs_a_run_nothing_and_no_secret(target: str, reason: str) -> None:
    warnings: list[str] = []
    with notifying(target, "mine", "smoke", warnings.append) as ending:
        ending.state = "finished"
    assert warnings == [f"nobody was notified: {reason}"]


def test_a_service_that_refuses_is_named_with_its_answer(receiver: Receiver) -> None:
    receiver.code = 403
    warnings: list[str] = []
    with notifying(address(receiver), "mine", "smoke", warnings.append):
        pass
    assert warnings == ["nobody was notified: 127.0.0.1 answered 403"]


def test_nobody_is_told_where_nobody_is_named() -> None:
    with notifying(None, "mine", "smoke", pytest.fail) as ending:
        ending.state = "finished"
    assert ending.text == ""
