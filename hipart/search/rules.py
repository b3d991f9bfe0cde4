"""Bounds on what is known of a configuration before anything of it is trained."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

from hipart.config import PipelineConfig
from hipart.experiment.search import COUNTED, Constraint

#: The numbers of ``COUNTED`` for a configuration.
Count = Callable[[PipelineConfig], Mapping[str, float]]


class Rules:
    """The constraints of a search: those that can be counted, and those that are measured first.

    ``count`` gives the numbers that are counted; by default the models are built for it.
    """

    def __init__(self, constraints: Sequence[Constraint], count: Count | None = None) -> None:
        self._counted = [one for one in constraints if one.metric in COUNTED]
        self._measured = [one for one in constraints if one.metric not in COUNTED]
        wanted = frozenset(one.metric for one in self._counted)
        self._count = cache(count or (lambda config: _counted(config, wanted)))

    @property
    def need_profile(self) -> bool:
        """Whether stage ``profile`` has to measure a candidate's untrained models first."""
        return bool(self._measured)

    def broken_at_once(self, config: PipelineConfig) -> str | None:
        """The first counted bound that a configuration breaks, in words."""
        return _broken(self._counted, self._count(config)) if self._counted else None

    def broken_by(self, profile: Mapping[str, float]) -> str | None:
        """The first measured bound that a candidate's profile breaks, in words."""
        return _broken(self._measured, profile)


def _broken(bounds: Sequence[Constraint], found: Mapping[str, float]) -> str | None:
    for bound in bounds:
        if not bound.holds(found[bound.metric]):
            return f"{bound.said}; it has {found[bound.metric]:.4g}"
    return None


def _counted(config: PipelineConfig, wanted: frozenset[str]) -> dict[str, float]:
    from hipart.models.memory import training_memory_gb
    from hipart.models.parameters import parameter_counts

    counts = parameter_counts(config, num_actions=1)  # the action head is in neither total
    inference = counts["inference_total"]
    found = {
        "parameters_m": inference / 1e6,
        "total_parameters_m": counts.get("total_without_action_head", inference) / 1e6,
    }
    return found | ({"memory_gb": training_memory_gb(config)} if "memory_gb" in wanted else {})
