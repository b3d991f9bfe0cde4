"""What the CMU database's site says of its trials, and the tables that are kept of it."""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from hipart.data.fetching import FULL, full
from hipart.data.labels import Label
from hipart.data.partial import PARTIAL

UNKNOWN = "unknown"
#: What links in a row of the search page are called.
LINKS = ("tvd", "c3d", "amc", "asf", "mpg", "avi", "animated", "feedback")


@dataclass(frozen=True)
class Trial:
    """A take by its name, such as ``01_02``; what the site says of it."""

    name: str
    description: str = ""
    fps: float | None = None

    @property
    def label(self) -> Label:
        """The action that it shows: the first phrase of its description."""
        phrase = re.split(r"[^\w\s'’]|\d", self.description.strip(" -_"))[0]
        words = re.findall(r"[^\W\d_]+", phrase.lower())
        subject = f"{int(self.name.partition('_')[0]):03d}"
        return Label("_".join(words) or UNKNOWN, subject, self.fps)


def parse_listing(html: str, number: int) -> list[Trial]:
    """The trials that a page links to: a search's, or a listing of a folder. Ascending."""
    reader = _Listing(number)
    reader.feed(html)
    reader.close()
    reader.end_row()
    return [reader.trials[name] for name in sorted(reader.trials)]


class _Listing(HTMLParser):
    """Rows of a table: links to trials, and the words beside them. Its tags may be left open."""

    def __init__(self, number: int) -> None:
        super().__init__(convert_charrefs=True)
        self.trials: dict[str, Trial] = {}
        self._link = re.compile(rf"(?:^|/)0*{number}_(\d{{1,2}})\.amc$", re.IGNORECASE)
        self._number = number
        self._words: list[str] = []
        self._row: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.end_row()
        elif tag == "td":
            self._words.append("")
        elif tag == "a":
            found = self._link.search(dict(attrs).get("href") or "")
            if found:
                self._row.append(f"{self._number:02d}_{int(found[1]):02d}")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("tr", "table"):
            self.end_row()

    def handle_data(self, data: str) -> None:
        if self._words:
            self._words[-1] = f"{self._words[-1]} {data}".strip()

    def end_row(self) -> None:
        """What the row that ends has said."""
        words = [" ".join(word.split()) for word in self._words]
        words = [word for word in words if word and not set(word.lower().split()) <= set(LINKS)]
        for name in self._row:
            self.trials.setdefault(name, _described(name, words))
        self._words, self._row = [], []


def _described(name: str, words: list[str]) -> Trial:
    """A trial with the description and the rate that follow its number in a row."""
    number = int(name[-2:])
    places = [n for n, word in enumerate(words) if word.isdecimal() and int(word) == number]
    after = words[places[0] + 1 :] if places else []
    rates = [float(word) for word in after[1:] if word.isdecimal() and 1 <= int(word) <= 1000]
    text = after[0] if after and not after[0].isdecimal() else ""
    return Trial(name, text, rates[-1] if rates else None)


def write_trials(path: Path, trials: Iterable[Trial]) -> None:
    """Keep what is known of a subject's trials."""
    rows = [(trial.name, trial.description, trial.fps) for trial in trials]
    write_table(path, ("clip", "description", "fps"), rows)


def write_table(path: Path, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a CSV file, whole or not at all. ValueError if the disk is full."""
    partial = path.with_name(path.name + PARTIAL)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows([["" if one is None else one for one in row] for row in rows])
        partial.replace(path)
    except OSError as error:
        if error.errno in FULL:
            raise full(path, error) from None
        raise


def read_trials(path: Path) -> list[Trial]:
    """What ``write_trials`` kept. ValueError where the file is damaged."""
    with path.open(encoding="utf-8", newline="") as file:
        try:
            return [
                Trial(row["clip"], row["description"], float(row["fps"]) if row["fps"] else None)
                for row in csv.DictReader(file)
            ]
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            raise ValueError(
                f"{path}: cannot be read ({error!r}); delete it: it is made anew"
            ) from None
