"""``hipart-search data get``: motion that its owners let everybody have, fetched and imported."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hipart.commands.importing import motion_options, tell_motion, write_motion
from hipart.commands.opening import terminal
from hipart.commands.options import Number

if TYPE_CHECKING:
    from hipart.data.cmu import Collected
    from hipart.data.fetching import Mirror


@click.group("get")
def getting() -> None:
    """Motion from its owners' sites, made into a folder for --data."""


@getting.command("cmu")
@click.option(
    "--subjects", "numbers", required=True, metavar="LIST", help="Numbers and ranges: 1,2,5-9."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("cmu"),
    show_default=True,
    help="Folder of the files and of the motion made from them; an earlier call's is gone on with.",
)
@click.option(
    "--from",
    "url",
    metavar="URL",
    help="A mirror, which has subjects/NN/NN.asf; by default http://mocap.cs.cmu.edu.",
)
@click.option(
    "--timeout",
    type=Number(0, 3600, min_open=True),
    default=30,
    show_default=True,
    help="Seconds without an answer that are a stall.",
)
@click.option(
    "--tries",
    type=click.IntRange(1, 100),
    default=5,
    show_default=True,
    help="How often a file is tried.",
)
@motion_options
def get_cmu(numbers: str, out: Path, url: str | None, **options: Any) -> None:
    """Subjects of the CMU motion capture database: fetched once, then imported.

    Killed, cut off or out of disk, the same command goes on where it was.
    """
    from hipart.data import cmu
    from hipart.data.fetching import Mirror
    from hipart.data.sources import AcclaimReader

    wanted, site = cmu.subjects(numbers), url or cmu.SITE
    cmu.check_address(site)
    cmu.check_wish(site, wanted)
    cmu.check_folder(out)
    click.echo(cmu.ACKNOWLEDGEMENT)
    collected = _collect(Mirror(site, options["timeout"], options["tries"]), wanted, out)
    _tell(collected, site)
    files, labels = cmu.collected_files(out)
    rates = {files[name]: label.fps for name, label in labels.items()}
    read = AcclaimReader(rates=rates, fps=options["fps"])
    split = options["split"]
    imported = write_motion(files, labels, read, out, cmu.KIND, options["fps"], split)
    tell_motion(imported, out, split, options["preview"])
    if collected.failed:
        raise click.ClickException(
            f"{len(collected.failed)} file(s) could not be had; the same command goes on with them"
        )


def _collect(mirror: "Mirror", wanted: list[int], out: Path) -> "Collected":
    """Fetch, with what is done, how much came and how long it will take."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from hipart.data import cmu

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[size]:.1f} MB"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=terminal(), transient=True) as bar:
        task = bar.add_task("fetching", total=None, size=0.0)

        def show(far: cmu.Progress) -> None:
            bar.update(
                task,
                description=f"fetching {far.name}",
                completed=far.done,
                total=far.files,
                size=far.size / 1e6,
            )

        return cmu.collect(mirror, wanted, out, show)


def _tell(collected: "Collected", site: str) -> None:
    from hipart.data.importing import reasons

    click.echo(f"{site}: {collected.fetched} file(s) fetched, {collected.present} were there")
    for what, problems in (("not there", collected.left_out), ("not had", collected.failed)):
        if problems:
            click.echo(f"{what}: {len(problems)} file(s)\n{reasons(problems)}")
