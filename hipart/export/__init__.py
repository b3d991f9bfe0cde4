"""The best trial of an experiment as a folder that predicts without the platform."""

from hipart.export.bundle import export_bundle
from hipart.export.choice import of_arm

__all__ = ["export_bundle", "of_arm"]
