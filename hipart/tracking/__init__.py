"""The MLflow mirror and the server that shows it."""

from hipart.tracking.mirror import MlflowMirror
from hipart.tracking.server import serve

__all__ = ["MlflowMirror", "serve"]
