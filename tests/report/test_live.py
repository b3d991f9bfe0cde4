"""What a person is told while a run goes on."""

import io

import pytest
from rich.console import Console
from rich.text import Text

from hipart.config import PipelineConfig, PriorConfig
from hipart.jobs import jobs
from hipart.report.live import LiveView, PlainView, Progress, duration
from hipart.scheduling.events import (
    Event,
    JobFailed,
    JobFinished,
    JobProgress,
    JobReused,
    JobStarted,
    JobWaiting,
)

CHAIN = list(jobs(PipelineConfig(), "d").values())
TOKENIZER, PRIOR, DENSIFY, LIFTER, EVALUATE = CHAIN
STORY: list[Event] = [
    JobReused(TOKENIZER),
    JobWaiting(PRIOR),
    JobWaiting(DENSIFY),
    JobWaiting(LIFTER),
    JobStarted(PRIOR, "worker 0"),
    JobProgress(PRIOR, 10, 100, {"loss": 2.5}),
]


def told(story: list[Event], expected_s: float | None = 10.0) -> Progress:
    progress = Progress(lambda _: expected_s, workers=1)
    for event in story:
        progress.hear(event)
    return progress


def test_counts_jobs_by_where_they_stand() -> None:
    summary = told([*STORY, JobFailed(LIFTER, "why")]).summary()
    assert summary.startswith("1 waiting · 1 running · 1 reused · 0 done · 1 failed")


def test_time_left_is_what_is_waiting_and_the_rest_of_what_runs() -> None:
    progress = told(STORY)
    left = progress.left_s()
    assert left == pytest.approx(30, abs=1)
    assert "about 30 s left" in progress.summary()


def test_time_left_follows_what_this_run_measured() -> None:
    story = [*STORY, JobFinished(PRIOR, {}, 4.0), JobWaiting(EVALUATE)]
    again = JobWaiting(jobs(PipelineConfig(), "other")["prior"])
    progress = told([*story, again])
    assert progress.left_s() == pytest.approx(10 + 10 + 10 + 4, abs=0.5)


def test_an_unknown_cost_is_said_to_be_unknown() -> None:
    assert "time left unknown" in told(STORY, expected_s=None).summary()


def test_a_jobs_own_pace_tells_its_end() -> None:
    now = 1000.0
    progress = Progress(lambda _: 10.0, workers=1, clock=lambda: now)
    progress.hear(JobWaiting(PRIOR))
    progress.hear(JobStarted(PRIOR, "w"))
    for step in (10, 20, 30):
        now += 1.0
        progress.hear(JobProgress(PRIOR, step, 100, {}))
    assert progress.left_s() == pytest.approx(7.0)


def test_plain_lines_have_no_control_characters() -> None:
    out = io.StringIO()
    console = Console(file=out, width=60)
    with PlainView(console, Progress(lambda _: 1.0, 1)) as view:
        for event in [
            *STORY,
            JobFinished(PRIOR, {}, 65.0),
            JobFailed(DENSIFY, "ValueError: [brackets] stay"),
        ]:
            view(event)
    text = out.getvalue()
    assert "\x1b" not in text
    assert f"prior {PRIOR.key[:8]} step 10/100 loss 2.5" in text
    assert "done in 1 min 05 s" in text
    assert "FAILED: ValueError: [brackets] stay" in text


def test_the_live_view_shows_running_jobs_and_finished_rows() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    rows = iter(["no rows yet", "one row"])
    view = LiveView(console, Progress(lambda _: 1.0, 1), lambda: Text(next(rows)))
    with view:
        for event in [*STORY, JobFinished(EVALUATE, {}, 1.0)]:
            view(event)
        with console.capture() as capture:
            console.print(view._draw())
    drawn = capture.get()
    for part in ("one row", f"prior {PRIOR.key[:8]}", "worker 0", "10/100", "2.5", "1 reused"):
        assert part in drawn


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (3605, "1 h 00 min"), (9000, "2 h 30 min")],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_members_of_an_array_share_the_time_that_it_takes() -> None:
    twin = jobs(PipelineConfig(prior=PriorConfig(seed=1)), "d")["prior"]
    story: list[Event] = [JobStarted(job, "worker 0", 2) for job in (PRIOR, twin)]
    progress = told([JobWaiting(PRIOR), JobWaiting(twin), *story], expected_s=10.0)
    assert progress.left_s() == pytest.approx(20, abs=0.5)
    for running in progress.running.values():
        running.started -= 8.0
    assert progress.left_s() == pytest.approx(12, abs=0.5)
