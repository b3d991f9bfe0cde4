"""``data get``: against a server that cuts, errs, stalls and lies, and on a disk that is full."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from hipart.cli import main
from hipart.data.cmu import (
    ACKNOWLEDGEMENT,
    MOST_MISSING,
    SITE,
    check_wish,
    collect,
    subjects,
)
from hipart.data.cmu_trials import Trial, parse_listing
from hipart.data.fetching import Mirror, Missing, Unfetched
from hipart.data.motion import Clip, read_motion
from hipart.data.partial import VERSION
from tests.data.acclaim_files import amc_text, asf_text, person
from tests.data.recordings import packaged
from tests.environment import unmeasured

TAKES = {
    "01_01": ("playground - forward jumps, turn around", "deepmimic_jump", 60),
    "01_03": ("Walk/Run", "deepmimic_run", 120),
    "02_02": ("kick soccer ball", "deepmimic_kick", 120),
}
ROW = """<TR BGCOLOR=#dddddd>
<TD></TD><TD>{number}</TD><TD>{text}</TD>
<TD><A HREF="http://mocap.cs.cmu.edu/subjects/{subject}/{name}.tvd">tvd</A></TD>
<TD><A HREF="http://mocap.cs.cmu.edu/subjects/{subject}/{name}.c3d">c3d</A></TD>
<TD><A HREF="http://mocap.cs.cmu.edu/subjects/{subject}/{name}.amc">amc</A></TD>
<TD><A HREF="http://mocap.cs.cmu.edu/subjects/{subject}/{name}.mpg">mpg</A></TD>
<TD><A HREF="http://mocap.cs.cmu.edu/subjects/{subject}/{name}.avi">Animated</A></TD>
<TD>{fps}</TD><TD><A HREF="feedback.php">Feedback</A></TD>
"""


@lru_cache(maxsize=1)
def files() -> dict[str, bytes]:
    """What the site has, by path: two subjects, three takes with gaps in their numbers."""
    found: dict[str, bytes] = {}
    rows: dict[str, str] = {}
    for name, (text, clip, fps) in TAKES.items():
        subject = name[:2]
        motion = packaged()[clip]
        skeleton, values = person(Clip(name, "", None, motion.root[:20], motion.rot[:20]), fps)
        found[f"/subjects/{subject}/{subject}.asf"] = asf_text(skeleton).encode()
        found[f"/subjects/{subject}/{name}.amc"] = amc_text(skeleton, values).encode()
        row = ROW.format(number=int(name[3:]), text=text, subject=subject, name=name, fps=fps)
        rows[subject] = rows.get(subject, "") + row
    for subject, text in rows.items():
        page = f"<HTML><TABLE><TR><TH>Image<TH>Trial #{text}</TABLE></HTML>"
        found[f"/search.php?subjectnumber={int(subject)}"] = page.encode()
    return found


@dataclass
class Site:
    """A server of the tests' own. ``faults`` answer in place of a path's next requests."""

    url: str
    content: dict[str, bytes]
    ranges: bool = True
    faults: dict[str, list[Callable[["Handler", bytes], None]]] = field(default_factory=dict)
    #: When files were last changed, of those of which the server says it.
    dates: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    #: Whether If-Range is heeded.
    conditional: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    answered: list[tuple[str, int]] = field(default_factory=list)

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    def amc(self, name: str) -> str:
        return f"/subjects/{name[:2]}/{name}.amc"


class Handler(BaseHTTPRequestHandler):
    site: Site
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.site.asked.append((self.path, self.headers.get("Range")))
        assert self.headers["User-Agent"].startswith("hipart-search")
        body = self.site.content.get(self.path)
        waiting = self.site.faults.get(self.path)
        if waiting:
            waiting.pop(0)(self, body or b"")
        elif body is None:
            self.answer(404, b"<html><title>404 Not Found</title></html>", kind="text/html")
        else:
            self.serve(body)

    def serve(self, body: bytes) -> None:
        begin, begun = self.headers.get("Range", ""), self.headers.get("If-Range")
        strong = [self.site.dates.get(self.path), self.site.tags.get(self.path, "W/")]
        strong = [one for one in strong if one and not one.startswith("W/")]
        changed = self.site.conditional and begun is not None and begun not in strong
        if not begin or not self.site.ranges or changed:
            self.answer(200, body)
            return
        start = int(begin.removeprefix("bytes=").removesuffix("-"))
        if start >= len(body):
            self.answer(416, b"", extent=f"bytes */{len(body)}")
        else:
            extent = f"bytes {start}-{len(body) - 1}/{len(body)}"
            self.answer(206, body[start:], extent=extent)

    def answer(
        self,
        status: int,
        body: bytes,
        size: int | None = None,
        kind: str = "text/plain",
        extent: str = "",
    ) -> None:
        self.site.answered.append((self.path, status))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if size is None else size))
        if extent:
            self.send_header("Content-Range", extent)
        if self.path in self.site.dates:
            self.send_header("Last-Modified", self.site.dates[self.path])
        if self.path in self.site.tags:
            self.send_header("ETag", self.site.tags[self.path])
        self.end_headers()
        self.wfile.write(body)
        if size is not None:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def cut(after: int) -> Callable[[Handler, bytes], None]:
    """The connection ends after so many bytes of what was promised."""
    return lambda handler, body: handler.answer(200, body[:after], size=len(body))


def errs(status: int) -> Callable[[Handler, bytes], None]:
    return lambda handler, _: handler.answer(status, b"sorry")


def stalls(after: int) -> Callable[[Handler, bytes], None]:
    """Some bytes come, then none, and the connection stays."""

    def fault(handler: Handler, body: bytes) -> None:
        handler.answer(200, body[:after], size=len(body))
        handler.wfile.flush()
        time.sleep(1.0)

    return fault


def no_content(handler: Handler, _: bytes) -> None:
    handler.send_response(204)
    handler.end_headers()


def unasked_part(handler: Handler, body: bytes) -> None:
    handler.answer(206, body[5:], extent=f"bytes 5-{len(body) - 1}/{len(body)}")


def trickles(handler: Handler, body: bytes) -> None:
    """A byte now and then, so that no single wait is long."""
    handler.answer(200, b"", size=len(body))
    for place in range(15):
        handler.wfile.write(body[place : place + 1])
        handler.wfile.flush()
        time.sleep(0.05)


def page(handler: Handler, _: bytes) -> None:
    """An error page that says it is none."""
    body = b"<html><head><title>Server busy</title></head><body>Later!</body></html>"
    handler.answer(200, body, kind="text/html; charset=utf-8")


def page_in_disguise(handler: Handler, _: bytes) -> None:
    handler.answer(200, b"\n<!DOCTYPE html><title>Busy</title>")


def says_less(handler: Handler, body: bytes) -> None:
    """The size is a lie: the file goes on."""
    handler.answer(200, body[: len(body) // 2], size=None)


def says_more(handler: Handler, body: bytes) -> None:
    handler.answer(200, body, size=len(body) + 1000)


class Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Who hangs up on a stalled server is none of its errors."""


@pytest.fixture
def site() -> Iterator[Site]:
    handler = type("Own", (Handler,), {})
    server = Quiet(("127.0.0.1", 0), handler)
    handler.site = Site(f"http://127.0.0.1:{server.server_port}", dict(files()))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield handler.site
    server.shutdown()
    thread.join()
    server.server_close()


def mirror(site: Site, **settings: float) -> Mirror:
    quick = {"stall_s": 10.0, "tries": 4, "wait_s": 0.01, "pause_s": 0.0}
    return Mirror(site.url, **(quick | settings))  # type: ignore[arg-type]


def got(site: Site, out: Path, *arguments: object) -> Result:
    quick = ("--timeout", 5, "--tries", 2, "--no-preview")
    line = ["data", "get", "cmu", "--from", site.url, "--out", out, *quick, *arguments]
    return CliRunner().invoke(main, [str(word) for word in line])


def held(out: Path) -> dict[str, bytes]:
    return {
        f"/{path.relative_to(out).as_posix()}": path.read_bytes()
        for path in out.rglob("*.a[sm][fc]*")
        if path.suffix != VERSION
    }


def everything() -> dict[str, bytes]:
    return {path: content for path, content in files().items() if path.startswith("/subjects")}


# --- the whole command ----------------------------------------------------------------------------


def test_subjects_are_fetched_once_and_imported(site: Site, tmp_path: Path) -> None:
    out = tmp_path / "cmu"
    result = got(site, out, "--subjects", "1-2")
    assert result.exit_code == 0, result.output
    assert result.output.startswith(ACKNOWLEDGEMENT + "\n")
    assert f"{site.url}: 5 file(s) fetched, 0 were there" in result.output
    assert held(out) == everything()
    motion = read_motion(out)
    assert [(clip.name, clip.label, clip.cmu_subject) for clip in motion.clips] == [
        ("01_01", "playground", "001"),
        ("01_03", "walk", "001"),
        ("02_02", "kick_soccer_ball", "002"),
    ]
    assert [len(clip) for clip in motion.clips] == [20, 20, 20]
    assert "frame rates found: 60 fps in 1 file(s), 120 fps in 2 file(s)" in result.output
    assert (out / "labels.csv").read_text().splitlines()[1] == "01_01,playground,001,60.0"
    assert len(site.asked) == 7 == len(set(site.paths()))
    before = [(out / name).read_bytes() for name in ("clips.npz", "clips.json")]
    site.asked.clear()
    again = got(site, out, "--subjects", "1,2")
    assert again.exit_code == 0, again.output
    assert site.asked == []
    assert "0 file(s) fetched, 5 were there" in again.output
    assert [(out / name).read_bytes() for name in ("clips.npz", "clips.json")] == before
    assert not list(tmp_path.glob("**/*.part*"))


def test_what_is_not_there_is_told_and_the_rest_imported(site: Site, tmp_path: Path) -> None:
    del site.content[site.amc("01_03")]
    result = got(site, tmp_path / "cmu", "--subjects", "1,2,4")
    assert result.exit_code == 0, result.output
    assert "not there: 2 file(s)" in result.output
    assert "01_03.amc and 1 more: the server has none (404)" in result.output
    assert [clip.name for clip in read_motion(tmp_path / "cmu").clips] == ["01_01", "02_02"]


def test_what_cannot_be_had_ends_in_status_1_and_is_gone_on_with(
    site: Site, tmp_path: Path
) -> None:
    site.faults[site.amc("01_03")] = [errs(500), cut(700)]
    result = got(site, tmp_path, "--subjects", "1-2")
    assert result.exit_code == 1
    size = len(files()[site.amc("01_03")])
    assert f"not had: 1 file(s)\n  01_03.amc: cut off at 700 of {size} bytes (2 tries)" in (
        result.output
    )
    assert "1 file(s) could not be had; the same command goes on" in result.stderr
    assert [clip.name for clip in read_motion(tmp_path).clips] == ["01_01", "02_02"]
    site.asked.clear()
    assert got(site, tmp_path, "--subjects", "1-2").exit_code == 0
    assert site.asked == [(site.amc("01_03"), "bytes=700-")]
    assert held(tmp_path) == everything()
    assert len(read_motion(tmp_path).clips) == 3


def test_nothing_strange_is_written_over(site: Site, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    result = got(site, tmp_path, "--subjects", 1)
    assert result.exit_code == 2
    assert "holds 'thesis.txt', not made here; choose another --out" in result.stderr
    assert site.asked == []


@pytest.mark.parametrize("about", [None, {}, {"made_by": "hipart-search data import bvh"}])
def test_motion_that_was_not_made_here_is_not_written_over(
    site: Site, tmp_path: Path, about: object
) -> None:
    (tmp_path / "clips.npz").write_bytes(b"mine")
    if about is not None:
        (tmp_path / "clips.json").write_text(json.dumps(about))
    result = got(site, tmp_path, "--subjects", 1)
    assert result.exit_code == 2
    assert "holds motion that was not made here; choose another --out" in result.stderr
    assert (tmp_path / "clips.npz").read_bytes() == b"mine"
    assert site.asked == []


def test_a_call_that_ended_between_its_files_is_gone_on_with(site: Site, tmp_path: Path) -> None:
    assert got(site, tmp_path, "--subjects", 1).exit_code == 0
    (tmp_path / "clips.json").unlink()
    assert got(site, tmp_path, "--subjects", 1).exit_code == 0
    assert len(read_motion(tmp_path).clips) == 2


@pytest.mark.parametrize(
    ("text", "found"), [("1", [1]), ("1, 2,5-9", [1, 2, 5, 6, 7, 8, 9]), ("3-3,2,3", [2, 3])]
)
def test_subjects_are_numbers_and_ranges(text: str, found: list[int]) -> None:
    assert subjects(text) == found


@pytest.mark.parametrize("text", ["", "x", "1,,2", "5-2", "0", "1-1000", "-3", "1.5"])
def test_other_subjects_are_refused(tmp_path: Path, text: str) -> None:
    line = ["data", "get", "cmu", f"--subjects={text}", "--out", str(tmp_path)]
    result = CliRunner().invoke(main, line)
    assert result.exit_code == 2
    assert "numbers and ranges from 1 to 999 such as 1,2,5-9" in result.stderr


def test_the_site_is_not_crawled_for_all(tmp_path: Path) -> None:
    line = ["data", "get", "cmu", "--subjects", "1-144", "--out", str(tmp_path)]
    result = CliRunner().invoke(main, line)
    assert result.exit_code == 2
    assert "asks not to be crawled" in result.stderr and "faqs.php" in result.stderr
    check_wish("http://mirror.example.org", range(144))
    check_wish(SITE, range(50))
    for same in ("https://mocap.cs.cmu.edu/", "http://MOCAP.cs.cmu.edu:80"):
        with pytest.raises(ValueError, match="asks not to be crawled"):
            check_wish(same, range(144))
    result = CliRunner().invoke(main, [*line, "--from", "ftp://x"])
    assert "must be http:// or https:// and a host" in result.stderr


# --- servers --------------------------------------------------------------------------------------

FAULTS = {
    "cut": [cut(500), cut(0)],
    "cut again": [cut(900)],
    "errs": [errs(500), errs(503), errs(429)],
    "stalls": [stalls(600)],
    "trickles": [trickles],
    "a page": [page, page],
    "a page in disguise": [page_in_disguise],
    "says less": [says_less],
    "no content": [no_content],
    "a part that nobody asked for": [unasked_part],
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
def test_a_fault_that_passes_is_survived(
    site: Site, tmp_path: Path, name: str, ranges: bool
) -> None:
    site.ranges = ranges
    for path in (site.amc("01_01"), "/subjects/02/02.asf"):
        site.faults[path] = list(FAULTS[name])
    slow = name in ("stalls", "trickles")
    settings = {"stall_s": 0.3, "tries": 9} if slow else {}
    found = collect(mirror(site, **settings), [1, 2], tmp_path)
    assert held(tmp_path) == everything()
    assert (found.fetched, found.present) == (5, 0)
    assert not found.failed and not found.left_out
    asked = Counter(site.paths())
    assert asked[site.amc("01_01")] >= len(FAULTS[name]) + 1
    if not slow:  # on a busy machine the server itself may be late
        assert asked[site.amc("01_01")] == len(FAULTS[name]) + 1
        assert asked[site.amc("01_03")] == asked[site.amc("02_02")] == 1


def test_what_came_before_a_cut_is_not_fetched_again(site: Site, tmp_path: Path) -> None:
    path = site.amc("01_01")
    site.faults[path] = [cut(500)]
    collect(mirror(site), [1], tmp_path)
    assert [begin for asked, begin in site.asked if asked == path] == [None, "bytes=500-"]
    assert [status for asked, status in site.answered if asked == path] == [200, 206]


def test_a_partial_file_of_another_call_is_gone_on_with(site: Site, tmp_path: Path) -> None:
    whole = files()[site.amc("02_02")]
    for left, asked in ((whole[:777], ["bytes=777-"]), (whole, [f"bytes={len(whole)}-"])):
        out = tmp_path / str(len(left))
        (out / "subjects" / "02").mkdir(parents=True)
        (out / "subjects" / "02" / "02_02.amc.part").write_bytes(left)
        site.asked.clear()
        collect(mirror(site), [2], out)
        assert [begin for path, begin in site.asked if path == site.amc("02_02")] == asked
        assert held(out)[site.amc("02_02")] == whole


def test_a_partial_file_that_is_none_is_begun_anew(site: Site, tmp_path: Path) -> None:
    whole = files()[site.amc("02_02")]
    for left in (whole + b"more", b"\0" * 400):
        out = tmp_path / str(len(left))
        (out / "subjects" / "02").mkdir(parents=True)
        (out / "subjects" / "02" / "02_02.amc.part").write_bytes(left)
        collect(mirror(site), [2], out)
        assert held(out)[site.amc("02_02")] == whole


@pytest.mark.parametrize(
    ("faults", "why"),
    [
        ([errs(500)] * 4, "the server answers 500"),
        ([errs(403)], "the server answers 403"),
        ([cut(800)] * 4, "cut off at 800 of"),
        ([stalls(600)] * 4, "stalled: nothing came"),
        ([page] * 4, "the server sent a web page ('Server busy') instead of the file"),
        ([says_less] * 4, "what came ends inside of its last frame: it is truncated"),
        ([no_content] * 4, "the server answers 204 No Content instead of the file"),
    ],
    ids=["errs", "forbids", "cuts", "stalls", "a page", "says less", "no content"],
)
def test_a_fault_that_stays_is_told(
    site: Site, tmp_path: Path, faults: list[Callable[[Handler, bytes], None]], why: str
) -> None:
    site.ranges = False
    site.faults[site.amc("01_01")] = list(faults)
    found = collect(mirror(site, stall_s=0.3 if "stalled" in why else 10.0), [1, 2], tmp_path)
    assert found.failed.keys() == {"01_01.amc"}
    assert why in found.failed["01_01.amc"]
    assert found.fetched == 4
    assert held(tmp_path).keys() - {f"{site.amc('01_01')}.part"} == everything().keys() - {
        site.amc("01_01")
    }


def test_a_size_too_large_is_settled_by_asking_again(site: Site, tmp_path: Path) -> None:
    site.faults[site.amc("01_01")] = [says_more]
    found = collect(mirror(site), [1], tmp_path)
    assert not found.failed
    assert held(tmp_path)[site.amc("01_01")] == files()[site.amc("01_01")]


def test_a_server_that_fails_altogether_is_left(site: Site, tmp_path: Path) -> None:
    for path in (site.amc("01_01"), site.amc("01_03"), "/subjects/02/02.asf"):
        site.faults[path] = [errs(500)] * 9
    with pytest.raises(ValueError, match=r"3 files in a row.*02\.asf.*500.*1 file\(s\) came"):
        collect(mirror(site, tries=2), [1, 2], tmp_path)
    assert len(site.asked) == 2 + 1 + 3 * 2
    nobody = Mirror("http://127.0.0.1:9", tries=1, wait_s=0, pause_s=0)
    with pytest.raises(ValueError, match="files in a row"):
        collect(nobody, [1, 2, 3], tmp_path / "other")


def test_pages_are_had_or_not(site: Site) -> None:
    with pytest.raises(Missing):
        mirror(site).page("nowhere")
    site.faults["/x"] = [errs(502)] * 4
    with pytest.raises(Unfetched, match=r"502.*\(4 tries\)"):
        mirror(site).page("x")


def busy(handler: Handler, _: bytes) -> None:
    """A page for all, of the right status and kind."""
    handler.answer(200, b"<html><title>Maintenance</title></html>", kind="text/html")


def redirects_nowhere(handler: Handler, _: bytes) -> None:
    handler.send_response(302)
    handler.send_header("Location", "http://[bad")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def size_beyond_numbers(handler: Handler, body: bytes) -> None:
    handler.send_response(206)
    handler.send_header("Content-Range", f"bytes 0-5/{'9' * 5000}")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.mark.parametrize("fault", [redirects_nowhere, size_beyond_numbers])
def test_an_answer_that_makes_no_sense_is_asked_for_again(
    site: Site, tmp_path: Path, fault: Callable[[Handler, bytes], None]
) -> None:
    site.faults[site.amc("01_01")] = [fault]
    found = collect(mirror(site), [1, 2], tmp_path)
    assert not found.failed
    assert held(tmp_path) == everything()


def test_a_list_that_is_cut_is_asked_for_again(site: Site, tmp_path: Path) -> None:
    page = "/search.php?subjectnumber=1"
    site.faults[page] = [cut(len(site.content[page]) // 2)]
    found = collect(mirror(site), [1], tmp_path)
    assert site.paths().count(page) == 2
    assert found.fetched == 3


def test_a_page_that_trickles_is_a_stall(site: Site) -> None:
    page = "search.php?subjectnumber=1"
    site.faults[f"/{page}"] = [trickles] * 2
    start = time.monotonic()
    text = mirror(site, stall_s=0.2, tries=9).page(page)
    assert "01_01.amc" in text
    assert time.monotonic() - start < 20


def test_a_page_that_lists_nothing_is_not_remembered(site: Site, tmp_path: Path) -> None:
    """The server was busy: labels that it had then are asked for again by the next call."""
    page = "/search.php?subjectnumber=2"
    site.faults[page] = [busy]
    site.faults["/subjects/02/"] = [busy]
    collect(mirror(site), [2], tmp_path)
    assert held(tmp_path).keys() >= {site.amc("02_02")}
    assert not (tmp_path / "subjects/02/trials.csv").exists()
    collect(mirror(site), [2], tmp_path)
    assert "kick soccer ball" in (tmp_path / "subjects/02/trials.csv").read_text()


OLD, NEW = "Mon, 01 Jan 2001 00:00:00 GMT", "Tue, 01 Jan 2002 00:00:00 GMT"
#: The date and the tag that a server gives of a file's first version, and of its second.
VERSIONS = {
    "date": ((OLD, ""), (NEW, "")),
    "tag": (("", '"a"'), ("", '"b"')),
    "weak tag": (("", 'W/"a"'), ("", 'W/"b"')),
    "tag that changes within a second": ((OLD, '"a"'), (OLD, '"b"')),
    "date and weak tag": ((OLD, 'W/"a"'), (NEW, 'W/"b"')),
}


def dated(site: Site, path: str, version: tuple[str, str]) -> None:
    for held, said in zip((site.dates, site.tags), version, strict=True):
        if said:
            held[path] = said


@pytest.mark.parametrize("version", VERSIONS)
def test_the_rest_is_asked_for_in_terms_that_the_server_knows(
    site: Site, tmp_path: Path, version: str
) -> None:
    path = site.amc("01_01")
    dated(site, path, VERSIONS[version][0])
    site.faults[path] = [cut(500)]
    collect(mirror(site), [1], tmp_path)
    assert [begin for asked, begin in site.asked if asked == path] == [None, "bytes=500-"]
    assert [status for asked, status in site.answered if asked == path] == [200, 206]
    assert held(tmp_path)[path] == files()[path]
    assert not list(tmp_path.rglob("*.part*"))


@pytest.mark.parametrize("conditional", [True, False], ids=["heeds If-Range", "ignores it"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_that_changed_meanwhile_is_begun_anew(
    site: Site, tmp_path: Path, version: str, conditional: bool
) -> None:
    """Half of one version and half of another would pass for a whole file."""
    path = site.amc("01_01")
    old, new = VERSIONS[version]
    dated(site, path, old)
    site.conditional = conditional
    site.faults[path] = [cut(500)]
    collect(mirror(site, tries=1), [1], tmp_path)
    assert (tmp_path / f"{path[1:]}.part").stat().st_size == 500
    dated(site, path, new)
    site.content[path] = changed = site.content[path].replace(b"root 0", b"root 1")
    assert changed[:500] != files()[path][:500] and len(changed) == len(files()[path])
    found = collect(mirror(site), [1], tmp_path)
    assert not found.failed
    assert held(tmp_path) == {one: site.content[one] for one in everything() if "/01/" in one}


@pytest.mark.parametrize("old", [("", ""), ("", '"a"')], ids=["no tag", "a tag"])
def test_a_rest_of_another_size_is_of_another_version(
    site: Site, tmp_path: Path, old: tuple[str, str]
) -> None:
    """The server ignores If-Range and says of the rest neither date nor tag.

    A head of the one and the tail of the other, which is a frame shorter, would pass for a file.
    """
    path = site.amc("01_01")
    dated(site, path, old)
    site.conditional = False
    site.faults[path] = [cut(500)]
    collect(mirror(site, tries=1), [1], tmp_path)
    site.tags.clear()
    changed = site.content[path].replace(b"root 0", b"root 1")
    site.content[path] = changed[: changed.index(b"\n20\n") + 1]
    found = collect(mirror(site), [1], tmp_path)
    assert not found.failed
    assert held(tmp_path)[path] == site.content[path]
    assert [status for asked, status in site.answered if asked == path] == [200, 206, 200]


def test_the_rest_of_a_file_of_no_size_ends_where_it_says(site: Site, tmp_path: Path) -> None:
    """It is cut where a frame ends, so that what came would pass for a whole file."""
    path = site.amc("01_01")
    whole = site.content[path]
    ends = [whole.index(f"\n{frame}\n".encode()) + 1 for frame in (8, 16)]

    def no_size(handler: Handler, body: bytes) -> None:
        start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        rest = body[start : ends[1]] if start == ends[0] else body[start:]
        handler.answer(206, rest, len(body) - start, extent=f"bytes {start}-{len(body) - 1}/*")

    (tmp_path / "subjects/01").mkdir(parents=True)
    (tmp_path / f"{path[1:]}.part").write_bytes(whole[: ends[0]])
    site.faults[path] = [no_size, no_size]
    found = collect(mirror(site), [1], tmp_path)
    assert not found.failed
    assert held(tmp_path)[path] == whole
    assert [begin for asked, begin in site.asked if asked == path] == [
        f"bytes={end}-" for end in ends
    ]


def test_all_of_another_version_is_not_the_file(site: Site, tmp_path: Path) -> None:
    """A partial file that is whole is asked about, and the server has another of its size."""
    path = site.amc("01_01")
    dated(site, path, (OLD, ""))
    site.conditional = False
    site.faults[path] = [says_more]
    collect(mirror(site, tries=1), [1], tmp_path)
    dated(site, path, (NEW, ""))
    site.content[path] = site.content[path].replace(b"root 0", b"root 1")
    collect(mirror(site), [1], tmp_path)
    assert held(tmp_path)[path] == site.content[path] != files()[path]


def test_what_a_full_disk_left_of_a_table_is_no_stranger(site: Site, tmp_path: Path) -> None:
    (tmp_path / "labels.csv.part").write_text("clip,la")
    result = got(site, tmp_path, "--subjects", 2)
    assert result.exit_code == 0, result.output
    assert not (tmp_path / "labels.csv.part").exists()


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://x:port", "file:///etc"])
def test_an_address_of_no_server_is_refused(tmp_path: Path, url: str) -> None:
    line = ["data", "get", "cmu", "--subjects", "1", "--from", url, "--out", str(tmp_path)]
    result = CliRunner().invoke(main, line)
    assert result.exit_code == 2
    assert "--from must be http:// or https:// and a host" in result.stderr


# --- lists of trials ------------------------------------------------------------------------------


def test_the_page_of_a_search_is_read() -> None:
    text = files()["/search.php?subjectnumber=1"].decode()
    assert parse_listing(text, 1) == [
        Trial("01_01", "playground - forward jumps, turn around", 60.0),
        Trial("01_03", "Walk/Run", 120.0),
    ]
    assert parse_listing(text.lower(), 1)[1].name == "01_03"
    assert parse_listing(text, 2) == parse_listing("<p>no subject", 1) == []


def test_a_listing_of_a_folder_is_read(site: Site, tmp_path: Path) -> None:
    del site.content["/search.php?subjectnumber=1"]
    names = ("01.asf", "01_03.amc", "01_01.amc", "01_01.mpg")
    rows = "".join(f'<tr><td><a href="{one}">{one}</a></td><td>2004</td></tr>' for one in names)
    site.content["/subjects/01/"] = f"<html><table>{rows}</table>".encode()
    found = collect(mirror(site), [1], tmp_path)
    assert found.fetched == 3 and not found.left_out
    assert parse_listing(rows, 1) == [Trial("01_01"), Trial("01_03")]


def test_without_a_list_trials_are_asked_for_until_many_are_missing(
    site: Site, tmp_path: Path
) -> None:
    del site.content["/search.php?subjectnumber=1"]
    site.content[site.amc("01_12")] = files()[site.amc("01_01")]
    found = collect(mirror(site), [1], tmp_path)
    assert found.fetched == 4 and not found.left_out
    last = max(path for path in site.paths() if path.endswith(".amc"))
    assert last == site.amc(f"01_{12 + MOST_MISSING}")
    site.asked.clear()
    assert collect(mirror(site), [1], tmp_path).present == 4
    assert site.asked == []


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("walk on uneven terrain", "walk_on_uneven_terrain"),
        ("playground - climb, hang", "playground"),
        ("run/jog", "run"),
        ("Basketball: free throw", "basketball"),
        ("jump 3 times", "jump"),
        ("", "unknown"),
        ("(180 degrees)", "unknown"),
    ],
)
def test_a_label_is_the_first_phrase(text: str, label: str) -> None:
    assert Trial("05_01", text).label.text == label
    assert Trial("05_01", text).label.subject == "005"


# --- a full disk ----------------------------------------------------------------------------------


def limited(out: Path, url: str, most: int) -> subprocess.CompletedProcess[str]:
    """The command in a process that may write no file of more than so many bytes."""
    code = (
        "import resource, sys; most = int(sys.argv.pop(1))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))\n"
        "from hipart.cli import main; main()"
    )
    words = ["data", "get", "cmu", "--subjects", "1-2", "--from", url, "--out", str(out)]
    return subprocess.run(
        [sys.executable, "-c", code, str(most), *words, "--no-preview"],
        capture_output=True,
        text=True,
        timeout=120,
        env=unmeasured() | {"PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )


def test_a_full_disk_ends_it_and_a_later_call_goes_on(site: Site, tmp_path: Path) -> None:
    sizes = {path: len(content) for path, content in everything().items()}
    most = sorted(sizes.values())[2]  # the skeletons and a take fit
    result = limited(tmp_path, site.url, most)
    assert result.returncode == 2, result.stderr
    assert "the disk is full" in result.stderr and "Traceback" not in result.stderr
    assert "goes on where it was, and fetches nothing twice" in result.stderr
    there = {path for path in held(tmp_path) if not path.endswith(".part")}
    assert there and there < everything().keys()
    assert not (tmp_path / "clips.npz").exists()
    (partial,) = tmp_path.rglob("*.part")
    size = partial.stat().st_size
    assert 0 < size <= most
    site.asked.clear()
    result = got(site, tmp_path, "--subjects", "1-2")
    assert result.exit_code == 0, result.output
    assert held(tmp_path) == everything()
    assert not there & set(site.paths())
    name = f"/{partial.relative_to(tmp_path).as_posix()}".removesuffix(".part")
    assert dict(site.asked)[name] == f"bytes={size}-"


def test_a_disk_that_is_full_while_importing_leaves_what_was(site: Site, tmp_path: Path) -> None:
    assert got(site, tmp_path, "--subjects", "1").exit_code == 0
    before = (tmp_path / "clips.npz").read_bytes()
    assert got(site, tmp_path / "all", "--subjects", "1-2").exit_code == 0
    needed = (tmp_path / "all" / "clips.npz").stat().st_size
    shutil.copytree(tmp_path / "all" / "subjects" / "02", tmp_path / "subjects" / "02")
    shutil.rmtree(tmp_path / "all")
    result = limited(tmp_path, site.url, needed // 2)
    assert result.returncode == 2, result.stderr
    assert "the disk is full" in result.stderr and "Traceback" not in result.stderr
    assert (tmp_path / "clips.npz").read_bytes() == before
    assert not list(tmp_path.parent.glob(f".{tmp_path.name}*"))
    assert got(site, tmp_path, "--subjects", "1-2").exit_code == 0
    assert len(read_motion(tmp_path).clips) == 3
    about = json.loads((tmp_path / "clips.json").read_text())
    assert about["made_by"] == "hipart-search data import cmu"
    assert np.isfinite(read_motion(tmp_path).clips[0].root).all()
