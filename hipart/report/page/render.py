"""The report page: one HTML file that needs nothing else and asks nobody for anything.

Its template, style and script are in ``dashboards/``; a file of that name in the working folder's
``dashboards/`` takes the place of the packaged one.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hipart.experiment.file import folders
from hipart.report.grid import Grid
from hipart.report.page.charts.base import Chart
from hipart.report.page.sharing import Shared

#: Scripts that are copied into a page, in order: Vega-Lite draws its charts.
VENDORED = ("vega.min.js", "vega-lite.min.js", "vega-embed.min.js")


@dataclass(frozen=True)
class Page:
    """Everything a page shows."""

    name: str
    title: str
    caption: str
    facts: Sequence[tuple[str, str]]
    grid: Grid
    footer: Sequence[str]
    #: Among which rows best and second best are marked.
    ranking: str
    failed: Sequence[tuple[str, str]]
    charts: Mapping[str, Sequence[Chart]]
    shared: Sequence[Shared]
    poses: Mapping[str, Any]
    #: Heading of the table of origins, and its rows.
    origins: tuple[Sequence[str], Sequence[Sequence[str]]]
    commands: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Entry:
    """An experiment in the index of all."""

    name: str
    title: str
    href: str
    done: int
    planned: int
    metric: str
    base: str
    best: str
    best_arm: str
    failed: int = 0


@dataclass(frozen=True)
class Index:
    """The list of every experiment that has something finished."""

    scale: str
    entries: Sequence[Entry] = field(default_factory=tuple)


def write_page(page: Page, file: Path) -> Path:
    """Write the page, whole."""
    specs = [chart.spec for charts in page.charts.values() for chart in charts]
    return _write(
        file, "report.html.j2", page=page, specs=_json(specs), poses=_json(page.poses), vendor=True
    )


def write_index(index: Index, file: Path) -> Path:
    """Write the index, whole."""
    return _write(file, "index.html.j2", index=index, vendor=False)


def _write(file: Path, template: str, vendor: bool, **values: Any) -> Path:
    places = [str(folder) for folder in reversed(folders("dashboards"))]
    environment = Environment(
        loader=FileSystemLoader(places),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def text(name: str) -> Markup:
        """A file of ``dashboards/`` as it is."""
        source, _, _ = environment.loader.get_source(environment, name)  # type: ignore[union-attr]
        return Markup(source)

    environment.globals["text"] = text
    scripts = [text(f"vendor/{name}") for name in VENDORED] if vendor else []
    html = environment.get_template(template).render(scripts=scripts, **values)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    part.write_text(html, encoding="utf-8", newline="\n")
    part.replace(file)
    return file


def _json(value: Any) -> Markup:
    """JSON that may stand inside a script element, whatever names are in it."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for one in "<>&\u2028\u2029":
        text = text.replace(one, f"\\u{ord(one):04x}")
    return Markup(text)
