"""The page for those who do not see well, or use no mouse: contrast, keyboard, names for what is not text."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from flr_volumetry.report import render_html
from tests.report.cases import make_case

WORDS = ("ink", "quiet", "accent", "above", "borderline", "below", "open")
GROUNDS = ("ground", "panel")
ENOUGH = 4.5
"""WCAG 2.2, 1.4.3: contrast of text of ordinary size."""


def css():
    return files("flr_volumetry.report").joinpath("templates", "style.css").read_text(encoding="utf-8")


def palettes():
    """Colours by name of the page in daylight, in the dark and on paper."""
    blocks = re.findall(r":root\s*\{(.*?)\}", css(), re.DOTALL)
    found = [dict(re.findall(r"--([a-z-]+):\s*(#[0-9a-f]{3,6})", block)) for block in blocks]
    names = ("light", "dark", "paper")
    return {name: {**found[0], **own} for name, own in zip(names, found, strict=True)}


def light_of(colour):
    full = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
    shares = [int(full[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    dark, bright = sorted((light_of(one), light_of(other)))
    return (bright + 0.05) / (dark + 0.05)


def test_contrast_is_measured_as_wcag_has_it():
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=1e-3)


@pytest.mark.parametrize("name", ["light", "dark", "paper"])
def test_all_words_stand_out_from_their_ground(name):
    palette = palettes()[name]
    for word in WORDS:
        for ground in GROUNDS:
            assert contrast(palette[word], palette[ground]) >= ENOUGH, (word, ground)


def test_warnings_stand_out_in_daylight_and_in_the_dark():
    light, dark = palettes()["light"], palettes()["dark"]
    rule = r"\.flag, #caveats li \{ color: (#[0-9a-f]+); \} #caveats code \{ color: (#[0-9a-f]+)"
    inks = re.findall(rule, css())
    assert len(inks) == 2
    for ink in inks[0]:
        assert contrast(ink, dark["warn-ground"]) >= ENOUGH
    for ink in ("#4d3500", "#3d2b00", "#5c4400"):
        assert ink in css()
        assert contrast(ink, light["warn-ground"]) >= ENOUGH


class Tree(HTMLParser):
    """Which elements each table stands in, and every element with its attributes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tables, self.elements = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.elements.append((tag, attributes))
        if tag == "table":
            self.tables.append([a for _, a in self.open])
        if tag not in ("meta", "img", "br", "input", "link"):
            self.open.append((tag, attributes))

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass


@pytest.fixture(scope="module")
def tree():
    return Tree(render_html(make_case("axial")[2]))


def test_a_wide_table_can_be_moved_by_keyboard_and_never_widens_the_page(tree):
    assert len(tree.tables) > 10
    for around in tree.tables:
        box = around[-1]
        assert (box.get("class"), box.get("tabindex"), box.get("role")) == ("scroll", "0", "group")
        assert box["aria-label"].startswith("Table, ")


def test_the_first_thing_a_keyboard_reaches_skips_to_the_answer(tree):
    first = next(a for tag, a in tree.elements if tag == "a")
    assert (first["class"], first["href"]) == ("skip", "#answer")


def test_what_has_the_keyboard_is_outlined():
    for part in ("a", "button", "input", "canvas", ".scroll"):
        assert f"{part}:focus-visible" in css()


def test_headings_follow_each_other_without_a_gap(tree):
    levels = [int(tag[1]) for tag, _ in tree.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
