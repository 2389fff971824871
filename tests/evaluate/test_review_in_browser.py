"""``flr review`` in a real browser: the cut dragged, two tabs, the server killed: ``make evaluate``."""

from __future__ import annotations

import io
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from benchmarks.large_liver import large_case
from flr_volumetry.app.case import read_case
from flr_volumetry.app.run import run_case
from flr_volumetry.app.sample import sample_case

pytestmark = pytest.mark.evaluate
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
SIZE = {"width": 1280, "height": 800}
LONG = 90_000
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
CACHE = Path("build") / "bench"
MOST_MS = {"plane": 100, "patch": 200}
"""Median from the mouse to the number; the browser draws by software on the same cores."""


class Server:
    """``flr review`` in a process of its own."""

    def __init__(self, case, folder, port=0):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flr_volumetry", "review", str(case), "--out", str(folder)]
            + ["--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.address = self.process.stdout.readline().strip()
        assert self.address, self.process.stderr.read()

    @property
    def port(self):
        return int(self.address.split(":")[2].split("/")[0])

    def kill(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def serve():
    """Start servers; all are killed at the end."""
    running = []

    def start(case, folder, **more):
        running.append(Server(case, folder, **more))
        return running[-1]

    yield start
    for server in running:
        server.kill()


@pytest.fixture(scope="module")
def browser():
    """Chromium, drawing by software."""
    with playwright.sync_playwright() as play:
        made = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield made
        made.close()


@pytest.fixture
def tab(browser):
    """Open pages that share a browser's cookies, and note what they say and ask for."""
    context = browser.new_context(viewport=SIZE)
    context.said, context.asked = [], []

    def open_page(server):
        page = context.new_page()
        page.on("console", lambda message: context.said.append(message.text))
        page.on("pageerror", lambda error: context.said.append(str(error)))
        page.on("request", lambda request: context.asked.append(request.url))
        page.goto(server.address)
        page.wait_for_selector("#page[data-ready=yes]", timeout=LONG)
        answered(page)
        return page

    open_page.context = context
    yield open_page
    context.close()


def until(page, expression):
    """Wait until something is so; the page's policy lets no string be run, so it is asked from outside."""
    for _ in range(LONG // 50):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never so: {expression}; said: {page.context.said}")


def answered(page, what="margins"):
    """Wait until the last plan that was sent has its numbers, and is kept."""
    until(
        page,
        f"flrReview.stats.{what} === flrReview.live.number && !flrReview.live.waiting "
        "&& flrReview.live.number > 0",
    )
    page.evaluate("flrReview.saving")


def new_plane(page):
    """Begin an empty plan and put a plane into it."""
    page.click("#new")
    until(page, "!flrReview.plan.stages.length")
    page.click("#add >> text=+ Plane")
    page.evaluate("flrReview.saving")
    answered(page)


def grip_at(page, pane="axial"):
    """Where on the page the square grip of a slice is."""
    box = page.locator(f"#slice-{pane}").bounding_box()
    number = ["axial", "coronal", "sagittal"].index(pane)
    x, y = page.evaluate(
        f"(() => {{ const p = flrReview.slices.panes[{number}]; p.draw();"
        " const h = p.handles.find((h) => h.kind === 'move' && h.x !== undefined);"
        " return [h.x / p.view.ratio, h.y / p.view.ratio]; })()"
    )
    return box["x"] + x, box["y"] + y


def drag(page, start, by, steps=25, pause_ms=20):
    """Drag with the mouse, as a hand does."""
    x, y = start
    page.mouse.move(x, y)
    page.mouse.down()
    for n in range(1, steps + 1):
        page.mouse.move(x + by[0] * n / steps, y + by[1] * n / steps)
        page.wait_for_timeout(pause_ms)
    page.mouse.up()
    answered(page)


def counted(page):
    """What the page counted last."""
    return json.loads(page.evaluate("JSON.stringify(flrReview.stats.counted)"))


def saved_case(page, folder):
    """The case file of the plan that is open."""
    return folder / "plans" / f"{page.evaluate('flrReview.current')}.toml"


def same_as_run(page, case_file):
    """Whether what the page shows is what a run on the saved plan counts."""
    run = run_case(read_case(case_file)).summary
    found, volumes = counted(page), run.volumes
    for name in ("remnant_ml", "remnant_functional_ml", "resected_ml", "ablated_ml"):
        assert found[name] == pytest.approx(getattr(volumes, name), abs=1e-6)
    assert page.inner_text("#remnant") == f"{volumes.remnant_functional_ml:.0f} mL"
    shown = page.evaluate("JSON.stringify(flrReview.stats.lesions)")
    for row, lesion in zip(json.loads(shown), volumes.lesions, strict=True):
        assert row["margin_mm"] == pytest.approx(lesion.margin_mm, abs=0.05)
    return run


@needs_browser
def test_dragging_the_plane_changes_the_numbers_to_those_of_a_run(serve, tab, tmp_path):
    """In slices, by slider and by keys; drawn, silent, nothing asked for outside; undone and redone."""
    server = serve(sample_case(), tmp_path / "review")
    page = tab(server)
    new_plane(page)
    before = counted(page)["remnant_ml"]

    drag(page, grip_at(page), (45, 6))
    dragged = counted(page)["remnant_ml"]
    drag(page, grip_at(page, "coronal"), (-10, 0))
    page.locator("#tilt-b").focus()
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(800)
    page.locator("#slice-axial").focus()
    page.keyboard.press("]")
    page.wait_for_timeout(800)
    answered(page)
    after = counted(page)["remnant_ml"]

    assert abs(dragged - before) > 50
    assert abs(after - dragged) > 5
    run = same_as_run(page, saved_case(page, tmp_path / "review"))
    answered(page, "settled")
    settled = json.loads(page.evaluate("JSON.stringify(flrReview.stats.facts)"))
    interval = run.assessment.volume_intervals["remnant_functional_ml"]
    assert settled["intervals"]["remnant_functional_ml"] == pytest.approx(interval)
    states = {f.rule.id: f.state.value for f in run.assessment.findings}
    assert {f["rule"]: f["state"] for f in settled["findings"]}.items() <= states.items()
    for _ in range(4):
        page.click("#undo")
    answered(page)
    assert counted(page)["remnant_ml"] == pytest.approx(before)
    for _ in range(4):
        page.click("#redo")
    answered(page)
    assert counted(page)["remnant_ml"] == pytest.approx(after)
    page.wait_for_timeout(1500)
    solid, flat = (_pixels(page.locator(at)) for at in ("#solid", "#slice-axial"))
    assert (np.ptp(solid, axis=2) > 40).mean() > 0.03
    assert (np.ptp(flat, axis=2) > 40).mean() > 0.1
    assert tab.context.said == []
    own = server.address.split("?")[0]
    assert [u for u in tab.context.asked if not u.startswith((own, "data:", "blob:"))] == []
    assert page.url == own


@needs_browser
def test_a_bent_surface_is_what_a_run_cuts(serve, tab, tmp_path):
    """Bent by a grip in 3D, by its line in a slice, and by keys."""
    server = serve(sample_case(), tmp_path / "review")
    page = tab(server)
    new_plane(page)
    flat = counted(page)["remnant_ml"]
    page.click("#bend")
    answered(page)
    assert counted(page)["remnant_ml"] == pytest.approx(flat)
    until(page, "document.querySelectorAll('#solid-grips g.bend').length === 16")

    box = page.locator("#solid").bounding_box()
    x, y = page.evaluate(
        "(() => { const g = [...document.querySelectorAll('#solid-grips g.bend')]"
        ".find((g) => g.grip.ij.join() === '2,1'); const c = g.children[1];"
        " return [Number(c.getAttribute('cx')), Number(c.getAttribute('cy'))]; })()"
    )
    drag(page, (box["x"] + x, box["y"] + y), (25, 0))
    by_grip = counted(page)["remnant_ml"]
    page.locator("#point-1-1").focus()
    for _ in range(6):
        page.keyboard.press("+")
    page.wait_for_timeout(800)
    answered(page)

    assert abs(by_grip - flat) > 5
    assert counted(page)["remnant_ml"] != pytest.approx(by_grip, abs=1)
    same_as_run(page, saved_case(page, tmp_path / "review"))
    assert tab.context.said == []


@needs_browser
def test_two_tabs_show_the_same_and_the_last_to_write_wins(serve, tab, tmp_path):
    """What one changes the other shows; revisions go up, and both end with the same plan."""
    server = serve(sample_case(), tmp_path / "review")
    one = tab(server)
    new_plane(one)
    key = one.evaluate("flrReview.current")
    two = tab(server)
    two.click(f"[data-key='{key}.open']")
    answered(two)

    drag(one, grip_at(one), (30, 0))
    until(two, f"flrReview.known.get('{key}').revision >= 3")
    answered(two)
    assert counted(two)["remnant_ml"] == pytest.approx(counted(one)["remnant_ml"])
    drag(two, grip_at(two), (-50, 0))
    until(one, f"flrReview.known.get('{key}').revision >= 4")
    answered(one)

    assert counted(one)["remnant_ml"] == pytest.approx(counted(two)["remnant_ml"])
    same_as_run(one, saved_case(one, tmp_path / "review"))


@needs_browser
def test_a_killed_server_loses_nothing_and_the_page_comes_back(serve, tab, tmp_path):
    """Killed without warning and started again: every plan is there; its report is made from the page."""
    folder = tmp_path / "review"
    server = serve(sample_case(), folder)
    page = tab(server)
    new_plane(page)
    drag(page, grip_at(page), (40, 0))
    numbers, case_file = counted(page), saved_case(page, folder)
    server.kill()

    page = tab(serve(sample_case(), folder))

    plans = json.loads(page.evaluate("JSON.stringify([...flrReview.known.values()])"))
    assert [p["name"] for p in plans] == ["As in the case file", "Plan"]
    assert saved_case(page, folder) == case_file
    answered(page)
    assert counted(page)["remnant_ml"] == numbers["remnant_ml"]
    same_as_run(page, case_file)
    page.click("#report")
    page.wait_for_selector("a:has-text('open report')", timeout=LONG)
    with page.context.expect_page() as opened:
        page.click("a:has-text('open report')")
    report = opened.value
    report.wait_for_selector("#viewer-box[data-ready=yes]", timeout=LONG)
    assert f"{numbers['remnant_functional_ml']:.0f} mL" in report.inner_text("#answer")


@needs_browser
def test_numbers_follow_the_hand_on_a_large_liver(serve, tab, tmp_path):
    """512 x 512 x 400, ten lesions: from the movement of the mouse to the numbers on the page."""
    page = tab(serve(large_case(CACHE), tmp_path / "review"))
    new_plane(page)
    for name, most_ms in MOST_MS.items():
        if name == "patch":
            page.click("#bend")
            answered(page)
        page.evaluate("flrReview.latency.volumes.length = flrReview.latency.margins.length = 0")
        drag(page, grip_at(page), (40, 0), steps=60, pause_ms=30)
        drag(page, grip_at(page), (-40, 0), steps=60, pause_ms=30)
        for what in ("volumes", "margins"):
            ms = page.evaluate(f"flrReview.latency.{what}")
            p95 = float(np.percentile(ms, 95))
            middle = statistics.median(ms)
            print(f"{name}, {what}: median {middle:.0f} ms, p95 {p95:.0f} ms, {len(ms)} times")
        assert statistics.median(page.evaluate("flrReview.latency.volumes")) < most_ms
    same_as_run(page, saved_case(page, tmp_path / "review"))


def _pixels(element):
    return np.asarray(Picture.open(io.BytesIO(element.screenshot(timeout=LONG))).convert("RGB"))
