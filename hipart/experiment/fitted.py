"""Experiments with something of the exact dense pose, on data with test frames that no body fits.

Such frames have no exact dense points, so an arm that lifts them can be measured over the others
alone. Its rows may stand beside errors over the same frames, and beside no others.
"""

from collections.abc import Iterator

from hipart.experiment.design import arms
from hipart.experiment.errors import ExperimentError, Problem
from hipart.experiment.form import Ablation
from hipart.experiment.metrics import MetricChoice
from hipart.experiment.search import Search
from hipart.pipeline import FINAL_STAGE

#: Errors over all samples -> the same over those with a body.
OF_FITTED = {
    "mpjpe_mm": "mpjpe_fit_mm",
    "p_mpjpe_mm": "p_mpjpe_fit_mm",
    "mpjpe_frames_mm": "mpjpe_fit_frames_mm",
    "p_mpjpe_frames_mm": "p_mpjpe_fit_frames_mm",
}


def on_fitted(ablation: Ablation) -> Ablation:
    """The same with all its errors over frames with a body, if one of its arms has no others."""
    if not any(arm.config.lifts_exact_points for arm in arms(ablation)):
        return ablation
    claims = tuple(
        claim.model_copy(update={"metric": _of_fitted(claim.metric)}) if claim.metric else claim
        for claim in ablation.claims
    )
    also = tuple(dict.fromkeys(map(_of_fitted, ablation.also)))
    metric = _of_fitted(ablation.metric)
    return ablation.model_copy(update={"metric": metric, "also": also, "claims": claims})


def check_search(search: Search) -> None:
    """Raise ExperimentError where a search could choose what not all test frames can be lifted by.

    Its winners are measured on all of them.
    """
    found = [*_exact(search)]
    if found:
        raise ExperimentError(found, search.path)


def _of_fitted(choice: MetricChoice) -> MetricChoice:
    name, slash, action = choice.name.partition("/")
    if choice.stage != FINAL_STAGE or name not in OF_FITTED:
        return choice
    return choice.model_copy(update={"name": OF_FITTED[name] + slash + action})


def _exact(search: Search) -> Iterator[Problem]:
    rule = "has exact dense points, which test frames without a body have not on these data"
    if search.base_config.lifts_exact_points:
        yield Problem(("base",), rule, remedy="lift generated or regressed ones")
    for dimension in search.dimensions:
        for name in dimension.names:
            changes = dimension.changes(name)
            if changes.get("lifter.dense_input") == "exact" or (
                changes.get("densify.exact", "nothing") != "nothing"
            ):
                yield Problem(("space", dimension.name, name), rule, remedy="leave the level out")
