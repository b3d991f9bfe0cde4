"""What the store has of a session, as tables, figures and documents."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from rich.console import RenderableType

from hipart.config import Section
from hipart.experiment.file import DEFAULT_PRESET
from hipart.pipeline import FINAL_STAGE, PIPELINE
from hipart.report.claims import Finding, findings
from hipart.report.fidelity import render
from hipart.report.figures import FROM_ARTIFACTS, schedule
from hipart.report.footer import origin
from hipart.report.schedule import describe, last_run, spans
from hipart.report.tables import Layout, Table, table, write_all
from hipart.results import frame, provenances
from hipart.sample_errors import ErrorsByArm
from hipart.session import Session, Work, without_collection
from hipart.store import Artifact


def session_table(
    session: Session,
    counts: Mapping[str, int],
    failures: Mapping[str, str] = MappingProxyType({}),
    partial: bool = False,
    layout: Layout = "full",
    brief: bool = False,
) -> Table:
    """The table of what the store holds for a session's trials.

    A ``brief`` one is for a view without notes, drawn again and again: it reads no provenance
    and no errors of single samples.
    """
    ablation, found = session.ablation, session.finished()
    chosen = (ablation.metric, *ablation.also, *(claim.metric for claim in ablation.claims))
    wanted = {f"{metric.stage}/{metric.name}" for metric in chosen if metric}
    if layout != "full":  # which may be action by action
        wanted.add(f"{ablation.metric.stage}/{ablation.metric.name}/")
    with without_collection():
        rows = frame(session.trials, session.jobs, found, failures, wanted)
        made = [] if brief else list(provenances(found, rows, session.jobs))
        kept = not brief and ablation.metric.stage == FINAL_STAGE
        name = ablation.metric.name
        return table(
            ablation,
            rows,
            counts,
            data="" if brief else _described(session, found) or (made[0]["data"] if made else ""),
            fingerprint=session.fingerprint,
            provenance=made,
            partial=partial,
            layout=layout,
            errors=ErrorsByArm(session.trials, session.jobs, found, name) if kept else {},
        )


def fidelity_of(work: Work) -> str:
    """The document on which claims of the paper hold in what the store has of this work."""
    tables: list[Table] = []
    found: list[Finding] = []
    artifacts: dict[str, Artifact] = {}
    for session in work.sessions:
        own = session.finished()
        artifacts |= own
        rows = frame(session.trials, session.jobs, own)
        there = sum(stage.ready for stage in session.plan.stages.values())
        tables.append(session_table(session, {"trained": 0, "reused": there}))
        found += findings(session.ablation.name, session.ablation.claims, rows)
    first = work.sessions[0]
    stages = work.plan.stages.values()
    told = (_described(session, artifacts) for session in work.sessions)
    data = next(filter(None, told), "no poses have been detected yet")
    facts = [
        f"Data: {data}; fingerprint {first.fingerprint}.",
        f"Scale {first.ablation.scale}, preset {first.ablation.preset}; "
        f"{sum(one.ready for one in stages)} of {sum(one.distinct for one in stages)} "
        "stage jobs are done.",
        origin([artifact.provenance for artifact in artifacts.values()]),
    ]
    suite = work.title.split(",")[0].removeprefix("suite ")
    scale = first.ablation.scale
    command = f"hipart-search fidelity --suite {suite} --scale {scale}{_asked(first)}"
    return render(tables, found, [fact for fact in facts if fact], command)


def _asked(session: Session) -> str:
    """The other options that are not as by default; places unnamed: others read the document."""
    preset, runtime = session.ablation.preset, session.runtime
    given = {"data": runtime.data, "workspace": runtime.in_workspace, "store": runtime.shared_store}
    named = "" if preset == DEFAULT_PRESET else f" --preset {preset}"
    return named + "".join(f" --{name} FOLDER" for name, place in given.items() if place)


def write_results(session: Session, final: Table) -> list[Path]:
    """Write a session's table, the figures that its experiment names, and the schedule."""
    kinds = session.ablation.figures
    by_action = None
    if "actions" in kinds:
        counts = {"trained": 0, "reused": 0}
        by_action = session_table(session, counts, layout="actions", brief=True)
    there = session.finished()
    whole = any(kind in FROM_ARTIFACTS for kind in kinds)
    folders: dict[str, dict[str, Path]] = {}
    for trial, trial_jobs in zip(session.trials, session.jobs, strict=True):
        if all(job.key in there for job in trial_jobs.final):
            held = ((name, job.key) for name, job in trial_jobs.items() if job.key in there)
            found = {name: there[key] for name, key in held}
            folders.setdefault(
                trial.arm.name,
                {name: one.complete() if whole else one.path for name, one in found.items()},
            )
    written = write_all(final, session.results, kinds, by_action, folders)
    return written + write_schedule(there.values(), session.results)[1]


def write_schedule(
    artifacts: Iterable[Artifact], results: Path
) -> tuple[RenderableType | None, list[Path]]:
    """Who did what in the last run of an experiment: a table, and the files of a figure.

    None, and no files, where nothing is finished.
    """
    every = spans(artifacts)
    shown = last_run(every)
    if not shown:
        return None, []
    name, earlier = f"{results.name}_schedule", len(every) - len(shown)
    return describe(shown), schedule.write(shown, results / "figures", name, earlier)


def _described(session: Session, artifacts: Mapping[str, Artifact]) -> str:
    """The corpus, and the detections of every detector that the finished trials see."""
    told: dict[Section, str] = {}
    for job in session.distinct.values():
        if "detector" in PIPELINE[job.stage].reads and job.key in artifacts:
            detector = job.sections["detector"]
            if detector not in told:
                told[detector] = str(artifacts[job.key].provenance["data"])
    first, *others = told.values() if told else ("",)
    return "; other arms: ".join([first, *(one.rpartition("; ")[2] for one in others)])
