"""What every benchmark shares: timing turn by turn, and a table with ours, the peer, the ratio.

Needs the standard library alone, so that it also runs where only torch is installed.
"""

import argparse
import json
import math
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Literal

#: Where the JSON of a benchmark goes unless ``--out`` says otherwise.
OUT = Path("results") / "benchmarks"


@dataclass(frozen=True)
class Line:
    """One comparison, from one run: ours beside a peer's, and what is asked of it.

    The ratio says how many times better ours is. ``least_ratio`` is the ratio asked for,
    ``limit`` the value that ours may not pass; a line with neither is for information.
    """

    what: str
    unit: str
    ours: float
    peer: float | None = None
    peer_name: str = ""
    better: Literal["lower", "higher"] = "lower"
    least_ratio: float | None = None
    limit: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times better ours is than the peer's."""
        if self.peer is None:
            return None
        worse, best = (self.peer, self.ours) if self.better == "lower" else (self.ours, self.peer)
        return worse / best if best else math.inf

    @property
    def holds(self) -> bool | None:
        """Whether what is asked for holds; None where nothing is."""
        asked = []
        if self.least_ratio is not None:
            asked.append(self.ratio is not None and self.ratio >= self.least_ratio)
        if self.limit is not None:
            within = self.ours <= self.limit if self.better == "lower" else self.ours >= self.limit
            asked.append(within)
        return all(asked) if asked else None


def alternate(
    calls: Mapping[str, Callable[[], object]],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median seconds of each call, turn by turn after a warm-up of each.

    Whatever else the machine does meets all of them alike. ``time.process_time`` as ``clock``
    leaves out what a call of one thread waits for a core.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(repeats + 1):
        for name, call in calls.items():
            start = clock()
            call()
            if repeat:
                seconds[name].append(clock() - start)
    return {name: median(times) for name, times in seconds.items()}


def watched(*arguments: object) -> tuple[float, resource.struct_rusage]:
    """The seconds that a ``hipart-search`` command takes, and what its process used."""
    command = [sys.executable, "-m", "hipart.cli", *map(str, arguments)]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise RuntimeError(f"{' '.join(command)} failed")
    return seconds, usage


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Options that every benchmark takes: ``--out`` and ``--repeats``."""
    options = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--out", type=Path, default=OUT, help="folder of the JSON file")
    options.add_argument("--repeats", type=int, default=5, help="timed repetitions of each call")
    return options


def report(name: str, lines: Sequence[Line], notes: Sequence[str], out: Path) -> int:
    """Print the table, write ``out/NAME.json``; 0 if everything that is asked for holds."""
    print(f"\n{name}")
    header = ("", "ours", "peer", "ratio", "asked", "")
    rows = [header, *(_row(line) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    for row in rows:
        first, *rest = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join([first, *rest]).rstrip())
    for note in notes:
        print(f"  {note}")
    out.mkdir(parents=True, exist_ok=True)
    content = {
        "benchmark": name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()} {platform.system()}, Python {platform.python_version()}",
        "lines": [asdict(line) | {"ratio": line.ratio, "holds": line.holds} for line in lines],
        "notes": list(notes),
    }
    (out / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    return 1 if any(line.holds is False for line in lines) else 0


def _row(line: Line) -> tuple[str, ...]:
    peer = "" if line.peer is None else f"{_number(line.peer)} {line.unit} ({line.peer_name})"
    ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
    asked = []
    if line.least_ratio is not None:
        asked.append(f"ratio >= {line.least_ratio:g}")
    if line.limit is not None:
        asked.append(f"{'<=' if line.better == 'lower' else '>='} {line.limit:g} {line.unit}")
    verdict = {None: "", True: "holds", False: "DOES NOT HOLD"}[line.holds]
    ours = f"{_number(line.ours)} {line.unit}"
    return (line.what, ours, peer, ratio, ", ".join(asked), verdict)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
