"""Answers as JSON, for programs that know no NumPy."""

import json
from pathlib import Path

from hipart.predicting.found import Found
from hipart.skeleton import JOINTS, PARENTS


def write_json(found: Found, out: Path) -> None:
    """``joints``, ``parents`` and every answer as nested lists, to a thousandth of its unit."""
    answers = {
        name: values.astype(float).round(3).tolist() for name, values in found.answers.items()
    }
    text = json.dumps({"joints": JOINTS, "parents": PARENTS, **answers})
    out.write_text(text + "\n", encoding="utf-8")
