"""Where studies are kept: a sqlite file, which outlives a killed process.

Everything here raises ValueError for a file that is damaged, that somebody has locked, that cannot
be opened or that another version of Optuna wrote.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.study import get_all_study_names
from sqlalchemy.exc import DatabaseError

#: Seconds in which a file that somebody has locked may come free.
PATIENCE_S = 60.0
#: What sqlite calls a file that is no database, or no sound one.
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
#: An error may be of a kind of these.
_KIND = 0xFF


def storage_at(file: Path) -> BaseStorage:
    """The studies in a file, which is made if it is not there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with _told(file):
        waiting = {"connect_args": {"timeout": PATIENCE_S}}
        return RDBStorage(f"sqlite:///{file}", engine_kwargs=waiting)


def names_in(file: Path) -> list[str]:
    """What the studies in a file are called."""
    storage = storage_at(file)
    with _told(file):
        return get_all_study_names(storage)


def copy_of(name: str, file: Path) -> BaseStorage:
    """A study as it is in a file now, to look at: whoever searches does not notice."""
    copy = InMemoryStorage()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = storage_at(file)
    with _told(file):
        optuna.copy_study(from_study_name=name, from_storage=storage, to_storage=copy)
    return copy


@contextmanager
def _told(file: Path) -> Iterator[None]:
    try:
        yield
    except (DatabaseError, StorageInternalError) as error:
        raise ValueError(f"{file}: {_what_is_wrong(error)}") from None
    except RuntimeError as error:  # of another version of Optuna
        raise ValueError(f"{file}: {error}") from None


def _what_is_wrong(error: DatabaseError | StorageInternalError) -> str:
    cause = error if isinstance(error, DatabaseError) else error.__cause__
    found = cause.orig if isinstance(cause, DatabaseError) else None
    if not isinstance(found, sqlite3.Error):
        return f"cannot be read as a file of studies ({cause or error})"
    if found.sqlite_errorcode & _KIND in DAMAGED:
        return (
            f"cannot be read as a file of studies ({found}). Move it away and run the search "
            "again, which remembers what the store has measured; before `clean`, which without the "
            "studies takes that for nobody's"
        )
    return (
        f"the studies in it cannot be had now ({found}). Leave it where it is; if another program "
        "has it locked, try again afterwards"
    )
