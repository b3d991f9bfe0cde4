"""Options that several commands share, and how a user's mistake ends a command."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from hipart.experiment.scales import DEFAULT_SCALE
from hipart.runtime import default_workspace

F = TypeVar("F", bound=Callable[..., Any])
SCALE_HELP = (
    "smoke (seconds), laptop (minutes on two cores), workstation (a night), paper (the paper's "
    "numbers); smoke-v1, laptop-v1, paper-v1 (those of 0.1)."
)


class Commands(click.Group):
    """Turns what a user wrote wrong into one message and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (ValueError, FileNotFoundError) as error:
            if os.environ.get("HIPART_DEBUG"):
                raise
            click.echo(f"Error: {error}", err=True)
            ctx.exit(2)


def experiment_names(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The experiments whose names begin so, for the shell."""
    from hipart.experiment.file import available

    names = [name for name in available() if name.startswith(incomplete)]
    files = [CompletionItem(incomplete, "file")] if not names else []
    return [CompletionItem(name) for name in names] + files


def experiment_argument(command: F, required: bool = True) -> F:
    """The name of an experiment, or its file."""
    return click.argument("experiment", required=required, shell_complete=experiment_names)(command)


def experiment_options(command: F) -> F:
    """What every command on an experiment takes."""
    return experiment_argument(session_options(command))


def work_options(command: F) -> F:
    """What every command on an experiment or a suite takes."""
    suite = click.option("--suite", help="Every experiment of a suite, as one stage graph.")
    return experiment_argument(suite(session_options(command)), required=False)


def session_options(command: F) -> F:
    """Size, data and place of an experiment."""
    for option in (
        click.option("--scale", default=DEFAULT_SCALE, show_default=True, help=SCALE_HELP),
        click.option("--preset", help="Reading of the paper's sizes: budget (default), textbook."),
        data_folder_option,
        place_options,
    ):
        command = option(command)
    return command


def data_folder_option(command: F) -> F:
    """Which poses there are."""
    option = click.option(
        "--data",
        "--motion",
        "data",
        type=click.Path(path_type=Path),
        help="A folder of motion clips, or a corpus of `data prepare`; by default the packaged "
        "motion.",
    )
    return option(command)


def json_option(command: F) -> F:
    """What every command that only reads takes."""
    return click.option("--json", "as_json", is_flag=True, help="For programs.")(command)


def address_option(command: F) -> F:
    """Which Ray."""
    return click.option(
        "--address",
        envvar="RAY_ADDRESS",
        show_envvar=True,
        help="Address of a running Ray cluster; by default Ray is started on this machine.",
    )(command)


def place_options(command: F) -> F:
    """Where everything is kept, and finished jobs perhaps elsewhere."""
    store = click.option(
        "--store",
        "shared_store",
        envvar="HIPART_STORE",
        show_envvar=True,
        help="Folder, or URI such as s3://BUCKET/FOLDER, of a store that others share; by default "
        "the workspace has its own.",
    )
    return workspace_option(store(command))


def tracking_option(command: F) -> F:
    """Which MLflow."""
    return click.option(
        "--mlflow",
        metavar="URI",
        envvar="MLFLOW_TRACKING_URI",
        show_envvar=True,
        help="http(s):// address of an MLflow server; by default a database in the workspace.",
    )(command)


def workspace_option(command: F) -> F:
    """Where everything is kept."""
    option = click.option(
        "--workspace",
        type=click.Path(path_type=Path),
        default=default_workspace,
        show_default="HIPART_WORKSPACE or .hipart",
        help="Folder of the store and the MLflow database.",
    )
    return option(command)


class Number(click.FloatRange):
    """A number in a range; neither nan, which no comparison finds outside of it, nor infinity."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no finite number", param, ctx)
        return number


class Duration(click.ParamType[float]):
    """A time span like 90s, 10m or 2h; a bare number is minutes. Gives seconds."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        units = {"s": 1.0, "m": 60.0, "h": 3600.0}
        number, unit = (value[:-1], value[-1]) if value[-1:] in units else (value, "m")
        try:
            seconds = float(number) * units[unit]
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            self.fail(f"{value!r} is no time span; write 90s, 10m or 2h", param, ctx)
        return seconds


def search_options(command: F) -> F:
    """What a search may cost. Any of them takes the place of the file's budget."""
    for option in (
        click.option("--trials", type=click.IntRange(1), help="End a search after so many trials."),
        click.option("--time", type=Duration(), help="End a search after 90s, 10m or 2h in all."),
        click.option(
            "--device-hours",
            type=Number(0, min_open=True),
            help="End a search when its stage jobs have had devices (or cores) for so long.",
        ),
        click.option(
            "--simulate",
            is_flag=False,
            flag_value="made-up",
            metavar="[FILE]",
            help="Train nothing: made-up results (of FILE) on a virtual clock, in a moment.",
        ),
    ):
        command = option(command)
    return command


def data_options(command: F) -> F:
    """Which data to look at."""
    for option in (
        click.option("--scale", default=DEFAULT_SCALE, show_default=True, help=SCALE_HELP),
        data_folder_option,
    ):
        command = option(command)
    return command
