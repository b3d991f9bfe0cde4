"""``python tools/reference.py``: docs/configuration.md and docs/commands.md from the code.

What a field means is the ``#:`` comment above it. A test fails when the files are stale.
"""

import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from hipart.cli import main
from hipart.config import PipelineConfig
from hipart.experiment.explain import fields_of
from hipart.experiment.form import Written
from hipart.experiment.scales import SCALES
from hipart.experiment.search import SpaceFile, WrittenSearch
from hipart.experiment.suite import Suite

DOCS = Path(__file__).resolve().parents[1] / "docs"
CONFIGURATION = """\
# Every setting

Written by `tools/reference.py` from the code; change it there. A path like
`tokenizer.sparse_codebook.size` stands in experiment files under `base`, `path`, `set` and in a
search's dimensions. Defaults are the paper's; scales put others in their place.

"""
FILES = """\
# Every key of the files

What may stand in `experiments/*.yaml` and `search_spaces/*.yaml`.

"""
COMMANDS = """\
# Every command

Written by `tools/reference.py` from the code; change it there. `--help` says the same.

"""


def configuration() -> str:
    """The reference of all settings, then of all files."""
    text = CONFIGURATION
    for prefix, model in _sections(PipelineConfig, ""):
        text += _section(f"`{prefix}`" if prefix else "Sections", model, prefix)
    text += FILES
    seen: set[type[BaseModel]] = set()
    for title, form in (
        ("An ablation: `kind: ablation`", Written),
        ("A search: `kind: search`", WrittenSearch),
        ("A file of dimensions", SpaceFile),
        ("A suite", Suite),
    ):
        text += _section(title, form, None)
        for model in _parts(form, seen):
            text += _section(model.__name__, model, None)
    return text


def commands() -> str:
    """The reference of all commands, by name."""
    return COMMANDS + "".join(_commands(main, ()))


def _commands(command: click.Command, path: tuple[str, ...]) -> Iterator[str]:
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from _commands(command.commands[name], (*path, name))
        return
    context = click.Context(command, info_name=" ".join(("hipart-search", *path)))
    usage = command.get_usage(context).removeprefix("Usage: ")
    yield f"## {' '.join(path)}\n\n{inspect.cleandoc(command.help or '')}\n\n```\n"
    yield f"{' '.join(usage.split())}\n```\n\n"
    rows = [one.get_help_record(context) for one in command.params]
    shown = [row for row in rows if row]
    if shown:
        yield "| option | what |\n|---|---|\n"
        yield "".join(f"| `{_cell(name)}` | {_cell(what)} |\n" for name, what in shown) + "\n"


def _section(title: str, model: type[BaseModel], prefix: str | None) -> str:
    told = _paragraphs(model)
    said = dict(fields_of(model))
    meant = dict(_comments(model))
    by_scale = [scale for scale, values in SCALES.items() if values] if prefix is not None else []
    heads = ["name", "allowed", "default", *by_scale, "meaning"]
    lines = [f"## {title}", "", *told, "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, field in model.model_fields.items():
        path = f"{prefix}.{name}" if prefix else name
        scaled = [SCALES[scale].get(path, "") for scale in by_scale]
        nested = next(iter(_models(field.annotation)), None)
        values = [
            f"`{name}`",
            "a section of its own" if nested and prefix is not None else said.get(name, ""),
            "" if nested and prefix is not None else _default(field.default),
            *(f"`{value}`" if value != "" else "" for value in scaled),
            meant.get(name, ""),
        ]
        lines.append(f"| {' | '.join(map(_cell, values))} |")
    return "\n".join(lines) + "\n\n"


def _sections(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """A section and all that lie in it, with their paths."""
    yield prefix, model
    for name, field in model.model_fields.items():
        path = f"{prefix}.{name}" if prefix else name
        for nested in _models(field.annotation):
            yield from _sections(nested, path)


def _parts(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    """The models that stand in another, each once."""
    for field in model.model_fields.values():
        for nested in _models(field.annotation):
            if nested not in seen:
                seen.add(nested)
                yield nested
                yield from _parts(nested, seen)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for one in get_args(annotation) for model in _models(one)]


def _paragraphs(model: type[BaseModel]) -> list[str]:
    told = inspect.cleandoc(model.__doc__ or "").replace("``", "`")
    kind = model.model_fields.get("kind")
    if kind is not None and isinstance(kind.default, str) and not told:
        told = f"Kind `{kind.default}`."
    return told.splitlines()


def _comments(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Each field of a class and of those that it extends, with the ``#:`` comment above it."""
    for base in reversed(model.__mro__):
        if not issubclass(base, BaseModel) or base is BaseModel:
            continue
        told: list[str] = []
        for line in textwrap.dedent(inspect.getsource(base)).splitlines()[1:]:
            text = line.strip()
            field = re.match(r"    (\w+)\s*:", line)
            if text.startswith("#:"):
                told.append(text.removeprefix("#:").strip())
            elif field and field[1] in model.model_fields:
                yield field[1], " ".join(told).replace("``", "`")
                told = []
            elif text:
                told = []


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, BaseModel):
        return ""
    if isinstance(value, tuple | list):
        value = list(value)
    return f"`{'null' if value is None else value}`"


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


if __name__ == "__main__":
    (DOCS / "configuration.md").write_text(configuration(), encoding="utf-8")
    (DOCS / "commands.md").write_text(commands(), encoding="utf-8")
