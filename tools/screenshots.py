"""The pictures of docs/browse.md: MLflow's pages over a workspace, as Chromium shows them.

``python tools/screenshots.py WORKSPACE codebook_ablation`` after a run of that experiment and an
``export --register`` of its best model. Their size is always the same; look at each before it is
committed.
"""

import argparse
import io
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page, expect, sync_playwright

from hipart.runtime import Runtime
from hipart.tracking import serve

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
VIEWPORT = {"width": 1280, "height": 800}
#: What a person has chosen after a minute: the views for training, no chat, no announcements.
SETTLED = """
localStorage.setItem('mlflow.workflowType_v1', '"machine_learning"');
localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false');
localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');
"""
#: Where the workspace is, and the button of the chat, are nobody's business in a picture.
DISCREET = """
for (const one of document.querySelectorAll('div, span'))
  if (/^Path: *(file|mlflow-artifacts):/.test(one.textContent)) one.style.visibility = 'hidden';
for (const one of document.querySelectorAll('button'))
  if (one.textContent.trim() === 'MLflow Assistant') one.style.visibility = 'hidden';
"""
#: How long a page may take on a busy machine, and MLflow to start.
PATIENCE_MS, START_S = 60_000, 120


@contextmanager
def served(workspace: Path) -> Iterator[str]:
    """The address of MLflow's pages over a workspace, as ``hipart-search ui`` serves them."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = serve(Runtime(workspace), port)
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(10 * START_S):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, "MLflow ended"
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()


class Walk:
    """What a person does on MLflow's pages, one step after the other."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        page.add_init_script(SETTLED)

    def row(self, run: str) -> Locator:
        """The line of a run, in the list of runs."""
        link = self.page.get_by_role("link", name=run, exact=True)
        return self.page.locator(".ag-pinned-left-cols-container .ag-row, .ag-row", has=link).first

    def open_experiment(self, name: str) -> None:
        """From the list of experiments to the runs of one."""
        self._go("experiments")
        found = self.page.get_by_test_id("experiment-list-item-link")
        found.and_(self.page.get_by_text(name, exact=True)).click()
        expect(self.page.get_by_role("heading", name="Runs")).to_be_visible()

    def unfold(self, parent: str) -> None:
        """Show the trials beneath a parent."""
        self.row(parent).get_by_role("button").filter(has_not_text="Pin").first.click()

    def search(self, text: str) -> None:
        """Filter the runs; without a text all are shown."""
        box = self.page.get_by_role("combobox").first
        box.fill(text)
        box.press("Enter")
        self.page.get_by_role("heading", name="Runs").click()  # puts the suggestions away

    def compare(self, runs: Sequence[str]) -> None:
        """Mark runs and compare them: parallel coordinates first, then all that differs."""
        for run in runs:
            self.row(run).locator(".ag-selection-checkbox").click()
        self.page.get_by_role("button", name="Compare", exact=True).click()
        expect(self.page.get_by_text(f"Comparing {len(runs)} Runs").first).to_be_visible()
        expect(self.page.locator(".js-plotly-plot .parcoords").first).to_be_attached()

    def open_run(self, name: str) -> None:
        """From the list of runs to a run's page."""
        self.page.get_by_role("link", name=name, exact=True).first.click()
        expect(self.page.get_by_role("heading", name=name)).to_be_visible()

    def open_artifact(self, name: str) -> None:
        """From a run's page to one of its files."""
        self.page.get_by_role("tab", name="Artifacts").click()
        self.page.get_by_text(name, exact=True).first.click()

    def open_version(self, model: str, version: str) -> None:
        """A version of a registered model."""
        self._go(f"models/{model}/versions/{version}")
        expect(self.page.get_by_text(f"Version {version}").first).to_be_visible()

    def _go(self, place: str) -> None:
        """To an address, anew: what comes after # alone loads no page."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.address}/#/{place}")


def take(walk: Walk, experiment: str, scale: str, out: Path) -> None:
    """Every picture, in the order of the walk."""

    def picture(name: str) -> None:
        walk.page.wait_for_timeout(2000)  # charts come up one by one
        walk.page.evaluate(DISCREET)
        shot = Image.open(io.BytesIO(walk.page.screenshot()))
        shot.convert("RGB").quantize(128).save(out / f"browse-{name}.png", optimize=True)

    parent = f"{experiment} · {scale}"
    walk.open_experiment(experiment)
    walk.unfold(parent)
    picture("trials")
    trials = [link for link in walk.page.locator(".ag-row a").all_inner_texts() if ", seed" in link]
    walk.search("tags.arm = 'base'")
    picture("filter")
    walk.search("")
    walk.compare(trials)
    picture("parallel")
    walk.open_experiment(experiment)
    walk.compare([min(trials), next(one for one in trials if one[-1] == min(trials)[-1])])
    walk.page.get_by_text("Visualizations").click()  # away with them
    walk.page.get_by_text("Show diff only").first.click()
    picture("compare")
    walk.open_experiment(experiment)
    walk.open_run(parent)
    walk.page.get_by_text("Show more").click()
    picture("parent")
    for name, file in (("figure", f"{experiment}.png"), ("table", "arms.json")):
        walk.open_artifact(file)
        picture(name)
    walk.open_version(experiment, "1")
    picture("model")


def main() -> None:
    """Take all pictures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("workspace", type=Path)
    options.add_argument("experiment")
    options.add_argument("--scale", default="smoke")
    options.add_argument("--out", type=Path, default=Path("docs/images"))
    chosen = options.parse_args()
    if CHROMIUM is None:
        sys.exit("there is no Chromium here")
    chosen.out.mkdir(parents=True, exist_ok=True)
    with served(chosen.workspace) as address, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport=VIEWPORT, timezone_id="UTC", locale="en-GB")
        take(Walk(page, address), chosen.experiment, chosen.scale, chosen.out)
        browser.close()


if __name__ == "__main__":
    main()
