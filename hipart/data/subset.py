"""Less than all that could train, to see what the rest is worth: ``leave_out``, ``share``."""

from collections.abc import Collection, Iterable
from zlib import crc32

import numpy as np

from hipart.config import DataConfig
from hipart.data.names import nearest

#: The purpose of a seed: which clips train.
SHARE = 5


def check_left_out(data: DataConfig, subjects: Collection[str], actions: Collection[str]) -> None:
    """Raise ValueError where ``data.leave_out`` names what does not train, or leaves nothing."""
    trained = [*subjects, *actions]
    for name in data.leave_out:
        if name not in trained:
            raise ValueError(
                f"data.leave_out names {name!r}, which is no subject or action that trains"
                f"{nearest(name, trained)}; allowed {', '.join(trained)}"
            )
    for what, names in (("subject", subjects), ("action", actions)):
        if set(names) <= set(data.leave_out):
            raise ValueError(
                f"data.leave_out {', '.join(data.leave_out)} leaves no {what} to train on; "
                "leave fewer out"
            )


def shared(clips: Iterable[str], share: float, seed: int) -> set[str]:
    """Names of the clips that train: the nearest whole number to the share, at least one.

    Drawn with the seed and each clip's name: a smaller share is part of a larger one, and other
    clips change nothing but the number.
    """
    order = sorted(
        set(clips),
        key=lambda name: (
            np.random.default_rng([seed, SHARE, crc32(name.encode())]).random(),
            name,
        ),
    )
    return set(order[: max(1, round(share * len(order)))])


def described(data: DataConfig) -> str:
    """What a table's footer says of it; nothing where everything trains."""
    told = f", trained without {' and '.join(data.leave_out)}" if data.leave_out else ""
    if data.share < 1:
        told += f", trained on {data.share:.3g} of the clips (drawn with seed {data.seed})"
    return told
