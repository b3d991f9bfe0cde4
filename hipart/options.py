"""Options that several commands share, and how a user's mistake ends a command."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from hipart.runtime import default_workspace

F = TypeVar("F", bound=Callable[..., Any])
SCALE_HELP = "smoke (seconds), laptop (minutes on two cores), paper (the paper's numbers)."


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


def experiment_options(command: F) -> F:
    """What every command on an experiment takes."""
    return click.argument("experiment")(session_options(command))


def work_options(command: F) -> F:
    """What every command on an experiment or a suite takes."""
    suite = click.option("--suite", help="Every experiment of a suite, as one stage graph.")
    return click.argument("experiment", required=False)(suite(session_options(command)))


def session_options(command: F) -> F:
    """Size, data and place of an experiment."""
    for option in (
        click.option("--scale", default="laptop", show_default=True, help=SCALE_HELP),
        click.option("--preset", help="Reading of the paper's sizes: budget (default), textbook."),
        click.option(
            "--motion",
            type=click.Path(path_type=Path),
            help="A folder of motion clips instead of the packaged ones.",
        ),
        workspace_option,
    ):
        command = option(command)
    return command


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


def data_options(command: F) -> F:
    """Which data to look at."""
    for option in (
        click.option("--scale", default="laptop", show_default=True, help=SCALE_HELP),
        click.option("--motion", type=click.Path(path_type=Path), help="A folder of motion clips."),
    ):
        command = option(command)
    return command
