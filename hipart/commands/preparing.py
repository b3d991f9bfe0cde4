"""A user's own files: made into a corpus, and looked over."""

import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hipart.commands.opening import tell
from hipart.commands.options import json_option

if TYPE_CHECKING:
    from hipart.data.prepare import Source

F = TypeVar("F", bound=Callable[..., Any])


def _places(command: F) -> F:
    """Where the files lie, and where the corpus goes."""
    for option in (
        click.option("--out", type=click.Path(path_type=Path), help="Folder of the corpus."),
        click.option(
            "--coarsening",
            type=click.Choice(["exact_binary", "hem_legacy"]),
            default="exact_binary",
            show_default=True,
            help="How the mesh becomes 192, 96 and 48 points.",
        ),
        _root,
    ):
        command = option(command)
    return command


def _root(command: F) -> F:
    return click.option(
        "--root",
        type=click.Path(path_type=Path),
        required=True,
        help="The folder that your files lie beneath, in whatever folders.",
    )(command)


@click.group()
def prepare() -> None:
    """Your own files made into a corpus, once; interrupted, it goes on."""


@prepare.command("h36m")
@_places
@click.option("--smpl", type=click.Path(path_type=Path), required=True, help="The neutral model.")
@click.option(
    "--detections",
    type=click.Choice(["cpn", "gt", "sh", "sh_pt_mpii"]),
    default="cpn",
    show_default=True,
    help="Whose 2D joints a lifter is given.",
)
@click.option("--mirror", is_flag=True, help="Mirror images of what trains, for data.mirrored.")
def h36m(root: Path, out: Path | None, smpl: Path, detections: str, **settings: Any) -> None:
    """Human3.6M: VideoPose3D's archives, Pose2Mesh's annotations, SMPL."""
    from hipart.data.h36m.files import find
    from hipart.data.h36m.source import H36mSource

    source = H36mSource(find(root, smpl, detections), detections, say=click.echo, **settings)
    _make(source, out or Path("h36m"), source.left_out, without_body=source.without_body)


@prepare.command("3dpw")
@_places
@click.option("--frames", type=click.Choice(["all", "occ", "advocc"]), default="all")
@click.option("--origin", type=click.Choice(["h36m_pelvis", "hips_mid"]), default="h36m_pelvis")
@click.option(
    "--detections", type=click.Choice(["exact", "openpose", "darkpose"]), default="openpose"
)
@click.option("--body", type=click.Choice(["gendered", "neutral"]), default="gendered")
@click.option(
    "--train",
    type=click.Path(path_type=Path),
    required=True,
    help="The prepared corpus that trains, as h36m; it stays where it is.",
)
def pw3d(root: Path, out: Path | None, train: Path, origin: Any, **settings: Any) -> None:
    """3DPW as a test set; --origin is what joints are relative to."""
    from hipart.data.pw3d.files import Settings
    from hipart.data.pw3d.source import find

    source = find(root, Settings(root=origin, **settings))
    _make(source, out or Path("3dpw"), source.left_out, train)


def _make(
    source: "Source",
    folder: Path,
    left_out: Mapping[str, int],
    train: Path | None = None,
    without_body: Mapping[str, int] = MappingProxyType({}),
) -> None:
    from rich.progress import Progress

    from hipart.commands.opening import terminal
    from hipart.data.prepare import prepare as made

    with Progress(console=terminal(), transient=True) as bar:
        task = bar.add_task("samples", total=None)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        fingerprint = made(source, folder, progress, train)
    click.echo(f"{folder}: {source.about['description']}; fingerprint {fingerprint}")
    for why, count in left_out.items():
        if count:
            click.echo(f"left out: {count} frames, {why}")
    for why, count in without_body.items():
        if count:
            click.echo(f"without dense points: {count} test frames, {why}")
    click.echo(f"Next: hipart-search run codebook_ablation --data {shlex.quote(str(folder))}")


@click.command("doctor")
@click.argument("name", type=click.Choice(["h36m", "3dpw"]))
@_root
@click.option("--smpl", type=click.Path(path_type=Path), help="SMPL's neutral model.")
@json_option
def doctor(name: str, root: Path, smpl: Path | None, as_json: bool) -> None:
    """What is there of a set, what is missing and where people get it, what is wrong."""
    from hipart.data.findings import verdict
    from hipart.data.h36m.examine import examine as of_h36m
    from hipart.data.pw3d.examine import examine as of_3dpw

    found = of_h36m(root, smpl) if name == "h36m" else of_3dpw(root)
    lines = "\n".join([verdict(found), *(f"  {one}" for one in found)])
    tell(lambda: [asdict(one) for one in found], partial(str, lines), as_json)
    sys.exit(0 if all(one.kind in ("good", "note") for one in found) else 1)
