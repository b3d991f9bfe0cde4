"""A batch that is computed in parts: the step is the undivided one."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from hipart.data.corpus import Corpus, load_corpus
from hipart.experiment.paths import with_changes
from hipart.models.tokenizer import Tokenizer
from hipart.stages import lifter, tokenizer
from hipart.stages.fit import fit
from hipart.stages.history import Row
from hipart.stages.training import IndivisibleError, Training, TrainingStep
from tests.stages.test_arrays import PLAIN, STAGES, context, relative_difference

#: 10 samples a step, which four parts do not share evenly; 50 steps.
SHORT = with_changes(
    PLAIN,
    {f"{stage}.batch_size": 10 for stage in STAGES}
    | {f"{stage}.epochs": 2 for stage in STAGES}
    | {
        "lifter.dense_input": "none",
        "lifter.model": {"kind": "transformer", "width": 16, "heads": 2, "blocks": 2},
    },
)
MLP = {"kind": "mlp", "width": 16}
CASES: list[tuple[str, tuple[int, ...], dict[str, object]]] = [
    ("tokenizer", (2, 4), {}),
    ("tokenizer", (4,), {"tokenizer.codebooks": "shared", "tokenizer.loss_reduction": "mean"}),
    ("prior", (2, 4), {}),
    # Its tokenizer decodes in double precision, too, and so cannot read detections anew.
    (
        "prior",
        (4,),
        {
            "prior.framework": "classification",
            "prior.joint_loss_weight": 100.0,
            "detector.training_draws": "once",
        },
    ),
    ("regressor", (2, 4), {}),
    ("lifter", (2, 4), {}),
]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load_corpus(PLAIN.data, PLAIN.detector)


@pytest.fixture(scope="module")
def upstream(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    work = tmp_path_factory.mktemp("parent") / "tokenizer"
    tokenizer.train(context(with_changes(PLAIN, {"tokenizer.epochs": 1}), corpus, work, {}))
    return {"tokenizer": work}


@pytest.mark.parametrize(("stage", "counts", "changes"), CASES)
def test_weights_and_history_are_those_of_the_undivided_training(
    stage: str,
    counts: tuple[int, ...],
    changes: dict[str, object],
    corpus: Corpus,
    upstream: dict[str, Path],
    tmp_path: Path,
) -> None:
    """In double precision, as arrays are compared: in single, rounding flips codes."""
    config = with_changes(SHORT, changes)

    def trained(count: int) -> tuple[Training, list[Row]]:
        plain = context(config, corpus, tmp_path / str(count), upstream)
        one = replace(plain, micro_batches=count)
        training = STAGES[stage].prepare(one)
        training.objective.double()
        (history,) = fit([one], [training])
        assert one.facts == ({"micro_batches": count} if count > 1 else {})
        return training, history

    whole, whole_history = trained(1)
    assert whole.plan.steps == 50
    for count in counts:
        divided, history = trained(count)
        assert relative_difference(divided, whole) < 1e-9
        for row, whole_row in zip(history, whole_history, strict=True):
            assert row == pytest.approx(whole_row, rel=1e-5)


def test_there_are_no_more_parts_than_samples_and_none_for_batch_normalisation(
    corpus: Corpus, tmp_path: Path
) -> None:
    one = context(SHORT, corpus, tmp_path / "one", {})
    step = TrainingStep([lifter.prepare(one)], one.device, micro_batches=16)
    assert step.micro_batches == 10
    normed = lifter.prepare(replace(one, config=with_changes(SHORT, {"lifter.model": MLP})))
    TrainingStep([normed], one.device)
    with pytest.raises(IndivisibleError, match="batch normalisation in MlpLifter"):
        TrainingStep([normed], one.device, micro_batches=2)


@pytest.mark.parametrize("codebooks", ["hierarchical", "shared"])
def test_dead_codes_restart_once_at_embeddings_of_the_whole_batch(codebooks: str) -> None:
    restart = {f"tokenizer.{book}_codebook.dead_code": "restart" for book in ("sparse", "dense")}
    config = with_changes(PLAIN, {**restart, "tokenizer.codebooks": codebooks}).tokenizer
    found: list[dict[str, Tensor]] = []
    with torch.random.fork_rng():
        for count in (1, 4):
            torch.manual_seed(0)
            model = Tokenizer(config, num_actions=3).double().train()
            model.micro_batches = count
            poses = torch.randn(10, model.levels[-1], 2, dtype=torch.float64)
            for book in model.books.children():
                book.get_buffer("quantizer.cluster_size").zero_()
            for part in poses.tensor_split(count):
                model(part)
            found.append(model.state_dict())
    for name, tensor in found[0].items():
        assert torch.allclose(tensor, found[1][name], rtol=1e-12, atol=0), name
