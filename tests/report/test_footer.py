"""What stands under a table, word by word."""

import pytest

from hipart.experiment.scales import SCALES, caveat
from hipart.report import footer, verdicts
from hipart.report.model import Cell, Row
from tests.report.samples import ORDERS, ablation, made, measured

ARM = "generation order=raster_&_scan"


def rows(*p_values: float | None, seeds: int = 2) -> list[Row]:
    cells = [Cell(seeds, seeds, 1.0, None, 0.1, None, None, p, p) for p in (None, *p_values)]
    names = ["base", *(f"arm {place}" for place in range(len(p_values)))]
    return [
        Row(name, seeds, seeds, 0, None, None, (cell,))
        for name, cell in zip(names, cells, strict=True)
    ]


def test_no_difference_is_said_in_words() -> None:
    assert verdicts.over_seeds(rows(0.3, 0.05)) == (
        "With 2 seeds no difference to the base can be told from noise at the 5 % level "
        "(paired t-test over common seeds, Holm-corrected over 2 comparisons)."
    )


def test_differences_that_hold_are_named() -> None:
    assert verdicts.over_seeds(rows(0.3, 0.049, seeds=5)) == (
        "* differs from the base at the 5 % level (paired t-test over common seeds, "
        "Holm-corrected over 2 comparisons): arm 1."
    )
    both = verdicts.over_seeds(rows(0.03, 0.049, seeds=5))
    assert both.endswith(": arm 0; arm 1."), "names may hold commas"


def test_one_seed_and_one_arm_claim_nothing() -> None:
    assert verdicts.over_seeds(rows(None, seeds=1)) == (
        "With 1 seed no difference to the base is tested: it takes two seeds in common that differ."
    )
    assert verdicts.over_seeds(rows(None)).startswith("No difference to the base is tested")
    assert verdicts.over_seeds(rows()) == ""


@pytest.mark.parametrize(
    ("seeds", "reseed", "expected"),
    [
        ((0, 1), ("lifter", "prior", "tokenizer"), "seeds 0, 1 reach tokenizer, prior, lifter"),
        (
            (0, 1),
            ("lifter",),
            "seeds 0, 1 reach lifter; tokenizer, prior shared by all seeds, which understates "
            "the spread",
        ),
        ((3,), ("lifter",), "seed 3 reaches lifter"),
        ((0, 1), (), "seeds 0, 1 reach no stage"),
        ((0, 1), ("data", "tokenizer", "prior", "lifter"),
         "seeds 0, 1 reach tokenizer, prior, lifter, data"),
    ],
)  # fmt: skip
def test_which_stages_the_seeds_reach(
    seeds: tuple[int, ...], reseed: tuple[str, ...], expected: str
) -> None:
    assert footer.reach(seeds, reseed) == expected


def test_a_scale_that_only_tries_the_machinery_says_so_first() -> None:
    error = measured({"base": [50.0, 51, 52], ARM: [50.5, 50.9, 52.2]})
    told = made(ablation(ORDERS, scale="smoke"), error).footer[0]
    assert told == "Scale smoke tries the machinery in seconds: no number here means anything."
    assert not any("means anything" in line for line in made(ablation(ORDERS), error).footer)
    assert all(bool(caveat(scale)) == ("smoke" in scale) for scale in SCALES)


def test_the_footer_of_a_run() -> None:
    table = made(ablation(ORDERS), measured({"base": [50.0, 51, 52], ARM: [50.5, 50.9, 52.2]}))
    text = "\n".join(table.footer)
    for expected in (
        "Data: open corpus, 100 test poses, fingerprint f1a9.",
        "Protocol: MPJPE (Protocol 1): root-aligned; means over actions of per-sample values; "
        "no mirrored pose at test time. ± is the standard deviation over seeds;",
        "Scale paper, preset budget; seeds 0, 1, 2 reach tokenizer, prior, lifter.",
        "With 3 seeds no difference to the base can be told from noise",
        "12 stage jobs: trained 3 now, reused 9.",
        # Three shared tokenizers and six evaluations of 90 s each.
        "Code: commit 0123456789ab with uncommitted changes; trained on NVIDIA H100 "
        "(9 jobs, 13.5 min).",
    ):
        assert expected in text
    assert "secret-host" not in text


def test_failures_are_told_on_one_short_line_and_lost_numbers_too() -> None:
    cell = Cell(1, 1, 1.0, None, None, None, None, None, None)
    reason = "prior: " + "out of\nmemory " * 50
    told = footer.failures([Row("a", 3, 2, 1, reason, None, (cell,))])
    assert told[0] == "Not a number: a, 1 of 3 trials, left out."
    assert told[1].startswith("Failed: a, 1 of 3 trials: prior: out of memory out of memory")
    assert "\n" not in told[1] and told[1].endswith("…") and len(told[1]) < 140
