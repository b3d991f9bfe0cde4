"""The look at a cluster before work: what it says of good nodes, and what is wrong with others."""

import io
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import ray
from click.testing import CliRunner
from rich.console import Console

from hipart import cluster
from hipart.cli import main
from hipart.runtime import Runtime
from hipart.scheduling import ray_start
from hipart.scheduling.ray_start import start_ray
from tests.processes import family


def said(report: object) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(report)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.slow
def test_a_local_cluster_is_healthy_and_leaves_nothing_in_the_store(tmp_path: Path) -> None:
    (node,) = nodes = cluster.check(Runtime(tmp_path))
    assert node.problems == []
    assert f"All 1 nodes see {tmp_path / 'store'}, can write it, and run the same code." in said(
        cluster.described(nodes, Runtime(tmp_path))
    )
    assert list((tmp_path / "store/.work").iterdir()) == []


def test_a_node_that_does_not_see_the_store_says_so(tmp_path: Path) -> None:
    answer = cluster.probe(str(tmp_path / "elsewhere/.work/token"))
    assert answer["problems"] == [f"does not see the store {tmp_path / 'elsewhere'}"]


def test_other_code_and_other_clocks_are_named(tmp_path: Path) -> None:
    (tmp_path / "token").touch()
    good = cluster.probe(str(tmp_path / "token"))["versions"]
    same = cluster.Node("same", 1, 0, versions=good)
    other = cluster.Node("other", 1, 0, versions={**good, "torch": "1.0"}, skew_s=60.0)
    silent = cluster.Node("silent", 1, 0, problems=["does not answer"])
    cluster._compare([same, other, silent])
    assert same.problems == []
    assert other.problems[0].startswith("torch is 1.0, here it is ")
    assert other.problems[1] == "its clock is off by 60 s or more"
    assert silent.problems == ["does not answer"]
    assert "other: torch is 1.0" in said(cluster.described([same, other], Runtime(tmp_path)))


def listening() -> set[str]:
    """Local addresses, as the kernel writes them, at which this process and its children listen."""
    sockets = set()
    for pid in family(os.getpid()):
        for file in Path(f"/proc/{pid}/fd").glob("*"):
            with suppress(FileNotFoundError):  # it was closed in this moment
                sockets.add(os.readlink(file))
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    return {
        row[1].partition(":")[0]
        for row in rows
        if row[3] == "0A" and f"socket:[{row[9]}]" in sockets
    }


@pytest.mark.slow
def test_a_ray_of_this_machine_listens_on_loopback_alone(tmp_path: Path) -> None:
    start_ray(Runtime(tmp_path))
    try:
        assert ray.get(ray.remote(lambda: True).remote())
        found = listening()
    finally:
        ray.shutdown()
    loopback = {"0100007F", "0000000000000000FFFF00000100007F"}
    assert found
    assert found <= loopback


@pytest.mark.parametrize("form", ["{}:{}", "ray://{}:{}"])
def test_an_address_where_nothing_answers_is_refused_at_once(form: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
    address = form.format(host, port)
    arguments = ["run", "codebook_ablation", "--scale", "smoke", "--executor", "ray"]
    place = ["--address", address, "--workspace", str(tmp_path)]
    result = CliRunner().invoke(main, [*arguments, *place])
    assert result.exit_code == 2, result.output
    assert f"--address {address}: nothing answers there" in result.stderr
    assert "RAY_ADDRESS" in result.stderr


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("a..b:80", "'a..b' cannot be a machine's name"),
        ("http://127.0.0.1:8265", "that is a page.* Give HOST:PORT of the head"),
        ("HTTPS://127.0.0.1:8265", "that is a page.* Give HOST:PORT of the head"),
    ],
)
def test_what_is_no_address_is_refused_with_what_to_do(
    address: str, why: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=f"^--address {address}: {why}"):
        start_ray(Runtime(tmp_path, address=address))


@pytest.mark.parametrize(
    "address",
    [
        *("local", "localhost", "nonsense", ":6379", "host:", "127.0.0.1:0", "127.0.0.1:-1"),
        *("127.0.0.1:99999", "127.0.0.1:123456", "127.0.0.1:٣٣٣", "127.0.0.1:6379/"),
        *("ray://", "ray://127.0.0.1", "ray://127.0.0.1:0", "ray://127.0.0.1:10001/"),
    ],
)
def test_what_is_no_address_is_refused_with_what_is_one(address: str, tmp_path: Path) -> None:
    """Ray starts off loopback for `local`, and waits for ever for others."""
    words = "is no address. Give HOST:PORT of the head.*ray://HOST:PORT, or auto; .* 1 to 65535"
    with pytest.raises(ValueError, match=f"^--address {address}: {words}"):
        start_ray(Runtime(tmp_path, address=address))


@pytest.mark.parametrize("given", ["option", "environment", "both"])
def test_a_local_ray_is_not_asked_for_by_an_address(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    option = {"option": ["--address", "local"], "both": ["--address", "auto"]}.get(given, [])
    if given != "option":
        monkeypatch.setenv("RAY_ADDRESS", "local")
    arguments = ["run", "codebook_ablation", "--scale", "smoke", "--executor", "ray"]
    result = CliRunner().invoke(main, [*arguments, *option, "--workspace", str(tmp_path)])
    assert result.exit_code == 2, result.output
    named = "auto (local)" if given == "both" else "local"
    assert f"--address {named}: is no address" in result.stderr
    assert "Without --address (and RAY_ADDRESS) Ray is started here" in result.stderr
    assert not ray.is_initialized()


@pytest.mark.parametrize("around", [" {}", "{} ", "{}\n"])
def test_spaces_around_an_address_are_none_of_it(around: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(ValueError, match=f"^--address {address}: nothing answers there"):
        start_ray(Runtime(tmp_path, address=around.format(address)))


@pytest.fixture
def page() -> Iterator[str]:
    """Where something listens that is no Ray."""
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        Thread(target=server.serve_forever).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_what_listens_and_is_no_ray_is_not_waited_for(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    why = "something answers there, but no Ray"
    with pytest.raises(ValueError, match=f"^--address {page}: {why}"):
        start_ray(Runtime(tmp_path, address=page))
    monkeypatch.setenv("RAY_ADDRESS", page)
    with pytest.raises(ValueError, match=rf"^--address auto \({page}\): {why}"):
        start_ray(Runtime(tmp_path, address="auto"))


def test_what_listens_and_says_nothing_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_start, "ANSWER_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ValueError, match="or one that hangs"):
            start_ray(Runtime(tmp_path, address=address))


def test_a_ray_that_does_not_start_says_what_does_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sockets lie in a folder whose name is longer than a socket's may be."""
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / ("long" * 30)))
    with pytest.raises(ValueError, match=r"(?s)Ray does not start.*--executor inline"):
        start_ray(Runtime(tmp_path))
