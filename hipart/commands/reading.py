"""Commands that tell what is planned and what is finished, and write nothing but reports."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import click

from hipart.commands.opening import find_search, open_ablation, open_all, tell, terminal
from hipart.commands.options import (
    experiment_argument,
    experiment_options,
    json_option,
    place_options,
    session_options,
    work_options,
)
from hipart.runtime import Runtime


@click.command("list")
@json_option
def list_experiments(as_json: bool) -> None:
    """Every experiment that can be run from here, and every suite of them."""
    from hipart.report.description import describe_everything
    from hipart.report.facts import of_everything

    facts = of_everything()
    tell(lambda: facts, partial(describe_everything, facts), as_json)


@click.command()
@experiment_options
@json_option
def show(experiment: str, as_json: bool, **options: Any) -> None:
    """The resolved configuration, the arms or the space, and the parameters of every stage."""
    from hipart.report import facts
    from hipart.report.description import describe

    if searched := find_search(experiment, **options):
        from hipart.report.searches import describe_search

        tell(partial(facts.of_search, searched), partial(describe_search, searched), as_json)
    else:
        session = open_ablation(experiment, **options)
        tell(partial(facts.of_ablation, session), partial(describe, session), as_json)


@click.command()
@work_options
@click.option("--workers", type=click.IntRange(1), help="For how many workers to estimate.")
@json_option
def plan(workers: int | None, as_json: bool, **options: Any) -> None:
    """How many stage jobs a run has, how many are done already, and what the rest costs."""
    from hipart.report import facts
    from hipart.report.description import describe_plan

    count = workers or os.cpu_count() or 1
    if session := find_search(**options):
        from hipart.report.searches import describe_search_plan

        found = facts.of_search_plan(session, count)
        tell(lambda: found, partial(describe_search_plan, found), as_json)
    else:
        work = open_all(**options)
        tell(partial(facts.of_plan, work, count), partial(describe_plan, work, count), as_json)


@click.command()
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
    from hipart.session import finished_scales

    elsewhere: list[str] = []
    if searched := find_search(experiment, **options):
        from hipart.searched import study_so_far, table_of

        made = table_of(searched, study_so_far(searched))
    else:
        session = open_ablation(experiment, **options)
        there = sum(stage.ready for stage in session.plan.stages.values())
        made = session_table(session, {"trained": 0, "reused": there}, partial=True, layout=layout)
        if not session.done:
            elsewhere = finished_scales(experiment, options["preset"], session.runtime)
    if form == "terminal" and not as_json:
        terminal().print(made.terminal())
    else:
        click.echo(getattr(made, "json" if as_json else form)(), nl=False)
    if elsewhere:
        scales = " and ".join(f"--scale {scale}" for scale in elsewhere)
        click.echo(f"No trial is finished at scale {options['scale']}, but at {scales}.", err=True)


@click.command()
@experiment_options
@json_option
def schedule(experiment: str, as_json: bool, **options: Any) -> None:
    """Which machine did which job of the last run, and when; as a table and a figure."""
    from hipart.report.facts import of_spans
    from hipart.report.schedule import last_run, spans
    from hipart.reporting import write_schedule

    session = open_ablation(experiment, **options)
    there = session.finished().values()
    if as_json:
        tell(lambda: of_spans(last_run(spans(there))), str, as_json)
        return
    described, paths = write_schedule(there, session.results)
    if described is None:
        raise ValueError(f"{session.ablation.name}: nothing is finished at this scale yet")
    terminal().print(described)
    for path in paths:
        click.echo(f"wrote {path}")


@click.command()
@partial(experiment_argument, required=False)
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


@click.command()
@click.option("--suite", default="paper", show_default=True, help="Whose experiments to report.")
@session_options
@click.option(
    "--out", type=click.Path(path_type=Path), help="File to write; standard output without it."
)
def fidelity(suite: str, out: Path | None, **options: Any) -> None:
    """Which of the paper's claims hold in what is finished, with seeds and intervals."""
    from hipart.reporting import fidelity_of

    text = fidelity_of(open_all(None, suite, **options))
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        click.echo(f"wrote {out}")


@click.command()
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
    tell(lambda: found, partial(describe_difference, found, *pair), as_json)
