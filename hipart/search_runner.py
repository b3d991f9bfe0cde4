"""Run a search: executor, stage graph, study, view and mirror; then its table and figures."""

import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property

from rich.console import Console, Group, RenderableType
from rich.text import Text

from hipart.experiment.design import BASE
from hipart.jobs import StageJob
from hipart.pages import write_search_report
from hipart.report.live import LiveView, PlainView, Progress, duration
from hipart.report.tables import Table
from hipart.reporting import write_schedule
from hipart.runner import executor_for, sift, suggest
from hipart.runtime import Runtime
from hipart.scheduling.events import Event, JobFinished, Listener
from hipart.scheduling.executor import Executor
from hipart.scheduling.graph import StageGraph
from hipart.scheduling.journal import Journal
from hipart.scheduling.metrics import RunMetrics
from hipart.scheduling.plan import Estimates
from hipart.search.budget import Account, Ended, Limits
from hipart.search.candidates import Chain
from hipart.search.loop import SearchLoop
from hipart.search.rules import Rules
from hipart.search.session import SearchSession
from hipart.search.study import Study
from hipart.search_watchers import Mirroring, Sharing, Telling
from hipart.searched import LIVE_ROWS, best_line, search_table, write_search
from hipart.session import again
from hipart.tracking import MlflowMirror


def run_search(session: SearchSession, limits: Limits, console: Console) -> bool:
    """Search to the end of the budget, or to Ctrl-C; returns whether nothing failed."""
    session.store.prepare()
    with session.alone():
        sift(session.store, session.store.artifacts(), console)  # it remembers by all of them
        study = session.open_study()
        return _Run(session, study, limits, console).run()


@dataclass
class _Run:
    session: SearchSession
    study: Study
    limits: Limits
    console: Console
    listeners: list[Listener] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    #: Keys of the jobs that were done now.
    trained: set[str] = field(default_factory=set)

    def run(self) -> bool:
        """The search, the test split, the table."""
        session = self.session
        runtime = session.runtime.shared_among(self.limits.trials or 2)
        estimate = _estimates(session)
        to_come = self._to_come()
        starting = self.console.status(f"starting {runtime.executor} workers")
        with starting if to_come else nullcontext():
            executor = executor_for(runtime, to_come, self.tell, self.limits.trials or 64)
        mirror = self._mirror()
        graph = StageGraph(session.store, executor, self.tell, estimate, runtime.array_limit)
        loop = self._loop(runtime, executor, mirror)
        progress = Progress(estimate, executor.slots)
        name, scale = session.search.name, session.search.scale
        journal = Journal(runtime.journals, name, scale, executor.slots, estimate)
        self.listeners += [mirror, journal, loop.account.hear]
        view = self._view(progress, loop)
        try:
            with view, closing(RunMetrics(session.store)) as metrics:
                self.listeners += [view, metrics]
                loop.watchers.append(Sharing(metrics))
                ended = loop.run(graph)
                if ended.open_trials or not self._compares(graph):
                    executor.close()  # what runs now is left as it is, with its checkpoint
                    executor = executor_for(runtime, to_come, self.tell)
                    graph = StageGraph(
                        session.store, executor, self.tell, estimate, runtime.array_limit
                    )
                self._restore(graph)
                self._measure_on_test(graph)
        except BaseException as error:
            journal.end("stopped")
            mirror.abort()
            if not isinstance(error, KeyboardInterrupt):
                raise
            self.console.print("\nStopped. Run the same command to go on where it was.")
            return False
        finally:
            executor.close()
        try:
            self._finish(ended, mirror)
        finally:  # until here nobody may clean
            journal.end("failed" if progress.failures else "finished")
        return not progress.failures

    def tell(self, event: Event) -> None:
        """Pass an event on."""
        if isinstance(event, JobFinished):
            self.trained.add(event.job.key)
        for listener in self.listeners:
            listener(event)

    def _to_come(self) -> list[StageJob]:
        """Jobs by which workers can warm up; none where the search is over and its test done."""
        session, study = self.session, self.study
        limit = self.limits.trials
        if limit is None or len(study.own) < limit or study.running:
            return [job for chain in session.base.chains for job in chain.values()]
        made, known = session.candidates, self._measured()
        for one in session.winners(study):
            known += made.on_test(made.of(one.point))
        return [job for jobs in known for job in jobs.values() if job not in session.store]

    @cached_property
    def rules(self) -> Rules:
        """The bounds of the search."""
        return Rules(self.session.search.constraints)

    def _measured(self) -> list[Chain]:
        """The jobs of what was measured in full, the base's if no bound refuses it."""
        found = self.session.measured(self.study)
        has_base = self.session.has_base(self.study, self.rules)
        pairs = zip(found.trials, found.jobs, strict=True)
        return [jobs for trial, jobs in pairs if has_base or trial.arm.name != BASE]

    def _mirror(self) -> MlflowMirror:
        """The mirror, told of all trials so far."""
        session, made = self.session, self.session.candidates
        head = replace(session.measured(self.study), trials=[], jobs=[])
        mirror = MlflowMirror([head], self.warnings.append)
        if session.candidates.controls:
            for trial, jobs in session.trials(session.base_arm, session.candidates.controls):
                mirror.add(trial, jobs)
        watcher = Mirroring(session, mirror)
        for record in self.study.records.values():
            if record.state in ("complete", "stopped"):
                candidate = made.of(record.point)
                last = max(record.rungs, default=session.search.rungs[-1])
                rung = session.search.rungs.index(last) if record.state == "stopped" else -1
                watcher.trial(record, candidate, made.up_to(candidate, rung) if rung >= 0 else ())
        return mirror

    def _loop(self, runtime: Runtime, executor: Executor, mirror: MlflowMirror) -> SearchLoop:
        session = self.session
        share = runtime.gpus_per_job or runtime.cpus
        return SearchLoop(
            search=session.search,
            study=self.study,
            candidates=session.candidates,
            store=session.store,
            account=Account(session.search, self.study, self.limits, time.monotonic, share),
            slots=executor.slots,
            rules=self.rules,
            watchers=[Mirroring(session, mirror)],
            fail_fast=runtime.fail_fast,
        )

    def _view(self, progress: Progress, loop: SearchLoop) -> LiveView | PlainView:
        session, study = self.session, self.study
        if not self.console.is_terminal:
            loop.watchers.append(Telling(self.console, session, study))
            return PlainView(self.console, progress)

        def shown() -> RenderableType:
            made = search_table(session, study, partial=True, rows=LIVE_ROWS)
            count = f"{len(study.own)} trials, {len(study.running)} of them running"
            spent = f"{duration(loop.account.spent_s)} of search"
            return Group(
                made.terminal(notes=False),
                Text(f"{count}, {spent}; {best_line(session, study)}", style="bold"),
            )

        return LiveView(self.console, progress, shown)

    def _compares(self, graph: StageGraph) -> bool:
        """Whether the jobs that are open after the search, a base's, are worth their time."""
        return not graph.open_jobs or self.session.has_base(self.study, self.rules)

    def _restore(self, graph: StageGraph) -> None:
        """Do again what was set aside of trials measured in full."""
        for chain in self._measured():
            if any(job not in self.session.store for job in chain.values()):
                graph.ensure(chain)
        graph.run()

    def _measure_on_test(self, graph: StageGraph) -> None:
        """The one look at the test split: the winners', and the base's to compare with."""
        session = self.session
        made = session.candidates
        tested = [made.of(one.point) for one in session.winners(self.study)]
        if tested and session.has_base(self.study, self.rules):
            tested.append(session.base)
        for candidate in tested:
            for chain in made.on_test(candidate):
                if not any(job.key in graph.errors for job in chain.values()):
                    graph.ensure(chain)
        graph.run()

    def _finish(self, ended: Ended, mirror: MlflowMirror) -> None:
        """Table and figures, at once; then MLflow's turn."""
        done = self.session.store.held(self.session.jobs(self.study))
        trained = len(done.keys() & self.trained)
        counts = {"trained": trained, "reused": len(done) - trained}
        made: Table = search_table(self.session, self.study, counts)
        files = write_search(self.session, self.study, made)
        files += write_schedule(done.values(), self.session.results)[1]
        files.append(write_search_report(self.session, self.study, made))
        self.console.print(made.terminal())
        for path in files:
            self.console.print(f"wrote {path}", highlight=False)
        with self.console.status("MLflow catches up"):
            account = mirror.finish(files)
        self.console.print(account, style="dim", highlight=False)
        for warning in self.warnings:
            self.console.print(warning, style="yellow")
        self.console.print(f"The search ended: {ended.reason}.", highlight=False)
        if ended.open_trials:
            self.console.print(_left_open(ended.open_trials))
        self._next_commands()

    def _next_commands(self) -> None:
        search = self.session.search
        runtime = self.session.runtime
        name = again(search, runtime)
        metric = self.session.search.objectives[0].name
        trials = 2 * max(1, len(self.study.own))
        export = (f"export {name} --best {metric} --out best/", "the best model as a bundle")
        suggest(
            self.console,
            (runtime.ui_command, "browse every trial in MLflow"),
            (f"ui --optuna{runtime.in_workspace}", "browse the study in Optuna's dashboard"),
            *([export] if self.study.complete else []),
            (f"run {name}{runtime.tracked} --trials {trials}", "search on"),
        )


def _left_open(trials: int) -> str:
    if trials == 1:
        return "1 trial is unfinished and goes on with more."
    return f"{trials} trials are unfinished and go on with more."


def _estimates(session: SearchSession) -> Callable[[StageJob], float | None]:
    """Seconds of each job by what is known."""
    estimates = Estimates.of(session.store)
    found: dict[str, float | None] = {}

    def seconds(job: StageJob) -> float | None:
        if job.key not in found:
            found[job.key] = estimates.seconds(job)
        return found[job.key]

    return seconds
