"""``hipart-search data import``: a user's recordings made into a motion folder."""

import shlex
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hipart.commands.opening import config_at
from hipart.experiment.scales import DEFAULT_SCALE

if TYPE_CHECKING:
    from hipart.data.importing import Imported, Source

F = TypeVar("F", bound=Callable[..., Any])


@click.group("import")
def importing() -> None:
    """Your own recordings, made into a folder for --data."""


def import_options(command: F) -> F:
    """What every form of recordings takes."""
    folder = click.Path(path_type=Path)
    for option in (
        click.option(
            "--preview/--no-preview", default=True, help="Draw preview.png (the default), or not."
        ),
        click.option("--force", is_flag=True, help="Replace an earlier import in --out."),
        click.option("--out", type=folder, help="Where to; by default DIR's name and -motion."),
        click.option(
            "--fps",
            type=click.IntRange(1, 240),
            default=30,
            show_default=True,
            help="Frames a second of all clips.",
        ),
        click.option(
            "--fill-labels",
            is_flag=True,
            help="A clip without a row in --labels takes the letters of its file's name.",
        ),
        click.option(
            "--labels",
            type=folder,
            help="CSV file with the columns clip,label or clip,label,subject; by default the "
            "letters of a file's name are its label.",
        ),
        click.argument("folder", metavar="DIR", type=folder),
    ):
        command = option(command)
    return command


@importing.command("bvh")
@import_options
@click.option(
    "--rig",
    type=click.Path(path_type=Path),
    help="YAML file with a line `our bone: their bone` each; by default CMU's names.",
)
def import_bvh(folder: Path, rig: Path | None, **options: Any) -> None:
    """BVH files: CMU's recordings in cgspeed's form, or any skeleton with a map of its bones."""
    from functools import partial

    from hipart.data.importing import bvh_source
    from hipart.data.rigs import CMU, read_rig

    names = CMU if rig is None else read_rig(rig)
    _import(folder, "bvh", partial(bvh_source, rig=names), **options)


@importing.command("amass")
@import_options
def import_amass(folder: Path, **options: Any) -> None:
    """AMASS's files, of SMPL-H or SMPL-X; no body model is needed."""
    from hipart.data.importing import amass_source

    _import(folder, "amass", amass_source, **options)


def _import(
    folder: Path, kind: str, read: "Callable[[Path], Source]", out: Path | None, **options: Any
) -> None:
    from hipart.data.importing import check_out, find_files, import_files, write
    from hipart.data.labels import from_names, read_labels

    out = Path(f"{folder.resolve().name}-motion") if out is None else out
    check_out(out, options["force"])
    files = find_files(folder, {"bvh": ".bvh", "amass": ".npz"}[kind])
    if options["labels"] is None:
        labels = from_names(files)
    else:
        labels = read_labels(options["labels"], files, options["fill_labels"])
    with click.progressbar(length=len(files), label=f"reading {len(files)} file(s)") as bar:
        imported = import_files(
            files, labels, read, options["fps"], lambda done, _: bar.update(done - bar.pos)
        )
    write(imported, out, kind)
    if options["labels"] is None:
        click.echo("labels are the letters of the files' names; --labels FILE.csv gives others")
    _tell(imported, out)
    if options["preview"]:
        _draw(out)
    given = f"--data {shlex.quote(str(out))}"
    click.echo(f"Next: hipart-search data info {given}")
    click.echo(f"      hipart-search run codebook_ablation {given}")


def _tell(imported: "Imported", out: Path) -> None:
    from hipart.data.importing import by_label, reasons
    from hipart.data.splits import segments

    fps, clips = imported.fps, imported.clips
    frames = sum(map(len, clips))
    click.echo(f"wrote {out}: {_amount(len(clips), frames, fps)} at {fps:g} fps")
    click.echo(f"frame rates found: {_counted(imported.rates, ' fps')}")
    click.echo(f"units found: {_counted(imported.units)}")
    if imported.dropped:
        click.echo(
            f"a pose of reference in the first frame was dropped in {imported.dropped} file(s)"
        )
    for label, (count, held) in by_label(clips).items():
        click.echo(f"  {label}: {_amount(count, held, fps)}")
    sides: Counter[str] = Counter()
    for part in segments(clips, fps):
        sides[part.side] += part.stop - part.start
    held_out = f"train {sides['train']} frames, test {sides['test']}"
    click.echo(f"split: {held_out}" + ("" if sides["test"] else "; NOTHING to test on"))
    if imported.left_out:
        click.echo(f"left out: {len(imported.left_out)} file(s)\n{reasons(imported.left_out)}")


def _amount(clips: int, frames: int, fps: float) -> str:
    return f"{clips} clip(s), {frames} frames, {frames / fps:.1f} s"


def _counted(counts: Any, unit: str = "") -> str:
    return ", ".join(f"{value}{unit} in {count} file(s)" for value, count in counts.items())


def _draw(out: Path) -> None:
    from hipart.data.importing import PREVIEW
    from hipart.data.preview import preview

    config = config_at(DEFAULT_SCALE)
    try:
        preview(config.data, config.detector, out / PREVIEW, out)
        click.echo(
            f"look at {out / PREVIEW}: do people stand upright, with limbs as they should be?"
        )
    except ValueError as error:
        click.echo(f"no {PREVIEW}: {error}")
