"""The store of finished stage jobs: a folder, or a copy of what a bucket holds."""

from hipart.store.artifact import Artifact, StoreError
from hipart.store.disk import without_space
from hipart.store.store import FORMAT, ArtifactStore

__all__ = ["FORMAT", "Artifact", "ArtifactStore", "StoreError", "without_space"]
