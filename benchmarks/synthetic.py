"""Trainings on random poses, for step rates: shapes are what counts, not what is learned."""

import torch

from hipart.config import PipelineConfig
from hipart.models.lifters.build import build_lifter
from hipart.models.priors import build_prior
from hipart.models.regressors.build import build_regressor
from hipart.models.tokenizer import Tokenizer
from hipart.models.windows import windows
from hipart.skeleton import LEVELS, NUM_JOINTS
from hipart.stages.fit import with_adamw
from hipart.stages.lifter import LifterObjective
from hipart.stages.prior import PriorObjective
from hipart.stages.regressor import RegressorObjective
from hipart.stages.schedule import Plan, step_decay
from hipart.stages.tensors import Split
from hipart.stages.tokenizer import TokenizerObjective
from hipart.stages.training import Training

ACTIONS = 15
TRAINED = ("tokenizer", "prior", "lifter")


def random_split(samples: int, device: torch.device) -> Split:
    """Poses of standard normal numbers."""
    rows = torch.arange(samples, device=device)
    return Split(
        detected=torch.randn(samples, NUM_JOINTS, 2, device=device),
        exact=torch.randn(samples, NUM_JOINTS, 2, device=device),
        levels={level: torch.randn(samples, level, 2, device=device) for level in LEVELS},
        target=torch.randn(samples, NUM_JOINTS, 3, device=device),
        action=rows % ACTIONS,
        sequence=rows,
        frame=torch.zeros_like(rows),
        fitted=torch.ones_like(rows, dtype=torch.bool),
    )


def build(stage: str, config: PipelineConfig, split: Split) -> Training:
    """An untrained member of a stage."""
    device = split.action.device
    if stage == "lifter":
        dense = [split.levels[level] for level in config.input_levels]
        poses = torch.cat([split.detected, *dense], dim=1)
        lifter = build_lifter(config.lifter.model, poses.shape[1]).to(device)
        seen = windows(config.lifter.model, split.sequence)
        rate = step_decay(config.lifter.learning_rate, 1.0, 1)
        plan = Plan(split.size, config.lifter.epochs, config.lifter.batch_size, rate, 0)
        return Training(LifterObjective(lifter, poses, split, seen), plan)
    if stage == "regressor":
        section = config.regressor
        regressor = build_regressor(section).to(device)
        objective = RegressorObjective(regressor, split, section.levels)
        return with_adamw(objective, section, split.size)
    tokenizer = Tokenizer(config.tokenizer, ACTIONS).to(device)
    if stage == "tokenizer":
        return with_adamw(
            TokenizerObjective(tokenizer, split, config.tokenizer), config.tokenizer, split.size
        )
    tokenizer.requires_grad_(False).eval()
    prior = build_prior(config.prior, tokenizer).to(device)
    return with_adamw(
        PriorObjective(prior, tokenizer, split, config.prior), config.prior, split.size
    )
