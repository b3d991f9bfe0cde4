"""Keys that stores out there already have: however a key is made, it stays what it was."""

from dataclasses import replace

import pytest

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


def _set_versions(monkeypatch: pytest.MonkeyPatch, versions: dict[str, int]) -> None:
    for name, version in versions.items():
        monkeypatch.setitem(PIPELINE, name, replace(PIPELINE[name], version=version))


@pytest.fixture(autouse=True)
def _versions(monkeypatch: pytest.MonkeyPatch) -> None:
    _set_versions(monkeypatch, VERSIONS)


#: The trials of ``codebook_ablation`` at the smoke scale of 0.1, evaluated: (arm, seed) -> key.
ABLATION = {
    ("base", 0): "88bcaa206acd65a5",
    ("sparse codebook size=16", 0): "7bb0e804934c5e8f",
    ("dense code dimension=8", 0): "028b0b49baeeac35",
    ("base", 1): "67d41edfeaa758db",
    ("sparse codebook size=16", 1): "f8c97155b3ef1993",
    ("dense code dimension=8", 1): "91180f790e6ec2a5",
}
#: What evaluation needs, of its base and seed 0, and the versions under which 0.1 made all of them.
BEFORE = {
    "tokenizer": "feb4da9d7f00e86b",
    "prior": "e58642407c7d1ed7",
    "densify": "361585da421166e2",
    "lifter": "ee9d4c6ab99f7d9b",
    "evaluate": "88bcaa206acd65a5",
}
VERSIONS_OF_0_1 = {
    "tokenizer": 3,
    "prior": 2,
    "densify": 3,
    "regressor": 2,
    "lifter": 2,
    "evaluate": 5,
    "probe": 2,
    "profile": 3,
}


def test_keys_of_the_defaults() -> None:
    """Those of 0.1, which drew its samples at random."""
    config = with_changes(base_at_scale("paper-v1"), {"data.sampling": "frames"})
    assert {name: job.key for name, job in jobs(config, DATA).items()} == {
        "tokenizer": "8178e247fb186c6e",
        "prior": "bd9f508ff6faf401",
        "densify": "6ad0098b7acaa197",
        "lifter": "7f3959628bb1cda3",
        "evaluate": "dd72e2d067e6289b",
    }


def test_keys_at_the_papers_scale() -> None:
    found = jobs(base_at_scale("paper-v1"), DATA)
    assert {name: job.key for name, job in found.items()} == {
        "tokenizer": "42aac2667baf1f6e",
        "prior": "b37c4ac59b85261f",
        "densify": "20148df839daa711",
        "lifter": "f7453caed60fd78f",
        "evaluate": "62019a26f1e77b23",
    }


def test_an_ablation_of_0_1_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What 0.1 left in a store at its smoke scale is what ``--scale smoke-v1`` asks for."""
    _set_versions(monkeypatch, VERSIONS_OF_0_1)
    found = {
        (trial.arm.name, trial.seed): jobs(trial.config, DATA, trial.targets)
        for trial in trials(load("codebook_ablation", "smoke-v1"))
    }
    keys = {which: made["evaluate"].key for which, made in found.items()}
    assert {which: keys.get(which) for which in ABLATION} == ABLATION  # arms came later
    assert {name: found["base", 0][name].key for name in BEFORE} == BEFORE


def test_keys_with_a_regressor_and_a_flip() -> None:
    config = with_changes(base_at_scale("laptop-v1"), REGRESSED)
    assert {name: job.key for name, job in jobs(config, DATA).items()} == {
        "regressor": "5600c2cdc56b814f",
        "lifter": "679c9e38f0f8887f",
        "evaluate": "e5a7d021ecf4fd4c",
    }


def test_keys_with_side_stages_of_which_one_has_no_seed() -> None:
    config = with_changes(base_at_scale("smoke-v1"), SHARED)
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
    config = base_at_scale("smoke-v1")
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
        for called, job in found.items():
            assert job.hashed == canonical_json(job.identity)
            assert job.key == key_of(canonical_json(job.identity))
            assert together.of(trial.config, trial.targets)[called] is job
