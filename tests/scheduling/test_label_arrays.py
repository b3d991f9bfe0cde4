"""Lifters of a share of the labels: whose seeds differ may have another number of windows."""

from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.jobs import jobs
from hipart.scheduling.arrays import signature


def signatures(**changes: object) -> set[str]:
    config = with_changes(base_at_scale("smoke"), {"lifter.dense_input": "none", **changes})
    found = [with_changes(config, {"lifter.seed": seed}) for seed in (0, 1)]
    return {signature(jobs(one, "data")["lifter"]) for one in found}


def test_seeds_of_all_labels_train_together_and_of_a_share_apart() -> None:
    assert len(signatures()) == 1
    assert len(signatures(**{"lifter.train_share": 0.5})) == 2
