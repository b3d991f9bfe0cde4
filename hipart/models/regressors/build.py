"""Which regressors there are. A new one: its file here, its config class, and one line below."""

from torch import nn

from hipart.config import RegressorConfig
from hipart.models.regressors.graph import GraphRegressor
from hipart.models.regressors.linear import LinearRegressor
from hipart.models.regressors.mlp import MlpRegressor
from hipart.models.regressors.offsets import JointOffsetRegressor, MeanPoseRegressor

#: Regressor by the ``kind`` of its config; each is built from (config, levels).
REGRESSORS: dict[str, type[nn.Module]] = {
    "mlp": MlpRegressor,
    "graph": GraphRegressor,
    "mean_pose": MeanPoseRegressor,
    "joint_offset": JointOffsetRegressor,
    "linear": LinearRegressor,
}


def build_regressor(config: RegressorConfig) -> nn.Module:
    """A densifier of poses (batch, 17, 2) to all points of the levels (batch, points, 2)."""
    return REGRESSORS[config.model.kind](config.model, config.levels)
