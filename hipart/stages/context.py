"""What a stage is given: its config, the data, what came before it, and a place to work."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from hipart.config import PipelineConfig
from hipart.data.corpus import Corpus

#: ``report(step, total, metrics)``: where a job stands; called at most a few times a second.
Report = Callable[[int, int, dict[str, float]], None]


@dataclass(frozen=True)
class StageContext:
    """Everything that ``train`` of a stage may look at."""

    config: PipelineConfig
    corpus: Corpus
    #: Artifact folder of each needed stage, and of the stages that those needed.
    upstream: Mapping[str, Path]
    #: Folder that becomes the artifact.
    work: Path
    device: torch.device
    report: Report
    #: Whether to leave the state in which the training ends, for another that goes on from it.
    resumable: bool = False
    #: Into how many parts a training step divides its batch, because the whole did not fit into
    #: memory; no more than there are samples in it.
    micro_batches: int = 1
    #: What a stage wants to have said in the artifact's provenance.
    facts: dict[str, Any] = field(default_factory=dict)
