"""The CMU Graphics Lab Motion Capture Database, fetched from its own site or a mirror of it.

Its files are ``subjects/NN/NN.asf`` and ``subjects/NN/NN_MM.amc``; which trials a subject has says
the page of its search, ``search.php?subjectnumber=N``, with a row for each.
"""

import csv
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from hipart.data.amc import check_whole
from hipart.data.fetching import FULL, PARTIAL, Mirror, Missing, Unfetched, full
from hipart.data.importing import PREVIEW
from hipart.data.labels import COLUMNS, Label
from hipart.data.motion import motion_files

SITE = "http://mocap.cs.cmu.edu"
ACKNOWLEDGEMENT = (
    "The data used in this project was obtained from mocap.cs.cmu.edu. "
    "The database was created with funding from NSF EIA-0196217."
)
MAX_SUBJECT = 999
MAX_TRIAL = 99
#: The site asks not to be crawled for all motions: so many subjects at once; all are in one zip.
MOST_SUBJECTS = 50
#: Where no page lists a subject's trials, so many missing in a row are the end of them.
MOST_MISSING = 10
#: So many files in a row that cannot be had, and it is the server.
MOST_FAILED = 3
UNKNOWN = "unknown"
LABELS = "labels.csv"
TRIALS = "trials.csv"
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


@dataclass
class Progress:
    """How far fetching is. ``files`` are all that are known of, ``size`` the bytes that came."""

    done: int = 0
    files: int = 0
    size: int = 0
    name: str = ""


@dataclass
class Collected:
    """What a call did: files fetched and found complete; what is missing or failed, and why."""

    fetched: int = 0
    present: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def subjects(text: str) -> list[int]:
    """The numbers in ``1,2,5-9``, ascending. ValueError for anything else."""
    found: set[int] = set()
    for part in text.replace(" ", "").split(","):
        ends = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", part)
        first, last = (int(ends[1]), int(ends[2] or ends[1])) if ends else (0, 0)
        if not 1 <= first <= last <= MAX_SUBJECT:
            raise ValueError(
                f"--subjects must be numbers and ranges from 1 to {MAX_SUBJECT} such as 1,2,5-9; "
                f"found {part!r:.40}"
            )
        found.update(range(first, last + 1))
    return sorted(found)


def check_wish(url: str, numbers: Iterable[int]) -> None:
    """ValueError for more of the site at once than it wishes to be asked for."""
    count = len(list(numbers))
    if url.rstrip("/") == SITE and count > MOST_SUBJECTS:
        raise ValueError(
            f"{count} subjects at once: {SITE} asks not to be crawled for all its motions and has "
            f"a zip file of all ASF and AMC files on {SITE}/faqs.php: unpack it and give "
            f"`hipart-search data import amc`. Up to {MOST_SUBJECTS} subjects are fetched at once, "
            "and any number from a mirror with --from URL"
        )


def check_folder(out: Path) -> None:
    """ValueError where ``out`` holds anything that this command does not make."""
    made = {"subjects", LABELS, PREVIEW, *(path.name for path in motion_files(out))}
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out}: is no folder; choose another --out")
    there = [one.name for one in out.iterdir()] if out.exists() else []
    strange = sorted(name for name in there if name not in made)
    if strange:
        raise ValueError(f"{out}: holds {strange[0]!r:.80}, not made here; choose another --out")


def collect(
    mirror: Mirror,
    numbers: Iterable[int],
    out: Path,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Collected:
    """Fetch what ``out`` lacks of these subjects, one file after another.

    A file that there is not, or that cannot be had, is told and passed over. ValueError if the disk
    is full, or if it is the server that fails; what has come so far stays.
    """
    collector = _Collector(mirror, out, progress)
    listed = {number: collector.trials(number) for number in numbers}
    for number, trials in listed.items():
        collector.subject(number, trials)
    return collector.found


class _Collector:
    """A call: what it found, how far it is, and how many files in a row failed."""

    def __init__(self, mirror: Mirror, out: Path, progress: Callable[[Progress], None]) -> None:
        self.found = Collected()
        self._mirror, self._out, self._progress = mirror, out, progress
        self._far = Progress()
        self._failures = 0
        self._unlisted: set[int] = set()

    def trials(self, number: int) -> list[Trial] | None:
        """What the site lists of a subject, or None where nothing does: it is asked once."""
        saved = self._folder(number) / TRIALS
        if saved.exists():
            trials = [Trial(*row) for row in _read(saved)]
        else:
            self._show(f"the list of {number:02d}")
            trials = self._listed(number)
            if trials:
                _write(saved, trials)
        self._far.files += 1 + len(trials)
        return trials or None

    def _listed(self, number: int) -> list[Trial]:
        for page in (f"search.php?subjectnumber={number}", f"subjects/{number:02d}/"):
            try:
                trials = parse_listing(self._mirror.page(page), number)
                self._failures = 0
                if trials:
                    return trials
            except Missing:
                self._failures = 0
            except Unfetched as error:
                self._unlisted.add(number)
                self._fail(page, error)
        return []

    def subject(self, number: int, trials: list[Trial] | None) -> None:
        """Fetch a skeleton and, where there is one, its takes."""
        if not self._had(number, f"{number:02d}.asf"):
            self._far.done += len(trials or ())
        elif trials is not None:
            for trial in trials:
                self._had(number, f"{trial.name}.amc")
        else:
            self._probe(number)

    def _probe(self, number: int) -> None:
        """Ask for one trial after another, until too many are missing in a row."""
        there: list[Trial] = []
        missing, failed = 0, len(self.found.failed)
        for trial in range(1, MAX_TRIAL + 1):
            name = f"{number:02d}_{trial:02d}"
            self._far.files += 1
            if self._had(number, f"{name}.amc", probing=True):
                there.append(Trial(name))
                missing = 0
            elif (missing := missing + 1) == MOST_MISSING:
                break
        if there and number not in self._unlisted and len(self.found.failed) == failed:
            _write(self._folder(number) / TRIALS, there)

    def _had(self, number: int, name: str, probing: bool = False) -> bool:
        """Whether a file is there, fetched or not."""
        self._show(name)
        target = self._folder(number) / name
        path = f"subjects/{number:02d}/{name}"
        try:
            came = self._mirror.fetch(path, target, check_whole, self._arrived)
        except Missing as error:
            self._failures = 0
            if not probing:
                self.found.left_out[name] = str(error)
            return False
        except Unfetched as error:
            self.found.failed[name] = str(error)
            self._fail(name, error)
            return False
        finally:
            self._far.done += 1
        self._failures = 0
        self.found.fetched += came
        self.found.present += not came
        return True

    def _fail(self, name: str, error: Unfetched) -> None:
        self._failures += 1
        if self._failures == MOST_FAILED:
            raise ValueError(
                f"{self._mirror.url}: {MOST_FAILED} files in a row could not be had ({name}: "
                f"{error}); {self.found.fetched} file(s) came and stay. Is the address right? The "
                "same command goes on where it was"
            ) from None

    def _folder(self, number: int) -> Path:
        return self._out / "subjects" / f"{number:02d}"

    def _arrived(self, size: int) -> None:
        self._far.size += size
        self._progress(self._far)

    def _show(self, name: str) -> None:
        self._far.name = name
        self._progress(self._far)


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


def collected_files(out: Path) -> tuple[dict[str, Path], dict[str, Label]]:
    """Every complete take below ``out`` and its label, by clip; the labels are written beside them.

    ValueError where there is none.
    """
    files = {path.stem: path for path in sorted(out.glob("subjects/*/*.amc"))}
    if not files:
        raise ValueError(f"{out}: no take of these subjects could be fetched, so there is none")
    labels: dict[str, Label] = {}
    for folder in sorted({path.parent for path in files.values()}):
        saved = folder / TRIALS
        rows = _read(saved) if saved.exists() else []
        labels |= {name: Trial(name, text, rate).label for name, text, rate in rows}
    labels = {name: labels.get(name, Trial(name).label) for name in files}
    table = [(name, one.text, one.subject or "", one.fps) for name, one in labels.items()]
    _rows_to(out / LABELS, COLUMNS, table)
    return files, labels


def _write(path: Path, trials: Iterable[Trial]) -> None:
    rows = [(trial.name, trial.description, trial.fps) for trial in trials]
    _rows_to(path, ("clip", "description", "fps"), rows)


def _rows_to(path: Path, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
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


def _read(path: Path) -> list[tuple[str, str, float | None]]:
    with path.open(encoding="utf-8", newline="") as file:
        try:
            return [
                (row["clip"], row["description"], float(row["fps"]) if row["fps"] else None)
                for row in csv.DictReader(file)
            ]
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            raise ValueError(
                f"{path}: cannot be read ({error!r}); delete it: it is made anew"
            ) from None
