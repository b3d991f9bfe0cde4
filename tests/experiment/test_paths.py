"""Dotted paths: which there are, and what a change does."""

import pytest

from hipart.config import MlpLifterConfig, PipelineConfig, TransformerLifterConfig
from hipart.experiment.errors import ExperimentError
from hipart.experiment.paths import all_paths, with_changes
from hipart.experiment.scales import PRESETS, SCALES

BASE = PipelineConfig()


def test_a_path_changes_one_value_and_nothing_else() -> None:
    changed = with_changes(BASE, {"tokenizer.sparse_codebook.size": 512})
    assert changed.tokenizer.sparse_codebook.size == 512
    assert with_changes(changed, {"tokenizer.sparse_codebook.size": 2048}) == BASE


def test_a_mapping_is_short_for_the_paths_beneath_it() -> None:
    changed = with_changes(BASE, {"tokenizer": {"epochs": 3, "dense_codebook": {"dim": 64}}})
    assert changed == with_changes(
        BASE, {"tokenizer.epochs": 3, "tokenizer.dense_codebook.dim": 64}
    )


def test_a_new_kind_resets_its_siblings_whatever_the_order() -> None:
    small = with_changes(BASE, {"lifter.model.width": 48, "lifter.model.kind": "mlp"})
    assert small.lifter.model == MlpLifterConfig(width=48)
    back = with_changes(small, {"lifter.model": {"kind": "transformer"}})
    assert back.lifter.model == TransformerLifterConfig()


def test_the_kind_that_is_there_resets_nothing() -> None:
    small = with_changes(BASE, {"lifter.model.blocks": 3})
    assert with_changes(small, {"lifter.model.kind": "transformer"}) == small


def test_a_whole_number_may_stand_for_a_float() -> None:
    assert with_changes(BASE, {"detector.noise_px": 4}).detector.noise_px == 4.0


def test_every_problem_is_reported() -> None:
    with pytest.raises(ExperimentError) as refusal:
        with_changes(BASE, {"prior.order": "raste", "prior.epochs": 0, "data.placements": "4"})
    assert {problem.place for problem in refusal.value.problems} == {
        ("prior.order",),
        ("prior.epochs",),
        ("data.placements",),
    }


@pytest.mark.parametrize("path", ["tokenizer.width", "lifter.model.mlp_ratio", "lifter.model.kind"])
def test_all_paths_have_every_setting_once(path: str) -> None:
    assert all_paths().count(path) == 1


@pytest.mark.parametrize("overlay", [*PRESETS, *SCALES])
def test_every_preset_and_scale_is_a_valid_overlay(overlay: str) -> None:
    with_changes(BASE, {**PRESETS, **SCALES}[overlay])


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_goes_upon_every_preset(preset: str, scale: str) -> None:
    with_changes(with_changes(BASE, PRESETS[preset]), SCALES[scale])
