"""Experiment files: where they are, and an experiment from one, checked in full."""

from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from hipart.config import PipelineConfig
from hipart.experiment import checks
from hipart.experiment.design import arms
from hipart.experiment.errors import ExperimentError, Problem, shown, unknown
from hipart.experiment.explain import problems_of
from hipart.experiment.form import Ablation, Written
from hipart.experiment.overlay import at_scale
from hipart.experiment.paths import with_changes
from hipart.experiment.reading import Document, read
from hipart.experiment.scales import PRESETS, SCALES

__all__ = ["Ablation", "available", "base_at_scale", "find", "load"]

_KINDS = ("ablation",)
_DEFAULT_PRESET = "budget"


def available() -> dict[str, Path]:
    """Every experiment by name; a local file hides the packaged one of its name."""
    found = {path.stem: path for folder in folders() for path in sorted(folder.glob("*.yaml"))}
    return dict(sorted(found.items()))


def find(name_or_path: str) -> Path:
    """A path as it is, or the file of a name: ``./experiments/NAME.yaml``, then the packaged."""
    path = Path(name_or_path)
    if path.is_file():
        return path
    names = available()
    if name_or_path in names:
        return names[name_or_path]
    what = "file" if path.suffix in (".yaml", ".yml") else "experiment"
    missing = unknown((), what, path.stem if what == "file" else name_or_path, names)
    raise ExperimentError([missing], path)


def load(name_or_path: str, scale: str, preset: str | None = None) -> Ablation:
    """The experiment at a scale. Raises ExperimentError with all that is wrong with it.

    ``preset`` defaults to the file's, else to ``budget``; one that contradicts the file's is
    refused.
    """
    document = read(find(name_or_path))
    written = _written(document)
    problems = [*checks.problems(written), *_choices(written, scale, preset)]
    if problems:
        raise document.error(problems)
    try:
        chosen = written.preset or preset or _DEFAULT_PRESET
        ablation = at_scale(written, document.path, scale, chosen)
        names = [arm.name for arm in arms(ablation)]
        if scale not in written.scales:  # a scale may leave arms out
            _check_claims(ablation, names)
    except ExperimentError as error:
        raise document.error(error.problems) from None
    return ablation


def base_at_scale(scale: str) -> PipelineConfig:
    """The configuration of a scale, before any experiment changes it."""
    if scale not in SCALES:
        raise ExperimentError([unknown(("--scale",), "scale", scale, SCALES)])
    return with_changes(PipelineConfig(), SCALES[scale])


def folders() -> list[Path]:
    """Where experiments are, the last one winning."""
    package = Path(str(files("hipart")))
    in_wheel = package / "_packaged" / "experiments"
    packaged = in_wheel if in_wheel.is_dir() else package.parent / "experiments"
    return [packaged, Path("experiments")]


def _written(document: Document) -> Written:
    kind = document.data.get("kind")
    if kind not in _KINDS:
        raise document.error([unknown(("kind",), "kind of experiment", kind, _KINDS)])
    try:
        return Written.model_validate(document.data)
    except ValidationError as error:
        raise document.error(problems_of(error, Written)) from None


def _check_claims(ablation: Ablation, names: list[str]) -> None:
    problems = [
        unknown(("claims", index, side), "arm", arm, names)
        for index, claim in enumerate(ablation.claims)
        for side, arm in (("better", claim.better), ("worse", claim.worse))
        if arm not in names
    ]
    if problems:
        raise ExperimentError(problems)


def _choices(written: Written, scale: str, preset: str | None) -> list[Problem]:
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
