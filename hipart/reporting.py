"""What the store has of a session, as tables, figures and documents."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from hipart.config import DetectorConfig
from hipart.pipeline import FINAL_STAGE, PIPELINE
from hipart.report.claims import Finding, findings
from hipart.report.fidelity import render
from hipart.report.footer import origin
from hipart.report.tables import Layout, Table, table, write_all
from hipart.results import frame, provenances, sample_errors
from hipart.session import Session, Work


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
    store, metric = session.store, session.ablation.metric
    rows = frame(store, session.trials, session.fingerprint, failures)
    made = [] if brief else list(provenances(store, rows))
    errors = (
        sample_errors(store, session.trials, session.fingerprint, metric.name)
        if not brief and metric.stage == FINAL_STAGE
        else {}
    )
    return table(
        session.ablation,
        rows,
        counts,
        data="" if brief else _described(session) or (made[0]["data"] if made else ""),
        fingerprint=session.fingerprint,
        provenance=made,
        partial=partial,
        layout=layout,
        errors=errors,
    )


def fidelity_of(work: Work) -> str:
    """The document on which claims of the paper hold in what the store has of this work."""
    tables: list[Table] = []
    found: list[Finding] = []
    seen = {job.key: job for one in work.sessions for jobs in one.jobs for job in jobs.values()}
    artifacts = [work.sessions[0].store.find(job.stage, job.key) for job in seen.values()]
    for session in work.sessions:
        rows = frame(session.store, session.trials, session.fingerprint)
        there = sum(stage.ready for stage in session.plan.stages.values())
        tables.append(session_table(session, {"trained": 0, "reused": there}))
        found += findings(session.ablation.name, session.ablation.claims, rows)
    first = work.sessions[0]
    stages = work.plan.stages.values()
    facts = [
        f"Data: {_described(first) or 'nothing is measured yet'}; fingerprint {first.fingerprint}.",
        f"Scale {first.ablation.scale}, preset {first.ablation.preset}; "
        f"{sum(one.ready for one in stages)} of {sum(one.distinct for one in stages)} "
        "stage jobs are done.",
        origin([artifact.provenance for artifact in artifacts if artifact]),
    ]
    suite = work.title.split(",")[0].removeprefix("suite ")
    scale = first.ablation.scale
    motion = " --motion FOLDER" if first.runtime.motion else ""
    command = f"hipart-search fidelity --suite {suite} --scale {scale}{motion}"
    return render(tables, found, facts, command)


def write_results(session: Session, final: Table) -> list[Path]:
    """Write a session's table, and the figures that its experiment names."""
    kinds = session.ablation.figures
    by_action = None
    if "actions" in kinds:
        counts = {"trained": 0, "reused": 0}
        by_action = session_table(session, counts, layout="actions", brief=True)
    folders: dict[str, dict[str, Path]] = {}
    for trial, trial_jobs in zip(session.trials, session.jobs, strict=True):
        found = {name: session.store.find(name, job.key) for name, job in trial_jobs.items()}
        paths = {name: artifact.path for name, artifact in found.items() if artifact}
        if len(paths) == len(found):
            folders.setdefault(trial.arm.name, paths)
    return write_all(final, session.results, kinds, by_action, folders)


def _described(session: Session) -> str:
    """The corpus, and the detections of every detector that the finished trials see."""
    told: dict[DetectorConfig, str] = {}
    seen = {job.key: job for jobs in session.jobs for job in jobs.values()}
    for job in seen.values():
        detector = job.config.detector
        if "detector" in PIPELINE[job.stage].reads and detector not in told:
            artifact = session.store.find(job.stage, job.key)
            if artifact is not None:
                told[detector] = str(artifact.provenance["data"])
    first, *others = told.values() if told else ("",)
    return "; other arms: ".join([first, *(one.rpartition("; ")[2] for one in others)])
