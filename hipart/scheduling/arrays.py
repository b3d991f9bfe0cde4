"""Which stage jobs may be trained together, as one array of models of equal shapes.

Members of an array take the same steps on the same data: they differ in their seeds, in numbers
that a step only multiplies by, and in the values of what they need, never in a shape.
"""

from typing import Any

from hipart.config import LifterConfig
from hipart.identity import settings_of
from hipart.jobs import StageJob, canonical_json
from hipart.pipeline import PIPELINE

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
TRAINING = frozenset(
    {"epochs", "steps", "batch_size", "warmup_steps", "decay_epochs", "decay_steps"}
)


def trains_in_arrays(stage: str) -> bool:
    """Whether jobs of a stage can be members of an array at all."""
    return stage in OWN


def signature(job: StageJob) -> str:
    """Equal for two jobs if, and only if, both may be members of one array.

    What a job needs counts by its shapes: its settings without those of its training. A job that
    takes no steps is alone.
    """
    fitted = job.stage == "regressor" and job.config.regressor.is_fitted
    if fitted or not trains_in_arrays(job.stage):
        return job.key
    reads = job.reads
    shared: dict[str, dict[str, Any]] = {}
    for name, section in job.sections.items():
        left_out = OWN.get(name, frozenset())
        if name in OWN and name not in reads:
            left_out |= TRAINING
        values = settings_of(name, section)
        shared[name] = {field: value for field, value in values.items() if field not in left_out}
    lifter = job.sections.get("lifter")
    if isinstance(lifter, LifterConfig) and (lifter.train_share < 1 or lifter.wrong_labels):
        # Which samples keep their labels is drawn with the seed, and with them how many windows.
        shared["lifter"]["seed"] = lifter.seed
    head = [job.stage, PIPELINE[job.stage].version, job.identity["data"], sorted(job.needs)]
    return canonical_json([head, shared])
