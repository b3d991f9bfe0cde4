"""The stages learn: each cause that kept 0.1 from it, seen in a training of seconds.

Sizes of the laptop scale, eighty steps; ``benchmarks.learning`` has the whole table.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from hipart.config import PipelineConfig
from hipart.data.corpus import fingerprint
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.jobs import jobs
from hipart.scheduling.executor import Workplace
from hipart.scheduling.worker import run_job
from hipart.store import ArtifactStore

BRIEF = {
    "data.train_samples": 1024,
    "data.test_samples": 64,
    "data.validation_samples": 256,
    "tokenizer.steps": 80,
    "prior.steps": 80,
}

Found = dict[str, Mapping[str, float]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """One store for all, so that what is the same is trained once."""
    workplace = Workplace(tmp_path_factory.mktemp("store"), None, threads=1, use_gpu=False)
    ArtifactStore(workplace.store).prepare()
    return workplace


def brief(scale: str, **changes: Any) -> PipelineConfig:
    return with_changes(base_at_scale(scale), BRIEF | changes)


def trained(config: PipelineConfig, place: Workplace, *targets: str) -> Found:
    found = jobs(config, fingerprint(config.data), targets)
    return {name: run_job(job, place, lambda *_: None).metrics for name, job in found.items()}


@pytest.fixture(scope="module")
def now(place: Workplace) -> Found:
    return trained(brief("laptop"), place, "probe", "densify")


@pytest.fixture(scope="module")
def before(place: Workplace) -> Found:
    return trained(brief("laptop-v1"), place, "probe")


def test_a_tokenizer_rebuilds_bodies(now: Found, before: Found) -> None:
    ours, first = (found["tokenizer"]["fine_reconstruction_px"] for found in (now, before))
    assert ours < 0.3 * first, "a tenth of it, as measured"


def test_a_token_stands_for_its_part(now: Found, before: Found) -> None:
    assert now["probe"]["locality"] > 4, "12 as measured"
    assert before["probe"]["locality"] < 2, "1 as measured: a token moves every part alike"


def test_a_pose_at_every_step_is_learned_sooner(now: Found, place: Workplace) -> None:
    at_start = trained(brief("laptop", **{"prior.conditioning": "start"}), place, "densify")
    ours, start = (found["densify"]["fine_error_px"] for found in (now, at_start))
    assert ours < 0.7 * start, "0.4 of it, as measured"


def test_mean_codes_are_nearer_than_the_most_probable(now: Found, place: Workplace) -> None:
    argmax = trained(brief("laptop", **{"densify.decode": "argmax"}), place, "densify")
    ours, probable = (found["densify"]["fine_error_px"] for found in (now, argmax))
    assert ours < 0.95 * probable, "0.75 of it, as measured"
