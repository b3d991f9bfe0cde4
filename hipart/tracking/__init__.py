"""The MLflow mirror, and the servers that show it and the studies of searches."""

from hipart.tracking.mirror import MlflowMirror
from hipart.tracking.server import serve, serve_studies

__all__ = ["MlflowMirror", "serve", "serve_studies"]
