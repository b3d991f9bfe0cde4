"""Which stage jobs may be trained together, as one array of models of equal shapes.

Members of an array take the same steps on the same data: they differ in their seeds, in numbers
that a step only multiplies by, and in the values of what they need, never in a shape.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from hipart.pipeline import PIPELINE, StageJob, canonical_json, key_of

#: What members may have of their own, for each stage that trains in arrays.
OWN: dict[str, frozenset[str]] = {
    "tokenizer": frozenset(
        {
            "seed",
            "learning_rate",
            "weight_decay",
            "commitment_weight",
            "lambda_local",
            "lambda_global",
            "temperature",
        }
    ),
    "prior": frozenset({"seed", "learning_rate", "weight_decay", "order", "lambda_dense"}),
    "regressor": frozenset({"seed", "learning_rate", "weight_decay"}),
    "lifter": frozenset({"seed", "learning_rate", "decay"}),
}
#: What decides how a needed stage was trained, and no shape of what it left.
TRAINING = frozenset({"epochs", "batch_size", "warmup_steps", "decay_epochs"})


@lru_cache(maxsize=4096)
def _signature(canonical: str) -> str:
    return key_of({"array": canonical})


def trains_in_arrays(stage: str) -> bool:
    """Whether jobs of a stage can be members of an array at all."""
    return stage in OWN


def signature(job: StageJob) -> str:
    """Equal for two jobs if, and only if, both may be members of one array."""
    if not trains_in_arrays(job.stage):
        return job.key
    reads = PIPELINE[job.stage].reads
    own = {name: _shared(name, job.identity["config"].get(name, {}), OWN) for name in reads}
    above = {
        name: _shared(name, getattr(job.config, name).model_dump(mode="json"), OWN, TRAINING)
        for name in job.config.model_fields_set - set(reads)
    }
    head = {name: job.identity[name] for name in ("stage", "version", "data")}
    return _signature(canonical_json([head, sorted(job.needs), own, above]))


def _shared(
    section: str,
    values: Mapping[str, Any],
    own: Mapping[str, frozenset[str]],
    more: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """A section without the fields that may differ."""
    left_out = own.get(section, frozenset()) | (more if section in own else frozenset())
    return {name: value for name, value in values.items() if name not in left_out}
