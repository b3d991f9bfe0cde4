"""``hipart-search run``: ask the graph for every trial, show it, mirror it, write the table."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Console

from hipart.report.live import LiveView, PlainView, Progress
from hipart.report.tables import Table, table, write_all
from hipart.results import frame, provenances
from hipart.scheduling.events import Event, Listener
from hipart.scheduling.executor import Executor, Workplace
from hipart.scheduling.graph import StageGraph
from hipart.scheduling.plan import estimate_seconds, measurements
from hipart.session import Session
from hipart.tracking import MlflowMirror


def run(session: Session, console: Console) -> bool:
    """Run to the end, or to Ctrl-C; returns whether every trial finished."""
    session.store.prepare()
    to_train = session.plan.to_train
    known, _ = measurements(session.store)
    warnings: list[str] = []
    mirror = MlflowMirror(
        session.runtime,
        session.ablation,
        session.trials,
        session.jobs,
        session.store,
        session.fingerprint,
        warnings.append,
    )
    with console.status(f"starting {session.runtime.executor} workers") if to_train else _Quiet():
        listeners: list[Listener] = [mirror]

        def tell(event: Event) -> None:
            for listener in listeners:
                listener(event)

        executor = _executor(session, len(to_train), tell)
    graph = StageGraph(session.store, executor, tell)
    progress = Progress(lambda job: estimate_seconds(job, known), executor.slots)

    def made(partial: bool) -> Table:
        states = [node.state for node in graph.nodes.values()]
        counts = {"trained": states.count("finished"), "reused": states.count("reused")}
        return session_table(session, counts, progress.failures, partial)

    view = (
        LiveView(console, progress, lambda: made(partial=True).terminal(notes=False))
        if console.is_terminal
        else PlainView(console, progress)
    )
    try:
        with view:
            listeners.append(view)
            for jobs in session.jobs:
                graph.ensure(jobs)
            graph.run()
    except BaseException as error:
        mirror.abort()
        if not isinstance(error, KeyboardInterrupt):
            raise
        console.print("\nStopped. Run the same command to go on where it was.")
        return False
    finally:
        executor.close()
    final = made(partial=False)
    written = write_all(final, session.results)
    mirror.finish(written)
    _close(console, session, final, written, warnings)
    return not progress.failures


def _executor(session: Session, wanted: int, tell: Listener) -> Executor:
    runtime = session.runtime
    if runtime.executor == "ray" and wanted:
        from hipart.scheduling.ray_pool import RayPool

        return RayPool(runtime, wanted)
    from hipart.scheduling.inline import InlineExecutor

    workplace = Workplace(
        store=runtime.store.absolute(),
        motion=runtime.motion,
        threads=max(1, int(runtime.cpus_per_job)),
        use_gpu=runtime.gpus_per_job > 0,
    )
    return InlineExecutor(workplace, tell)


def session_table(
    session: Session,
    counts: Mapping[str, int],
    failures: Mapping[str, str] = MappingProxyType({}),
    partial: bool = False,
) -> Table:
    """The table of what the store holds for a session's trials."""
    rows = frame(session.store, session.trials, session.fingerprint, failures)
    made = list(provenances(session.store, rows))
    return table(
        session.ablation,
        rows,
        counts,
        data=made[0]["data"] if made else "",
        fingerprint=session.fingerprint,
        provenance=made,
        partial=partial,
    )


def _close(
    console: Console, session: Session, final: Table, written: list[Path], warnings: list[str]
) -> None:
    name = session.ablation.name
    console.print(final.terminal())
    for path in written:
        console.print(f"wrote {path}", highlight=False)
    for warning in warnings:
        console.print(f"[yellow]{warning}[/]")
    console.print("\nNext:")
    metric = session.ablation.metric.name
    for command, what in (
        ("ui", "browse every trial in MLflow"),
        (f"export {name} --best {metric} --out best/", "the best model as a bundle"),
        (f"show {name}", "what was varied, around which configuration"),
    ):
        console.print(f"  hipart-search {command}  [dim]# {what}[/]", highlight=False)


class _Quiet:
    """Stands where a status line would, when there is nothing to wait for."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: Any) -> None:
        return None
