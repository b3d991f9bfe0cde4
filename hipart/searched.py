"""What a search has found: its table, the list of all its trials, its figures."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from types import MappingProxyType

from hipart.experiment.design import BASE
from hipart.experiment.metrics import MetricChoice
from hipart.pipeline import FINAL_STAGE, PIPELINE
from hipart.report.grid import number
from hipart.report.model import Cell, Column
from hipart.report.tables import Drawn, Table, table, write_all
from hipart.results import frame, provenances
from hipart.search.candidates import Candidate, Chain
from hipart.search.front import front, hypervolume, worst
from hipart.search.record import Record
from hipart.search.session import TRIAL, SearchSession
from hipart.search.study import Study

#: Trials in a table; all of them are in trials.csv.
ROWS = 30
#: Trials of the table that is drawn while a search goes on.
LIVE_ROWS = 8
NOTHING = Cell(0, 0, None, None, None, None, None, None, None)


def search_table(
    session: SearchSession,
    study: Study,
    counts: Mapping[str, int] = MappingProxyType({"trained": 0, "reused": 0}),
    partial: bool = False,
    rows: int = ROWS,
) -> Table:
    """The base and the best trials. A ``partial`` one, for a live view, reads no provenance."""
    measured = session.measured(study)
    there = measured.finished()
    results = frame(measured.trials, measured.jobs, there)
    made = [] if partial else list(provenances(there, results, measured.jobs))
    arms = list({trial.arm.name: trial.arm for trial in measured.trials}.values())
    full = table(
        measured.ablation,
        results,
        counts,
        data=made[-1]["data"] if made else "",
        fingerprint=session.fingerprint,
        provenance=made,
        partial=partial,
        drawn=Drawn(
            arms,
            (TRIAL, *(one.name for one in session.search.dimensions)),
            () if partial else notes(session, study, counts),
        ),
    )
    told = [
        replace(one, title=f"{one.title}, validation") if _evaluates(one.key) else one
        for one in full.columns
    ]
    full = replace(full, columns=tuple(told), rows=full.rows[: rows + 1])
    return full if partial else _with_test(session, study, full)


def study_so_far(session: SearchSession) -> Study:
    """The study on disk, to look at. Raises ValueError where the search was never run here."""
    if not session.is_begun:
        raise ValueError(f"{session.search.name} was not run in this workspace at this scale yet")
    return session.look_at_study()


def table_of(session: SearchSession, study: Study) -> Table:
    """The table of what is finished, from study and store alone."""
    held = session.store.held(session.jobs(study))
    return search_table(session, study, {"trained": 0, "reused": len(held)})


def _evaluates(key: str) -> bool:
    return key.startswith(f"{FINAL_STAGE}/")


def _with_test(session: SearchSession, study: Study, made: Table) -> Table:
    """The table with what the test split says of the base and the winners, once it was asked."""
    wanted = [one for one in session.search.objectives if one.stage == FINAL_STAGE]
    if not wanted:
        return made
    tested = {BASE: session.base} | _winners(session, study)
    for choice in wanted:
        values = {
            name: _on_test(session, session.candidates.on_test(candidate), choice)
            for name, candidate in tested.items()
        }
        if any(values.values()):
            made = _with_column(made, choice, values)
    return made


def _winners(session: SearchSession, study: Study) -> dict[str, Candidate]:
    """The best trials by the names of their arms."""
    best = ((one, session.candidates.of(one.point)) for one in session.winners(study))
    return {session.arm(one, candidate).name: candidate for one, candidate in best}


def _on_test(session: SearchSession, chains: Sequence[Chain], choice: MetricChoice) -> list[float]:
    found = []
    for chain in chains:
        artifact = session.store.find(choice.stage, chain[choice.stage].key)
        if artifact is not None and choice.name in artifact.metrics:
            found.append(artifact.metrics[choice.name])
    return found


def _with_column(made: Table, choice: MetricChoice, values: Mapping[str, list[float]]) -> Table:
    (metric,) = (one for one in PIPELINE[choice.stage].metrics if one.name == choice.name)
    column = Column(
        key=f"test/{metric.name}",
        name=f"test_{metric.name}",
        title=f"{metric.title}, test",
        unit=metric.unit,
        goal=metric.goal,
    )
    rows = tuple(
        replace(row, cells=(row.cells[0], _cell(values.get(row.arm, [])), *row.cells[1:]))
        for row in made.rows
    )
    return replace(made, columns=(made.columns[0], column, *made.columns[1:]), rows=rows)


def _cell(values: list[float]) -> Cell:
    if not values:
        return NOTHING
    spread = stdev(values) if len(values) > 1 else None
    return replace(NOTHING, seeds=len(values), n=len(values), mean=fmean(values), std=spread)


def notes(session: SearchSession, study: Study, counts: Mapping[str, int]) -> tuple[str, ...]:
    """What was drawn, what became of it, and what sharing and stopping saved."""
    search = session.search
    states: list[str] = [one.state for one in study.own]
    told = [
        f"{states.count(state)} {word}"
        for state, word in (
            ("complete", "measured in full"),
            ("stopped", "stopped early"),
            ("failed", "failed"),
            ("running", "unfinished"),
        )
        if states.count(state)
    ]
    refused = sum(one.state == "refused" for one in study.records.values())
    known = sum(one.origin == "store" for one in study.records.values())
    lines = [
        f"Search: {len(states)} trials by {search.sampler.kind}, seed {search.sampler.seed}: "
        f"{', '.join(told) or 'none yet'}"
        + (f"; {refused} refused before training" if refused else "")
        + (f"; {known} more were in the store" if known else "")
        + ".",
        f"Chosen on {search.base_config.data.validation_samples:,} validation samples, held out of "
        f"training; {_of_test(session, study)}.",
    ]
    if share := saved(session, study):
        lines.append(share)
    if search.several and study.complete:
        lines.append(_trade_off(session, study))
    return tuple(lines)


def _of_test(session: SearchSession, study: Study) -> str:
    """Of whom the test split was measured, in words."""
    made, best = session.candidates, session.winners(study)
    others = [one for one in study.complete if one not in best and one.point != session.base.point]
    candidates = [session.base, *(made.of(one.point) for one in (*best, *others))]
    jobs = [[chain[FINAL_STAGE] for chain in made.on_test(one)] for one in candidates]
    there = session.store.held(job for one in jobs for job in one)
    base, *measured = (any(job.key in there for job in one) for one in jobs)
    won, before = measured[: len(best)], sum(measured[len(best) :])
    some = f"{sum(won)} of {len(won)} winners"
    who = ["the base"] * base + ["the winners" if all(won) else some] * any(won)
    if not who and not before:
        return "nothing was measured on the test split"
    told = f"the test split was measured for {' and '.join(who) or 'no winner'}"
    if not before:
        return f"{told} only, after the end"
    are = (
        "was best at an earlier end, or is"
        if before == 1
        else "were best at an earlier end, or are"
    )
    return f"{told}, after the end; {before} more {are} another experiment's"


def saved(session: SearchSession, study: Study) -> str:
    """How many of the stage jobs of all trials were trained in full, in words.

    Trials that failed are left out: nothing was spared by that.
    """
    own = [one for one in study.own if one.state not in ("running", "failed")]
    asked = distinct = stopped = 0
    seen: set[str] = set()
    for record in own:
        for chain in session.candidates.of(record.point).chains:
            for job in chain.values():
                asked += 1
                if job.key in seen:
                    continue
                seen.add(job.key)
                if session.store.find(job.stage, job.key) is None:
                    stopped += 1
                else:
                    distinct += 1
    if not asked:
        return ""
    spared = asked - distinct
    return (
        f"{asked} stage jobs in the trials that did not fail: {distinct} distinct ones done in "
        f"full, {spared - stopped} shared, {stopped} stopped early or never begun: "
        f"{100 * spared / asked:.0f} % spared."
    )


def _trade_off(session: SearchSession, study: Study) -> str:
    values = [one.values or () for one in study.complete]
    up = session.maximise
    best = front(values, up)
    reference = worst(values, up)
    volume = hypervolume(values, reference, up)
    at = ", ".join(f"{one:.4g}" for one in reference)
    numbers = ", ".join(str(study.complete[place].number) for place in best)
    return (
        f"Pareto front: {len(best)} of {len(values)} trials ({numbers}); hypervolume "
        f"{volume:.4g} from the worst of each objective ({at})."
    )


def trials_csv(session: SearchSession, study: Study) -> str:
    """One line per trial that was drawn or remembered, in full precision."""
    search = session.search
    names = [one.name for one in search.dimensions]
    metrics = [f"{one.stage}/{one.name}" for one in search.objectives]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rungs = [f"after {epochs} epochs" for epochs in search.rungs[:-1]]
    writer.writerow(["trial", "state", "origin", "reason", *names, *metrics, *rungs])
    for record in sorted(study.records.values(), key=lambda one: one.number):
        writer.writerow(
            [record.number, record.state, record.origin, record.reason]
            + [record.point.get(name) for name in names]
            + list(record.values or [None] * len(metrics))
            + [record.rungs.get(epochs) for epochs in search.rungs[:-1]]
        )
    return text.getvalue()


def write_search(session: SearchSession, study: Study, made: Table) -> list[Path]:
    """Write the table in every notation, all trials, and the figures."""
    from hipart.report.figures import search as figures

    folder = session.results
    written = write_all(made, folder, kinds=())
    file = folder / "trials.csv"
    part = folder / f".trials.csv.{os.getpid()}"
    part.write_text(trials_csv(session, study), encoding="utf-8", newline="\n")
    part.replace(file)
    return [*written, file, *figures.write(study.optuna_study, session.search, folder / "figures")]


def best_line(session: SearchSession, study: Study) -> str:
    """The best trial so far and its value, in a line."""
    best = session.winners(study)
    if not best:
        return "nothing is measured in full yet"
    record: Record = best[0]
    metric = session.search.objectives[0]
    (declared,) = (one for one in PIPELINE[metric.stage].metrics if one.name == metric.name)
    value = number((record.values or (0.0,))[0], 2)
    return f"best {declared.title} {value} {declared.unit} ({record.name})"
