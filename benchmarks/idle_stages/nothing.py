"""What each of these stages does."""

from collections.abc import Sequence

from hipart.stages.context import StageContext


def train(context: StageContext) -> dict[str, float]:
    """Report once and answer a number."""
    context.report(1, 1, {"loss": 0.5})
    return {"mpjpe_mm": 1.0}


def train_array(contexts: Sequence[StageContext]) -> list[dict[str, float]]:
    """The same for every member."""
    return [train(context) for context in contexts]
