"""``hipart-search run``: ask the graph for every trial, show it, mirror it, write the table."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, nullcontext
from pathlib import Path

from rich.console import Console, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from hipart.jobs import StageJob
from hipart.pages import write_report
from hipart.report.live import LiveView, PlainView, Progress
from hipart.report.tables import Table
from hipart.reporting import session_table, write_results
from hipart.runtime import Runtime
from hipart.scheduling.events import Event, Listener
from hipart.scheduling.executor import Executor, Workplace
from hipart.scheduling.graph import StageGraph
from hipart.scheduling.journal import Journal
from hipart.scheduling.metrics import RunMetrics
from hipart.scheduling.plan import Estimates
from hipart.session import Session, Work, again, options
from hipart.store import Artifact, ArtifactStore
from hipart.tracking import MlflowMirror


def run(work: Work, console: Console) -> bool:
    """Run to the end, or to Ctrl-C; returns whether every trial finished."""
    first, *others = work.sessions
    runtime, store = first.runtime.shared_among(work.trials), first.store
    store.prepare()
    mine = store.held(job for one in work.sessions for job in one.distinct.values())
    sift(store, mine.values(), console)
    to_train = work.plan.to_train
    estimate = _estimates(store, to_train)
    warnings: list[str] = []
    listeners: list[Listener] = []

    def tell(event: Event) -> None:
        for listener in listeners:
            listener(event)

    with console.status(f"starting {runtime.executor} workers") if to_train else nullcontext():
        executor = executor_for(runtime, to_train, tell)
    mirror = MlflowMirror(work.sessions, warnings.append)
    scale = first.ablation.scale
    journal = Journal(runtime.journals, work.name, scale, executor.slots, estimate)
    listeners += [mirror, journal]
    graph = StageGraph(store, executor, tell, estimate, runtime.array_limit)
    progress = Progress(estimate, executor.slots)

    def counts(sessions: Sequence[Session] = work.sessions) -> dict[str, int]:
        keys = {job.key for session in sessions for jobs in session.jobs for job in jobs.values()}
        states = [node.state for key, node in graph.nodes.items() if key in keys]
        return {"trained": states.count("finished"), "reused": states.count("reused")}

    def made(session: Session, partial: bool = False) -> Table:
        return session_table(session, counts([session]), progress.failures, partial, brief=partial)

    def shown() -> RenderableType:
        if others:
            return finished_trials(work)
        return made(first, partial=True).terminal(notes=False)

    view = (
        LiveView(console, progress, shown) if console.is_terminal else PlainView(console, progress)
    )
    try:
        with view, closing(executor), closing(RunMetrics(store)) as metrics:
            listeners += [view, metrics]
            for name, session in enumerate(work.sessions):
                for number, jobs in enumerate(session.jobs):
                    metrics.asked((name, number), jobs)
                    graph.ensure(jobs)
            graph.run(runtime.fail_fast)
    except BaseException as error:
        journal.end("stopped")
        mirror.abort()
        if not isinstance(error, KeyboardInterrupt):
            raise
        console.print("\nStopped. Run the same command to go on where it was.")
        return False
    try:
        _write(work, made, mirror, console)
    finally:  # until here nobody may clean
        journal.end("failed" if progress.failures else "finished")
    for warning in warnings:
        console.print(warning, style="yellow")
    if others:
        ended = counts()
        console.print(
            f"{work.title}: {sum(ended.values())} stage jobs: trained {ended['trained']} now, "
            f"reused {ended['reused']}."
        )
    else:
        _next_commands(console, first)
    return not progress.failures


def _write(
    work: Work, made: Callable[[Session], Table], mirror: MlflowMirror, console: Console
) -> None:
    """Tables and figures, at once; then MLflow's turn."""
    files: list[list[Path]] = []
    for session in work.sessions:
        final = made(session)
        files.append([*write_results(session, final), write_report(session, final)])
        console.print(final.terminal())
        for path in files[-1]:
            console.print(f"wrote {path}", highlight=False)
    with console.status("MLflow catches up"):
        account = mirror.finish(*files)
    console.print(account, style="dim", highlight=False)


def _estimates(
    store: ArtifactStore, to_train: Sequence[StageJob]
) -> Callable[[StageJob], float | None]:
    """Seconds of each job to train by what is known; None where that is nothing."""
    estimates = Estimates.of(store)
    seconds = {job.key: estimates.seconds(job) for job in to_train}
    return lambda job: seconds.get(job.key)


def finished_trials(work: Work) -> RenderableType:
    """Per experiment of a suite how many of its trials are in the store."""
    rows = RichTable("experiment", "trials done", box=None, padding=(0, 2, 0, 0))
    for session in work.sessions:
        rows.add_row(session.ablation.name, f"{session.done}/{len(session.trials)}")
    return rows


def sift(store: ArtifactStore, artifacts: Iterable[Artifact], console: Console) -> None:
    """Set aside what is damaged of these, and say so."""
    for line in store.sift(artifacts):
        text = f"{line}; it is done again where it is needed"
        console.print(text, style="yellow", highlight=False)


def executor_for(
    runtime: Runtime, to_train: Sequence[StageJob], tell: Listener, most: int = 0
) -> Executor:
    """Whoever runs the jobs; ``most`` at once where more will come than are known now."""
    if runtime.executor == "ray" and to_train:
        from hipart.scheduling.ray_pool import RayPool

        return RayPool(runtime, most or len(to_train), to_train)
    from hipart.scheduling.inline import InlineExecutor

    return InlineExecutor(Workplace.of(runtime), tell)


def _next_commands(console: Console, session: Session) -> None:
    name = again(session.ablation, session.runtime)
    sharing = (f"plan {name}", "how many of their stage jobs the trials share")
    if not session.shares:  # then another experiment is what shows it
        same = options(session.ablation, session.runtime)
        sharing = (f"plan order_ablation{same}", "an experiment whose trials share tokenizers")
    metric = session.ablation.metric.name
    suggest(
        console,
        (session.runtime.ui_command, "browse every trial in MLflow"),
        (f"export {name} --best {metric} --out best/", "the best model as a bundle"),
        (f"show {name}", "what was varied, around which configuration"),
        sharing,
    )


def suggest(console: Console, *commands: tuple[str, str]) -> None:
    """Print commands that come next, each with what it is for."""
    console.print("\nNext:")
    for command, what in commands:
        line = Text.assemble(f"  hipart-search {command}  ", (f"# {what}", "dim"))
        console.print(line, highlight=False, soft_wrap=True)  # it is to be copied
