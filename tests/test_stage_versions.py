"""Code of a stage may not change under an unchanged version without somebody saying so."""

import sys

from hipart.pipeline import PIPELINE

sys.path.insert(0, "tools")
import stage_versions


def test_every_stage_stands_for_the_code_that_was_recorded() -> None:
    recorded, present = stage_versions.recorded(), stage_versions.present()
    for name in PIPELINE:
        assert recorded[name]["version"] == present[name]["version"], (
            f"{name}: version is {present[name]['version']}, recorded {recorded[name]['version']}; "
            "run python tools/stage_versions.py"
        )
        before, after = recorded[name]["modules"], present[name]["modules"]
        assert isinstance(before, dict) and isinstance(after, dict)
        changed = [m for m in sorted(before.keys() | after.keys()) if before.get(m) != after.get(m)]
        assert not changed, (
            f"{name}: code changed under version {present[name]['version']}: {', '.join(changed)}. "
            "If its numbers change, raise the version in hipart/pipeline.py; then run "
            "python tools/stage_versions.py"
        )


def test_a_stage_reaches_the_model_it_trains() -> None:
    modules = stage_versions.present()["prior"]["modules"]
    assert isinstance(modules, dict)
    assert {"hipart.models.prior", "hipart.models.quantizer", "hipart.stages.fit"} <= set(modules)
    assert "hipart.models.lifters.mlp" not in modules
