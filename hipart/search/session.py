"""One search on one workspace: what every command that names a search starts from."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from optuna.storages import BaseStorage

from hipart.config import window_frames
from hipart.data.corpus import check_corpus, fingerprint, is_partly_fitted, overlay_name
from hipart.experiment.design import BASE, Arm, Trial
from hipart.experiment.errors import ExperimentError
from hipart.experiment.file import load_any
from hipart.experiment.fitted import check_search
from hipart.experiment.form import Ablation
from hipart.experiment.levels import label
from hipart.experiment.scales import held_out
from hipart.experiment.search import Search
from hipart.experiment.space import Point
from hipart.jobs import StageJob
from hipart.pipeline import PROFILE
from hipart.runtime import Runtime
from hipart.search.candidates import Candidate, Candidates, Chain
from hipart.search.front import front
from hipart.search.memory import remembered
from hipart.search.question import question_of, study_name
from hipart.search.record import Record
from hipart.search.rules import Rules
from hipart.search.storage import copy_of, names_in, storage_at
from hipart.search.study import Study
from hipart.session import Session, again, check_folds
from hipart.store import ArtifactStore
from hipart.store.leases import FolderPlace, HeldError, Leases

#: What stands where a dimension does not exist.
NOWHERE = "–"
#: Heading of the trials' numbers.
TRIAL = "trial"


@dataclass(frozen=True)
class SearchSession:
    """A loaded search and the store that may hold its trials."""

    search: Search
    runtime: Runtime
    store: ArtifactStore
    fingerprint: str

    @cached_property
    def candidates(self) -> Candidates:
        """Points as stage jobs."""
        return Candidates(self.search, self.fingerprint)

    @property
    def base(self) -> Candidate:
        """The base, which need not lie in the space."""
        return self.candidates.base

    @property
    def results(self) -> Path:
        """Folder of the table and the figures."""
        return self.runtime.results / self.search.name

    @property
    def is_begun(self) -> bool:
        """Whether there is a study of it on disk."""
        file = self.runtime.studies.absolute()
        if not file.exists():
            return False
        return self._study_name in names_in(file)

    @property
    def _study_name(self) -> str:
        return study_name(self.search, question_of(self.search, self.fingerprint))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Raises ValueError while another command is at this search: its trials are its own."""
        folder = self.runtime.journals
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            try:
                leases = Leases(FolderPlace(folder))
                lease = f"search-{sha256(self._study_name.encode()).hexdigest()[:16]}"
                held.enter_context(leases.hold(lease, waits=False))
            except HeldError as other:
                raise ValueError(
                    f"{self.search.name} is already being searched in {self.runtime.workspace}, by "
                    f"{other}: wait for its end, or end it. "
                    f"`hipart-search watch {again(self.search, self.runtime)}` follows it"
                ) from None
            yield

    def open_study(self) -> Study:
        """The study on disk, for who is ``alone``, told all that the store has of the space."""
        study = self._study_in(storage_at(self.runtime.studies.absolute()))
        for memory in remembered(self.search, self.candidates, self.store):
            study.remember(*memory)
        return study

    def look_at_study(self) -> Study:
        """A copy of the study on disk, which has to be there, while somebody may be searching.

        It knows what the search knew. What the store has learned since is a trial once the search
        goes on: until then it would have a number by which the next look means another trial.
        """
        return self._study_in(copy_of(self._study_name, self.runtime.studies.absolute()))

    def _study_in(self, storage: BaseStorage) -> Study:
        return Study(self.search, question_of(self.search, self.fingerprint), storage)

    def arm(self, record: Record, candidate: Candidate) -> Arm:
        """A trial of the study as an arm; the one at the base is the base."""
        if candidate.config == self.search.base_config:
            return self.base_arm
        changes = self.search.space.changes(record.point)
        levels = self._standing(record.name, record.point)
        return Arm(record.name, changes, None, candidate.config, levels)

    @property
    def base_arm(self) -> Arm:
        """What all is compared with."""
        levels = self._standing(BASE, self.base.point)
        return Arm(BASE, {}, None, self.search.base_config, levels)

    def _standing(self, name: str, point: Point) -> tuple[tuple[str, str], ...]:
        values = {one.name: one.name in point for one in self.search.dimensions}
        return (
            (TRIAL, name.removeprefix(f"{TRIAL} ")),
            *((one, label(point[one]) if there else NOWHERE) for one, there in values.items()),
        )

    def trials(self, arm: Arm, chains: Sequence[Chain]) -> list[tuple[Trial, Chain]]:
        """An arm with every seed, and the jobs of each."""
        search, seeded = self.search, self.candidates.seeded
        return [
            (Trial(arm, seed, seeded(arm.config, seed), chain.targets), chain)
            for seed, chain in zip(search.seeds, chains, strict=True)
        ]

    def measured(self, study: Study) -> Session:
        """The base and the trials measured in full, best first, as tables take them."""
        found = [(self.base_arm, self.base.chains)]
        for record in ranked(self.search, study.complete):
            candidate = self.candidates.of(record.point)
            arm = self.arm(record, candidate)
            if arm.name != BASE:
                found.append((arm, candidate.chains))
        pairs = [pair for arm, chains in found for pair in self.trials(arm, chains)]
        return Session(
            ablation=as_ablation(self.search),
            runtime=self.runtime,
            store=self.store,
            fingerprint=self.fingerprint,
            trials=[trial for trial, _ in pairs],
            jobs=[jobs for _, jobs in pairs],
        )

    def jobs(self, study: Study) -> Iterator[StageJob]:
        """The jobs of the base and of every trial: in full, in part, on test, and profiles."""
        profiled = Rules(self.search.constraints).need_profile
        yield from self._measuring(self.base, profiled)
        for record in study.records.values():
            try:
                candidate = self.candidates.of(record.point)
            except ExperimentError:  # refused by the config: there are no jobs of it
                continue
            if record.state != "refused":
                yield from self._measuring(candidate, profiled)
            elif profiled:
                yield from _each(self.candidates.chains(candidate.config, (PROFILE.name,)))

    def _measuring(self, candidate: Candidate, profiled: bool) -> Iterator[StageJob]:
        """A candidate's jobs: in full, up to each rung, on the test split, and its profile."""
        made = self.candidates
        yield from _each(candidate.chains)
        yield from _each(made.on_test(candidate))
        for rung in range(len(self.search.rungs)):
            yield from _each(made.up_to(candidate, rung))
        if profiled:
            yield from _each(made.chains(candidate.config, (PROFILE.name,)))

    def has_base(self, study: Study, rules: Rules) -> bool:
        """Whether the base is to be compared with: measured in full, or, outside the space, to be.

        That is so once there is a trial to compare, and no bound refuses it.
        """
        if self.base.point:
            record = study.known(self.base.point)
            return record is not None and record.state == "complete"
        return bool(study.complete) and rules.broken_at_once(self.search.base_config) is None

    def winners(self, study: Study) -> list[Record]:
        """The best trial; of several objectives all that nothing beats in each."""
        ordered = ranked(self.search, study.complete)
        if not self.search.several:
            return ordered[:1]
        values = [one.values or () for one in ordered]
        return [ordered[place] for place in front(values, self.maximise)] if ordered else []

    @property
    def maximise(self) -> list[bool]:
        """Whether more is better, for each objective."""
        return [one.goal == "max" for one in self.search.objectives]


def _each(chains: Iterable[Chain]) -> Iterator[StageJob]:
    return (job for chain in chains for job in chain.values())


def ranked(search: Search, records: Sequence[Record]) -> list[Record]:
    """Trials measured in full, the best by the first objective first."""
    sign = -1.0 if search.objectives[0].goal == "max" else 1.0
    complete = [one for one in records if one.values]
    return sorted(complete, key=lambda one: (sign * (one.values or (0.0,))[0], one.number))


def as_ablation(search: Search) -> Ablation:
    """The head of a search as that of an ablation; its arms are the trials drawn so far."""
    return Ablation(
        kind="ablation",
        name=search.name,
        path=search.path,
        title=search.title,
        source=search.source,
        scale=search.scale,
        preset=search.preset,
        base=search.base_config.model_dump(mode="json"),
        design="arms",
        seeds=search.seeds,
        reseed=search.reseed,
        metric=search.objectives[0],
        also=tuple(dict.fromkeys((*search.objectives[1:], *search.also))),
        notes=search.notes,
    )


def open_search(name: str, scale: str, preset: str | None, runtime: Runtime) -> SearchSession:
    """Load and check a search; trains nothing and imports no torch.

    Raises ``ValueError`` for whatever a user wrote wrong: the file, an option, the data, the store.
    """
    session = read_search(name, scale, preset, runtime)
    if is_partly_fitted(runtime.data):
        check_search(session.search)
    base = session.search.base_config
    temporal = window_frames(base.lifter.model) > 1
    check_corpus(base.data, base.detector, runtime.data, temporal)
    check_folds(session.base.chains, runtime.data)
    return session


def read_search(name: str, scale: str, preset: str | None, runtime: Runtime) -> SearchSession:
    """The same, whether or not the search can train on these data."""
    search = load_any(name, scale, preset, overlay_name(runtime.data, held_out(scale)))
    if not isinstance(search, Search):
        raise ValueError(f"{search.path}: is no search")
    store = ArtifactStore(runtime.store, runtime.store_uri)
    return SearchSession(search, runtime, store, fingerprint(search.base_config.data, runtime.data))
