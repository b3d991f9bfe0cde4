"""Which machine did which job: from provenance alone."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from hipart.config import PipelineConfig
from hipart.jobs import jobs
from hipart.pipeline import PIPELINE
from hipart.report.figures import schedule
from hipart.report.figures.style import COLOURS
from hipart.report.schedule import Span, describe, last_run, spans
from hipart.reporting import write_schedule
from hipart.store import ArtifactStore

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def span(
    minute: float, host: str = "alpha", stage: str = "lifter", seconds: float = 60.0, pid: int = 7
) -> Span:
    return Span(NOON + timedelta(minutes=minute), host, pid, "cpu", stage, seconds)


def bars(figure: Figure) -> dict[str, list[tuple[float, float, float]]]:
    """By stage the left end, the right end and the line of each bar."""
    return {
        str(found.get_label()): [
            (path.vertices[0][0], path.vertices[1][0], round(path.vertices[:4, 1].mean()))
            for path in found.get_paths()
        ]
        for found in figure.axes[0].collections
        if isinstance(found, PolyCollection)
    }


def texts(figure: Figure) -> list[Bbox]:
    """Where everything written stands."""
    figure.canvas.draw()
    axes = figure.axes[0]
    written = [*axes.texts, *axes.get_yticklabels(), *axes.get_xticklabels(), axes.xaxis.label]
    written += [*figure.legends[0].get_texts(), *figure.texts]
    return [one.get_window_extent() for one in written if one.get_text()]


def test_a_long_pause_parts_runs() -> None:
    long = span(0, seconds=1500)  # twenty-five minutes, in which others are done
    early = [long, span(5), span(20)]
    late = [span(36), span(40)]
    assert last_run(early) == early
    assert last_run(early + late) == late
    assert last_run([]) == []


def test_jobs_are_counted_by_machine_and_an_array_works_once() -> None:
    rows = describe([span(0, stage="prior"), span(1), span(1), span(2, host="beta", stage="prior")])
    host, device, workers, worked, done = (list(one.cells) for one in rows.columns)
    assert host == ["alpha", "beta"]
    assert device == ["cpu", "cpu"]
    assert workers == ["1", "1"]
    assert done == ["1 prior, 2 lifter", "1 prior"]
    assert worked == ["2 min 00 s", "1 min 00 s"]


def test_bars_stand_where_and_when_their_jobs_were_done() -> None:
    shown = [span(0, stage="prior"), span(1), span(1), span(1.5, "beta", seconds=0), span(2, pid=9)]
    figure = schedule.draw(shown)
    axes = figure.axes[0]
    assert axes.get_xlabel() == "minutes since 2026-01-01 12:00:00 UTC"
    assert [one.get_text() for one in axes.texts] == ["alpha, cpu: 4 jobs", "beta, cpu: 1 job"]
    ticks = dict(zip(map(int, axes.get_yticks()), axes.get_yticklabels(), strict=True))
    named = {place: label.get_text() for place, label in ticks.items()}
    assert named == {1: "process 7", 2: "process 9", 4: "process 7"}
    drawn = bars(figure)
    assert drawn["prior"] == [(0.0, 1.0, 1)]
    both, short, other = drawn["lifter"]  # members of an array have one bar
    assert (both, other) == ((1.0, 2.0, 1), (2.0, 3.0, 2))
    assert short[0] == 1.5 and short[2] == 4
    assert short[1] > 1.5, "can be seen"


def test_seconds_and_hours_where_minutes_do_not_suit() -> None:
    assert schedule.draw([span(0, seconds=2)]).axes[0].get_xlabel().startswith("seconds since")
    assert schedule.draw([span(0, seconds=9e4)]).axes[0].get_xlabel().startswith("hours since")


def test_a_stage_has_its_colour_whatever_else_is_there() -> None:
    for shown in ([span(0)], [span(0), span(1, stage="tokenizer")]):
        (found,) = (one for one in schedule.draw(shown).axes[0].collections
                    if one.get_label() == "lifter")  # fmt: skip
        colour = found.get_facecolor()[0]  # type: ignore[index]
        assert to_hex(colour) == COLOURS[list(PIPELINE).index("lifter")]


@pytest.mark.parametrize("hosts", [1, 4, 16])
def test_nothing_that_is_written_stands_on_other_writing(hosts: int) -> None:
    names = [f"ip-10-0-12-{host}.us-west-2.compute.internal" for host in range(hosts)]
    shown = [
        span(host + place, name, stage, pid=100_000 + worker)
        for host, name in enumerate(names)
        for worker in range(16 // hosts)
        for place, stage in enumerate(PIPELINE)
    ]
    boxes = texts(schedule.draw(sorted(shown), earlier=1200))
    overlapping = [(one, other) for one, other in pairs(boxes) if one.overlaps(other)]
    assert overlapping == []


def pairs(boxes: Sequence[Bbox]) -> list[tuple[Bbox, Bbox]]:
    return [(one, other) for place, one in enumerate(boxes) for other in boxes[:place]]


def test_a_store_s_jobs_are_drawn_and_what_was_reused_is_told(tmp_path: Path) -> None:
    """From artifacts; one is of before the time was written down."""
    store = ArtifactStore(tmp_path / "store")
    store.prepare()
    told = {"host": "alpha", "pid": 7, "device": "cpu", "seconds": 2.0, "array_seconds": 6.0}
    began = {"tokenizer": NOON - timedelta(days=1), "prior": NOON, "lifter": NOON}
    chain = jobs(PipelineConfig(), "d")
    for stage in (*began, "evaluate"):
        when = {"started_at": began[stage].isoformat()} if stage in began else {}
        with store.claim(chain[stage]) as work:
            store.publish(chain[stage], work, {}, told | when)
    artifacts = list(store.artifacts())
    assert [(one.stage, one.seconds) for one in spans(artifacts)] == [
        ("tokenizer", 6.0),
        ("lifter", 6.0),
        ("prior", 6.0),
    ]
    described, files = write_schedule(artifacts, tmp_path / "one")
    assert described is not None
    assert [path.name for path in files] == ["one_schedule.svg", "one_schedule.png"]
    text = files[0].read_text()
    assert "alpha, cpu: 2 jobs" in text
    assert "without 1 job from before a pause of over 10 minutes" in text
    before = [path.read_bytes() for path in files]
    assert before == [path.read_bytes() for path in write_schedule(artifacts, tmp_path / "one")[1]]
    assert write_schedule([], tmp_path / "none") == (None, [])
    assert not (tmp_path / "none").exists()
