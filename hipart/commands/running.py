"""Commands that run experiments, and look on."""

import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hipart.commands.opening import find_search, open_all, tell, terminal
from hipart.commands.options import (
    Duration,
    Number,
    address_option,
    json_option,
    place_options,
    search_options,
    tracking_option,
    work_options,
)
from hipart.notify import notifying
from hipart.runtime import Runtime

if TYPE_CHECKING:
    from hipart.search.budget import Limits
    from hipart.search.session import SearchSession


@click.command()
@work_options
@click.option(
    "--executor",
    type=click.Choice(["auto", "ray", "inline"]),
    default="auto",
    show_default=True,
    help="Ray's workers, or this process; auto: Ray, but for a single trial on this CPU.",
)
@address_option
@click.option("--workers", type=click.IntRange(1), help="At most this many jobs at once.")
@click.option(
    "--autoscale",
    is_flag=True,
    help="The cluster adds nodes on demand: ask for --workers, whatever there is now.",
)
@click.option(
    "--cpus-per-job",
    type=Number(0, min_open=True),
    help="One; all cores where there is a single trial.",
)
@click.option("--gpus-per-job", type=Number(0), default=0.0, show_default=True)
@click.option(
    "--array",
    type=click.IntRange(1),
    help="Train at most this many jobs of equal shapes together: 8 on a GPU, else 1.",
)
@click.option("--fail-fast", is_flag=True, help="End the run at the first job that fails.")
@click.option(
    "--watchdog",
    "watchdog_s",
    type=Duration(),
    default="1h",
    show_default=True,
    help="A worker whose job makes no progress for so long is replaced.",
)
@click.option("--results", type=click.Path(path_type=Path), default=Path("results"))
@click.option(
    "--notify",
    metavar="TARGET",
    envvar="HIPART_NOTIFY",
    show_envvar=True,
    help="When it ends: an http(s) address that gets a POST, or a command that gets the JSON.",
)
@tracking_option
@search_options
def run(trials: int | None, notify: str | None, **options: Any) -> None:
    """Train what is missing, then write the table. Run it again to go on after any crash.

    A search goes on until its budget is spent, or the one that is given here.
    """
    # What ends a machine's time, as SLURM and spot markets do, ends a run as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    limits = {"trials": trials} | {name: options.pop(name) for name in ("time", "device_hours")}
    simulated = options.pop("simulate")
    if options["autoscale"] and not (options["workers"] and options["address"]):
        raise ValueError("--autoscale needs --workers and --address")
    if session := find_search(**options):
        found = _limits(session, **limits)
        if simulated:
            from hipart.search_simulation import simulate_search

            simulate_search(session, found, simulated, terminal())
            return
        from hipart.search_runner import run_search

        name, begin = session.search.name, partial(run_search, session, found, terminal())
    else:
        if any(limits.values()) or simulated:
            raise ValueError("--trials, --time, --device-hours and --simulate are for searches")
        from hipart.runner import run as run_work

        work = open_all(**options)
        name, begin = work.name, partial(run_work, work, terminal())
    with notifying(notify, name, options["scale"], partial(click.echo, err=True)) as ending:
        done = begin()
        ending.state = "finished" if done else "failed"
    sys.exit(0 if done else 1)


@click.command()
@work_options
def watch(**options: Any) -> None:
    """Follow a run from another terminal. Ctrl-C ends the following, never the run."""
    from hipart.watching import watch as follow

    sys.exit(0 if follow(find_search(**options) or open_all(**options), terminal()) else 1)


@click.command()
@place_options
@json_option
def status(as_json: bool, **place: Any) -> None:
    """What runs in this workspace, and what ran last."""
    from hipart.watching import described
    from hipart.watching import status as status_of

    runtime = Runtime(**place)
    found = status_of(runtime)
    tell(lambda: found, partial(described, found, runtime), as_json)


def _limits(
    session: "SearchSession", trials: int | None, time: float | None, device_hours: float | None
) -> "Limits":
    """What the file allows; what is given on the command line takes the place of all of it."""
    from hipart.search.budget import Limits

    if trials is None and time is None and device_hours is None:
        return Limits.of(session.search.budget)
    return Limits(trials, time, None if device_hours is None else 3600 * device_hours)
