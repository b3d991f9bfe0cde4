"""Parameter counts of the paper (Tables 4 and 6; oracle E10)."""

from typing import Any

import pytest
import torch

from hipart.config import PipelineConfig
from hipart.experiment.scales import PRESETS
from hipart.models.lifters.build import build_lifter
from hipart.models.parameters import parameter_counts
from hipart.models.tokenizer import Tokenizer


def preset(name: str) -> PipelineConfig:
    tree: dict[str, Any] = {}
    for path, value in PRESETS[name].items():
        section, field = path.split(".")
        tree.setdefault(section, {})[field] = value
    return PipelineConfig(**tree)


def test_budget_reads_the_papers_totals() -> None:
    counts = parameter_counts(preset("budget"), num_actions=15)
    assert counts == {
        "lifter": 913_827,
        "prior": 860_928,
        "decoders": 230_676,
        "encoders": 374_528,
        "action_head": 69_519,
        "inference_total": 2_005_431,
        "total_without_action_head": 2_379_959,
    }
    assert round(counts["inference_total"] / 1e6, 1) == 2.0  # Table 6
    assert round(counts["total_without_action_head"] / 1e6, 1) == 2.4  # Table 4


def test_textbook_is_what_the_paper_cannot_be() -> None:
    counts = parameter_counts(preset("textbook"), num_actions=15)
    assert counts["prior"] == 3_906_944
    assert counts["inference_total"] == 5_137_847
    assert counts["total_without_action_head"] == 6_359_223


@pytest.mark.parametrize(("dense_input", "count"), [("none", 900_003), ("generated", 913_827)])
def test_lifter_has_the_papers_nine_hundred_thousand(dense_input: str, count: int) -> None:
    config = PipelineConfig(lifter={"dense_input": dense_input})
    assert parameter_counts(config, 15)["lifter"] == count


#: What HiPART adds to a lifter at test time: prior and decoders (Sec. A.8 of the design).
GENERATION = 1_091_604


@pytest.mark.parametrize(
    ("model", "alone", "lifter", "published"),
    [
        ({"kind": "poseformer"}, 9_602_885, 9_607_493, (9.6, 10.7)),
        ({"kind": "mixste"}, 33_700_867, 33_705_475, (33.7, 34.8)),
        ({"kind": "mixste", "frames": 243}, 33_783_811, 33_788_419, (33.8, 34.9)),
    ],
    ids=["poseformer", "mixste", "mixste243"],
)
def test_temporal_lifters_have_the_papers_counts(
    model: dict[str, Any], alone: int, lifter: int, published: tuple[float, float]
) -> None:
    def counts(dense_input: str) -> dict[str, int]:
        sequences = {"sampling": "sequences"}
        lifting = {"model": model, "dense_input": dense_input}
        return parameter_counts(PipelineConfig(data=sequences, lifter=lifting), 15)

    assert counts("none")["lifter"] == alone
    assert counts("generated")["lifter"] == lifter
    assert counts("generated")["inference_total"] == lifter + GENERATION
    assert (round(alone / 1e6, 1), round((lifter + GENERATION) / 1e6, 1)) == published


def test_classification_has_the_papers_count() -> None:
    counts = parameter_counts(PipelineConfig(prior={"framework": "classification"}), 15)
    assert 2.1 <= round(counts["total_without_action_head"] / 1e6, 1) <= 2.2  # Table 4


@pytest.mark.parametrize(
    ("kind", "count"), [("mean_pose", 288), ("joint_offset", 288), ("linear", 35 * 288)]
)
def test_what_a_regressor_is_fitted_by_counts(kind: str, count: int) -> None:
    regressed = {"dense_input": "regressed"}
    config = PipelineConfig(regressor={"model": {"kind": kind}}, lifter=regressed)
    assert parameter_counts(config, num_actions=15)["regressor"] == count


def test_counts_are_those_of_the_real_modules() -> None:
    config = PipelineConfig(tokenizer={"sparse_codebook": {"dim": 32}, "encoder_blocks": 1})
    counts = parameter_counts(config, num_actions=4)
    tokenizer = Tokenizer(config.tokenizer, num_actions=4)
    total = sum(p.numel() for p in tokenizer.parameters())
    assert counts["encoders"] + counts["decoders"] + counts["action_head"] == total
    lifter = build_lifter(config.lifter.model, 161)
    assert counts["lifter"] == sum(p.numel() for p in lifter.parameters())
    assert all(p.device == torch.device("cpu") for p in lifter.parameters())
