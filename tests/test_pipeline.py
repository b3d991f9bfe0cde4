"""Keys: what reaches them, what does not, and what a job may look at."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from hipart.config import (
    DetectorConfig,
    LifterConfig,
    PipelineConfig,
    PriorConfig,
    TokenizerConfig,
)
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.identity import NEUTRAL, config_of, settings_of
from hipart.jobs import Jobs, canonical_json, jobs, key_of
from hipart.pipeline import PIPELINE, SIDE_STAGES

BASE = PipelineConfig()


def keys(config: PipelineConfig, data: str = "d") -> dict[str, str]:
    return {name: job.key for name, job in jobs(config, data).items()}


def changed(config: PipelineConfig, data: str = "d") -> set[str]:
    before, after = keys(BASE), keys(config, data)
    return {name for name in after if after[name] != before.get(name)}


#: What a trial of the paper consists of: neither side stages nor another densifier.
ALL = set(PIPELINE) - {*SIDE_STAGES, "regressor"}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (BASE.model_copy(update={"tokenizer": TokenizerConfig(lambda_local=0.5)}), ALL),
        (BASE.model_copy(update={"prior": PriorConfig(order="raster")}), ALL - {"tokenizer"}),
        (BASE.model_copy(update={"detector": DetectorConfig(seed=1)}), ALL),
        (BASE.model_copy(update={"lifter": LifterConfig(seed=1)}), {"lifter", "evaluate"}),
        (BASE, set()),
    ],
)
def test_a_change_reaches_its_stage_and_those_after_it(
    config: PipelineConfig, expected: set[str]
) -> None:
    assert changed(config) == expected


def test_detections_reach_the_tokenizer_only_where_poses_are_put_into_their_frames() -> None:
    data = BASE.data.model_copy(update={"coordinates": "screen"})
    screen = BASE.model_copy(update={"data": data})
    before = keys(screen)
    after = keys(screen.model_copy(update={"detector": DetectorConfig(seed=1)}))
    assert {name for name in after if after[name] != before[name]} == ALL - {"tokenizer"}


def test_other_data_changes_every_key() -> None:
    assert changed(BASE, data="other") == ALL


def test_a_lifter_of_the_sparse_pose_needs_no_tokenizer() -> None:
    config = BASE.model_copy(update={"lifter": LifterConfig(dense_input="none")})
    found = jobs(config, "d")
    assert list(found) == ["lifter", "evaluate"]
    assert found["evaluate"].needs == {"lifter": found["lifter"].key}


def test_a_job_sees_only_what_its_key_covers() -> None:
    config = BASE.model_copy(update={"lifter": LifterConfig(epochs=3)})
    found = jobs(config, "d")
    assert found["prior"].config.lifter == LifterConfig()
    assert found["evaluate"].config.lifter.epochs == 3


def test_jobs_come_after_what_they_need() -> None:
    done: set[str] = set()
    for job in jobs(BASE, "d").values():
        assert set(job.needs.values()) <= done
        done.add(job.key)


def test_key_is_the_hash_of_the_readable_identity() -> None:
    job = jobs(BASE, "d")["prior"]
    assert key_of(canonical_json(job.identity)) == job.key
    assert job.identity["config"]["prior"]["lambda_dense"] == 1.5
    assert canonical_json({"b": 1, "a": 2}) == '{"a":2,"b":1}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


def test_copies_of_a_section_with_other_seeds_make_the_jobs_that_they_make_alone() -> None:
    maker = Jobs("d")
    for seed in (0, 1, 12):
        for lifter in (BASE.lifter, LifterConfig(learning_rate=0.5)):
            copy = lifter.model_copy(update={"seed": seed})
            config = BASE.model_copy(update={"lifter": copy})
            found = maker.of(config)
            assert found == jobs(config, "d")
            own = found["lifter"]
            assert key_of(canonical_json(own.identity)) == own.key
            assert own.identity["config"]["lifter"]["seed"] == seed


def test_a_later_field_at_its_neutral_value_leaves_old_keys_valid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(NEUTRAL["prior"], "lambda_dense", 1.5)
    assert "lambda_dense" not in jobs(BASE, "d")["prior"].identity["config"]["prior"]
    other = BASE.model_copy(update={"prior": PriorConfig(lambda_dense=2.0)})
    assert jobs(other, "d")["prior"].identity["config"]["prior"]["lambda_dense"] == 2.0


def test_every_setting_that_came_later_is_neutral_at_the_scales_of_0_1() -> None:
    """So that nothing of them is in identities there, and each of them is as it was then."""
    for scale in ("smoke-v1", "laptop-v1", "paper-v1"):
        config = base_at_scale(scale)
        for name, settings in NEUTRAL.items():
            written = settings_of(name, getattr(config, name))
            for path in settings.keys() - {"sampling"}:  # which paper-v1 sets
                value: object = written
                for part in path.split("."):
                    value = value.get(part, {}) if isinstance(value, dict) else {}
                assert value == {}, f"{scale}: {name}.{path}"


def test_an_identity_of_0_1_means_the_settings_of_0_1() -> None:
    old = with_changes(
        base_at_scale("smoke-v1"), {"tokenizer.sparse_codebook.size": 48, "lifter.seed": 3}
    )
    found = jobs(old, "d")
    sections: dict[str, Any] = {}
    for job in found.values():
        sections |= json.loads(job.hashed)["config"]
    assert {"tokenizer", "prior", "detector", "lifter"} <= sections.keys()
    for name in sections:
        assert getattr(config_of(sections), name) == getattr(old, name)
    assert sections["lifter"].keys().isdisjoint({"train_share", "steps"})
    assert keys(config_of(sections)) == {name: job.key for name, job in found.items()}


@pytest.mark.parametrize("scale", ["smoke", "laptop", "workstation", "paper"])
def test_what_is_stored_of_todays_settings_comes_back(scale: str) -> None:
    config = base_at_scale(scale)
    assert config_of(config.model_dump(mode="json")) == config
    sections: dict[str, Any] = {}
    for job in jobs(config, "d").values():
        sections |= json.loads(job.hashed)["config"]
    assert keys(config_of(sections)) == keys(config)


@pytest.mark.parametrize(
    "stored",
    [{"tokenizer": 3}, {"tokenizer": {"sparse_codebook": 3}}, {"data": []}, {"prior": {"x": 1}}],
)
def test_what_was_never_a_config_is_refused(stored: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config_of(stored)
