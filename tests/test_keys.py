"""Keys that stores out there already have: however a key is made, it stays what it was."""

from dataclasses import replace

import pytest

from hipart.config import PipelineConfig
from hipart.experiment.design import trials
from hipart.experiment.file import ablations, base_at_scale, load
from hipart.experiment.paths import with_changes
from hipart.jobs import Jobs, canonical_json, jobs, key_of
from hipart.pipeline import PIPELINE

DATA = "0123456789abcdef"
#: Versions under which the keys below were made; raising one rightly changes keys.
VERSIONS = {
    "tokenizer": 2,
    "prior": 1,
    "densify": 2,
    "regressor": 1,
    "lifter": 1,
    "evaluate": 3,
    "probe": 1,
    "profile": 2,
}
REGRESSED = {"lifter.dense_input": "regressed", "lifter.seed": 3, "evaluation.flip": True}
SHARED = {
    "tokenizer.seed": 4,
    "prior.seed": 4,
    "lifter.seed": 4,
    "tokenizer.codebooks": "shared",
    "occlusion.kind": "mask",
    "occlusion.ratio": 0.2,
}


@pytest.fixture(autouse=True)
def _versions(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, version in VERSIONS.items():
        monkeypatch.setitem(PIPELINE, name, replace(PIPELINE[name], version=version))


def test_keys_of_the_defaults() -> None:
    assert {name: job.key for name, job in jobs(PipelineConfig(), DATA).items()} == {
        "tokenizer": "8178e247fb186c6e",
        "prior": "bd9f508ff6faf401",
        "densify": "6ad0098b7acaa197",
        "lifter": "7f3959628bb1cda3",
        "evaluate": "dd72e2d067e6289b",
    }


def test_keys_with_a_regressor_and_a_flip() -> None:
    config = with_changes(base_at_scale("laptop"), REGRESSED)
    assert {name: job.key for name, job in jobs(config, DATA).items()} == {
        "regressor": "5600c2cdc56b814f",
        "lifter": "679c9e38f0f8887f",
        "evaluate": "e5a7d021ecf4fd4c",
    }


def test_keys_with_side_stages_of_which_one_has_no_seed() -> None:
    config = with_changes(base_at_scale("smoke"), SHARED)
    found = jobs(config, DATA, ("evaluate", "probe", "profile"))
    assert {name: job.key for name, job in found.items()} == {
        "tokenizer": "78401ebf7e684b32",
        "prior": "9653f9ebe2853212",
        "densify": "051eba264a09c770",
        "lifter": "c189fd4f7bb26ace",
        "evaluate": "d990c375429108c8",
        "probe": "d76deb2f16c912fc",
        "profile": "3be9dbf3034ad5e3",
    }


def test_a_validation_split_is_in_keys_only_where_there_is_one() -> None:
    config = base_at_scale("smoke")
    before = jobs(config, DATA, tuple(PIPELINE))
    for job in before.values():
        assert "validation_samples" not in job.hashed
        assert '"split"' not in job.hashed
    held = with_changes(config, {"data.validation_samples": 64})
    trained = jobs(held, DATA, tuple(PIPELINE))
    assert all(before[name].key != trained[name].key for name in PIPELINE)
    chosen = jobs(with_changes(held, {"evaluation.split": "validation"}), DATA, tuple(PIPELINE))
    assert {name for name in PIPELINE if trained[name].key != chosen[name].key} == {"evaluate"}


@pytest.mark.parametrize("name", ablations())
def test_jobs_made_together_are_those_made_alone(name: str) -> None:
    ablation = load(name, "smoke")
    together = Jobs(DATA)
    for trial in trials(ablation):
        found = together.of(trial.config, trial.targets)
        assert found == jobs(trial.config, DATA, trial.targets)
        for job in found.values():
            assert job.hashed == canonical_json(job.identity)
            assert job.key == key_of(canonical_json(job.identity))
            assert together.of(trial.config, trial.targets)[job.stage] is job
