"""Suites: experiments that are planned and run together, as one stage graph."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from hipart.config import Section
from hipart.experiment.errors import ExperimentError, Problem, unknown
from hipart.experiment.explain import problems_of
from hipart.experiment.file import available, folders
from hipart.experiment.reading import read
from hipart.experiment.texts import Text


class Suite(Section):
    """A suite file, key by key."""

    kind: Literal["suite"]
    title: Text
    experiments: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]


def available_suites() -> dict[str, Path]:
    """Every suite by name; a local file hides the packaged one of its name."""
    paths = [path for folder in folders() for path in sorted((folder / "suites").glob("*.yaml"))]
    return dict(sorted((path.stem, path) for path in paths))


def load_suite(name: str) -> Suite:
    """The suite of a name. Raises ExperimentError for one that isn't there or is wrong."""
    found = available_suites()
    if name not in found:
        raise ExperimentError([unknown(("--suite",), "suite", name, found)])
    document = read(found[name])
    try:
        suite = Suite.model_validate(document.data)
    except ValidationError as error:
        raise document.error(problems_of(error, Suite)) from None
    names = available()
    problems = [
        unknown(("experiments", index), "experiment", one, names)
        for index, one in enumerate(suite.experiments)
        if one not in names
    ]
    if len(set(suite.experiments)) < len(suite.experiments):
        problems.append(Problem(("experiments",), "names an experiment twice"))
    if problems:
        raise document.error(problems)
    return suite
