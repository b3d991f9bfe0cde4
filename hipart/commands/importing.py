"""``hipart-search data import``: a user's recordings made into a motion folder."""

import shlex
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hipart.commands.opening import config_at
from hipart.commands.options import Number
from hipart.experiment.scales import DEFAULT_SCALE

if TYPE_CHECKING:
    from hipart.data.labels import Label
    from hipart.data.motion_writer import Imported, ImportedClip
    from hipart.data.sources import Source

F = TypeVar("F", bound=Callable[..., Any])
#: The picture of more frames is drawn of a few clips.
MOST_PICTURED = 20_000
MOST_CLIPS = 12


@click.group("import")
def importing() -> None:
    """Your own recordings, made into a folder for --data."""


def motion_options(command: F) -> F:
    """What every motion folder that is made takes."""
    for option in (
        click.option(
            "--preview/--no-preview", default=True, help="Draw preview.png (the default), or not."
        ),
        click.option(
            "--split",
            type=click.Choice(["auto", "person", "time"]),
            default="auto",
            show_default=True,
            help="person: nobody is on two sides; time: every clip is cut; auto: person where all "
            "are known and there are three.",
        ),
        click.option(
            "--fps",
            type=click.IntRange(1, 240),
            default=30,
            show_default=True,
            help="Frames a second of all clips.",
        ),
    ):
        command = option(command)
    return command


def import_options(command: F) -> F:
    """What every form of recordings takes."""
    folder = click.Path(path_type=Path)
    for option in (
        motion_options,
        click.option("--force", is_flag=True, help="Replace an earlier import in --out."),
        click.option("--out", type=folder, help="Where to; by default DIR's name and -motion."),
        click.option(
            "--fill-labels",
            is_flag=True,
            help="A clip without a row in --labels takes the letters of its file's name.",
        ),
        click.option(
            "--labels",
            type=folder,
            help="CSV file with the columns clip,label or clip,label,subject (amc: also fps); by "
            "default the letters of a file's name are its label.",
        ),
        click.argument("folder", metavar="DIR", type=folder),
    ):
        command = option(command)
    return command


def rig_option(command: F) -> F:
    """Whose names of bones."""
    return click.option(
        "--rig",
        type=click.Path(path_type=Path),
        help="YAML file with a line `our bone: their bone` each; by default CMU's names.",
    )(command)


@importing.command("bvh")
@import_options
@rig_option
@click.option(
    "--rest",
    type=click.Choice(["offsets", "first-frame"]),
    default="offsets",
    show_default=True,
    help="Where a person stands: with all angles zero, or in the first frame (LaFAN1, and other "
    "rigs whose offsets run along the bones).",
)
def import_bvh(folder: Path, rig: Path | None, rest: Any, **options: Any) -> None:
    """BVH files: CMU's recordings in cgspeed's form, or any skeleton with a map of its bones."""
    from functools import partial

    from hipart.data.rigs import CMU, read_rig
    from hipart.data.sources import bvh_source

    names = CMU if rig is None else read_rig(rig)
    _import(folder, "bvh", lambda _: partial(bvh_source, rig=names, rest=rest), **options)


@importing.command("amc")
@import_options
@rig_option
@click.option(
    "--rate",
    type=Number(1, 1000),
    default=120,
    show_default=True,
    help="Frames a second of files that do not say.",
)
def import_amc(folder: Path, rig: Path | None, rate: float, **options: Any) -> None:
    """AMC files, each with the ASF file of its skeleton beside it, as CMU's database has them."""
    from functools import partial

    from hipart.data.rigs import ACCLAIM, read_rig
    from hipart.data.sources import AcclaimReader

    names = ACCLAIM if rig is None else read_rig(rig)
    reader = partial(AcclaimReader, names, rate, fps=options["fps"])
    _import(folder, "amc", reader, **options)


@importing.command("amass")
@import_options
def import_amass(folder: Path, **options: Any) -> None:
    """AMASS's files, of SMPL-H or SMPL-X; no body model is needed."""
    from hipart.data.sources import amass_source

    _import(folder, "amass", lambda _: amass_source, **options)


def _import(
    folder: Path,
    kind: str,
    reader: "Callable[[Mapping[Path, float | None]], Callable[[Path], Source]]",
    out: Path | None,
    **options: Any,
) -> None:
    """``reader`` is given the rates of the files whose labels say one."""
    from hipart.data.importing import find_files
    from hipart.data.labels import from_names, read_labels
    from hipart.data.motion_writer import check_out

    files = find_files(folder, {"bvh": ".bvh", "amc": ".amc", "amass": ".npz"}[kind])
    out = Path(f"{folder.resolve().name}-motion") if out is None else out
    check_out(out, options["force"])
    if options["labels"] is None:
        labels = from_names(files)
    else:
        labels = read_labels(options["labels"], files, options["fill_labels"])
    read = reader({files[name]: label.fps for name, label in labels.items()})
    imported = write_motion(files, labels, read, out, kind, options["fps"], options["split"])
    if options["labels"] is None:
        click.echo("labels are the letters of the files' names; --labels FILE.csv gives others")
    tell_motion(imported, out, options["split"], options["preview"])


def write_motion(
    files: "Mapping[str, Path]",
    labels: "Mapping[str, Label]",
    read: "Callable[[Path], Source]",
    out: Path,
    kind: str,
    fps: float,
    split: Any,
) -> "Imported":
    """Import files into ``out``, clip by clip, and show how far it is."""
    from hipart.data.importing import import_files
    from hipart.data.motion_writer import MotionWriter

    with (
        MotionWriter(out) as writer,
        click.progressbar(length=len(files), label=f"reading {len(files)} file(s)") as bar,
    ):
        imported = import_files(
            files, labels, read, fps, lambda done, _: bar.update(done - bar.pos), writer.add
        )
        writer.finish(imported, kind, split)
    return imported


def tell_motion(imported: "Imported", out: Path, split: Any, preview: bool) -> None:
    """What was imported, what was left out, a picture, and what to do next."""
    _tell(imported, out, split)
    if preview:
        _draw(imported, out)
    given = f"--data {shlex.quote(str(out))}"
    click.echo(f"Next: hipart-search data info {given}")
    click.echo(f"      hipart-search run codebook_ablation {given}")


def _tell(imported: "Imported", out: Path, split: Any) -> None:
    from hipart.data.importing import by_label, reasons
    from hipart.data.motion_writer import chosen_split
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
    rule = chosen_split(clips, split)
    sides: Counter[str] = Counter()
    persons: dict[str, set[str | None]] = {"train": set(), "test": set()}
    for part in segments(clips, fps, rule=rule):
        sides[part.side] += part.stop - part.start
        persons[part.side].add(clips[part.clip].cmu_subject)
    by = f" by person ({len(persons['train'])} and {len(persons['test'])})"
    held_out = f"train {sides['train']} frames, test {sides['test']}"
    click.echo(
        f"split{by if rule == 'person' else ''}: {held_out}"
        + ("" if sides["test"] else "; NOTHING to test on")
    )
    if imported.left_out:
        click.echo(f"left out: {len(imported.left_out)} file(s)\n{reasons(imported.left_out)}")


def _amount(clips: int, frames: int, fps: float) -> str:
    return f"{clips} clip(s), {frames} frames, {frames / fps:.1f} s"


def _counted(counts: Any, unit: str = "") -> str:
    return ", ".join(f"{value}{unit} in {count} file(s)" for value, count in counts.items())


def _draw(imported: "Imported", out: Path) -> None:
    from tempfile import TemporaryDirectory

    from hipart.data.motion_writer import PREVIEW, excerpt
    from hipart.data.preview import preview

    config = config_at(DEFAULT_SCALE)
    try:
        if sum(map(len, imported.clips)) <= MOST_PICTURED:
            preview(config.data, config.detector, out / PREVIEW, out)
        else:
            with TemporaryDirectory() as folder:
                excerpt(out, _pictured(imported), Path(folder) / "some")
                preview(config.data, config.detector, out / PREVIEW, Path(folder) / "some")
        click.echo(
            f"look at {out / PREVIEW}: do people stand upright, with limbs as they should be?"
        )
    except ValueError as error:
        click.echo(f"no {PREVIEW}: {error}")


def _pictured(imported: "Imported") -> "list[ImportedClip]":
    """A few clips of different labels, none of them a large part of a large import."""
    by_length = sorted(imported.clips, key=len)
    middling = by_length[len(by_length) // 2 :] + by_length[: len(by_length) // 2]
    first = {clip.label: clip for clip in reversed(middling)}
    return list(first.values())[:MOST_CLIPS]
