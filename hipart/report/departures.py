"""Where a scale is not as the paper, and for how long its stages train."""

from typing import Any

from hipart.config import PipelineConfig, window_frames
from hipart.experiment.form import label
from hipart.experiment.paths import value_at
from hipart.pipeline import needs_of

#: What the paper says, or is read to say, of settings that a scale may have otherwise.
PAPER_READINGS: dict[str, Any] = {
    "prior.conditioning": "start",
    "densify.decode": "argmax",
    "prior.token_corruption": 0.0,
}
#: Stages that are trained, in their order.
TRAINED = ("tokenizer", "prior", "regressor", "lifter")


def departures(config: PipelineConfig) -> str:
    """The settings that are not as in the paper; empty where all are."""
    values = config.model_dump()
    told = [
        f"{path} {label(value)} (paper: {label(reading)})"
        for path, reading in PAPER_READINGS.items()
        for value in value_at(values, path)
        if value != reading
    ]
    return f"Not as in the paper at this scale: {', '.join(told)}." if told else ""


def steps(config: PipelineConfig, targets: tuple[str, ...]) -> str:
    """How many optimiser steps each stage of a trial trains, or for how many epochs."""
    needed = needs_of(config, targets)
    told = [f"{stage} {_length(config, stage)}" for stage in TRAINED if stage in needed]
    return f"Steps: {', '.join(told)}." if told else ""


def _length(config: PipelineConfig, stage: str) -> str:
    section = getattr(config, stage)
    stated = getattr(section, "steps", None)
    if stated is not None:
        return str(stated)
    samples = config.data.train_samples
    windows = stage == "lifter" and window_frames(config.lifter.model) > 1
    if samples is None or windows:  # counted when the data are there
        return f"{section.epochs} epoch{'s' * (section.epochs != 1)}"
    return str(section.epochs * (samples // min(section.batch_size, samples)))
