"""What importing motion takes: ``python -m benchmarks.importing``.

ASF and AMC files as CMU's database lays them out are made up from the packaged motion (120 frames
a second, takes of 300 to 5,000 frames, five takes a person) and imported by ``hipart-search data
import amc``, in a process of its own: once all of them, and once the longest take alone. Memory is
what all of them take more than that one does. ``--clips`` says how many. Exit status 1 where a line
does not hold.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.harness import Line, parser, report, watched
from hipart.data.motion import Clip, read_motion
from tests.data.acclaim_files import amc_text, asf_text, person

CLIPS_A_MINUTE, MEGABYTES = 200.0, 50.0
#: Frames of CMU's takes, at CMU's rate.
FRAMES, RATE = (300, 5_000), 120
TAKES_A_PERSON = 5


def main() -> int:
    """Import one and all; print the table."""
    options = parser(__doc__)
    options.add_argument("--clips", type=int, default=200, help="how many are made up")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "cmu"
        lengths = write(files, chosen.clips)
        longest = max(lengths, key=lambda name: lengths[name])
        alone = Path(folder) / "one"
        alone.mkdir()
        for name in (f"{longest.partition('_')[0]}.asf", f"{longest}.amc"):
            (found,) = files.rglob(name)
            (alone / name).write_bytes(found.read_bytes())
        _, _, one = _imported(alone, Path(folder) / "one-motion")
        seconds, busy, every = _imported(files, Path(folder) / "motion")
    frames = sum(lengths.values())
    lines = [
        Line(
            f"{len(lengths)} clips, {frames / len(lengths):,.0f} frames each",
            "clips/min",
            60 * len(lengths) / seconds,
            better="higher",
            limit=CLIPS_A_MINUTE,
        ),
        Line("memory beside the longest clip", "MB", max(0.0, every - one), limit=MEGABYTES),
    ]
    notes = [
        f"{seconds:.1f} s, of which {busy:.1f} s on a core; {every:.0f} MB at most; the longest "
        f"clip alone {one:.0f} MB"
    ]
    return report("importing", lines, notes, chosen.out)


def write(folder: Path, clips: int) -> dict[str, int]:
    """So many takes and their skeletons; the frames of each take."""
    rng = np.random.default_rng(0)
    source = max(read_motion().clips, key=len)
    lengths = {}
    for number in range(clips):
        subject = f"{number // TAKES_A_PERSON + 1:02d}"
        name = f"{subject}_{number % TAKES_A_PERSON + 1:02d}"
        frames = int(np.exp(rng.uniform(*np.log(FRAMES))))
        taken = np.resize(np.arange(len(source)), frames * 30 // RATE + 1)
        clip = Clip(name, "walk", None, source.root[taken], source.rot[taken])
        skeleton, values = person(clip, RATE)
        place = folder / "subjects" / subject
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{subject}.asf").write_text(asf_text(skeleton))
        (place / f"{name}.amc").write_text(amc_text(skeleton, values))
        lengths[name] = len(values["root"])
    return lengths


def _imported(files: Path, out: Path) -> tuple[float, float, float]:
    """Seconds, those on a core, and the most megabytes that importing takes."""
    labels = out.with_suffix(".csv")
    names = sorted(path.stem for path in files.rglob("*.amc"))
    labels.write_text("clip,label\n" + "".join(f"{name},walk\n" for name in names))
    seconds, usage = watched("data", "import", "amc", files, "--labels", labels, "--out", out)
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3


if __name__ == "__main__":
    sys.exit(main())
