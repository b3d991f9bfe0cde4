"""One experiment on one workspace: what every command that names an experiment starts from."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hipart.data.corpus import check_corpus, fingerprint
from hipart.experiment.design import Trial, trials
from hipart.experiment.file import Ablation, load
from hipart.pipeline import StageJob, jobs
from hipart.runtime import Runtime
from hipart.scheduling.plan import Plan, make_plan
from hipart.store import ArtifactStore


@dataclass(frozen=True)
class Session:
    """A loaded experiment, its trials and their jobs, and the store that may hold them."""

    ablation: Ablation
    runtime: Runtime
    store: ArtifactStore
    fingerprint: str
    trials: list[Trial]
    jobs: list[dict[str, StageJob]]

    @cached_property
    def plan(self) -> Plan:
        """Counts and cost as of now."""
        return make_plan(self.jobs, self.store)

    @property
    def results(self) -> Any:
        """Folder of the table and the figures."""
        return self.runtime.results / self.ablation.name


def open_session(name: str, scale: str, preset: str | None, runtime: Runtime) -> Session:
    """Load and check an experiment; trains nothing and imports no torch.

    Raises ``ValueError`` for whatever a user wrote wrong: the file, an option, the data, the store.
    """
    ablation = load(name, scale, preset)
    data = fingerprint(ablation.base_config.data, runtime.motion)
    all_trials = trials(ablation)
    for settings in {trial.config.data for trial in all_trials}:
        check_corpus(settings, runtime.motion)
    return Session(
        ablation=ablation,
        runtime=runtime,
        store=ArtifactStore(runtime.store),
        fingerprint=data,
        trials=all_trials,
        jobs=[jobs(trial.config, data) for trial in all_trials],
    )
