"""One experiment on one workspace: what every command that names an experiment starts from."""

import gc
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hipart.config import DataConfig, PriorConfig, window_frames
from hipart.data.corpus import (
    check_corpus,
    fingerprint,
    is_partly_fitted,
    overlay_name,
    training_clips,
)
from hipart.data.folds import parts_of
from hipart.experiment.design import Trial, trials
from hipart.experiment.errors import ExperimentError
from hipart.experiment.file import DEFAULT_PRESET, Ablation, find, load
from hipart.experiment.fitted import on_fitted
from hipart.experiment.scales import DEFAULT_SCALE, SCALES, held_out
from hipart.experiment.search import Search
from hipart.experiment.suite import load_suite
from hipart.jobs import Jobs, StageJob, TrialJobs
from hipart.runtime import Runtime
from hipart.scheduling.plan import Plan, make_plan
from hipart.store import Artifact, ArtifactStore


@dataclass(frozen=True)
class Session:
    """A loaded experiment, its trials and their jobs, and the store that may hold them."""

    ablation: Ablation
    runtime: Runtime
    store: ArtifactStore
    fingerprint: str
    trials: list[Trial]
    jobs: list[TrialJobs]

    @cached_property
    def plan(self) -> Plan:
        """Counts and cost as of now."""
        with without_collection():
            return make_plan(self.jobs, self.store)

    @cached_property
    def distinct(self) -> dict[str, StageJob]:
        """Every job once, by key."""
        return {job.key: job for jobs in self.jobs for job in jobs.values()}

    @property
    def shares(self) -> bool:
        """Whether any job is asked for by more than one trial."""
        return len(self.distinct) < sum(map(len, self.jobs))

    @property
    def done(self) -> int:
        """How many trials are finished now."""
        wanted = [jobs.final for jobs in self.jobs]
        there = self.store.held(job for jobs in wanted for job in jobs)
        return sum(all(job.key in there for job in jobs) for jobs in wanted)

    def finished(self) -> dict[str, Artifact]:
        """The artifacts that the store has of these jobs now, by key."""
        return self.store.held(self.distinct.values())

    @property
    def results(self) -> Any:
        """Folder of the table and the figures."""
        return self.runtime.results / self.ablation.name


def open_session(name: str, scale: str, preset: str | None, runtime: Runtime) -> Session:
    """Load and check an experiment; trains nothing and imports no torch.

    Raises ``ValueError`` for whatever a user wrote wrong: the file, an option, the data, the store.
    """
    session = read_session(name, scale, preset, runtime)
    with without_collection():
        _check_data(session.trials, runtime.data)
        check_folds(session.jobs, runtime.data)
        check_difference(session.trials, session.jobs)
    return session


def read_session(name: str, scale: str, preset: str | None, runtime: Runtime) -> Session:
    """The same, whether or not the experiment can be trained on these data."""
    with without_collection():
        ablation = load(name, scale, preset, overlay_name(runtime.data, held_out(scale)))
        if is_partly_fitted(runtime.data):
            ablation = on_fitted(ablation)
        data = fingerprint(ablation.base_config.data, runtime.data)
        all_trials = trials(ablation)
        maker = Jobs(data)
        return Session(
            ablation=ablation,
            runtime=runtime,
            store=ArtifactStore(runtime.store, runtime.store_uri),
            fingerprint=data,
            trials=all_trials,
            jobs=[maker.of(trial.config, trial.targets) for trial in all_trials],
        )


def finished_scales(name: str, preset: str | None, runtime: Runtime) -> list[str]:
    """The scales at which a trial of an experiment is finished."""
    found = []
    for scale in SCALES:
        try:
            session = read_session(name, scale, preset, runtime)
        except ExperimentError:  # its file does not hold at every scale
            continue
        if session.done:
            found.append(scale)
    return found


def _check_data(tried: Iterable[Trial], folder: Path | None) -> None:
    """Raise ValueError for samples that cannot be drawn of these data."""
    configs = [trial.config for trial in tried]
    shared = {
        (id(config.data), id(config.detector), window_frames(config.lifter.model) > 1): config
        for config in configs
    }
    distinct = {(one.data, one.detector, temporal) for (*_, temporal), one in shared.items()}
    for data, detector, temporal in distinct:
        check_corpus(data, detector, folder, temporal)


def check_difference(tried: Iterable[Trial], chains: Iterable[Mapping[str, StageJob]]) -> None:
    """Raise ValueError for an arm that differs from another one in settings which nothing reads."""
    known: dict[tuple[int, frozenset[str]], str] = {}
    for trial, chain in zip(tried, chains, strict=True):
        keys = trial.seed, frozenset(job.key for job in chain.values())
        first = known.setdefault(keys, trial.arm.name)
        if first != trial.arm.name:
            changed = ", ".join(trial.arm.changes) or "nothing"
            raise ValueError(
                f"arm {trial.arm.name!r} would be arm {first!r} again: nothing that is measured "
                f"depends on what they differ in; it changes {changed}; "
                "change another value or leave it out"
            )


def check_folds(chains: Iterable[Mapping[str, StageJob]], folder: Path | None) -> None:
    """Raise ValueError for parts of training samples of which there are more than clips."""
    asked: set[tuple[DataConfig, int]] = set()
    for job in (job for chain in chains for job in chain.values() if job.stage == "prior"):
        data, prior = job.sections["data"], job.sections["prior"]
        assert isinstance(data, DataConfig) and isinstance(prior, PriorConfig)
        if prior.fold:
            asked.add((data, prior.fold[1]))
    for data, folds in sorted(asked, key=lambda one: one[1]):
        parts_of(training_clips(data, folder), folds)


def again(experiment: Ablation | Search, runtime: Runtime) -> str:
    """An experiment as the next command has to name it, with the options that it has to repeat."""
    name = experiment.name
    try:
        found = find(name).samefile(experiment.path)
    except (ExperimentError, FileNotFoundError):  # its file may have been removed meanwhile
        found = False
    return shlex.quote(name if found else str(experiment.path)) + options(experiment, runtime)


def options(experiment: Ablation | Search, runtime: Runtime) -> str:
    """What another command at the same scale, on the same data and store has to repeat."""
    scale = "" if experiment.scale == DEFAULT_SCALE else f" --scale {experiment.scale}"
    preset = "" if experiment.preset == DEFAULT_PRESET else f" --preset {experiment.preset}"
    return scale + preset + on_data(runtime) + runtime.placed


def on_data(runtime: Runtime) -> str:
    """The option that names the data; nothing for the packaged motion."""
    return "" if runtime.data is None else f" --data {shlex.quote(str(runtime.data))}"


@contextmanager
def without_collection() -> Iterator[None]:
    """For making many objects that all stay: looking for garbage among them doubles the time.

    What there is at the end counts as old, so that it isn't looked through as soon as this ends.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.unfreeze()
        if enabled:
            gc.enable()


@dataclass(frozen=True)
class Work:
    """Sessions on one workspace that are planned and run together: an experiment, or a suite."""

    name: str
    title: str
    sessions: tuple[Session, ...]

    @property
    def trials(self) -> int:
        """Trials of all sessions."""
        return sum(len(session.trials) for session in self.sessions)

    @cached_property
    def plan(self) -> Plan:
        """Counts and cost of all sessions together, as of now."""
        jobs = [jobs for session in self.sessions for jobs in session.jobs]
        with without_collection():
            return make_plan(jobs, self.sessions[0].store)


def open_work(
    experiment: str | None, suite: str | None, scale: str, preset: str | None, runtime: Runtime
) -> Work:
    """One experiment, or every experiment of a suite, loaded and checked as ``open_session`` does.

    Raises ``ValueError`` unless exactly one of both is named.
    """
    if (experiment is None) == (suite is None):
        raise ValueError("name an experiment, or --suite NAME, and not both")
    if experiment is not None:
        session = open_session(experiment, scale, preset, runtime)
        return Work(session.ablation.name, f"{session.ablation.name}, scale {scale}", (session,))
    names = load_suite(str(suite)).experiments
    sessions = tuple(open_session(name, scale, preset, runtime) for name in names)
    title = f"suite {suite}, scale {scale}: {len(sessions)} experiments"
    return Work(f"suite-{suite}", title, sessions)
