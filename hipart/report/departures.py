"""Where a scale is not as the paper, and for how long its stages train."""

from collections.abc import Collection, Container, Sequence
from typing import Any

from hipart.config import PipelineConfig, window_frames
from hipart.experiment.levels import label
from hipart.experiment.paths import value_at

#: What the paper says, or is read to say, of settings that a scale may have otherwise.
PAPER_READINGS: dict[str, Any] = {
    "prior.conditioning": "start",
    "densify.decode": "argmax",
    "prior.token_corruption": 0.0,
    "tokenizer.weight_decay_on": "all",
    "prior.weight_decay_on": "all",
    "regressor.weight_decay_on": "all",
}
#: Stages that are trained, in their order.
TRAINED = ("tokenizer", "prior", "regressor", "lifter")


def departures(configs: Sequence[PipelineConfig], reached: Container[str]) -> str:
    """The settings of stages that are reached which are not as in the paper; empty if all are.

    ``configs`` are those of all arms, the base first: what it has is the scale's, what others
    have besides is told of "some arms".
    """
    of_scale: list[str] = []
    of_some: list[str] = []
    for path, reading in PAPER_READINGS.items():
        if path.partition(".")[0] not in reached:
            continue
        base, *others = (value_at(one.model_dump(), path)[0] for one in configs)
        if base != reading:
            of_scale.append(f"{path} {label(base)} (paper: {label(reading)})")
        besides = dict.fromkeys(label(one) for one in others if one not in (base, reading))
        if besides:
            of_some.append(f"{path} {' or '.join(besides)} (paper: {label(reading)})")
    told = []
    if of_scale:
        told.append(f"Not as in the paper at this scale: {', '.join(of_scale)}.")
    if of_some:
        told.append(f"Not as in the paper in some arms: {', '.join(of_some)}.")
    return " ".join(told)


def steps(trained: Sequence[tuple[PipelineConfig, Container[str]]]) -> str:
    """How many optimiser steps each stage trains, or for how many epochs.

    ``trained`` has, for each arm, its config and the stages that it needs. Where arms differ in
    steps, from the fewest to the most.
    """
    told = []
    for stage in TRAINED:
        lengths = {
            _length(one, stage)
            for one, needed in trained
            if stage in needed and not (stage == "regressor" and one.regressor.is_fitted)
        }
        if lengths:
            told.append(f"{stage} {_range(lengths)}")
    return f"Steps: {', '.join(told)}." if told else ""


def _range(lengths: Collection[str]) -> str:
    """Numbers of steps from the fewest to the most, and what is in epochs beside them."""
    steps = sorted(int(one) for one in lengths if one.isdigit())
    told = [" to ".join(str(one) for one in dict.fromkeys((steps[0], steps[-1])))] if steps else []
    return " or ".join(told + sorted(one for one in lengths if not one.isdigit()))


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
