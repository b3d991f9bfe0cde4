"""Claims against made-up measurements: what holds, what does not, what cannot be told."""

from typing import Any

import pytest

from hipart.experiment.design import trials
from hipart.experiment.form import Claim
from hipart.experiment.metrics import MetricChoice
from hipart.jobs import jobs
from hipart.report import verdicts
from hipart.report.claims import corrected, findings
from hipart.report.fidelity import render
from hipart.report.tables import table
from tests.report.samples import (
    DATA,
    SIZES,
    MemoryArtifact,
    ablation,
    filled,
    frame_from,
    frame_of,
    made,
    measured,
)

METRIC = "evaluate/mpjpe_mm"
VALUES = {
    "base": [50.0, 51.0, 52.0, 53.0],
    "far": [60.0, 61.1, 61.9, 63.0],
    "near": [50.5, 50.4, 52.6, 52.4],
    "waiting": [None, None, None, None],
}


def claim(better: str, worse: str, **metric: Any) -> Claim:
    choice = MetricChoice(**{"stage": "evaluate", "name": "mpjpe_mm", "goal": "min"} | metric)
    return Claim(says=f"{better} beats {worse}", place="Table 1", better=better, worse=worse,
                 metric=choice)  # fmt: skip


CLAIMS = [
    claim("base", "far"),
    claim("far", "base"),
    claim("base", "near"),
    claim("base", "waiting"),
    claim("base", "unknown"),
]


def test_verdicts() -> None:
    found = findings("x", CLAIMS, frame_of(VALUES, METRIC))
    assert len(found) == 4, "a claim on an arm that the scale leaves out is left out"
    right, wrong, close, waiting = found
    assert right.gain is not None and right.gain.mean == pytest.approx(10.0)
    assert right.pairs == 4
    assert waiting.worse is None and waiting.gain is None
    text = render([], found, ["Data: made up."], "hipart-search fidelity")
    lines = [line for line in text.splitlines() if " beats " in line]
    assert [line.split("**")[1] for line in lines] == [
        "holds",
        "does not hold",
        "cannot be told",
        "not measured",
    ]
    assert "the 3 tested claims" in text


def test_a_table_tells_its_claims_below() -> None:
    found = corrected(findings("x", CLAIMS, frame_of(VALUES, METRIC)))
    told = verdicts.of_claims(found)
    assert told[0].startswith('Claim "base beats far" (Table 1): holds, gain +10.00 [')
    assert "mm, p " in told[0] and told[0].endswith("(4 seeds, Holm-corrected over 3).")
    assert told[1].startswith('Claim "far beats base" (Table 1): does not hold, gain −10.00 [')
    assert told[3] == 'Claim "base beats waiting" (Table 1): not measured.'


def test_a_metric_whose_more_is_better_is_turned_round() -> None:
    frame = frame_of({"base": [90.0, 91.0, 92.0], "far": [50.0, 52.0, 51.0]}, "probe/locality")
    (found,) = findings(
        "x", [claim("base", "far", stage="probe", name="locality", goal="max")], frame
    )
    assert found.gain is not None and found.gain.mean == pytest.approx(40.0)
    assert found.unit == "x"


def test_a_gain_that_does_not_survive_the_correction_leans() -> None:
    values = {"base": [50.0, 51.0, 52.0], "far": [52.0, 53.4, 53.6]}
    near = {f"n{i}": [50.0 + i, 51.5 - i, 52.2] for i in range(9)}
    frame = frame_of(values | near, METRIC)
    claims = [claim("base", "far"), *(claim("base", name) for name in near)]
    text = render([], findings("x", claims, frame), [], "c")
    line = next(line for line in text.splitlines() if "base beats far" in line)
    assert "**leans that way**" in line


def test_every_number_of_an_experiment_has_seeds_and_an_interval() -> None:
    values = {
        "base": [50.0, 52.0, 54.0],
        "sparse codebook size=512": [61.0, 62.5, 65.0],
        "sparse codebook size=1024": [51.0, 53.01, 55.0],
    }
    text = render([made(ablation(SIZES), measured(values))], [], [], "c")
    rows = [line for line in text.splitlines() if line.startswith("| base |")]
    assert rows == ["| base | 3 | 52.00 [47.03, 56.97] |  |  | 42.0 mm (Fig. 5) |"]
    small = next(
        line for line in text.splitlines() if line.startswith("| sparse codebook size=512")
    )
    assert "+10.83 [" in small


def test_what_no_seed_reaches_says_so() -> None:
    one = ablation(SIZES, metric=MetricChoice(stage="profile", name="parameters_m", goal="min"))
    tried = trials(one)
    store = filled(tried, lambda trial: None)
    for trial in tried:
        job = jobs(trial.config, DATA, ("profile",))["profile"]
        store.held["profile", job.key] = MemoryArtifact({"parameters_m": 2.0})
    counts = {"trained": 0, "reused": 9}
    text = render([table(one, frame_from(store, tried), counts)], [], [], "c")
    assert "| base | 1 | 2.00 [same for every seed] |" in text
