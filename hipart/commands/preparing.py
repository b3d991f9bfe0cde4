"""A user's own files: made into a corpus, and looked over."""

from pathlib import Path

import click

#: Sets that can be prepared.
SETS = ("h36m",)


@click.command()
@click.argument("name", type=click.Choice(SETS))
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    required=True,
    help="The folder that the files lie beneath.",
)
@click.option(
    "--smpl",
    type=click.Path(path_type=Path),
    required=True,
    help="basicModel_neutral_*.pkl.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the corpus; by default NAME."
)
@click.option(
    "--detections",
    default="cpn",
    show_default=True,
    help="Whose 2D: cpn, gt, sh (fine-tuned on Human3.6M) or sh_pt_mpii.",
)
@click.option(
    "--coarsening",
    type=click.Choice(["exact_binary", "hem_legacy"]),
    default="exact_binary",
    show_default=True,
    help="How the mesh becomes 192, 96 and 48 points.",
)
def prepare(
    name: str, root: Path, smpl: Path, out: Path | None, detections: str, coarsening: str
) -> None:
    """Make a corpus of Human3.6M from your own files, once; interrupted, it goes on."""
    from rich.progress import Progress

    from hipart.commands.opening import terminal
    from hipart.data.h36m.source import H36mSource, find
    from hipart.data.prepare import prepare as made

    folder = out or Path(name)
    source = H36mSource(find(root, smpl, detections), detections, coarsening, click.echo)  # type: ignore[arg-type]
    with Progress(console=terminal(), transient=True) as bar:
        task = bar.add_task("samples", total=None)
        told = made(
            source, folder, lambda done, total: bar.update(task, completed=done, total=total)
        )
    click.echo(f"{folder}: {source.about['description']}; fingerprint {told}")
    for why, count in source.left_out.items():
        if count:
            click.echo(f"left out: {count} bodies, {why}")
    click.echo(f"Next: hipart-search run codebook_ablation --data {folder}")
