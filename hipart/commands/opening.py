"""What commands begin and end with: the experiment that is meant, and the terminal."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from hipart.runtime import Runtime

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console, RenderableType

    from hipart.search.session import SearchSession
    from hipart.session import Session, Work


def tell(facts: Callable[[], Any], drawn: Callable[[], "RenderableType"], as_json: bool) -> None:
    """What a command found: as values for a program, or drawn for a person."""
    if as_json:
        click.echo(json.dumps(facts(), indent=2, ensure_ascii=False))
    else:
        terminal().print(drawn())


def terminal() -> "Console":
    """Where a person reads. What is printed is text: names may hold brackets and colons."""
    from rich.console import Console

    return Console(markup=False, emoji=False)


def open_ablation(experiment: str, **options: Any) -> "Session":
    """An ablation, checked, with its jobs and the store."""
    from hipart.session import open_session

    scale, preset = options.pop("scale"), options.pop("preset")
    return open_session(experiment, scale, preset, Runtime(**options))


def find_search(
    experiment: str | None = None, suite: str | None = None, **options: Any
) -> "SearchSession | None":
    """The search of this name; None where it names an ablation, or a suite is meant."""
    from hipart.experiment.file import is_search

    if experiment is None or suite is not None or not is_search(experiment):
        return None
    from hipart.search.session import open_search

    scale, preset = options.pop("scale"), options.pop("preset")
    return open_search(experiment, scale, preset, Runtime(**options))


def open_all(experiment: str | None, suite: str | None, **options: Any) -> "Work":
    """An ablation, or every experiment of a suite."""
    from hipart.session import open_work

    scale, preset = options.pop("scale"), options.pop("preset")
    return open_work(experiment, suite, scale, preset, Runtime(**options))


def config_at(scale: str, data: "Path | None" = None) -> Any:
    """The base configuration of a scale on the data of a folder."""
    from hipart.data.corpus import overlay_name
    from hipart.experiment.file import base_at_scale
    from hipart.experiment.scales import held_out

    return base_at_scale(scale, overlay_name(data, held_out(scale)))
