"""report.pdf: read back with another library, its numbers are those of report.json."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from pypdf import PdfReader

from flr_volumetry.errors import Caveat, OutputError
from flr_volumetry.report import figures, pdf_bytes, report_json, wording
from flr_volumetry.report.pdf import report_content, typeset
from tests.report.cases import make_case

A4_PT = (595.276, 841.89)


def read(data: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(data))


def text_of(data: bytes) -> str:
    """All words, with single spaces."""
    return " ".join(" ".join(page.extract_text() for page in read(data).pages).split())


@pytest.fixture(scope="module")
def summary():
    return make_case("axial")[2]


@pytest.fixture(scope="module")
def pictures():
    return figures(*make_case("axial"))


@pytest.fixture(scope="module")
def pdf(summary, pictures):
    return pdf_bytes(summary, pictures)


@pytest.fixture(scope="module")
def text(pdf):
    return text_of(pdf)


def test_it_has_two_to_four_a4_pages(pdf):
    pages = read(pdf).pages
    assert 2 <= len(pages) <= 4
    for page in pages:
        assert (float(page.mediabox.width), float(page.mediabox.height)) == pytest.approx(A4_PT, abs=0.1)


def test_the_first_page_holds_the_answer(pdf, summary):
    """Remnant in mL and %, the interval, each protocol's worst rule with what is missing, the next step."""
    first = " ".join(read(pdf).pages[0].extract_text().split())
    document = report_json(summary)
    main = document["indices"]["flr"]
    assert f"{document['volumes']['remnant_functional_ml']:.0f} mL" in first
    assert f"{100 * main['value']:.1f} %" in first
    assert f"{100 * main['interval'][0]:.1f} to {100 * main['interval'][1]:.1f} %" in first
    worst = min(
        (f for f in document["findings"] if f["margin_ml"] is not None), key=lambda f: f["margin_points"]
    )
    assert f"{worst['rule']}, " in first
    assert wording.STATES[next(s for s in wording.STATES if s.value == worst["state"])].words in first
    assert f"{abs(worst['margin_ml']):.1f} mL {'missing' if worst['margin_ml'] < 0 else 'to spare'}" in first
    assert "What next" in first
    assert f"{len(document['caveats'])} caveats: read before using these numbers." in first


def test_the_numbers_are_those_of_report_json(text, summary):
    """Volumes, ratios, segments, lesions, stages, findings with their sources, caveats, provenance."""
    document = report_json(summary)
    expected = [
        f"{v:.1f} mL"
        for k, v in document["volumes"].items()
        if k.startswith(("rem", "tot", "fun")) and isinstance(v, float)
    ]
    for index in document["indices"].values():
        expected.append(wording.quantity(index["value"], index["unit"]))
    for segment in document["segments"]:
        expected += [f"{segment['ml']:.1f} mL", f"{segment['remnant_ml']:.1f} mL"]
    for lesion in document["lesions"]:
        expected += [f"{lesion['ml']:.1f} mL", f"{lesion['longest_diameter_mm']:.1f} mm"]
        expected += [f"{lesion['margin_mm']:.1f} mm", f"in stage {lesion['cleared_in_stage']}"]
    for stage in document["stages"]:
        expected += [f"{stage['resected_ml']:.1f} mL", f"{stage['remnant_functional_ml']:.1f} mL"]
    for finding in document["findings"]:
        expected.append(finding["rule"])
        if finding["margin_ml"] is not None:
            expected += [f"{abs(finding['margin_ml']):.1f} mL", f"{finding['margin_points']:+.1f}"[:4]]
            expected += [finding["source"], f"{finding['evidence']}:"]
    expected += [c["code"] for c in document["caveats"]] + [c["message"] for c in document["caveats"]]
    expected += document["methods"]
    expected += [i["sha256"] for i in document["provenance"]["inputs"]]
    expected.append(document["provenance"]["case_sha256"])
    missing = [words for words in expected if words not in text]
    assert missing == []


def test_no_amount_stands_in_it_that_the_document_does_not_hold(summary):
    """Each number of mL, beside the figures, is one of report.json, rounded."""
    plain = text_of(pdf_bytes(summary))
    known = {f"{abs(v):.1f}" for v in _numbers(report_json(summary))}
    known |= {f"{abs(v):.0f}" for v in _numbers(report_json(summary))}
    removed = {f"{s['ml'] - s['remnant_ml']:.1f}" for s in report_json(summary)["segments"]}
    said = set(re.findall(r"(\d+(?:\.\d+)?) mL", plain))
    assert said - known - removed == set()
    assert len(said) > 20


def _numbers(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _numbers(part)
    elif isinstance(value, float):
        yield value


def test_fonts_are_embedded_and_the_pages_tagged(pdf):
    """PDF/A and PDF/UA are declared; structure, language and a text for each picture are there."""
    reader = read(pdf)
    root = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en"
    metadata = root["/Metadata"].get_data().decode()
    assert "pdfuaid:part>1<" in metadata
    assert "pdfaid:part>2<" in metadata
    for page in reader.pages:
        for font in page["/Resources"]["/Font"].values():
            below = font.get_object()["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object()
            assert {"/FontFile2", "/FontFile3"} & set(below)


def test_every_picture_has_a_description_and_its_words_are_text(text, pictures):
    """The charts are lines: their words can be found and copied."""
    shown = {"plan", "thresholds", "margin_map", "smallest_margin"}
    for figure in pictures:
        if figure.name in shown:
            assert f"{figure.title}." in text
            assert figure.alt
    assert "stays: remnant" in text


def test_the_same_case_gives_the_same_bytes(pdf, summary, pictures):
    assert pdf_bytes(summary, pictures) == pdf


def test_names_are_shown_as_they_are_in_any_script_and_never_as_markup(summary):
    """Cyrillic, Greek, Arabic, Hebrew and Han; Typst's and HTML's own signs mean nothing."""
    for name in (
        "Иванова",
        "Παπαδόπουλος",
        "محمد",
        "דוד",
        "山田太郎",
        '<script>#image("x")$*_`\\',
        "Łukasz Şahin",
    ):
        assert name in report_content(replace(summary, case_id=name))["title"]
        made = text_of(pdf_bytes(replace(summary, case_id=name)))
        letters = set(name) - {" "}
        assert letters <= set(made), name
    hidden = report_content(replace(summary, case_id="a\u202eb\x00c"))
    assert hidden["title"].endswith("a\ufffdb\ufffdc")


def test_a_case_without_anything_but_volumes_has_a_report(summary):
    """No index, no rule, no lesion, no segment: what is known is said, and nothing breaks."""
    volumes = replace(summary.volumes, lesions=(), segments=())
    bare = replace(
        summary,
        volumes=volumes,
        assessment=replace(summary.assessment, indices=(), findings=(), protocols=(), volume_intervals={}),
        caveats=(),
        methods=(),
        neighbours=(),
        provenance=replace(summary.provenance, inputs=(), libraries=()),
    )
    made = text_of(pdf_bytes(bare))
    assert wording.whole_ml(volumes.remnant_functional_ml) in made
    assert "No lesion was given." in made


def test_many_caveats_take_more_pages_and_are_all_there(summary):
    many = replace(summary, caveats=tuple(Caveat(f"c{n}", f"Doubt number {n}. " * 60) for n in range(60)))
    made = pdf_bytes(many)
    assert len(read(made).pages) > 4
    text = text_of(made)
    assert all(f"Doubt number {n}." in text for n in range(60))


def test_what_cannot_be_typeset_is_one_error(summary):
    content = report_content(summary)
    with pytest.raises(OutputError) as refused:
        typeset({**content, "made": [2026, 13, 1, 0, 0, 0]})
    assert refused.value.reason == "not_typeset"


def test_a_figure_is_the_same_as_svg_with_its_words_as_text(pictures):
    """Well-formed, without date or random names, its words found as text."""
    again = {f.name: f for f in figures(*make_case("axial"))}
    for figure in pictures:
        root = ET.fromstring(figure.svg)
        assert root.tag.endswith("svg")
        assert "<dc:date>" not in figure.svg
        assert again[figure.name].svg == figure.svg
    thresholds = next(f for f in pictures if f.name == "thresholds")
    words = " ".join(ET.fromstring(thresholds.svg).itertext())
    assert "FLR / functional liver volume (D8)" in words
