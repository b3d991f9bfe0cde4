"""What the trials of an experiment share: the stage tree, and what it saved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hipart.experiment.design import Trial
from hipart.jobs import StageJob, names_in
from hipart.pipeline import PIPELINE, stage_of
from hipart.report.live import duration
from hipart.store import Artifact

#: Arms that are named where several stand on one artifact.
NAMED = 4


@dataclass(frozen=True)
class Shared:
    """A stage's share: jobs asked for and distinct ones, seconds they took and would have taken."""

    stage: str
    asked: int
    distinct: int
    done: int
    seconds: float
    alone: float

    @property
    def took(self) -> str:
        """The time of its finished jobs, in words."""
        return duration(self.seconds)

    @property
    def saved(self) -> str:
        """What sharing saved, in words."""
        return duration(self.alone - self.seconds)


class Users:
    """Which trials stand on a job."""

    def __init__(self, trials: Sequence[Trial], chains: Sequence[Mapping[str, StageJob]]) -> None:
        self._arms = len({trial.arm.name for trial in trials})
        self._seeds = len({trial.seed for trial in trials})
        self._users: dict[str, list[Trial]] = {}
        for trial, chain in zip(trials, chains, strict=True):
            for job in chain.values():
                self._users.setdefault(job.key, []).append(trial)

    def count(self, key: str) -> int:
        """How many trials."""
        return len(self._users[key])

    def arms(self, key: str) -> str:
        """Their arms, in words."""
        names = list(dict.fromkeys(trial.arm.name for trial in self._users[key]))
        if len(names) == self._arms > 1:
            return f"all {self._arms} arms"
        if len(names) > NAMED:
            return f"{', '.join(names[: NAMED - 1])} and {len(names) - NAMED + 1} more"
        return ", ".join(names)

    def seeds(self, key: str) -> str:
        """Their seed, in words; nothing where all seeds share the job."""
        seeds = sorted({trial.seed for trial in self._users[key]})
        if len(seeds) == self._seeds > 1:
            return ""
        return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def summary(
    chains: Sequence[Mapping[str, StageJob]], found: Mapping[str, Artifact], users: Users
) -> list[Shared]:
    """A row for each stage that is asked for."""
    rows = []
    for stage in PIPELINE:
        asked = [job.key for chain in chains for job in chain.values() if job.stage == stage]
        if not asked:
            continue
        distinct = list(dict.fromkeys(asked))
        took = {key: _seconds(found[key]) for key in distinct if key in found}
        alone = sum(seconds * users.count(key) for key, seconds in took.items())
        rows.append(Shared(stage, len(asked), len(distinct), len(took), sum(took.values()), alone))
    return rows


def blocks(
    chains: Sequence[Mapping[str, StageJob]], found: Mapping[str, Artifact], users: Users
) -> list[dict[str, Any]]:
    """Every artifact as a block over the trials that stand on it, which lie side by side."""
    first: dict[str, int] = {}
    names = names_in(chains)
    for chain in chains:
        for job in chain.values():
            first.setdefault(job.key, len(first))
    ordered = sorted(
        chains, key=lambda chain: [first[chain[n].key] if n in chain else -1 for n in names]
    )
    made: list[dict[str, Any]] = []
    for name in names:
        last: dict[str, Any] = {}
        for place, chain in enumerate(ordered):
            if name not in chain:
                last = {}
                continue
            key = chain[name].key
            if last.get("full") != key:
                seconds = _seconds(found[key]) if key in found else 0.0
                last = {
                    "full": key,
                    "job": name,
                    "stage": stage_of(name),
                    "key": key[:8],
                    "from": place,
                    "arms": ", ".join(filter(None, (users.arms(key), users.seeds(key)))),
                    "trials": users.count(key),
                    "seconds": round(seconds, 1),
                    "saved": duration(seconds * (users.count(key) - 1)),
                    "state": "there" if key in found else "missing",
                }
                made.append(last)
            last["to"] = place + 1
    return [{name: value for name, value in one.items() if name != "full"} for one in made]


def _seconds(artifact: Artifact) -> float:
    return float(artifact.provenance.get("seconds") or 0.0)
