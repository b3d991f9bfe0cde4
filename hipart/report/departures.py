"""Where a scale is not as the paper, and for how long its stages train."""

from collections.abc import Container, Sequence
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


#: By stage what ``PAPER_READINGS`` are read for, where it is not the section's own name.
_STAGE_OF = {"data": "tokenizer"}


def departures(configs: Sequence[PipelineConfig], reached: Container[str]) -> str:
    """The settings of stages that are reached which are not as in the paper; empty if all are.

    ``configs`` are those of all arms, the base first.
    """
    told: list[str] = []
    for path, reading in PAPER_READINGS.items():
        section = path.partition(".")[0]
        if _STAGE_OF.get(section, section) not in reached:
            continue
        found = [value for one in configs for value in value_at(one.model_dump(), path)]
        others = dict.fromkeys(label(value) for value in found if value != reading)
        if others:
            told.append(f"{path} {' or '.join(others)} (paper: {label(reading)})")
    return f"Not as in the paper at this scale: {', '.join(told)}." if told else ""


def steps(configs: Sequence[PipelineConfig], targets: tuple[str, ...]) -> str:
    """How many optimiser steps each stage trains, or for how many epochs.

    Of each stage as the first config has it that trains it, the base coming first.
    """
    told = []
    for stage in TRAINED:
        training = [
            one
            for one in configs
            if stage in needs_of(one, targets)
            and not (stage == "regressor" and one.regressor.is_fitted)
        ]
        if training:
            told.append(f"{stage} {_length(training[0], stage)}")
    return f"Steps: {', '.join(told)}." if told else ""


def _length(config: PipelineConfig, stage: str) -> str:
    section = getattr(config, stage)
    unit, length = section.length
    if unit == "steps":
        return str(length)
    samples = config.data.train_samples
    windows = stage == "lifter" and window_frames(config.lifter.model) > 1
    if samples is None or windows:  # counted when the data are there
        return f"{length} epoch{'s' * (length != 1)}"
    if stage == "lifter":
        samples = max(1, round(samples * config.lifter.train_share))
    return str(length * (samples // min(section.batch_size, samples)))
