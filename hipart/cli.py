"""The commands of ``hipart-search``. Whatever is heavy is imported inside the command."""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hipart.notify import notifying
from hipart.options import (
    Commands,
    Duration,
    address_option,
    data_options,
    experiment_options,
    json_option,
    place_options,
    search_options,
    session_options,
    tracking_option,
    work_options,
    workspace_option,
)
from hipart.runtime import Runtime

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from hipart.search.loop import Limits
    from hipart.search.session import SearchSession
    from hipart.session import Session, Work


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hipart-search")
def main() -> None:
    """Ablations of multi-stage models: equal stages trained once, tables that can be believed."""


@main.command("list")
@json_option
def list_experiments(as_json: bool) -> None:
    """Every experiment that can be run from here, and every suite of them."""
    from hipart.report.description import describe_everything
    from hipart.report.facts import of_everything

    facts = of_everything()
    _tell(lambda: facts, partial(describe_everything, facts), as_json)


@main.command()
@experiment_options
@json_option
def show(experiment: str, as_json: bool, **options: Any) -> None:
    """The resolved configuration, the arms or the space, and the parameters of every stage."""
    from hipart.report import facts
    from hipart.report.description import describe

    if searched := _search(experiment, **options):
        from hipart.report.searches import describe_search

        _tell(partial(facts.of_search, searched), partial(describe_search, searched), as_json)
    else:
        session = _session(experiment, **options)
        _tell(partial(facts.of_ablation, session), partial(describe, session), as_json)


@main.command()
@work_options
@click.option("--workers", type=click.IntRange(1), help="For how many workers to estimate.")
@json_option
def plan(workers: int | None, as_json: bool, **options: Any) -> None:
    """How many stage jobs a run has, how many are done already, and what the rest costs."""
    from hipart.report import facts
    from hipart.report.description import describe_plan

    count = workers or os.cpu_count() or 1
    if session := _search(**options):
        from hipart.report.searches import describe_search_plan

        _tell(
            partial(facts.of_search_plan, session, count),
            partial(describe_search_plan, session, count),
            as_json,
        )
    else:
        work = _work(**options)
        _tell(partial(facts.of_plan, work, count), partial(describe_plan, work, count), as_json)


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
    if session := _search(**options):
        found = _limits(session, **limits)
        if simulated:
            from hipart.search_simulation import simulate_search

            simulate_search(session, found, simulated, _console())
            return
        from hipart.search_runner import run_search

        name, begin = session.search.name, partial(run_search, session, found, _console())
    else:
        if any(limits.values()) or simulated:
            raise ValueError("--trials, --time, --device-hours and --simulate are for searches")
        from hipart.runner import run as run_work

        work = _work(**options)
        name, begin = work.name, partial(run_work, work, _console())
    with notifying(notify, name, options["scale"], partial(click.echo, err=True)) as ending:
        done = begin()
        ending.state = "finished" if done else "failed"
    sys.exit(0 if done else 1)


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
@json_option
def table(experiment: str, form: str, layout: Any, as_json: bool, **options: Any) -> None:
    """The table of what is finished, from the store alone."""
    from hipart.reporting import session_table

    if searched := _search(experiment, **options):
        from hipart.searched import table_so_far

        made = table_so_far(searched)
    else:
        session = _session(experiment, **options)
        there = sum(stage.ready for stage in session.plan.stages.values())
        made = session_table(session, {"trained": 0, "reused": there}, partial=True, layout=layout)
    if form == "terminal" and not as_json:
        _console().print(made.terminal())
    else:
        click.echo(getattr(made, "json" if as_json else form)(), nl=False)


@main.command()
@work_options
def watch(**options: Any) -> None:
    """Follow a run from another terminal. Ctrl-C ends the following, never the run."""
    from hipart.watching import watch as follow

    sys.exit(0 if follow(_search(**options) or _work(**options), _console()) else 1)


@main.command()
@place_options
@json_option
def status(as_json: bool, **place: Any) -> None:
    """What runs in this workspace, and what ran last."""
    from hipart.watching import described
    from hipart.watching import status as status_of

    runtime = Runtime(**place)
    found = status_of(runtime)
    _tell(lambda: found, partial(described, found, runtime), as_json)


@main.command()
@experiment_options
@json_option
def schedule(experiment: str, as_json: bool, **options: Any) -> None:
    """Which machine did which job of the last run, and when; as a table and a figure."""
    from hipart.report.facts import of_spans
    from hipart.report.schedule import last_run, spans
    from hipart.reporting import write_schedule

    session = _session(experiment, **options)
    there = session.finished().values()
    if as_json:
        _tell(lambda: of_spans(last_run(spans(there))), str, as_json)
        return
    described, paths = write_schedule(there, session.results)
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
@json_option
def explain(first: str, second: str, as_json: bool, **place: Any) -> None:
    """Why two artifacts differ: FIRST and SECOND are STAGE/KEY or the beginning of a key."""
    from hipart.report.description import describe_difference, difference
    from hipart.store import ArtifactStore

    runtime = Runtime(**place)
    store = ArtifactStore(runtime.store, runtime.store_uri)
    pair = store.lookup(first), store.lookup(second)
    found = difference(*pair, store)
    _tell(lambda: found, partial(describe_difference, found, *pair), as_json)


@main.command()
@experiment_options
@click.option("--best", "metric", default="mpjpe_mm", show_default=True, help="By which metric.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("best"), show_default=True)
@click.option(
    "--register",
    is_flag=False,
    flag_value="",
    metavar="[NAME]",
    help="Register it in MLflow as a model, called as the experiment unless NAME is given.",
)
@tracking_option
def export(experiment: str, metric: str, out: Path, register: str | None, **options: Any) -> None:
    """Write the best finished trial as a bundle that predicts without the platform."""
    from hipart.export import export_bundle

    if register is None:
        del options["mlflow"]  # of the environment, perhaps: a bundle alone is none of its business
    searched = _search(experiment, **options)
    session = searched.measured(searched.open_study()) if searched else None
    session = session or _session(experiment, **options)
    export_bundle(session.store, session.ablation, session.trials, session.fingerprint, metric, out)
    click.echo(f"wrote {out}")
    if register is not None:
        from hipart.tracking.registry import register as register_bundle

        model = register_bundle(session, out, register)
        click.echo(f"{'registered' if model.made else 'is registered already as'} {model.address}")
    click.echo(f"Next: hipart-search predict {out} --input poses.npz --out out.npz")


@main.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--input", "source", type=click.Path(path_type=Path), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def predict(bundle: Path, source: Path, out: Path) -> None:
    """3D poses (mm) and dense 2D poses from an .npz with poses (N,17,2) px and image_size."""
    from hipart.predictor import predict_file

    count = predict_file(bundle, source, out)
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


@main.command()
@place_options
@click.option("--motion", type=click.Path(path_type=Path), help="A folder of motion clips.")
@click.option("--free", "freeing", is_flag=True, help="Remove what is shown.")
@json_option
def clean(freeing: bool, as_json: bool, **place: Any) -> None:
    """What no experiment asks for any more: shown, and removed only with --free."""
    from hipart.cleaning import described, free, leftovers, sized

    runtime = Runtime(**place)
    found = leftovers(runtime)
    facts = [{"path": str(one.path), "kind": one.kind, "bytes": one.size} for one in found]
    _tell(lambda: facts, partial(described, found), as_json)
    if freeing:
        freed = free(found, runtime)
        click.echo(f"freed {sized(freed)}", err=as_json)
    elif found and not as_json:
        click.echo("Next: hipart-search clean --free  # removes them")


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """The completion script of a shell: eval "$(hipart-search completion bash)"."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(main, {}, "hipart-search", "_HIPART_SEARCH_COMPLETE").source())


@main.group()
def data() -> None:
    """The poses that everything is trained on."""


@data.command("info")
@data_options
@json_option
def data_info(scale: str, motion: Path | None, as_json: bool) -> None:
    """Clips, subjects, actions, splits and the fingerprint."""
    from hipart.data.preview import info
    from hipart.report.description import describe_data

    config = _scaled(scale)
    facts = info(config.data, config.detector, motion)
    _tell(lambda: facts, partial(describe_data, facts), as_json)


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
@json_option
def cluster_check(as_json: bool, **place: Any) -> None:
    """Whether every node sees and can write the store, runs this code, and has the time."""
    from hipart.cluster import check, described

    runtime = Runtime(**place)
    nodes = check(runtime)
    _tell(lambda: [asdict(one) for one in nodes], partial(described, nodes, runtime), as_json)
    sys.exit(0 if nodes and not any(one.problems for one in nodes) else 1)


@main.command()
@place_options
@json_option
def doctor(as_json: bool, **place: Any) -> None:
    """What machine this is, its devices, the data, the versions, and what is wrong with them."""
    from hipart.doctor import described, examine

    told = examine(Runtime(**place))
    _tell(lambda: [asdict(one) for one in told], partial(described, told), as_json)
    sys.exit(1 if any(one.problem for one in told) else 0)


def _tell(facts: Callable[[], Any], drawn: Callable[[], "RenderableType"], as_json: bool) -> None:
    """What a command found: as values for a program, or drawn for a person."""
    if as_json:
        click.echo(json.dumps(facts(), indent=2, ensure_ascii=False))
    else:
        _console().print(drawn())


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
