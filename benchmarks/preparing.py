"""What preparing Human3.6M takes: ``python -m benchmarks.preparing``.

Files of its form are made up in two sizes (tests/data/h36m_miniature.py: every subject, all thirty
sequences) and made into a corpus by ``hipart-search data prepare h36m``, each in a process of its
own. Time and memory of the real set, 1.56 million camera frames, follow from the straight line
through both. Exit status 1 where a line does not hold.
"""

import sys
import tempfile
from pathlib import Path

from benchmarks.harness import Line, parser, report, watched
from hipart.data.h36m.sequences import TEST_SUBJECTS, TRAIN_SUBJECTS
from tests.data import h36m_miniature

#: Of the training subjects; the test subjects have a third of it besides.
WHOLE = 1_559_752
MINUTES, GIGABYTES = 30.0, 8.0
#: Every action and subaction that Pose2Mesh numbers.
NUMBERED = tuple((action, part) for action in range(2, 17) for part in (1, 2))
FRAMES = (48, 240)


def main() -> int:
    """Prepare both; print the table."""
    chosen = parser(__doc__).parse_args()
    measured = [_prepared(frames) for frames in FRAMES]
    (few, few_s, few_gb), (many, many_s, many_gb) = measured
    rows = (WHOLE - many) / (many - few)
    seconds, gigabytes = many_s + rows * (many_s - few_s), many_gb + rows * (many_gb - few_gb)
    lines = [
        Line(f"{many:,} camera frames", "s", many_s),
        Line(f"{many:,} camera frames", "GB", many_gb),
        Line(f"{WHOLE:,} frames would take", "min", seconds / 60, limit=MINUTES),
        Line(f"{WHOLE:,} frames would take", "GB", gigabytes, limit=GIGABYTES),
    ]
    notes = [f"{count:,} frames: {s:.1f} s, {gb:.2f} GB at most" for count, s, gb in measured]
    return report("preparing", lines, notes, chosen.out)


def _prepared(frames: int) -> tuple[int, float, float]:
    """Camera frames, seconds and the most gigabytes that preparing so many a sequence takes."""
    with tempfile.TemporaryDirectory() as folder:
        mini = h36m_miniature.write(Path(folder) / "files", numbered=NUMBERED, frames=frames)
        made_of = ("--root", mini.root, "--smpl", mini.smpl)
        corpus = Path(folder) / "corpus"
        seconds, usage = watched("data", "prepare", "h36m", *made_of, "--out", corpus)
    train = len(TRAIN_SUBJECTS) * len(NUMBERED) * len(h36m_miniature.with_body(frames))
    # One of S11's two sequences of Directions is left out by everybody.
    test = (len(TEST_SUBJECTS) * len(NUMBERED) - 1) * frames
    count = 4 * (train + test)
    return count, seconds, usage.ru_maxrss / 1e6


if __name__ == "__main__":
    sys.exit(main())
