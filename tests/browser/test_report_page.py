"""The report page as a person sees it: two pages, one as small runs leave it and a large one."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from safetensors.numpy import save_file

from benchmarks.made_up import finish, one_at_a_time, steps
from hipart.jobs import StageJob
from hipart.pages import write_report
from hipart.pipeline import PIPELINE
from hipart.reporting import session_table
from hipart.runtime import Runtime
from hipart.session import open_session
from hipart.store import ArtifactStore

pytestmark = pytest.mark.slow

SAMPLES = 12
LABELS = np.zeros(SAMPLES, dtype=np.int64)
#: Rows of a history as trainings leave them.
ROWS = 100


def made_up_report(folder: Path, levels: int) -> Path:
    """The page of an experiment with so many arms besides the base, on made-up numbers."""
    (folder / "made_up.yaml").write_text(
        one_at_a_time({"lifter.learning_rate": steps(0.01, 0.02, levels)})
    )
    runtime = Runtime(folder, results=folder / "results")
    session = open_session(str(folder / "made_up.yaml"), "laptop", None, runtime)

    def numbers(job: StageJob) -> dict[str, float]:
        chance = np.random.default_rng(int(job.key, 16))
        return {metric.name: chance.normal(50, 5) for metric in PIPELINE[job.stage].metrics}

    def beside(job: StageJob, place: Path) -> None:
        chance = np.random.default_rng(int(job.key, 16))
        if job.stage == "evaluate":
            poses = chance.normal(0, 0.3, (3, SAMPLES, 17, 3)).astype(np.float32)
            dense = chance.normal(0, 0.3, (SAMPLES, 48 + 96, 2)).astype(np.float32)
            examples = {
                "input": np.concatenate([poses[0, :, :, :2], dense], axis=1),
                "hidden": chance.random((SAMPLES, 17)) < 0.1,
                "lifted": poses[1],
                "target": poses[2],
            }
            save_file(examples, place / "examples.safetensors")
            save_file({"action": LABELS, "clip": LABELS}, place / "errors.safetensors")
        elif job.stage in ("tokenizer", "prior", "lifter"):
            rows = [{"step": step, "loss": 1 + 9 / step} for step in range(1, ROWS + 1)]
            (place / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    finish(runtime.store, session.distinct.values(), numbers, beside)
    assert ArtifactStore(runtime.store).held(session.distinct.values())
    return write_report(session, session_table(session, {"trained": 0, "reused": 0}))


@dataclass
class Opened:
    """A page with what it said and asked for."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up_report(tmp_path_factory.mktemp("report"), levels=4)


@pytest.fixture(params=[(1200, "light"), (360, "dark")], ids=["wide light", "narrow dark"])
def opened(request: pytest.FixtureRequest, browser: Browser, report: Path) -> Iterator[Opened]:
    width, scheme = request.param
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    found = Opened(page)
    page.on("console", lambda message: found.said.append(message.text))
    page.on("pageerror", lambda error: found.said.append(str(error)))
    page.on("request", lambda asked: found.asked.append(asked.url))
    page.goto(report.as_uri())
    yield found
    page.close()


def see_all(page: Page) -> None:
    """Scroll past every chart, until all are drawn."""
    for chart in page.query_selector_all(".chart"):
        chart.scroll_into_view_if_needed()
    page.wait_for_function("[...document.querySelectorAll('.chart')].every(c => c.dataset.drawn)")


def test_every_chart_is_drawn_and_nothing_is_asked_for_or_wrong(opened: Opened) -> None:
    see_all(opened.page)
    marks = opened.page.evaluate(
        "[...document.querySelectorAll('.chart')].map(c => c.querySelectorAll('path').length)"
    )
    assert len(marks) == 9  # four of results, three of losses, codebooks, sharing
    assert min(marks) > 5
    assert opened.said == []
    assert [url for url in opened.asked if not url.startswith(("file:", "data:"))] == []
    assert sum(url.startswith("file:") for url in opened.asked) == 1


def test_the_page_stays_where_it_is_while_charts_are_drawn(opened: Opened) -> None:
    page = opened.page
    empty = page.evaluate(
        "[...document.querySelectorAll('.chart')].map(c => parseInt(c.style.minHeight))"
    )
    see_all(page)
    drawn = page.evaluate("[...document.querySelectorAll('.chart')].map(c => c.offsetHeight)")
    moved = [now - before for now, before in zip(drawn, empty, strict=True)]
    assert min(moved) >= 0 and max(moved) <= 30, moved


def test_it_fits_and_is_accessible(opened: Opened) -> None:
    see_all(opened.page)
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.click("summary")
    faults = [
        (one["impact"], one["id"], one["nodes"][0]["html"])
        for one in Axe().run(page).response["violations"]
    ]
    assert [fault for fault in faults if fault[0] in ("serious", "critical")] == []


def column(page: Page, place: int) -> list[str]:
    return page.locator(f"#table tbody tr > :nth-child({place})").all_inner_texts()


def test_a_heading_sorts_up_down_and_back(opened: Opened) -> None:
    page = opened.page
    headings = page.locator("#table thead th").all_inner_texts()
    place = next(at for at, text in enumerate(headings, 1) if text.startswith("MPJPE"))
    button = page.locator(f"#table thead th:nth-child({place}) button")
    before = column(page, place)
    values = [float(text.split()[0]) for text in before]
    assert values != sorted(values)
    for key, expected in (("Enter", sorted(values)), (" ", sorted(values, reverse=True))):
        button.focus()
        page.keyboard.press(key)
        assert [float(text.split()[0]) for text in column(page, place)] == expected
    assert page.get_attribute(f"#table thead th:nth-child({place})", "aria-sort") == "descending"
    button.click()
    assert column(page, place) == before


def picture(page: Page, name: str) -> Any:
    return page.evaluate(f"document.getElementById('{name}').toDataURL()")


def test_a_pose_can_be_turned_by_mouse_and_keys_and_another_chosen(opened: Opened) -> None:
    page = opened.page
    see_all(page)  # what is drawn later may move what the mouse is over
    canvas = page.locator("#pose-lifted")
    canvas.scroll_into_view_if_needed()
    seen = [picture(page, "pose-lifted")]
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 90, steps=5)
    page.mouse.up()
    seen.append(picture(page, "pose-lifted"))
    canvas.focus()
    page.keyboard.press("ArrowLeft")
    seen.append(picture(page, "pose-lifted"))
    page.click("button[name=reset]")
    assert picture(page, "pose-lifted") == seen[0]
    page.select_option("select[name=arm]", index=1)
    seen.append(picture(page, "pose-lifted"))
    page.uncheck("input[name=truth]")
    seen.append(picture(page, "pose-lifted"))
    assert len(set(seen)) == len(seen)
    before = picture(page, "pose-input")
    page.uncheck("input[name=fine]")
    assert picture(page, "pose-input") != before
    assert "mm from the truth" in page.inner_text("#pose-error")


def test_one_of_200_arms_and_5_seeds_is_small_and_opens_at_once(
    browser: Browser, tmp_path: Path
) -> None:
    report = made_up_report(tmp_path, levels=199)
    assert report.stat().st_size < 5_000_000
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    start = time.perf_counter()
    page.goto(report.as_uri())
    page.locator("#table tbody tr").first.wait_for()
    took = time.perf_counter() - start
    assert page.locator("#table tbody tr").count() == 200
    see_all(page)
    page.close()
    assert took < 3
