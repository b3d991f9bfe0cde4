"""What the store has of experiments, as pages to look at: one for each, and an index of all."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import polars as pl

from hipart.experiment.file import available, is_search
from hipart.jobs import StageJob, names_in
from hipart.pipeline import PIPELINE
from hipart.report.figures.search.shared import axis_title
from hipart.report.footer import reach
from hipart.report.grid import grid, number
from hipart.report.page.charts.base import Chart, rounded
from hipart.report.page.charts.results import by_arm, differences, history
from hipart.report.page.charts.training import codebooks
from hipart.report.page.charts.work import sharing, timeline
from hipart.report.page.histories import history_of, training_charts
from hipart.report.page.poses import poses
from hipart.report.page.render import Entry, Index, Page, write_index, write_page
from hipart.report.page.sharing import Users, blocks, summary
from hipart.report.schedule import last_run, spans
from hipart.report.tables import Table
from hipart.reporting import session_table
from hipart.results import frame
from hipart.runtime import Runtime
from hipart.search.session import SearchSession, open_search
from hipart.search.study import Study
from hipart.searched import study_so_far, table_of
from hipart.session import Session, again, open_session
from hipart.store import Artifact

PAGE, INDEX = "report.html", "index.html"
HISTORY = "history.jsonl"
#: Curves of a stage that are read.
MOST_CURVES = 400


@dataclass(frozen=True)
class _Found:
    """A session with what the store has of it."""

    session: Session
    artifacts: Mapping[str, Artifact]
    users: Users
    results: pl.DataFrame

    @classmethod
    def of(cls, session: Session, made: Table) -> "_Found":
        artifacts, users = session.finished(), Users(session.trials, session.jobs)
        wanted = {column.key for column in made.columns}
        results = frame(session.trials, session.jobs, artifacts, wanted=wanted)
        return cls(session, artifacts, users, results)

    def of_stage(self, stage: str) -> Iterator[tuple[StageJob, Artifact]]:
        """The distinct finished jobs of a stage."""
        for job in self.session.distinct.values():
            if job.stage == stage and job.key in self.artifacts:
                yield job, self.artifacts[job.key]


def write_report(session: Session, made: Table, file: Path | None = None) -> Path:
    """The page of an ablation, of whose results ``made`` is the table."""
    found = _Found.of(session, made)
    return write_page(_page(found, made), file or session.results / PAGE)


def write_search_report(
    session: SearchSession, study: Study, made: Table, file: Path | None = None
) -> Path:
    """The page of a search: that of its trials measured in full, with how it went."""
    found = _Found.of(session.measured(study), made)
    return write_page(_page(found, made, _history(session, study)), file or session.results / PAGE)


def report_of(name: str, scale: str, preset: str | None, runtime: Runtime) -> "Reported":
    """An experiment or search with its table, from the store alone.

    Raises ``ValueError`` for whatever a user wrote wrong, or where a search was never run.
    """
    if is_search(name):
        searched = open_search(name, scale, preset, runtime)
        study = study_so_far(searched)
        made = table_of(searched, study)
        return Reported(
            searched.measured(study),
            made,
            lambda file: write_search_report(searched, study, made, file),
        )
    session = open_session(name, scale, preset, runtime)
    there = sum(stage.ready for stage in session.plan.stages.values())
    made = session_table(
        session, {"trained": 0, "reused": there}, _earlier_failures(session), partial=True
    )
    return Reported(session, made, lambda file: write_report(session, made, file))


@dataclass(frozen=True)
class Reported:
    """What a page is made of, and how to write it: to a file, or to its place in the results."""

    session: Session
    table: Table
    write: Callable[[Path | None], Path]


def write_all_reports(scale: str, preset: str | None, runtime: Runtime) -> tuple[Path, list[Path]]:
    """The index of every experiment with something finished at a scale, and their pages."""
    entries: list[Entry] = []
    pages: list[Path] = []
    for name in available():
        try:
            found = report_of(name, scale, preset, runtime)
        except ValueError:  # a search that was never run; a preset of its own; other data
            continue
        done = found.session.done
        if not done:
            continue
        pages.append(found.write(None))
        entries.append(_entry(name, found, done, pages[-1]))
    return write_index(Index(scale, entries), runtime.results / INDEX), pages


def _entry(name: str, found: Reported, done: int, page: Path) -> Entry:
    made = found.table
    column = made.columns[0]
    known = [row for row in made.rows if row.cells[0].mean is not None]
    best = next((row for row in known if row.cells[0].mark == "best"), None)
    values = [
        number(row.cells[0].mean, column.decimals) if row and row.cells[0].mean is not None else "–"
        for row in (made.rows[0], best)
    ]
    return Entry(
        name=name,
        title=made.title,
        href=f"{page.parent.name}/{page.name}",
        done=done,
        planned=len(found.session.trials),
        failed=sum(row.failed for row in made.rows),
        metric=f"{column.title} [{column.unit}]",
        base=values[0],
        best=values[1],
        best_arm=best.arm if best else "",
    )


def _page(found: _Found, made: Table, beside: Sequence[Chart] = ()) -> Page:
    session, ablation = found.session, found.session.ablation
    shared = summary(session.jobs, found.artifacts, found.users)
    told = spans(found.artifacts.values())
    shown = last_run(told)
    parts: dict[str, list[Chart | None]] = {
        "search": list(beside),
        "results": [
            differences(made.rows, made.columns[0]),
            *(
                by_arm(made.rows, place, column, found.results)
                for place, column in enumerate(made.columns)
                if column.key in found.results.columns
            ),
        ],
        "training": [
            *(chart for stage in PIPELINE for chart in _training(found, stage)),
            codebooks(
                (found.users.arms(job.key), found.users.seeds(job.key), one.metrics)
                for job, one in found.of_stage("tokenizer")
            ),
        ],
        "sharing": [
            sharing(blocks(session.jobs, found.artifacts, found.users)),
            timeline(shown, len(told) - len(shown)),
        ],
    }
    name, same = ablation.name, again(ablation, session.runtime)
    return Page(
        name=name,
        title=made.title,
        caption=made.caption,
        facts=_facts(found),
        grid=grid(made),
        footer=made.footer,
        ranking=made.ranking,
        failed=[(row.arm, row.reason or "") for row in made.rows if row.failed],
        charts={
            part: kept
            for part, some in parts.items()
            if (kept := [chart for chart in some if chart is not None])
        },
        shared=shared,
        poses=poses(session, found.artifacts, made),
        origins=_origins(found),
        commands=(
            (
                f"hipart-search run {same}{session.runtime.tracked}",
                "go on; nothing finished is done again",
            ),
            (f"hipart-search table {same} --format latex", "the table for a paper"),
            (
                f"hipart-search export {same} --best {made.columns[0].name}",
                "the best model as a bundle",
            ),
            (f"hipart-search {session.runtime.ui_command}", "every run in MLflow"),
        ),
    )


def _facts(found: _Found) -> list[tuple[str, str]]:
    ablation = found.session.ablation
    ended = [
        str(one.provenance["started_at"])
        for one in found.artifacts.values()
        if one.provenance.get("started_at")
    ]
    facts = [
        ("trials", f"{found.session.done} of {len(found.session.trials)} done"),
        ("scale", ablation.scale),
        ("preset", ablation.preset),
        ("seeds", reach(ablation.seeds, ablation.reseed)),
        ("data", found.session.fingerprint[:16]),
    ]
    if ended:
        facts.append(("last job", f"{max(ended)[:16].replace('T', ' ')} UTC"))
    return facts


def _training(found: _Found, stage: str) -> list[Chart]:
    """How the stage's distinct jobs were trained; of very many, those that come first."""
    users = found.users
    histories = [
        history_of(users.arms(job.key), users.seeds(job.key), artifact.file(HISTORY))
        for job, artifact in islice(found.of_stage(stage), MOST_CURVES)
    ]
    return training_charts(stage, histories)


def _origins(found: _Found) -> tuple[list[str], list[list[str]]]:
    """Which artifacts stand behind each trial."""
    names = names_in(found.session.jobs)
    rows = [
        [
            trial.arm.name,
            str(trial.seed),
            *(chain[name].key[:8] if name in chain else "" for name in names),
        ]
        for trial, chain in zip(found.session.trials, found.session.jobs, strict=True)
    ]
    return ["arm", "seed", *names], rows


def _history(session: SearchSession, study: Study) -> list[Chart]:
    """How a search went."""
    (objective, *_) = session.search.objectives
    values = [
        {
            "trial": record.number,
            "state": record.state,
            "complete": record.state == "complete",
            "value": rounded(
                record.values[0] if record.values else record.rungs[max(record.rungs)]
            ),
            "point": ", ".join(f"{name} {value}" for name, value in record.point.items()),
        }
        for record in study.records.values()
        if record.values or (record.state == "stopped" and record.rungs)
    ]
    goal = "max" if session.maximise[0] else "min"
    chart = history(values, axis_title(session.search, objective), goal)
    return [chart] if chart else []


def _earlier_failures(session: Session) -> dict[str, str]:
    """By job key what failed in the last run here, as its table says."""
    file = session.results / "table.json"
    try:
        told = {one["name"]: one["reason"] for one in json.loads(file.read_text())["arms"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    failures = {}
    for trial, chain in zip(session.trials, session.jobs, strict=True):
        stage, _, reason = (told.get(trial.arm.name) or "").partition(": ")
        if stage in chain:
            failures[chain[stage].key] = f"{reason} (when it was last run)"
    return failures
