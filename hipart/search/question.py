"""What a search asks: the identity of its study, and where studies are kept."""

from pathlib import Path

import optuna
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from sqlalchemy.exc import DatabaseError

from hipart.experiment.search import Search
from hipart.jobs import canonical_json, key_of


def question_of(search: Search, data_fingerprint: str) -> str:
    """16 hexadecimal digits of what a search asks: another space, base or goal is another study.

    Budget and sampler are not part of it: with more trials, or another sampler, a search goes on.
    """
    asked = {
        "base": search.base_config.model_dump(mode="json"),
        "space": [one.model_dump(mode="json", exclude={"scales"}) for one in search.dimensions],
        "objectives": [one.model_dump(mode="json") for one in search.objectives],
        "stopping": search.stopping and search.stopping.model_dump(mode="json"),
        "proxy": search.proxy and search.proxy.model_dump(mode="json"),
        "constraints": [one.model_dump(mode="json") for one in search.constraints],
        "seeds": [list(search.seeds), list(search.reseed)],
        "data": data_fingerprint,
    }
    return key_of(canonical_json(asked))


def study_name(search: Search, question: str) -> str:
    """What a study is called in its storage."""
    return f"{search.name}-{search.scale}-{question}"


def storage_at(file: Path) -> BaseStorage:
    """Studies in a sqlite file, which outlive a killed process.

    Raises ValueError for a file that is none, or cannot be read.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        return RDBStorage(f"sqlite:///{file}", engine_kwargs={"connect_args": {"timeout": 60}})
    except DatabaseError as error:
        raise ValueError(
            f"{file}: cannot be read as a file of studies ({error.orig}). If it is damaged, move "
            "it away: the store has what was measured, and a search that is run again remembers it"
        ) from None


def copy_of(name: str, file: Path) -> BaseStorage:
    """A study as it is in a file now, to look at: whoever searches does not notice."""
    copy = InMemoryStorage()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    optuna.copy_study(from_study_name=name, from_storage=storage_at(file), to_storage=copy)
    return copy
