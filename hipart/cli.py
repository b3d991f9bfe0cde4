"""The commands of ``hipart-search``. Whatever is heavy is imported inside the command."""

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hipart.options import (
    Commands,
    Duration,
    address_option,
    data_options,
    experiment_options,
    place_options,
    search_options,
    session_options,
    tracking_option,
    work_options,
    workspace_option,
)
from hipart.runtime import Runtime

if TYPE_CHECKING:
    from rich.console import Console

    from hipart.search.loop import Limits
    from hipart.search.session import SearchSession
    from hipart.session import Session, Work


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hipart-search")
def main() -> None:
    """Ablations of multi-stage models: equal stages trained once, tables that can be believed."""


@main.command("list")
def list_experiments() -> None:
    """Every experiment that can be run from here, and every suite of them."""
    from rich.table import Table

    from hipart.experiment.file import available, load_any
    from hipart.experiment.suite import available_suites, load_suite

    rows = Table(
        "experiment", "what", "source", box=None, header_style="bold", padding=(0, 2, 0, 0)
    )
    for name, path in available().items():
        experiment = load_any(str(path), "laptop")
        told = experiment.source
        source = f"{told.paper}, {told.place}" if told else ""
        rows.add_row(name, experiment.title, source)
    for name, path in available_suites().items():
        suite = load_suite(name)
        rows.add_row(f"--suite {path.stem}", f"{suite.title}: {len(suite.experiments)}", "")
    _console().print(rows)


@main.command()
@experiment_options
def show(experiment: str, **options: Any) -> None:
    """The resolved configuration, the arms or the space, and the parameters of every stage."""
    from hipart.report.description import describe

    if session := _search(experiment, **options):
        from hipart.report.searches import describe_search

        _console().print(describe_search(session))
    else:
        _console().print(describe(_session(experiment, **options)))


@main.command()
@work_options
@click.option("--workers", type=click.IntRange(1), help="For how many workers to estimate.")
def plan(workers: int | None, **options: Any) -> None:
    """How many stage jobs a run has, how many are done already, and what the rest costs."""
    from hipart.report.description import describe_plan

    if session := _search(**options):
        from hipart.report.searches import describe_search_plan

        _console().print(describe_search_plan(session, workers or os.cpu_count() or 1))
        return
    work = _work(**options)
    _console().print(describe_plan(work, workers or os.cpu_count() or 1))


@main.command()
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
@click.option("--cpus-per-job", type=float, help="One; all cores where there is a single trial.")
@click.option("--gpus-per-job", type=float, default=0.0, show_default=True)
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
@tracking_option
@search_options
def run(trials: int | None, **options: Any) -> None:
    """Train what is missing, then write the table. Run it again to go on after any crash.

    A search goes on until its budget is spent, or the one that is given here.
    """
    # What ends a machine's time, as SLURM and spot markets do, ends a run as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    limits = {"trials": trials} | {name: options.pop(name) for name in ("time", "device_hours")}
    simulated = options.pop("simulate")
    if options["autoscale"] and not (options["workers"] and options["address"]):
        raise ValueError("--autoscale needs --workers and --address")
    session = _search(**options)
    if session is None:
        if any(limits.values()) or simulated:
            raise ValueError("--trials, --time, --device-hours and --simulate are for searches")
        work = _work(**options)
    elif simulated:
        from hipart.search_simulation import simulate_search

        simulate_search(session, _limits(session, **limits), simulated, _console())
        return
    else:
        from hipart.search_runner import run_search

        done = run_search(session, _limits(session, **limits), _console())
        sys.exit(0 if done else 1)
    from hipart.runner import run as run_work

    sys.exit(0 if run_work(work, _console()) else 1)


@main.command()
@experiment_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["terminal", "markdown", "latex", "csv", "json"]),
    default="terminal",
    show_default=True,
)
@click.option(
    "--layout",
    type=click.Choice(["full", "paper"]),
    default="full",
    show_default=True,
    help="All that was measured, or the paper's own rows and columns.",
)
def table(experiment: str, form: str, layout: Any, **options: Any) -> None:
    """The table of what is finished, from the store alone."""
    from hipart.reporting import session_table

    if searched := _search(experiment, **options):
        from hipart.searched import table_so_far

        made = table_so_far(searched)
    else:
        session = _session(experiment, **options)
        there = sum(stage.ready for stage in session.plan.stages.values())
        made = session_table(session, {"trained": 0, "reused": there}, partial=True, layout=layout)
    if form == "terminal":
        _console().print(made.terminal())
    else:
        click.echo(getattr(made, form)(), nl=False)


@main.command()
@experiment_options
def schedule(experiment: str, **options: Any) -> None:
    """Which machine did which job of the last run, and when; as a table and a figure."""
    from hipart.reporting import write_schedule

    session = _session(experiment, **options)
    described, paths = write_schedule(session.finished().values(), session.results)
    if described is None:
        raise ValueError(f"{session.ablation.name}: nothing is finished at this scale yet")
    _console().print(described)
    for path in paths:
        click.echo(f"wrote {path}")


@main.command()
@click.argument("experiment", required=False)
@click.option("--all", "everything", is_flag=True, help="Every experiment, with an index of them.")
@session_options
@click.option(
    "--out", type=click.Path(path_type=Path), help="File to write; else in the results folder."
)
def report(experiment: str | None, everything: bool, out: Path | None, **options: Any) -> None:
    """A page to look at: table, figures, what was shared, poses. One file, without a network.

    It is written at the end of every run; this writes it from what the store has now.
    """
    from hipart.pages import report_of, write_all_reports

    if (experiment is None) != everything or (everything and out):
        raise ValueError("name an experiment, perhaps with --out FILE; or --all alone")
    scale, preset = options.pop("scale"), options.pop("preset")
    if experiment:
        written = report_of(experiment, scale, preset, Runtime(**options)).write(out)
    else:
        written, pages = write_all_reports(scale, preset, Runtime(**options))
        for page in pages:
            click.echo(f"wrote {page}")
    click.echo(f"wrote {written}")


@main.command()
@click.option("--suite", default="paper", show_default=True, help="Whose experiments to report.")
@session_options
@click.option(
    "--out", type=click.Path(path_type=Path), help="File to write; standard output without it."
)
def fidelity(suite: str, out: Path | None, **options: Any) -> None:
    """Which of the paper's claims hold in what is finished, with seeds and intervals."""
    from hipart.reporting import fidelity_of

    text = fidelity_of(_work(None, suite, **options))
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        click.echo(f"wrote {out}")


@main.command()
@click.argument("first")
@click.argument("second")
@place_options
def explain(first: str, second: str, **place: Any) -> None:
    """Why two artifacts differ: FIRST and SECOND are STAGE/KEY or the beginning of a key."""
    from hipart.report.description import describe_difference
    from hipart.store import ArtifactStore

    runtime = Runtime(**place)
    store = ArtifactStore(runtime.store, runtime.store_uri)
    _console().print(describe_difference(store.lookup(first), store.lookup(second), store))


@main.command()
@experiment_options
@click.option("--best", "metric", default="mpjpe_mm", show_default=True, help="By which metric.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("best"), show_default=True)
@click.option("--onnx", is_flag=True, help="Also model.onnx, compared with the bundle.")
@click.option("--torch-export", is_flag=True, help="Also model.pt2, compared with the bundle.")
def export(
    experiment: str, metric: str, out: Path, onnx: bool, torch_export: bool, **options: Any
) -> None:
    """Write the best finished trial as a bundle that predicts without the platform."""
    from hipart.export import export_bundle
    from hipart.export.runtimes import add_runtimes, check_installed

    formats = ["onnx"] * onnx + ["torch"] * torch_export
    check_installed(formats)

    def finish(folder: Path) -> None:
        if formats:
            for line in add_runtimes(folder, formats, options["motion"]):
                click.echo(line)

    searched = _search(experiment, **options)
    session = searched.measured(searched.open_study()) if searched else None
    session = session or _session(experiment, **options)
    export_bundle(
        session.store, session.ablation, session.trials, session.fingerprint, metric, out, finish
    )
    click.echo(f"wrote {out}")
    click.echo(f"Next: hipart-search predict {out} --input poses.npz --out out.npz")


@main.command()
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


@main.command()
@workspace_option
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@click.option("--optuna", is_flag=True, help="The studies of searches, in Optuna's dashboard.")
@tracking_option
def ui(workspace: Path, port: int, optuna: bool, mlflow: str | None) -> None:
    """Browse all runs in MLflow, on this machine only (127.0.0.1), or say where its server is."""
    from hipart.tracking import serve, serve_studies

    runtime = Runtime(workspace, mlflow=mlflow)
    if runtime.mlflow and not optuna:
        click.echo(f"MLflow at {runtime.mlflow}")
        return
    command = serve_studies(runtime, port) if optuna else serve(runtime, port)
    what = "Optuna's dashboard" if optuna else "MLflow"
    click.echo(f"{what} at http://127.0.0.1:{port} (Ctrl-C ends it)")
    os.execvp(command[0], command)


@main.group()
def data() -> None:
    """The poses that everything is trained on."""


@data.command("info")
@data_options
def data_info(scale: str, motion: Path | None) -> None:
    """Clips, subjects, actions, splits and the fingerprint."""
    from hipart.data.preview import info
    from hipart.report.description import describe_data

    config = _scaled(scale)
    _console().print(describe_data(info(config.data, config.detector, motion)))


@data.command("preview")
@data_options
@click.option("--out", type=click.Path(path_type=Path), default=Path("preview.png"))
def data_preview(scale: str, motion: Path | None, out: Path) -> None:
    """A picture of sparse, dense and fine joints over the body, for several actions."""
    from hipart.data.preview import preview

    config = _scaled(scale)
    preview(config.data, config.detector, out, motion)
    click.echo(f"wrote {out}")


@main.group()
def cluster() -> None:
    """The Ray cluster that jobs run on."""


@cluster.command("check")
@place_options
@address_option
def cluster_check(**place: Any) -> None:
    """Whether every node sees and can write the store, runs this code, and has the time."""
    from hipart.cluster import check

    report, healthy = check(Runtime(**place))
    _console().print(report)
    sys.exit(0 if healthy else 1)


@main.command()
@place_options
def doctor(**place: Any) -> None:
    """What machine this is, its devices, the data, the versions, and what is wrong with them."""
    from hipart.doctor import examine

    report, healthy = examine(Runtime(**place))
    _console().print(report)
    sys.exit(0 if healthy else 1)


def _console() -> "Console":
    from rich.console import Console

    return Console()


def _session(experiment: str, **options: Any) -> "Session":
    from hipart.session import open_session

    scale, preset = options.pop("scale"), options.pop("preset")
    return open_session(experiment, scale, preset, Runtime(**options))


def _search(
    experiment: str | None = None, suite: str | None = None, **options: Any
) -> "SearchSession | None":
    """The search of this name; None where it names an ablation, or a suite is meant."""
    from hipart.experiment.file import is_search

    if experiment is None or suite is not None or not is_search(experiment):
        return None
    from hipart.search.session import open_search

    scale, preset = options.pop("scale"), options.pop("preset")
    return open_search(experiment, scale, preset, Runtime(**options))


def _limits(
    session: "SearchSession", trials: int | None, time: float | None, device_hours: float | None
) -> "Limits":
    """What the file allows; what is given on the command line takes the place of all of it."""
    from hipart.search.loop import Limits

    if trials is None and time is None and device_hours is None:
        return Limits.of(session.search.budget)
    return Limits(trials, time, None if device_hours is None else 3600 * device_hours)


def _work(experiment: str | None, suite: str | None, **options: Any) -> "Work":
    from hipart.session import open_work

    scale, preset = options.pop("scale"), options.pop("preset")
    return open_work(experiment, suite, scale, preset, Runtime(**options))


def _scaled(scale: str) -> Any:
    from hipart.experiment.file import base_at_scale

    return base_at_scale(scale)


if __name__ == "__main__":
    main()
