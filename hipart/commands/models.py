"""Commands on the best model."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from hipart.commands.opening import find_search, open_ablation, tell
from hipart.commands.options import experiment_options, json_option, tracking_option


@click.command()
@experiment_options
@click.option("--best", "metric", default="mpjpe_mm", show_default=True, help="By which metric.")
@click.option(
    "--arm",
    metavar="NAME",
    help="Only of this arm, its best seed; of a search `base` or `trial N`.",
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("best"), show_default=True)
@click.option("--onnx", is_flag=True, help="Also model.onnx, compared with the bundle.")
@click.option("--torch-export", is_flag=True, help="Also model.pt2, compared with the bundle.")
@click.option(
    "--register",
    is_flag=False,
    flag_value="",
    metavar="[NAME]",
    help="Register it in MLflow as a model, called as the experiment unless NAME is given.",
)
@tracking_option
def export(
    experiment: str,
    metric: str,
    arm: str | None,
    out: Path,
    onnx: bool,
    torch_export: bool,
    register: str | None,
    **options: Any,
) -> None:
    """Write the best finished trial as a bundle that predicts without the platform."""
    from hipart.export import export_bundle, of_arm
    from hipart.export.runtimes import add_runtimes, check_installed
    from hipart.searched import study_so_far

    formats = ["onnx"] * onnx + ["torch"] * torch_export
    check_installed(formats)

    def finish(folder: Path) -> None:
        if formats:
            for line in add_runtimes(folder, formats, options["data"]):
                click.echo(line)

    if register is None:
        del options["mlflow"]  # of the environment, perhaps: a bundle alone is none of its business
    searched = find_search(experiment, **options)
    session = searched.measured(study_so_far(searched)) if searched else None
    session = session or open_ablation(experiment, **options)
    tried = session.trials if arm is None else of_arm(session.trials, arm)
    export_bundle(session.store, session.ablation, tried, session.fingerprint, metric, out, finish)
    click.echo(f"wrote {out}: {_exported(out)}")
    if register is not None:
        from hipart.tracking.registry import register as register_bundle

        model = register_bundle(session, out, register)
        click.echo(f"{'registered' if model.made else 'is registered already as'} {model.address}")
    click.echo(f"Next: hipart-search predict {out} --input poses.npz --out out.npz")


def _exported(bundle: Path) -> str:
    """What a bundle is that was just written, in a line."""
    from hipart.predictor import read_facts

    lineage = json.loads((bundle / "lineage.json").read_text())
    best = lineage["chosen_by"]
    among = "of its arm" if best["of_arm"] else "of what can be exported"
    told = (
        f"arm {lineage['arm']}, seed {lineage['seed']}, {best['metric']} {best['value']:.4g}, "
        f"the best {among}"
    )
    if read_facts(bundle).config.lifter.dense_input == "none":
        told += "; it sees 17 joints alone: predicts no dense points"
    return told


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--input", "source", type=click.Path(path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--image-size", help="WIDTHxHEIGHT in pixels, where the input doesn't tell it.")
def predict(bundle: Path, source: Path, out: Path, image_size: str | None) -> None:
    """3D poses (mm) and dense 2D poses from 2D joints in pixels.

    The input is an .npz with poses (N,17,2) and image_size, or COCO keypoints in a .json; the
    output goes by its suffix: .npz, .json, .bvh, .png (the first pose) or .gif (all of them).
    """
    from hipart.predicting.files import parsed_size, predict_file

    size = None if image_size is None else parsed_size(image_size)
    count = predict_file(bundle, source, out, size)
    click.echo(f"wrote {out}: {count} poses")


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), required=True, help="A corpus of 3DPW.")
@click.option(
    "--detections",
    type=click.Path(path_type=Path),
    required=True,
    help="What your detector found under each placement of the patch (docs/data.md).",
)
@json_option
def advocc(bundle: Path, data: Path, detections: Path, as_json: bool) -> None:
    """3DPW-AdvOcc: a bundle's error at each frame's worst placement of a patch."""
    from hipart.predicting.advocc import adversarial

    found = adversarial(bundle, data, detections)
    told = (
        f"3DPW-AdvOcc, patch {found.patch_px} px, {found.frames} frames, the visible ones of "
        f"{found.joints} joints: MPJPE {found.mpjpe_mm:.1f} mm, PA-MPJPE {found.p_mpjpe_mm:.1f} mm"
    )
    tell(lambda: asdict(found), lambda: told, as_json)
