"""The error of every test sample, as evaluations keep it, by arm."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hipart.experiment.design import Trial
from hipart.pipeline import FINAL_STAGE
from hipart.results import Chains, Finished

#: File of an evaluation that holds its errors sample by sample.
ERRORS = "errors.safetensors"
LABELS = ("action", "clip")

_TYPES: dict[str, type[np.generic]] = {"F64": np.float64, "F32": np.float32, "I64": np.int64}
#: Bytes in which the header of such a file has room; more are read where it has not.
_HEAD_BYTES = 1 << 10
#: What an array holds, and its type.
_Content = tuple[bytes, type[np.generic]]


@dataclass(frozen=True)
class SampleErrors:
    """A metric's value of every test sample (N,) of a trial, with each sample's action and clip.

    Of metrics that take a body, every sample that has one.
    """

    seed: int
    artifact: str
    error: NDArray[np.float64]
    action: NDArray[np.int64]
    clip: NDArray[np.int64]


class ErrorsByArm(Mapping[str, list[SampleErrors]]):
    """A metric's value of every test sample, by arm and trial, read when an arm is asked for.

    Only arms of which an evaluation is finished are there; a list is empty where the evaluations
    do not keep the metric.
    """

    def __init__(
        self,
        trials: Sequence[Trial],
        chains: Chains,
        artifacts: Mapping[str, Finished],
        metric: str,
    ) -> None:
        self._names = (metric, *LABELS)
        #: The labels that were read last, and as arrays: mostly those of all, which share them.
        self._read_last: list[_Content] = []
        self._labels: tuple[NDArray[Any], ...] = ()
        self._places: dict[str, list[tuple[int, str, Finished]]] = {}
        for trial, chain in zip(trials, chains, strict=True):
            job = chain.get(FINAL_STAGE)
            if job is not None and job.key in artifacts:
                place = trial.seed, job.key, artifacts[job.key]
                self._places.setdefault(trial.arm.name, []).append(place)

    def __getitem__(self, arm: str) -> list[SampleErrors]:
        places = self._places[arm]
        read = {key: self._read(found) for key, found in {one[1:] for one in places}}
        return [
            SampleErrors(seed, key, *arrays)
            for seed, key, _ in places
            if (arrays := read[key]) is not None
        ]

    def _read(self, artifact: Finished) -> tuple[NDArray[Any], ...] | None:
        """The metric of every sample with its action and its clip."""
        kept = _contents(artifact.file(ERRORS), self._names)
        if kept is None:
            return None
        error, *labels = kept
        if labels != self._read_last:
            self._read_last = labels
            self._labels = tuple(np.frombuffer(*label) for label in labels)
        values = np.frombuffer(*error)
        known = ~np.isnan(values)
        if known.all():
            return values, *self._labels
        return values[known], *(label[known] for label in self._labels)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _contents(file: Path, names: Sequence[str]) -> list[_Content] | None:
    """These arrays of a safetensors file; None where it lacks one.

    A table of thousands of trials reads three arrays each out of more than twice as many. The
    library reads or maps whole files, which takes three times as long. Raises ValueError for a
    file that is cut off.
    """
    descriptor = os.open(file, os.O_RDONLY)
    try:
        head = os.pread(descriptor, _HEAD_BYTES, 0)
        start = 8 + int.from_bytes(head[:8], "little")
        if start > len(head):
            head = os.pread(descriptor, start, 0)
        entries = _entries(head[8:start])
        if not entries.keys() >= set(names):
            return None
        found = []
        for entry in [entries[name] for name in names]:
            begin, end = entry["data_offsets"]
            content = os.pread(descriptor, end - begin, start + begin)
            if len(content) < end - begin:
                raise ValueError(f"{file}: is cut off")
            found.append((content, _TYPES[entry["dtype"]]))
        return found
    finally:
        os.close(descriptor)


@lru_cache(maxsize=64)
def _entries(header: bytes) -> dict[str, Any]:
    """Type and place of every array; mostly the same in all files of an experiment."""
    return dict(json.loads(header))
