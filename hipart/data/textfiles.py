"""Text files of recordings: what they hold, their words, and their numbers."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

MAX_FILE_BYTES = 256 << 20
#: UTF-16 begins with its mark, or every other byte of ASCII's signs is 0.
_UTF16 = re.compile(rb"\xff\xfe|\xfe\xff|(?:[\t-~]\0){4}|(?:\0[\t-~]){4}")
#: Only ASCII's blanks divide words: names may hold others, such as U+00A0.
_WORD = re.compile(r"[^ \t\n\r\v\f]+")


def utf8_of(path: Path, kind: str) -> bytes:
    r"""What a text file holds: UTF-8 without a mark, lines that end in ``\n``.

    A file that is no UTF-8 is taken for Latin-1. ValueError if it is too large, empty or no text.
    """
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise ValueError(f"has {size} bytes; at most {MAX_FILE_BYTES} are read")
    data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        raise ValueError("is empty")
    if _UTF16.match(data):
        raise ValueError("is UTF-16: save it as UTF-8")
    if b"\0" in data:
        raise ValueError(f"is binary: {kind} files are text")
    return _as_utf8(data).replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _as_utf8(data: bytes) -> bytes:
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1").encode()
    return data


def words_of(text: str) -> list[str]:
    """The words of a line."""
    return _WORD.findall(text)


def numbers_of(fields: Sequence[str]) -> list[float]:
    """Fields as numbers. ValueError quotes the first that is none."""
    try:
        return list(map(float, fields))
    except ValueError as error:
        raise ValueError(f"not a number ({error!s:.80}){decimal_comma(fields)}") from None


def decimal_comma(fields: Iterable[str]) -> str:
    """What to do about a comma in what should be numbers, or nothing."""
    comma = any(re.fullmatch(r"\s*[-+]?\d*,\d+\s*", field) for field in fields)
    return "; a decimal point is needed, not a comma" if comma else ""


def other_case(word: str, known: Iterable[str]) -> str:
    """Which of the words of a format this one is in another case, or nothing."""
    return next((one for one in known if one.lower() == word.lower() and one != word), "")
