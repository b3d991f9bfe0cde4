"""Which machine did which job: from provenance alone."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from hipart.report.figures import schedule
from hipart.report.schedule import Span, describe, last_run

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def span(minute: float, host: str = "alpha", stage: str = "lifter", seconds: float = 60.0) -> Span:
    return Span(NOON + timedelta(minutes=minute), host, 7, "cpu", stage, seconds)


def test_a_long_pause_parts_runs() -> None:
    long = span(0, seconds=1500)  # twenty-five minutes, in which others are done
    early = [long, span(5), span(20)]
    late = [span(36), span(40)]
    assert last_run(early) == early
    assert last_run(early + late) == late
    assert last_run([]) == []


def test_jobs_are_counted_by_machine_and_an_array_works_once() -> None:
    rows = describe([span(0, stage="prior"), span(1), span(1), span(2, host="beta", stage="prior")])
    host, device, workers, priors, lifters, worked = (list(one.cells) for one in rows.columns)
    assert host == ["alpha", "beta"]
    assert device == ["cpu", "cpu"]
    assert workers == ["1", "1"]
    assert (priors, lifters) == (["1", "1"], ["2", "0"])
    assert worked == ["2 min 00 s", "1 min 00 s"]


def test_the_figure_has_a_line_for_each_worker(tmp_path: Path) -> None:
    shown = [span(0, stage="prior"), span(1), span(1.5, host="beta", seconds=9)]
    svg, png = schedule.write(shown, tmp_path, "one_schedule")
    text = svg.read_text()
    assert png.stat().st_size > 1000
    for what in ("alpha  7", "beta  7", "prior", "lifter", "seconds since 2026-01-01 12:00:00 UTC"):
        assert what in text
