"""The simulated evaluate."""

from tests.chaos.simulated import train, train_array

__all__ = ["train", "train_array"]
