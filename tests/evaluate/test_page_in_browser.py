"""report.html in a real browser: really drawn, silent, and asking for nothing: ``make evaluate``."""

from __future__ import annotations

import io
import shutil
import time

import numpy as np
import pytest
from PIL import Image as Picture

from flr_volumetry.app.case import read_case
from flr_volumetry.app.run import run_case
from flr_volumetry.app.sample import sample_case
from flr_volumetry.app.write import write_outcome

pytestmark = pytest.mark.evaluate
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
SIZES = {"desktop": (1280, 900), "tablet": (820, 1180), "phone": (390, 844)}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The page of the sample patient."""
    return write_outcome(run_case(read_case(sample_case())), tmp_path_factory.mktemp("sample") / "out")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("size", SIZES)
def test_the_view_is_drawn_and_asks_for_nothing(report, size):
    """Both canvases show something, nothing is logged, no address is asked for, a click tells where it is."""
    width, height = SIZES[size]
    said, asked = [], []
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        began = time.perf_counter()
        page.goto(report.as_uri())
        page.wait_for_selector("#viewer-box[data-ready=yes]", timeout=120_000)
        seconds = time.perf_counter() - began
        painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000")
        across = page.evaluate("document.documentElement.scrollWidth")
        page.wait_for_timeout(1000)
        solid = _pixels(page.locator("#viewer-3d"))
        flat = _pixels(page.locator("#viewer-2d"))
        page.locator("#viewer-2d").click(position={"x": 90, "y": 190})
        page.wait_for_timeout(500)
        where = page.inner_text("#viewer-at")
        page.locator("#viewer-list input[type=checkbox]").nth(1).uncheck()
        page.wait_for_timeout(1000)
        without = _pixels(page.locator("#viewer-3d"))
        browser.close()

    megabytes = report.stat().st_size / 1e6
    print(f"{size}: read after {painted:.1f} s, 3D ready after {seconds:.1f} s, {megabytes:.1f} MB")
    assert said == []
    assert painted < 3
    assert across == width
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert (np.ptp(solid, axis=2) > 40).mean() > 0.03
    assert 0.05 < (flat.mean(axis=2) > 60).mean() < 0.9
    assert "mm (LPS)" in where
    assert (np.abs(solid.astype(int) - without).max(axis=2) > 30).mean() > 0.03


def _pixels(element):
    return np.asarray(Picture.open(io.BytesIO(element.screenshot(timeout=120_000))).convert("RGB"))
