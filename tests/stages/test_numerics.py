"""Numbers in which models are trained: part of the key, and close to float32."""

from pathlib import Path

import pytest
import torch

from hipart.data.corpus import Corpus, fingerprint, load_corpus
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.jobs import jobs
from hipart.stages import densify, lifter, prior, regressor, tokenizer
from hipart.stages.context import StageContext

BASE = with_changes(base_at_scale("smoke"), {"prior.epochs": 3})
LOSSES = {
    "tokenizer": "fine_reconstruction_px",
    "prior": "cross_entropy",
    "regressor": "fine_error_px",
    "lifter": "train_mpjpe_mm",
}


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load_corpus(BASE.data, BASE.detector)


def measured(products: str, corpus: Corpus, folder: Path) -> dict[str, float]:
    """The loss of every trained stage."""
    config = with_changes(BASE, {"numerics.products": products})
    found: dict[str, float] = {}
    done: dict[str, Path] = {}
    for stage in (tokenizer, prior, densify, regressor, lifter):
        name = stage.__name__.rpartition(".")[2]
        done[name] = folder / name
        done[name].mkdir(parents=True)
        context = StageContext(
            config, corpus, done, done[name], torch.device("cpu"), lambda *_: None
        )
        metrics = stage.train(context)
        if name in LOSSES:
            found[name] = metrics[LOSSES[name]]
    return found


def test_other_numbers_train_alike(corpus: Corpus, tmp_path: Path) -> None:
    exact = measured("float32", corpus, tmp_path / "float32")
    assert measured("tf32", corpus, tmp_path / "tf32") == pytest.approx(exact, rel=0.02)
    rounded = measured("bfloat16", corpus, tmp_path / "bfloat16")
    assert rounded != exact
    assert rounded == pytest.approx(exact, rel=0.15)
    assert torch.get_float32_matmul_precision() == "highest"


def test_they_stand_in_the_key_of_whatever_is_trained() -> None:
    data = fingerprint(BASE.data)
    keys = {
        products: jobs(with_changes(BASE, {"numerics.products": products}), data)
        for products in ("float32", "tf32", "bfloat16")
    }
    for stage, job in keys["float32"].items():
        assert len({found[stage].key for found in keys.values()}) == 3, stage
        assert "numerics" not in job.identity["config"], "float32 changes no older key"
