"""Every notation shows the same table; none lets a name break it."""

import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pylatexenc.latexwalker import LatexEnvironmentNode, LatexWalker
from rich.console import Console

from hipart.experiment.design import trials
from hipart.jobs import jobs
from hipart.report import render_latex, render_markdown
from hipart.report.grid import number
from hipart.report.tables import Table
from tests.report.samples import DATA, ORDERS, SIZES, ablation, made, measured

SMALL, MIDDLE = "sparse codebook size=512", "sparse codebook size=1024"
RASTER = "generation order=raster_&_scan"
VALUES = {
    "base": [50.0, 52.0, 54.0],
    SMALL: [61.0, 62.5, 65.0],
    MIDDLE: [51.0, 53.01, 55.0],
    RASTER: [49.0, 52.0, 54.5],
}
NASTY = {
    "name": r"50 % & #1 {a_b} ~ ^ \x | <i> $y$",
    "levels": [{"name": "[2pt] *_[x](y)", "set": {"prior.order": "raster"}}],
}


@pytest.fixture
def table() -> Table:
    return made(ablation(), measured(VALUES))


@pytest.fixture
def two_factors() -> Table:
    return made(ablation(SIZES, ORDERS), measured(VALUES))


@pytest.fixture
def nasty() -> Table:
    one = ablation(NASTY)
    arm = trials(one)[1].arm.name
    return made(one, measured({"base": [1.0, 2.0, 3.0], arm: [2.0, 3.5, 4.0]}))


def rows_of(latex: str) -> list[str]:
    body = latex.partition(r"\begin{tabular}")[2].partition(r"\end{tabular}")[0]
    return [line for line in body.splitlines() if line.endswith(r"\\")]


@pytest.mark.parametrize("name", ["table", "two_factors", "nasty"])
def test_latex_is_balanced(name: str, request: pytest.FixtureRequest) -> None:
    text = request.getfixturevalue(name).latex()
    opened = re.findall(r"\\begin\{(\w+)\}", text)
    assert opened == ["table", "tabular", "minipage"]
    assert re.findall(r"\\end\{(\w+)\}", text) == ["tabular", "minipage", "table"]
    spec = re.search(r"\\begin\{tabular\}\{([lr]+)\}", text)
    assert spec
    plain = re.sub(r"\\[\\&%$#_{}]", "", text.partition("\n")[2])  # without the comment
    assert plain.count("{") == plain.count("}")
    assert plain.count("$") % 2 == 0
    assert "%" not in plain and "#" not in plain
    for row in rows_of(text):
        assert len(re.findall(r"(?<!\\)&", row)) == len(spec[1]) - 1
        assert not row.startswith(("[", "*"))


@pytest.mark.parametrize("name", ["table", "two_factors", "nasty"])
def test_latex_is_read_by_a_parser(name: str, request: pytest.FixtureRequest) -> None:
    """Every brace, environment and formula is closed where it should be, by another's reading."""
    walker = LatexWalker(request.getfixturevalue(name).latex(), tolerant_parsing=False)
    nodes, _, _ = walker.get_latex_nodes()
    (environment,) = [node for node in nodes if isinstance(node, LatexEnvironmentNode)]
    assert environment.environmentname == "table"


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex")
@pytest.mark.parametrize("name", ["table", "two_factors", "nasty"])
def test_latex_compiles(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    body = request.getfixturevalue(name).latex()
    text = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
    (tmp_path / "t.tex").write_text(f"{text}{body}\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_latex_marks_best_and_second_and_names_the_source(table: Table) -> None:
    text = table.latex()
    # Means 52.00, 62.83, 53.003; std 2, 2.02, 2; difference 1 + 0.01/3 with spread 0.01/sqrt(3).
    assert r"2048 (base) & 3 & \textbf{52.0} $\pm$ 2.0 &  & 91.0 $\pm$ 1.0 & 42.0 \\" in text
    assert r"1024 & 3 & \underline{53.0} $\pm$ 2.0 & +1.00 [+0.99, +1.02]* &" in text
    assert "published in" in text and "HiPART, CVPR" in text
    assert r"Fig. 5 [mm] \\" in text
    assert r"\caption{Codebook size \& order (after HiPART, CVPR 2025, Fig. 5)}" in text
    assert r"\label{tab:codebook-ablation}" in text


def test_latex_says_what_it_needs(table: Table, two_factors: Table) -> None:
    for one in (table, two_factors):
        first, _, rest = one.latex().partition("\n")
        assert first.startswith(r"% needs \usepackage{booktabs}")
        assert ("graphicx" in first) == (r"\resizebox" in rest)


def test_latex_escapes() -> None:
    assert render_latex.escape("a_b & 5 % of #1 {x} $") == r"a\_b \& 5 \% of \#1 \{x\} \$"
    assert render_latex.escape("\\ ~ ^\n<") == (
        r"\textbackslash{} \textasciitilde{} \textasciicircum{} \textless{}"
    )
    assert render_latex.escape("−1 ± β…") == r"$-$1 $\pm$ $\beta$\ldots{}"


def test_markdown_rows_and_marks(table: Table, nasty: Table) -> None:
    for text in (table.markdown(), nasty.markdown()):
        rows = [line for line in text.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    text = table.markdown()
    assert "| 2048 (base) | 3 | **52.0** ± 2.0 |  | 91.0 ± 1.0 | 42.0 |" in text
    assert "| 1024 | 3 | *53.0* ± 2.0 | +1.00 [+0.99, +1.02]\\* |" in text
    assert "published in HiPART, CVPR 2025 Fig. 5 [mm]" in text
    assert render_markdown.escape("[x](y) a_b|c\n*") == r"[x\](y) a\_b\|c \*"
    assert render_markdown.escape("a & b &lt; &#60; &amp;") == "a & b &amp;lt; &amp;#60; &amp;amp;"


def test_factors_are_sections(two_factors: Table) -> None:
    assert two_factors.latex().count(r"\midrule") == 3
    assert "| sparse codebook size | 512 |" in two_factors.markdown()
    assert "|  | 1024 |" in two_factors.markdown()
    lines = [line.split("  ")[0] for line in two_factors.plain().splitlines()]
    assert "sparse codebook size" in lines and "generation order" in lines


@pytest.mark.parametrize("width", [66, 80, 120])
def test_terminal_keeps_the_main_numbers_whole(two_factors: Table, width: int) -> None:
    text = two_factors.plain(width)
    assert max(map(len, text.splitlines())) <= width
    for expected in ("52.0² ± 2.0", "51.8¹ ± 2.8", "+1.00 [+0.99, +1.02]*", "42.0"):
        assert expected in text
    below = [line for line in text.splitlines() if line.startswith("arm")][1:]
    assert bool(below) == (width < 90), "what does not fit beside the others stands below them"
    assert "usage" in text
    assert "\x1b" not in text


def test_terminal_uses_styles_where_there_are_any(table: Table) -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard")
    console.print(table.terminal())
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[1m52.0\x1b[0m ± 2.0" in text
    assert "\x1b[4m53.0\x1b[0m ± 2.0" in text
    assert "¹" not in text


def test_terminal_does_not_read_names_as_markup(nasty: Table) -> None:
    assert "[2pt] *_[x](y)" in nasty.plain(120)
    assert "[mm] ↓" in nasty.plain(120)


def test_waiting_failed_and_absent_are_told_apart() -> None:
    one = ablation()
    tried = trials(one)
    broken = {jobs(tried[1].config, DATA)["tokenizer"].key: "out of memory"}
    values = {"base": [50.0, None, None], SMALL: [None] * 3, MIDDLE: [None] * 3}
    for partial, sign in ((True, "…"), (False, "–")):
        table = made(one, measured(values), failures=broken, partial=partial)
        rows = [line for line in table.markdown().splitlines() if line.startswith("| ")][2:]
        assert [row.split(" | ")[:3] for row in rows] == [
            ["| 2048 (base)", "1/3", "50.0"],
            ["| 512", "0/3", "failed"],
            ["| 1024", "0/3", sign],
        ]
    assert "Failed: sparse codebook size=512, 1 of 3 trials: tokenizer: out of memory" in (
        table.markdown()
    )


def test_published_values_of_several_places_say_where() -> None:
    levels = [
        {"value": 512, "published": {"value": 45.3, "unit": "mm", "place": "Table 3"}},
        {"value": 1024, "published": {"value": 43.0, "unit": "mm", "place": "Fig. 5"}},
    ]
    text = made(ablation(SIZES | {"levels": levels}), measured(VALUES)).markdown()
    assert "45.3 (Table 3)" in text and "43.0 (Fig. 5)" in text


def test_base_alone() -> None:
    one = ablation(factors=(), design="factorial")
    table = made(one, measured(VALUES))
    assert len(table.rows) == 1
    assert "| base | 3 | 52.0 ± 2.0 |" in table.markdown()
    assert "Δ to base" not in table.markdown().split("\n\n")[1]
    assert table.plain() and table.latex()


@pytest.mark.parametrize(
    ("value", "sign", "expected"),
    [(-0.04, "-", "0.0"), (-0.04, "+", "0.0"), (-1.26, "-", "−1.3"), (1.26, "+", "+1.3")],
)
def test_numbers(value: float, sign: str, expected: str) -> None:
    assert number(value, 1, "+" if sign == "+" else "-") == expected


def test_a_view_that_is_drawn_again_has_no_notes(table: Table) -> None:
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(table.terminal(notes=False))
    drawn = capture.get()
    assert "MPJPE" in drawn
    assert "second best" not in drawn
    assert "Scale" not in drawn
