"""How big an experiment is, how the paper's sizes are read, on what it runs: dotted paths."""

from collections.abc import Mapping
from typing import Any, TypeVar

#: Readings of the paper's parameter counts (design A.8): dotted path -> value.
PRESETS: dict[str, dict[str, Any]] = {
    "budget": {},
    "textbook": {
        "tokenizer.token_hidden": 64,
        "tokenizer.channel_hidden": 512,
        "tokenizer.decoder_channel_hidden": 384,
        "prior.attention_width": 128,
        "prior.mlp_hidden": 512,
        "prior.tied_logits": False,
    },
}

#: What the data that an experiment runs on change, as an overlay upon a scale. Of licensed sets
#: all that the published protocol trains on trains; a search holds out what it chooses by.
CORPORA: dict[str, dict[str, Any]] = {
    "open": {},
    "little motion": {"data.validation_samples": 0},
    "h36m": {"data.corpus": "h36m", "detector.kind": "given", "data.validation_samples": 0},
    "3dpw": {"data.corpus": "3dpw", "detector.kind": "given", "data.validation_samples": 0},
}

DEFAULT_SCALE = "laptop"

#: What the first scales left at what then was the only way: settings that came after them.
_AS_BEFORE: dict[str, Any] = {
    "data.coordinates": "screen",
    "detector.training_draws": "once",
    "tokenizer.joint_init": "random",
    "tokenizer.sparse_codebook.init": "normal",
    "tokenizer.sparse_codebook.dead_below": None,
    "tokenizer.dense_codebook.init": "normal",
    "tokenizer.dense_codebook.dead_below": None,
}
#: The scales as they were in 0.1. As ``laptop-v1`` and so on their results can still be read.
_FIRST: dict[str, dict[str, Any]] = {
    "smoke": {
        "data.train_samples": 256,
        "data.test_samples": 128,
        "tokenizer.width": 16,
        "tokenizer.encoder_blocks": 1,
        "tokenizer.token_hidden": 16,
        "tokenizer.channel_hidden": 16,
        "tokenizer.decoder_width": 16,
        "tokenizer.decoder_channel_hidden": 16,
        "tokenizer.sparse_codebook.size": 32,
        "tokenizer.sparse_codebook.dim": 16,
        "tokenizer.dense_codebook.size": 32,
        "tokenizer.dense_codebook.dim": 16,
        "tokenizer.epochs": 2,
        "tokenizer.batch_size": 64,
        "tokenizer.warmup_steps": 2,
        "prior.width": 16,
        "prior.blocks": 2,
        "prior.head_blocks": 1,
        "prior.attention_width": 16,
        "prior.mlp_hidden": 16,
        "prior.heads": 2,
        "prior.epochs": 1,
        "prior.warmup_steps": 2,
        "regressor.model.width": 32,
        "regressor.model.blocks": 1,
        "regressor.epochs": 2,
        "regressor.batch_size": 64,
        "regressor.warmup_steps": 2,
        "lifter.model.kind": "mlp",
        "lifter.model.width": 32,
        "lifter.model.blocks": 1,
        "lifter.model.dropout": 0.1,
        "lifter.epochs": 2,
        "lifter.batch_size": 64,
    },
    "laptop": {
        "data.train_samples": 8192,
        "data.test_samples": 2048,
        "tokenizer.width": 32,
        "tokenizer.encoder_blocks": 1,
        "tokenizer.token_hidden": 32,
        "tokenizer.channel_hidden": 32,
        "tokenizer.decoder_width": 32,
        "tokenizer.decoder_channel_hidden": 64,
        "tokenizer.sparse_codebook.size": 256,
        "tokenizer.sparse_codebook.dim": 32,
        "tokenizer.sparse_codebook.dead_code": "restart",
        "tokenizer.dense_codebook.size": 256,
        "tokenizer.dense_codebook.dim": 32,
        "tokenizer.dense_codebook.dead_code": "restart",
        "tokenizer.epochs": 3,
        "tokenizer.batch_size": 64,
        "tokenizer.learning_rate": 5e-3,
        "tokenizer.warmup_steps": 50,
        "prior.width": 32,
        "prior.blocks": 2,
        "prior.head_blocks": 1,
        "prior.attention_width": 32,
        "prior.mlp_hidden": 64,
        "prior.heads": 2,
        "prior.dropout": 0.1,
        "prior.epochs": 3,
        "prior.learning_rate": 2e-3,
        "prior.warmup_steps": 50,
        "regressor.model.width": 128,
        "regressor.epochs": 12,
        "regressor.warmup_steps": 50,
        "lifter.model.kind": "mlp",
        "lifter.model.width": 256,
        "lifter.model.dropout": 0.1,
        "lifter.epochs": 12,
    },
    "paper": {"data.sampling": "sequences"},
}

#: Not the paper's, which a stack of a few narrow blocks needs; footers say so.
_FOR_NARROW_STACKS: dict[str, Any] = {
    "prior.conditioning": "every_step",
    "densify.decode": "mean",
    "tokenizer.weight_decay_on": "matrices",
    "prior.weight_decay_on": "matrices",
    "regressor.weight_decay_on": "matrices",
}
#: Codes that fall out of use restart. The paper says nothing of it; without, two thirds of 2,048
#: are out of use after a hundred steps and stay so (docs/decisions/0040).
_CODES_THAT_RESTART: dict[str, Any] = {
    f"tokenizer.{book}_codebook.{setting}": value
    for book in ("sparse", "dense")
    for setting, value in {"dead_code": "restart", "decay": 0.9}.items()
}
#: How big an experiment is, as an overlay upon a preset: dotted path -> value.
SCALES: dict[str, dict[str, Any]] = {
    "smoke": _FIRST["smoke"] | _FOR_NARROW_STACKS | {"data.validation_samples": 128},
    "laptop": _FIRST["laptop"]
    | _FOR_NARROW_STACKS
    | _CODES_THAT_RESTART
    | {
        "data.validation_samples": 2048,
        "lifter.epochs": 48,
        "lifter.learning_rate": 6e-3,
        "lifter.decay": 0.92,
        "lifter.decay_epochs": 1,
    },
    "workstation": _FIRST["laptop"]
    | _FOR_NARROW_STACKS
    | _CODES_THAT_RESTART
    | {
        "data.train_samples": 16384,
        "data.validation_samples": 2048,
        "tokenizer.width": 48,
        "tokenizer.decoder_width": 48,
        "tokenizer.sparse_codebook.size": 512,
        "tokenizer.sparse_codebook.dim": 48,
        "tokenizer.dense_codebook.size": 512,
        "tokenizer.dense_codebook.dim": 48,
        "tokenizer.epochs": 16,
        "prior.width": 64,
        "prior.blocks": 3,
        "prior.attention_width": 64,
        "prior.mlp_hidden": 128,
        "prior.heads": 4,
        "prior.epochs": 20,
        "regressor.model.width": 256,
        "regressor.epochs": 16,
        "lifter.epochs": 24,
        "lifter.learning_rate": 6e-3,
        "lifter.decay": 0.85,
        "lifter.decay_epochs": 1,
    },
    # The paper's numbers of steps on whatever data, so that rates warm up and anneal as its own do:
    # 311,950 frames (every 5th of its 1,559,752) in batches of 128, 64 and 256, for 20, 50 and 25
    # epochs. Samples in an order that temporal lifters can share stages in.
    "paper": _CODES_THAT_RESTART
    | {
        "data.sampling": "sequences",
        "data.validation_samples": 4096,
        "tokenizer.steps": 48_740,
        "prior.steps": 243_700,
        "regressor.steps": 60_900,
        "lifter.steps": 30_450,
        "lifter.decay_steps": 4_872,
    },
} | {f"{scale}-v1": overlay | _AS_BEFORE for scale, overlay in _FIRST.items()}
#: Of which scale a file's section holds where it has none of its own for this one: for those of
#: 0.1 that which took their place, and for a workstation that of the laptop.
_TAKES_AFTER = {f"{scale}-v1": scale for scale in _FIRST} | {"workstation": "laptop"}

#: Scales that only try the machinery: their numbers mean nothing.
_ONLY_TRY = ("smoke", "smoke-v1")

_Section = TypeVar("_Section")


def held_out(scale: str) -> int:
    """Samples that a scale holds out of training; 0 of one that is unknown."""
    return int(SCALES.get(scale, {}).get("data.validation_samples", 0))


def caveat(scale: str) -> str:
    """What to say before all numbers of a scale; nothing where they can mean something."""
    if scale not in _ONLY_TRY:
        return ""
    return f"Scale {scale} tries the machinery in seconds: no number here means anything."


def section_name(scales: Mapping[str, object], scale: str) -> str:
    """Whose section of a file holds at a scale: its own, or that of the scale it takes after."""
    return scale if scale in scales else _TAKES_AFTER.get(scale, scale)


def section_of(scales: Mapping[str, _Section], scale: str) -> _Section | None:
    """What a file says of a scale, if it says anything."""
    return scales.get(section_name(scales, scale))
