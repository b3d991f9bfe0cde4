"""What the store has measured of a space, whoever measured it and for what."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from pydantic import ValidationError

from hipart.experiment.errors import ExperimentError
from hipart.experiment.search import Search
from hipart.experiment.space import Point
from hipart.identity import config_of
from hipart.jobs import canonical_json
from hipart.pipeline import PIPELINE
from hipart.search.candidates import Candidate, Candidates, Finished, mean_over_seeds
from hipart.store import StoreError


class StoredArtifact(Protocol):
    """What is asked of an artifact to see where in a space it stands."""

    @property
    def stage(self) -> str:
        """Name of the stage."""
        ...

    @property
    def key(self) -> str:
        """Key of the job."""
        ...

    @property
    def identity(self) -> dict[str, Any]:
        """What was hashed into the key."""
        ...


class Store(Finished, Protocol):
    """What is asked of a store to remember by."""

    def artifacts(self) -> Iterator[StoredArtifact]:
        """Every finished artifact."""
        ...


class Memory(NamedTuple):
    """A point of which the store has something: all objectives, or values at some rungs."""

    point: Point
    values: tuple[float, ...] | None
    rungs: dict[int, float]


def remembered(search: Search, candidates: Candidates, store: Store) -> Iterator[Memory]:
    """Every point of the space of which the store has a measurement, with all seeds.

    An artifact's identity gives a configuration, that a point; what counts is whether the jobs of
    this point are in the store, so anything else about the artifact may be otherwise.
    """
    seen: set[str] = set()
    identities = dict(_identities(store))
    last = max((one.stage for one in search.objectives), key=list(PIPELINE).index)
    for identity in list(identities.values()):
        if identity["stage"] != last:
            continue
        point = _point(search, identity, identities)
        if point is None or canonical_json(point) in seen:
            continue
        seen.add(canonical_json(point))
        try:
            candidate = candidates.of(point)
        except ExperimentError:
            continue
        memory = recall(search, candidates, candidate, store)
        if memory.values is not None or memory.rungs:
            yield memory


def _identities(store: Store) -> Iterator[tuple[str, dict[str, Any]]]:
    for artifact in store.artifacts():
        with suppress(StoreError):  # damaged: whoever asks for it finds out and says so
            yield artifact.key, artifact.identity


def recall(search: Search, candidates: Candidates, candidate: Candidate, store: Finished) -> Memory:
    """What the store has of a candidate."""
    found = [mean_over_seeds(store, candidate.chains, one) for one in search.objectives]
    values = tuple(one for one in found if one is not None)
    whole = values if len(values) == len(found) else None
    rungs: dict[int, float] = {}
    for number, epochs in enumerate(search.rungs if not search.several else ()):
        chains = candidates.up_to(candidate, number)
        value = mean_over_seeds(store, chains, search.objectives[0])
        if value is not None:
            rungs[epochs] = value
    return Memory(candidate.point, whole, rungs)


def _point(
    search: Search, identity: Mapping[str, Any], identities: Mapping[str, Mapping[str, Any]]
) -> Point | None:
    """Where in the space the chain behind an artifact stands, if it does."""
    sections: dict[str, Any] = {}
    reached: list[Mapping[str, Any]] = [identity]
    while reached:
        one = reached.pop()
        if one["version"] != PIPELINE[one["stage"]].version:
            return None
        sections |= one["config"]
        # Not its variants, which differ from the trial's own jobs in what the trial says of them.
        needs = [key for name, key in one["needs"].items() if name in PIPELINE]
        if any(key not in identities for key in needs):
            return None
        reached += [identities[key] for key in needs]
    try:
        config = config_of(sections)
    except ValidationError:  # written by a version that had other settings
        return None
    return search.space.point_of(config)
