"""Measure a trial on the test split: errors per sample first, then per action (Sec. 5.1)."""

import torch
from safetensors.torch import save_file

from hipart.metrics import action_mean, frame_mean, mpjpe, p_mpjpe, per_action
from hipart.stages.context import StageContext
from hipart.stages.lifter import lifter_input, load_lifter
from hipart.stages.tensors import split_tensors

BATCH = 1024


@torch.inference_mode()
def train(context: StageContext) -> dict[str, float]:
    """Lift the test split; ``mpjpe_mm`` is the mean of the action means, as in the paper."""
    corpus = context.corpus
    test = split_tensors(corpus.test, corpus, context.device)
    poses = lifter_input(context, test, "test")
    model = load_lifter(context, poses.shape[1])
    lifted = torch.cat([model(batch) for batch in poses.split(BATCH)]).cpu().double()
    target = test.target.cpu().double()
    errors = {"mpjpe_mm": mpjpe(lifted, target), "p_mpjpe_mm": p_mpjpe(lifted, target)}
    action = test.action.cpu()
    save_file({**errors, "action": action}, context.work / "errors.safetensors")
    metrics: dict[str, float] = {}
    for name, error in errors.items():
        actions = per_action(error, action, corpus.action_names)
        metrics[name] = action_mean(actions)
        metrics[name.replace("_mm", "_frames_mm")] = frame_mean(error)
        metrics |= {f"{name}/{label}": value for label, value in actions.items()}
    return metrics
