"""The idle densify."""

from benchmarks.idle_stages.nothing import train, train_array

__all__ = ["train", "train_array"]
