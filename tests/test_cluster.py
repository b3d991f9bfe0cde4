"""The look at a cluster before work: what it says of good nodes, and what is wrong with others."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from hipart import cluster
from hipart.runtime import Runtime


def said(report: object) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(report)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.slow
def test_a_local_cluster_is_healthy_and_leaves_nothing_in_the_store(tmp_path: Path) -> None:
    report, healthy = cluster.check(Runtime(tmp_path))
    assert healthy
    assert f"All 1 nodes see {tmp_path / 'store'}, can write it, and run the same code." in said(
        report
    )
    assert list((tmp_path / "store/.work").iterdir()) == []


def test_a_node_that_does_not_see_the_store_says_so(tmp_path: Path) -> None:
    answer = cluster.probe(str(tmp_path / "elsewhere/.work/token"))
    assert answer["problems"] == [f"does not see the store {tmp_path / 'elsewhere'}"]


def test_other_code_and_other_clocks_are_named(tmp_path: Path) -> None:
    (tmp_path / "token").touch()
    good = cluster.probe(str(tmp_path / "token"))["versions"]
    same = cluster.Node("same", 1, 0, versions=good)
    other = cluster.Node("other", 1, 0, versions={**good, "torch": "1.0"}, skew_s=60.0)
    silent = cluster.Node("silent", 1, 0, problems=["does not answer"])
    cluster._compare([same, other, silent])
    assert same.problems == []
    assert other.problems[0].startswith("torch is 1.0, here it is ")
    assert other.problems[1] == "its clock is off by 60 s or more"
    assert silent.problems == ["does not answer"]
    assert "other: torch is 1.0" in said(cluster._report([same, other], Path("store")))
