"""Whether the arms that a file's claims name are there, at this scale or at another."""

from collections.abc import Iterator

from hipart.experiment.design import arms
from hipart.experiment.errors import ExperimentError, Problem, unknown
from hipart.experiment.form import Ablation, Written
from hipart.experiment.overlay import as_written
from hipart.experiment.scales import SCALES, section_of


def missing_arms(written: Written, ablation: Ablation) -> list[Problem]:
    """Arms of claims that are nowhere; a scale may leave arms out, and have some alone."""
    here = {arm.name for arm in arms(ablation)}
    missing = [
        (("claims", index, side), name)
        for index, claim in enumerate(ablation.claims)
        for side, name in (("better", claim.better), ("worse", claim.worse))
        if name not in here
    ]
    if not missing:
        return []
    names = dict.fromkeys(_anywhere(written, ablation))
    return [unknown(place, "arm", name, names) for place, name in missing if name not in names]


def _anywhere(written: Written, ablation: Ablation) -> Iterator[str]:
    """The arms of all scales that are good, by the names of the file."""
    for scale in (ablation.scale, *SCALES):
        around = ablation.preset, scale, ablation.corpus
        here = section_of(written.scales, scale)
        alone = here.arms if here is not None else ()
        try:
            yield from (arm.name for arm in arms(as_written(written, ablation.path, around)))
            yield from (arm.name for arm in alone)
        except ExperimentError:
            continue  # told when that scale is asked for
