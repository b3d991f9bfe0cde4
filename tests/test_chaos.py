"""A short storm of random faults; ``python -m tests.chaos`` is the long one."""

from pathlib import Path

import pytest

from tests.chaos.__main__ import chaos


@pytest.mark.slow
def test_a_short_storm_breaks_no_promise(tmp_path: Path) -> None:
    promises = chaos(tmp_path, faults=8, seed=5)
    assert [str(promise) for promise in promises if promise.broken] == []
