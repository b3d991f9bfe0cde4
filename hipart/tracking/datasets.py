"""The data that a run took, as MLflow's inputs."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from hipart.config import DataConfig

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput


class DataUsed(NamedTuple):
    """A split of a corpus; ``samples`` is None where all there are were taken."""

    corpus: str
    fingerprint: str
    split: str
    samples: int | None

    @property
    def name(self) -> str:
        """MLflow takes two of one name and digest for one, so the split is in the name."""
        return f"{self.corpus} · {self.split}"


def splits_used(data: DataConfig, fingerprint: str, judged_on: str) -> tuple[DataUsed, ...]:
    """The training split and the one that results are measured on."""
    samples = {"test": data.test_samples, "validation": data.validation_samples}
    return (
        DataUsed(data.corpus, fingerprint, "train", data.train_samples),
        DataUsed(data.corpus, fingerprint, judged_on, samples[judged_on]),
    )


def as_inputs(used: Sequence[DataUsed]) -> "list[DatasetInput]":
    """MLflow's form of them, with the split as their context."""
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

    return [
        DatasetInput(
            Dataset(
                name=one.name,
                digest=one.fingerprint,
                source_type="hipart-search data info",
                source=json.dumps({"corpus": one.corpus, "fingerprint": one.fingerprint}),
                profile=json.dumps({"num_rows": one.samples or "all"}),
            ),
            [InputTag(MLFLOW_DATASET_CONTEXT, one.split)],
        )
        for one in used
    ]
