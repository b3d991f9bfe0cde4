"""Files fetched from a server politely: one after another, resumed, and never twice."""

import errno
import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hipart.data.partial import Partial

#: What a system calls a disk, a quota or a limit of a file that is full.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CHUNK_BYTES = 1 << 16
#: Less than so much in the time of a stall is a stall.
TRICKLE_BYTES = 1 << 10
MAX_PAGE_BYTES = 4 << 20
#: A number of bytes in a header.
SIZE = r"\d{1,15}"
PAGES = ("text/html", "application/xhtml+xml")
GONE = (404, 410)
LATER = (408, 425, 429)
MAX_WAIT_S = 60.0
#: Statuses of an answer with the file, with its rest, or without one because it is all there.
ANSWERS = (
    http.HTTPStatus.OK,
    http.HTTPStatus.PARTIAL_CONTENT,
    http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
)


class Missing(Exception):
    """The server says that there is no such file."""


class Unfetched(Exception):
    """A file could not be had, however often it was tried; says why."""


class _Again(Exception):
    """What went wrong may go right another time. ``wait_s``: the server asks for so much."""

    def __init__(self, why: str, wait_s: float = 0.0) -> None:
        super().__init__(why)
        self.wait_s = wait_s


@dataclass(frozen=True)
class Mirror:
    """A server, and how it is treated.

    One request at a time, ``pause_s`` after each. Nothing for ``stall_s`` is a stall; a file is
    tried ``tries`` times, after ``wait_s``, twice that and so on.
    """

    url: str
    stall_s: float = 30.0
    tries: int = 5
    wait_s: float = 1.0
    pause_s: float = 0.1

    def fetch(
        self,
        path: str,
        target: Path,
        check: Callable[[Path], object],
        arrived: Callable[[int], None] = lambda _: None,
    ) -> bool:
        """Fetch a file unless it is there; whether it was fetched.

        What an earlier call left of it is gone on with. ``check`` raises ValueError for a file that
        is not whole. ``arrived`` hears of every so many bytes. Missing if there is none, Unfetched
        if it cannot be had, ValueError of a full disk.
        """
        if target.exists():
            return False
        partial = Partial(target)

        def once() -> None:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                self._go_on(path, partial, arrived)
                _checked(partial, check)
                partial.finish()
            except OSError as error:
                if error.errno in FULL:
                    raise full(target, error) from None
                raise

        self._patiently(path, once)
        return True

    def page(self, path: str) -> str:
        """The text of a page. Missing if there is none, Unfetched if it cannot be had."""
        found: list[str] = []

        def once() -> None:
            with self._open(path, {}) as response:
                content = b""
                for chunk in self._chunks(response):
                    content += chunk
                    if len(content) > MAX_PAGE_BYTES:
                        raise _Again(f"a page of more than {MAX_PAGE_BYTES} bytes")
                total = _extent(response).total
                if total is not None and len(content) != total:
                    raise _Again(f"cut off at {len(content)} of {total} bytes")
                found.append(content.decode(response.headers.get_content_charset() or "latin-1"))

        self._patiently(path, once)
        return found[-1]

    def _patiently(self, path: str, once: Callable[[], None]) -> None:
        """Try until it succeeds or has failed ``tries`` times."""
        why = ""
        for attempt in range(self.tries):
            try:
                once()
                return
            except _Again as error:
                why, asked = str(error), error.wait_s
            except (OSError, http.client.HTTPException, LookupError, UnicodeError) as error:
                why, asked = _spoken(error), 0.0
            finally:
                time.sleep(self.pause_s)
            if attempt + 1 < self.tries:
                time.sleep(min(MAX_WAIT_S, max(asked, self.wait_s * 2**attempt)))
        raise Unfetched(f"{why} ({self.tries} tries)")

    def _open(self, path: str, headers: dict[str, str]) -> Any:
        """A response with a body. Statuses become what they mean."""
        agent = {"User-Agent": "hipart-search", "Accept-Encoding": "identity"}
        request = urllib.request.Request(f"{self.url.rstrip('/')}/{path}", headers=agent | headers)
        try:
            return urllib.request.urlopen(request, timeout=self.stall_s)
        except urllib.error.HTTPError as error:
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and "Range" in headers:
                return error
            error.close()
            if error.code in GONE:
                raise Missing(f"the server has none ({error.code})") from None
            said = f"the server answers {error.code} {error.reason}"
            if error.code < 500 and error.code not in LATER:
                raise Unfetched(said) from None
            raise _Again(said, _seconds(error.headers.get("Retry-After"))) from None
        except ValueError as error:  # a redirection to what is no address
            raise _Again(f"the server's answer cannot be read ({error})") from None

    def _go_on(self, path: str, partial: Partial, arrived: Callable[[int], None]) -> None:
        """Fetch what a partial file lacks."""
        with self._open(path, partial.rest() if partial.size() else {}) as response:
            _check_answer(response, partial)
            extent = _extent(response)
            if response.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # it is all there
            if response.headers.get_content_type() in PAGES:
                raise _Again(_page_instead(response.read(CHUNK_BYTES)))
            if not extent.begins:
                partial.begin(response.headers, extent.total)
            with partial.path.open("ab") as file:
                size = extent.begins + self._copy(response, file, not extent.begins, arrived)
        wanted = partial.whole() or extent.total or extent.ends
        if wanted and size != wanted:
            raise _Again(f"cut off at {size} of {wanted} bytes")

    def _copy(
        self, response: Any, file: Any, from_start: bool, arrived: Callable[[int], None]
    ) -> int:
        """Copy what comes; how much it was."""
        size = 0
        for chunk in self._chunks(response):
            if from_start and not size and chunk.lstrip()[:1] == b"<":
                raise _Again(_page_instead(chunk))
            file.write(chunk)
            file.flush()
            arrived(len(chunk))
            size += len(chunk)
        return size

    def _chunks(self, response: Any) -> Iterator[bytes]:
        """What comes of a body, until it ends or stalls."""
        since, amount = time.monotonic(), 0
        while chunk := response.read1(CHUNK_BYTES):
            yield chunk
            amount += len(chunk)
            if time.monotonic() - since > self.stall_s:
                if amount < TRICKLE_BYTES:
                    raise _Again(f"stalled: {amount} bytes in {self.stall_s:g} s")
                since, amount = time.monotonic(), 0


def _check_answer(response: Any, partial: Partial) -> None:
    """Refuse an answer without the file, or with another part or version than was begun.

    In the latter cases what was begun is discarded.
    """
    if response.status not in ANSWERS:
        said = f"{response.status} {response.reason}".strip()
        raise _Again(f"the server answers {said} instead of the file")
    if response.status == http.HTTPStatus.OK:
        return
    extent, have = _extent(response), partial.size()
    if response.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        fits = extent.total == have
    else:
        fits = extent.begins in (0, have)
    if not fits or not partial.is_of(response.headers, extent.total):
        partial.discard()
        what = "version" if fits else "part"
        raise _Again(f"the server has another {what} of the file than was begun")


def full(target: Path, error: OSError) -> ValueError:
    """What is said of a disk that is full."""
    return ValueError(
        f"{target}: the disk is full ({error.strerror}); make room and give the same command: it "
        "goes on where it was, and fetches nothing twice"
    )


def _checked(partial: Partial, check: Callable[[Path], object]) -> None:
    try:
        check(partial.path)
    except ValueError as error:
        partial.discard()
        raise _Again(f"what came {error}") from None


@dataclass(frozen=True)
class _Extent:
    """Where a body begins in the file (-1 of none) and ends, and the file's size, if it is said."""

    begins: int
    ends: int | None = None
    total: int | None = None


def _extent(response: Any) -> _Extent:
    said = response.headers.get("Content-Length", "")
    length = int(said) if re.fullmatch(SIZE, said) else None
    if response.status == http.HTTPStatus.OK:
        return _Extent(0, length, length)
    content_range = response.headers.get("Content-Range", "")
    found = re.match(rf"bytes (?:({SIZE})-({SIZE})|\*)/({SIZE}|\*)$", content_range)
    if found is None:
        return _Extent(-1)
    total = int(found[3]) if found[3] != "*" else None
    if found[1] is None:
        return _Extent(0, total=total)
    begins, ends = int(found[1]), int(found[2]) + 1
    return _Extent(begins if length in (None, ends - begins) else -1, ends, total)


def _page_instead(content: bytes) -> str:
    title = re.search(rb"<title>\s*(.{1,80}?)\s*</title>", content, re.IGNORECASE | re.DOTALL)
    named = f" ({title[1].decode('latin-1')!r})" if title else ""
    return f"the server sent a web page{named} instead of the file"


def _seconds(text: str | None) -> float:
    return float(text) if text and text.isdecimal() else 0.0


def _spoken(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return "stalled: nothing came"
    return f"{type(reason).__name__}: {reason}" if str(reason) else type(reason).__name__
