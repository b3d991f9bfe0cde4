"""Experiment files: where they are, and an experiment from one, checked in full."""

from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from hipart.config import PipelineConfig
from hipart.experiment import checks, words
from hipart.experiment.claims import missing_arms
from hipart.experiment.design import arms
from hipart.experiment.dimension import Dimension
from hipart.experiment.errors import ExperimentError, Problem, shown, unknown
from hipart.experiment.explain import problems_of
from hipart.experiment.form import Ablation, Written
from hipart.experiment.overlay import at_scale
from hipart.experiment.paths import with_changes
from hipart.experiment.reading import Document, read
from hipart.experiment.scales import CORPORA, PRESETS, SCALES
from hipart.experiment.search import Search, SpaceFile, WrittenSearch
from hipart.experiment.search_checks import search_problems
from hipart.experiment.search_overlay import search_at_scale
from hipart.experiment.space_checks import problems

__all__ = [
    "Ablation",
    "Search",
    "available",
    "base_at_scale",
    "find",
    "is_search",
    "load",
    "load_any",
]

_FORMS: dict[str, type[Written] | type[WrittenSearch]] = {
    "ablation": Written,
    "search": WrittenSearch,
}
DEFAULT_PRESET = "budget"


def available() -> dict[str, Path]:
    """Every experiment by name; a local file hides the packaged one of its name."""
    return _named("experiments")


def ablations() -> list[str]:
    """The names of those that are no searches."""
    return [name for name, path in available().items() if not is_search(str(path))]


def find(name_or_path: str) -> Path:
    """A path as it is, or the file of a name: in ``./experiments``, packaged, or in this folder."""
    path = Path(name_or_path)
    if path.is_file():
        return path
    names = available()
    if name_or_path in names:
        return names[name_or_path]
    beside = Path(f"{name_or_path}.yaml")  # it ran by its path; what it printed names it without
    if beside.is_file():
        return beside
    what = "file" if path.suffix in (".yaml", ".yml") else "experiment"
    missing = unknown((), what, path.stem if what == "file" else name_or_path, names)
    raise ExperimentError([missing], path)


def is_search(name_or_path: str) -> bool:
    """Whether a file says that it is a search. Raises ExperimentError if it cannot be read."""
    return read(find(name_or_path)).data.get("kind") == "search"


def load(
    name_or_path: str, scale: str, preset: str | None = None, corpus: str = "open"
) -> Ablation:
    """``load_any`` of what has to be an ablation."""
    experiment = load_any(name_or_path, scale, preset, corpus)
    if isinstance(experiment, Search):
        rule = "is a search, and this command takes an ablation"
        raise ExperimentError([Problem(("kind",), rule)], experiment.path)
    return experiment


def load_any(
    name_or_path: str, scale: str, preset: str | None = None, corpus: str = "open"
) -> Ablation | Search:
    """The experiment at a scale. Raises ExperimentError with all that is wrong with it.

    ``preset`` defaults to the file's, else to ``budget``; one that contradicts the file's is
    refused. ``corpus`` names the data that it runs on.
    """
    document = read(find(name_or_path))
    written = _written(document)
    if isinstance(written, WrittenSearch):
        found = list(search_problems(written))
    else:
        found = checks.problems(written)
    found += _choices(written, scale, preset)
    if found:
        raise document.error(found)
    chosen = written.preset or preset or DEFAULT_PRESET
    try:
        if isinstance(written, WrittenSearch):
            return search_at_scale(written, document.path, (chosen, scale, corpus), _used(written))
        ablation = at_scale(written, document.path, (chosen, scale, corpus))
        arms(ablation)
        if wrong := [*missing_arms(written, ablation), *words.problems(written, ablation)]:
            raise ExperimentError(wrong)
    except ExperimentError as error:
        if error.file is not None:
            raise
        raise document.error(error.problems) from None
    return ablation


def _used(written: WrittenSearch) -> list[Dimension]:
    """The dimensions of the files that a search uses. Errors name the file that they are in."""
    spaces = _named("search_spaces")
    used: list[Dimension] = []
    for index, name in enumerate(written.use):
        if name not in spaces:
            raise ExperimentError([unknown(("use", index), "search space", name, spaces)])
        document = read(spaces[name])
        try:
            file = SpaceFile.model_validate(document.data)
        except ValidationError as error:
            raise document.error(problems_of(error, SpaceFile)) from None
        if wrong := [one.within("dimensions") for one in problems(file.dimensions)]:
            raise document.error(wrong)
        used += file.dimensions
    return used


def base_at_scale(scale: str, corpus: str = "open") -> PipelineConfig:
    """The configuration of a scale on a corpus, before any experiment changes it."""
    if scale not in SCALES:
        raise ExperimentError([unknown(("--scale",), "scale", scale, SCALES)])
    return with_changes(PipelineConfig(), SCALES[scale] | CORPORA[corpus])


def folders(kind: str = "experiments") -> list[Path]:
    """Where experiments are, or search spaces, the last one winning."""
    package = Path(str(files("hipart")))
    in_wheel = package / "_packaged" / kind
    packaged = in_wheel if in_wheel.is_dir() else package.parent / kind
    return [packaged, Path(kind)]


def _named(kind: str) -> dict[str, Path]:
    """Every file of a kind by name; a local file hides the packaged one of its name."""
    found = {path.stem: path for folder in folders(kind) for path in sorted(folder.glob("*.yaml"))}
    return dict(sorted(found.items()))


def _written(document: Document) -> Written | WrittenSearch:
    kind = document.data.get("kind")
    form = _FORMS.get(str(kind))
    if form is None:
        raise document.error([unknown(("kind",), "kind of experiment", kind, _FORMS)])
    try:
        return form.model_validate(document.data)
    except ValidationError as error:
        raise document.error(problems_of(error, form)) from None


def _choices(written: Written | WrittenSearch, scale: str, preset: str | None) -> list[Problem]:
    found = []
    if scale not in SCALES:
        found.append(unknown(("--scale",), "scale", scale, SCALES))
    for place, name in (("preset", written.preset), ("--preset", preset)):
        if name is not None and name not in PRESETS:
            found.append(unknown((place,), "preset", name, PRESETS))
    if preset and written.preset and preset != written.preset:
        rule = "contradicts the preset that the file is written for"
        found.append(Problem(("--preset",), rule, shown(preset), written.preset))
    return found
