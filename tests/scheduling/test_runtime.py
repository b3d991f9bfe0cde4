"""How many jobs are trained together unless somebody says so."""

from pathlib import Path

import pytest

from hipart.runtime import Runtime


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({}, 1),
        ({"gpus_per_job": 0.25}, 8),
        ({"array": 3}, 3),
        ({"gpus_per_job": 1.0, "array": 1}, 1),
    ],
)
def test_a_gpu_trains_in_arrays_and_a_core_does_not(options: dict[str, float], limit: int) -> None:
    assert Runtime(Path("."), **options).array_limit == limit  # type: ignore[arg-type]
