"""A bundle that an earlier version wrote predicts what it predicted then.

``bundles/format_1`` is of 0.1 (commit 78c926c): the smallest models, trained at its smoke scale and
exported there, with 8 detected poses of the test split and what its Predictor made of them.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hipart.identity import NEUTRAL
from hipart.predictor import FORMAT, Predictor, read_facts

BUNDLE = Path(__file__).parent / "bundles" / "format_1"


def test_it_predicts_what_it_did() -> None:
    with np.load(BUNDLE / "poses.npz") as given, np.load(BUNDLE / "found.npz") as before:
        size = tuple(given["image_size"].tolist())
        found = Predictor.load(BUNDLE).predict(given["poses"], size)
        assert found.keys() == set(before.files)
        for name, values in found.items():
            assert np.abs(values - before[name]).max() <= 1e-6, name
    assert found["pose_3d_mm"].std(axis=0).mean() > 10, "poses differ"


def test_what_it_does_not_say_is_as_it_was_then() -> None:
    stored = json.loads((BUNDLE / "config.json").read_text())
    assert stored["format"] == 1 < FORMAT == 2
    assert "coordinates" not in stored["config"]["data"] and "densify" not in stored["config"]
    config = read_facts(BUNDLE).config
    assert (config.data.coordinates, config.densify.decode) == ("screen", "argmax")
    for name, settings in NEUTRAL.items():
        for path, neutral in settings.items():
            value = getattr(config, name)
            for part in path.split("."):
                value = getattr(value, part)
            assert (list(value) if isinstance(value, tuple) else value) == neutral, path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": {"tokenizer": 3}}, "tokenizer"),
        ({"config": 3}, "config"),
        ({"format": FORMAT + 1}, "newer hipart-search"),
    ],
)
def test_what_no_version_wrote_is_refused(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(BUNDLE, tmp_path / "bundle"))
    facts = json.loads((bundle / "config.json").read_text())
    (bundle / "config.json").write_text(json.dumps(facts | changes))
    with pytest.raises(ValueError, match=message):
        Predictor.load(bundle)
