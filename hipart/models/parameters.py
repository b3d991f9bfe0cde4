"""How many parameters each part has (Tables 4-6, 9). Codebooks are buffers and do not count."""

import torch
from torch import nn

from hipart.config import PipelineConfig
from hipart.models.lifters.build import build_lifter
from hipart.models.priors import build_prior
from hipart.models.regressors.build import build_regressor
from hipart.models.tokenizer import Tokenizer
from hipart.skeleton import NUM_JOINTS


def _count(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def _count_regressor(regressor: nn.Module) -> int:
    """All that is learned: one that is fitted in closed form has buffers and no parameters."""
    return sum(tensor.numel() for tensor in regressor.state_dict().values())


def parameter_counts(config: PipelineConfig, num_actions: int) -> dict[str, int]:
    """Trainable parameters by part, counted without allocating any.

    ``inference_total`` is what runs at test time (the 2.0 M of Table 6); with the encoders it
    is ``total_without_action_head`` (the 2.4 M of Table 4). A lifter that is not fed generated
    poses runs alone. What a regressor was fitted by counts, too.
    """
    with torch.device("meta"):
        tokenizer = Tokenizer(config.tokenizer, num_actions)
        prior = build_prior(config.prior, tokenizer)
        lifter = build_lifter(config.lifter.model, NUM_JOINTS + sum(config.input_levels))
        regressor = build_regressor(config.regressor)
    t = tokenizer
    decoders = _count(t.upsamplers, t.decoders)
    decoders += sum(_count(book.from_code) for book in set((t.sparse, t.dense)))
    encoders = _count(t.encoders, t.fusions)
    encoders += sum(_count(book.to_code) for book in set((t.sparse, t.dense)))
    if config.lifter.dense_input == "regressed":
        counts = {"lifter": _count(lifter), "regressor": _count_regressor(regressor)}
        return counts | {"inference_total": sum(counts.values())}
    if config.lifter.dense_input != "generated":
        count = _count(lifter)
        return {"lifter": count, "inference_total": count}
    inference = _count(lifter, prior) + decoders
    return {
        "lifter": _count(lifter),
        "prior": _count(prior),
        "decoders": decoders,
        "encoders": encoders,
        "action_head": _count(t.action_head),
        "inference_total": inference,
        "total_without_action_head": inference + encoders,
    }
