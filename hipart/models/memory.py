"""How much memory training takes, estimated before anything is trained."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from hipart.config import PipelineConfig, window_frames
from hipart.models.lifters.build import build_lifter
from hipart.models.priors import build_prior
from hipart.models.tokenizer import Tokenizer
from hipart.skeleton import NUM_JOINTS, PARTS

#: Weights, gradients and two moments of the optimiser, in float32.
BYTES_A_PARAMETER = 16
#: Samples of the pass that is measured; what a pass keeps grows with them.
SAMPLES = 2


def training_memory_gb(config: PipelineConfig) -> float:
    """Memory of the stage that needs most, GB (1e9 bytes): parameters with optimiser state, and
    what a forward pass at the stage's batch size keeps for the backward one.

    Buffers of the device's libraries and the corpus come on top. A forward pass of ``SAMPLES``
    poses on untrained models measures it.
    """
    with torch.random.fork_rng(), torch.enable_grad():
        tokenizer = Tokenizer(config.tokenizer, num_actions=1)
        needs = [_gb(*_tokenizer(config, tokenizer))]
        if config.lifter.dense_input == "generated":
            needs.append(_gb(*_prior(config, tokenizer)))
        needs.append(_gb(*_lifter(config)))
    return max(needs)


#: A model, a forward pass of ``SAMPLES`` through it, and the batch size that it is trained with.
_Trained = tuple[nn.Module, Callable[[], object], int]


def _tokenizer(config: PipelineConfig, tokenizer: Tokenizer) -> _Trained:
    poses = torch.zeros(SAMPLES, tokenizer.levels[-1], 2)
    return tokenizer, lambda: tokenizer(poses), config.tokenizer.batch_size


def _prior(config: PipelineConfig, tokenizer: Tokenizer) -> _Trained:
    prior = build_prior(config.prior, tokenizer)
    pose = torch.zeros(SAMPLES, NUM_JOINTS, 2)
    with torch.no_grad():
        sparse, dense = tokenizer.encode(torch.zeros(SAMPLES, tokenizer.levels[-1], 2))
    assert sparse.shape[1] == len(PARTS)
    return prior, lambda: prior(pose, sparse, dense), config.prior.batch_size


def _lifter(config: PipelineConfig) -> _Trained:
    inputs, frames = NUM_JOINTS + sum(config.input_levels), window_frames(config.lifter.model)
    lifter = build_lifter(config.lifter.model, inputs)
    window = (frames,) if frames > 1 else ()
    poses = torch.randn(SAMPLES, *window, inputs, 2)
    answered = lifter.eval()(poses)
    target = torch.zeros_like(answered)
    return lifter, lambda: lifter.error_mm(poses, target), config.lifter.batch_size


def _gb(model: nn.Module, forward: Callable[[], object], batch_size: int) -> float:
    """What training it at this batch size holds at once."""
    model.train()
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        result = forward()  # alive until all is counted, so that no storage is used twice
    parameters = sum(parameter.numel() for parameter in model.parameters())
    del result
    return (BYTES_A_PARAMETER * parameters + batch_size / SAMPLES * sum(kept.values())) / 1e9
