"""``hipart-search``. Whatever is heavy is imported inside the commands."""

import click

from hipart.commands.models import advocc, export, predict
from hipart.commands.options import Commands
from hipart.commands.places import clean, cluster, completion, data_commands, doctor, ui
from hipart.commands.reading import (
    explain,
    fidelity,
    list_experiments,
    plan,
    report,
    schedule,
    show,
    table,
)
from hipart.commands.running import run, status, watch


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hipart-search")
def main() -> None:
    """Ablations of multi-stage models: equal stages trained once, tables that can be believed."""


for command in (
    *(list_experiments, show, plan, run, watch, status),
    *(table, schedule, report, fidelity, explain, export, predict, advocc),
    *(ui, data_commands, cluster, clean, doctor, completion),
):
    main.add_command(command)

if __name__ == "__main__":
    main()
