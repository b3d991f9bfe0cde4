"""Which settings enter the identity of a stage job, and the config that an identity tells of.

An identity outlives the code that wrote it: settings that came after it are read at the value under
which they change nothing.
"""

import json
from collections.abc import Mapping
from typing import Any

from hipart.config import PipelineConfig, Section

#: Settings added after artifacts existed, by section, with the value under which they change
#: nothing. They enter an identity only when they differ from it, so older artifacts stay valid.
NEUTRAL: dict[str, dict[str, Any]] = {
    "data": {
        "sampling": "frames",
        "validation_samples": 0,
        "mirrored": False,
        "train_every": 1,
        "test_every": 1,
        "coordinates": "screen",
        "leave_out": [],
        "share": 1.0,
    },
    "detector": {"training_draws": "once", "profile": "uniform", "correlation_s": 0.1},
    "tokenizer": {
        "levels": [48, 96],
        "codebooks": "hierarchical",
        "joint_init": "random",
        "part_weighting": 0.0,
        "alignment": "one_way",
        "action_input": "sparse_and_dense",
        "sparse_codebook.init": "normal",
        "sparse_codebook.dead_below": None,
        "dense_codebook.init": "normal",
        "dense_codebook.dead_below": None,
        "steps": None,
        "weight_decay_on": "all",
    },
    "prior": {
        "framework": "autoregressive",
        "within_part": "sparse_to_dense",
        "sequential": "flat",
        "joint_loss_weight": 0.0,
        "conditioning": "start",
        "token_corruption": 0.0,
        "head": "two_pass",
        "fold": None,
        "steps": None,
        "weight_decay_on": "all",
    },
    "densify": {"decode": "argmax", "exact": "nothing", "samples": 0, "folds": None},
    "regressor": {"steps": None, "weight_decay_on": "all"},
    "lifter": {
        "levels": None,
        "train_share": 1.0,
        "train_share_of": "clips",
        "wrong_labels": 0.0,
        "steps": None,
        "decay_steps": None,
    },
    "evaluation": {"flip": False, "split": "test"},
    "numerics": {"products": "float32"},
}


def settings_of(name: str, section: Section) -> dict[str, Any]:
    """The settings of a section that enter identities."""
    values = section.model_dump(mode="json")
    for path, neutral in NEUTRAL.get(name, {}).items():
        *parents, setting = path.split(".")
        inner = values
        for parent in parents:
            inner = inner[parent]
        if inner[setting] == neutral:
            del inner[setting]
    return values


def config_of(stored: Mapping[str, Any]) -> PipelineConfig:
    """The config of stored sections; settings that came later stand at their neutral value.

    Raises ``ValidationError`` for what was never a config.
    """
    sections: dict[str, Any] = json.loads(json.dumps(stored))
    for name, settings in NEUTRAL.items():
        for path, neutral in settings.items():
            *parents, setting = path.split(".")
            inner = sections.get(name)
            for parent in parents:
                inner = inner.get(parent) if isinstance(inner, dict) else None
            if isinstance(inner, dict):  # else it is for the model to refuse
                inner.setdefault(setting, neutral)
    return PipelineConfig.model_validate_json(json.dumps(sections))
