"""A job's history: the mean of each part of its loss, row by row, as JSON lines."""

import json
import math
from pathlib import Path

#: About as many rows as a curve shows.
HISTORY_ROWS = 100
#: Name of the file.
HISTORY = "history.jsonl"

Row = dict[str, float]
#: How the names of numbers begin that were measured on samples held out, not on those seen.
VALIDATION = "validation_"


class History:
    """Rows of a training, each with the ``step`` after which it was taken."""

    def __init__(self, work: Path, start: int) -> None:
        """Take up what an earlier attempt wrote in the folder up to step ``start``."""
        self._file = work / HISTORY
        self.rows: list[Row] = []
        if start and self._file.exists():
            rows = [json.loads(line) for line in self._file.read_text().splitlines()]
            self.rows = [row for row in rows if row["step"] <= start]

    def add(self, step: int, means: Row) -> None:
        """One more row; raises ``FloatingPointError`` naming the step if a mean is not finite."""
        bad = [name for name, value in means.items() if not math.isfinite(value)]
        if bad:
            raise FloatingPointError(f"{', '.join(bad)} is not finite at step {step}")
        self.rows.append({"step": step, **means})

    def forget_last(self, prefix: str) -> None:
        """Leave numbers whose names begin so out of the last row."""
        if self.rows:
            self.rows[-1] = {k: v for k, v in self.rows[-1].items() if not k.startswith(prefix)}

    def write(self) -> None:
        """Write all rows: the file is either the old one or the new one."""
        part = self._file.with_suffix(".part")
        part.write_text("".join(json.dumps(row) + "\n" for row in self.rows))
        part.replace(self._file)
