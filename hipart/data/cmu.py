"""The CMU Graphics Lab Motion Capture Database, fetched from its own site or a mirror of it.

Its files are ``subjects/NN/NN.asf`` and ``subjects/NN/NN_MM.amc``; which trials a subject has says
the page of its search, ``search.php?subjectnumber=N``, with a row for each.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from hipart.data.amc import check_whole
from hipart.data.cmu_trials import Trial, parse_listing, read_trials, write_table, write_trials
from hipart.data.fetching import Mirror, Missing, Unfetched
from hipart.data.labels import COLUMNS, Label
from hipart.data.motion import motion_files
from hipart.data.motion_writer import PREVIEW, made_here
from hipart.data.partial import PARTIAL

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
#: What the motion is said to be made of.
KIND = "cmu"
LABELS = "labels.csv"
TRIALS = "trials.csv"


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
    if urlsplit(url).hostname == urlsplit(SITE).hostname and count > MOST_SUBJECTS:
        raise ValueError(
            f"{count} subjects at once: {SITE} asks not to be crawled for all its motions and has "
            f"a zip file of all ASF and AMC files on {SITE}/faqs.php: unpack it and give "
            f"`hipart-search data import amc`. Up to {MOST_SUBJECTS} subjects are fetched at once, "
            "and any number from a mirror with --from URL"
        )


def check_address(url: str) -> None:
    """ValueError for what is no address of a server."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(f"--from must be http:// or https:// and a host, found {url!r:.80}")


def check_folder(out: Path) -> None:
    """ValueError where ``out`` holds anything that this command does not make."""
    motion = motion_files(out)
    made = {"subjects", LABELS, PREVIEW, *(path.name for path in motion)}
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out}: is no folder; choose another --out")
    there = [one.name for one in out.iterdir()] if out.exists() else []
    strange = sorted(name for name in there if name.removesuffix(PARTIAL) not in made)
    if strange:
        raise ValueError(f"{out}: holds {strange[0]!r:.80}, not made here; choose another --out")
    if any(path.exists() for path in motion) and not made_here(out, KIND):
        raise ValueError(f"{out}: holds motion that was not made here; choose another --out")


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
            trials = read_trials(saved)
        else:
            self._show(f"the list of {number:02d}")
            trials = self._listed(number)
            if trials:
                write_trials(saved, trials)
        self._far.files += 1 + len(trials)
        return trials or None

    def _listed(self, number: int) -> list[Trial]:
        for page in (f"search.php?subjectnumber={number}", f"subjects/{number:02d}/"):
            try:
                trials = parse_listing(self._mirror.page(page), number)
                self._failures = 0
                if trials:
                    return trials
                self._unlisted.add(number)  # a page that lists nothing is not to be relied on
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
            write_trials(self._folder(number) / TRIALS, there)

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
        trials = read_trials(saved) if saved.exists() else []
        labels |= {trial.name: trial.label for trial in trials}
    labels = {name: labels.get(name, Trial(name).label) for name in files}
    table = [(name, one.text, one.subject or "", one.fps) for name, one in labels.items()]
    write_table(out / LABELS, COLUMNS, table)
    return files, labels
