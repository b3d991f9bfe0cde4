"""A table for programs: everything it says, by name, in full precision."""

import json
from dataclasses import asdict
from typing import Any

from hipart.report.model import Content, Row

VERSION = 1


def render(table: Content) -> str:
    """One object: what the table is, its metrics, its arms and their numbers, and its footer."""
    return (
        json.dumps(
            {
                "kind": "hipart-table",
                "format": VERSION,
                "name": table.name,
                "title": table.title,
                "source": {"paper": table.paper, "place": table.place},
                "metrics": [
                    {"name": one.name, "title": one.title, "unit": one.unit, "goal": one.goal}
                    for one in table.columns
                ],
                "arms": [_arm(table, row) for row in table.rows],
                "effects": [asdict(effect) for effect in table.effects],
                "footer": list(table.footer),
            },
            indent=2,
            ensure_ascii=False,
            allow_nan=False,
        )
        + "\n"
    )


def _arm(table: Content, row: Row) -> dict[str, Any]:
    return {
        "name": row.arm,
        "levels": dict(row.levels),
        "planned": row.planned,
        "done": row.done,
        "failed": row.failed,
        "reason": row.reason,
        "measured": {
            column.name: asdict(cell) for column, cell in zip(table.columns, row.cells, strict=True)
        },
        "published": row.published.model_dump(exclude_none=True) if row.published else None,
    }
