"""Commands on what experiments stand on: data, store, machines, pages."""

import os
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from hipart.commands.getting import getting
from hipart.commands.importing import importing
from hipart.commands.opening import config_at, tell
from hipart.commands.options import (
    address_option,
    data_folder_option,
    data_options,
    json_option,
    place_options,
    tracking_option,
    workspace_option,
)
from hipart.commands.preparing import doctor as data_doctor
from hipart.commands.preparing import prepare
from hipart.runtime import Runtime


@click.group("data")
def data_commands() -> None:
    """The poses that everything is trained on."""


@data_commands.command("info")
@data_options
@json_option
def data_info(scale: str, data: Path | None, as_json: bool) -> None:
    """Clips, subjects, actions, splits, the fingerprint, and what simple densifiers come to."""
    from hipart.data.corpus import load_corpus
    from hipart.data.preview import info
    from hipart.report.description import describe_data
    from hipart.stages.baselines import baselines

    config = config_at(scale, data)
    corpus = load_corpus(config.data, config.detector, data)
    facts = info(corpus, config.data, config.detector, data)
    facts["judged_on"] = "test" if corpus.validation is None else "validation"
    facts["baselines"] = baselines(
        corpus.train, corpus.side(facts["judged_on"]), config.data.coordinates
    )
    tell(lambda: facts, partial(describe_data, facts), as_json)


@data_commands.command("preview")
@data_options
@click.option("--out", type=click.Path(path_type=Path), default=Path("preview.png"))
def data_preview(scale: str, data: Path | None, out: Path) -> None:
    """A picture of sparse, dense and fine joints over the body, for several actions."""
    from hipart.data.preview import preview

    config = config_at(scale, data)
    preview(config.data, config.detector, out, data)
    click.echo(f"wrote {out}")


data_commands.add_command(prepare)
data_commands.add_command(data_doctor)
data_commands.add_command(importing)
data_commands.add_command(getting)


@click.group()
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
    tell(lambda: [asdict(one) for one in nodes], partial(described, nodes, runtime), as_json)
    sys.exit(0 if nodes and not any(one.problems for one in nodes) else 1)


@click.command()
@place_options
@json_option
def doctor(as_json: bool, **place: Any) -> None:
    """What machine this is, its devices, the data, the versions, and what is wrong with them."""
    from hipart.doctor import described, examine

    told = examine(Runtime(**place))
    tell(lambda: [asdict(one) for one in told], partial(described, told), as_json)
    sys.exit(1 if any(one.problem for one in told) else 0)


@click.command()
@place_options
@data_folder_option
@click.option("--free", "freeing", is_flag=True, help="Remove what is shown.")
@json_option
def clean(freeing: bool, as_json: bool, **place: Any) -> None:
    """What no experiment asks for any more: shown, and removed only with --free."""
    from hipart.cleaning import check_idle, described, free, leftovers, remarks, sized
    from hipart.session import on_data

    runtime = Runtime(**place)
    if freeing:
        check_idle(runtime)
    left = leftovers(runtime)
    found = left.found
    facts = [{"path": str(one.path), "kind": one.kind, "bytes": one.size} for one in found]
    tell(lambda: facts, partial(described, found), as_json)
    for line in remarks(left, runtime):
        click.echo(line, err=as_json)
    if freeing:
        freed = free(found, runtime)
        click.echo(f"freed {sized(freed)}", err=as_json)
    elif found and not as_json:
        again = f"hipart-search clean{on_data(runtime)}{runtime.in_workspace}"
        click.echo(f"Next: {again} --free  # removes them")


@click.command()
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


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """The completion script of a shell: eval "$(hipart-search completion bash)"."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    main = click.get_current_context().find_root().command
    click.echo(found(main, {}, "hipart-search", "_HIPART_SEARCH_COMPLETE").source())
