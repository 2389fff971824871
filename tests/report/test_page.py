"""report.html says what the summary says, alone, to anyone, and first things first."""

from __future__ import annotations

import base64
import itertools
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from flr_volumetry.anatomy import Structure
from flr_volumetry.assessment import assess
from flr_volumetry.assessment.model import CongestionFinding, State, VeinQuestion
from flr_volumetry.errors import Caveat
from flr_volumetry.report import (
    FigureKind,
    ReportFigure,
    render_html,
    report_json,
    report_schema,
    summary_text,
)
from flr_volumetry.report.canvas import Picture
from flr_volumetry.report.caveat_words import doubts_and_notes
from flr_volumetry.report.forecast_chart import forecast_chart
from flr_volumetry.report.page import SECTIONS
from flr_volumetry.resection import ResectionPlan, Stage, TerritoryResection
from flr_volumetry.volumetry.circulation import CutOff
from flr_volumetry.volumetry.consequences import EffectiveRemnant
from tests.report.cases import CUT_X_MM, make_case, with_lesion

VOID = {"meta", "img", "br", "link", "input", "hr"}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
PNG = b"\x89PNG\r\n\x1a\n not really"
PICTURE = Picture(PNG, "<svg/>")


class Page(HTMLParser):
    """The page as text by section, its elements, and its tables."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.text, self.tables, self.sections = [], [], "", [], {}
        self.section = None
        self.feed(html)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = attributes["id"]
            self.sections[self.section] = ""
        if tag == "table":
            self.tables.append((self.section, []))
        if tag == "tr":
            self.tables[-1][1].append([])
        if tag in {"td", "th"}:
            self.tables[-1][1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "section":
            self.section = None

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.text += data
        if self.section:
            self.sections[self.section] += data
        if self.open and {"td", "th"} & set(self.open):
            self.tables[-1][1][-1][-1] += data

    def rows(self, section):
        """All rows of all tables of a section, with single spaces."""
        return [
            [" ".join(cell.split()) for cell in row]
            for s, rows in self.tables
            if s == section
            for row in rows
        ]


def words_of(text):
    return " ".join(text.split())


@pytest.fixture(scope="module")
def summary():
    return make_case("axial")[2]


@pytest.fixture(scope="module")
def pictures():
    return tuple(
        ReportFigure(kind.value, kind, f"Title of {kind.value}", "A caption.", "What it shows.", PICTURE)
        for kind in FigureKind
    )


@pytest.fixture(scope="module")
def html(summary, pictures):
    return render_html(summary, pictures)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


@pytest.fixture(scope="module")
def validator():
    return Draft202012Validator(report_schema())


def test_the_answer_stands_at_the_top_with_interval_and_denominator(page, summary):
    """Remnant in mL, its share, the interval and what it is a share of, before anything else."""
    answer = words_of(page.sections["answer"])
    index = summary.assessment.indices[0]
    remnant = f"{summary.volumes.remnant_functional_ml:.0f} mL"
    share = f"{100 * index.value:.1f} %"

    low, high = (f"{v:.1f}" for v in summary.assessment.volume_intervals["remnant_functional_ml"])
    start = f"Answer Future liver remnant (FLR) after the whole plan {remnant}"
    assert answer.startswith(f"{start} 95 % interval {low} to {high} mL {share}")
    low, high = (f"{100 * v:.1f}" for v in index.interval)
    assert f"95 % interval {low} to {high} % of {index.denominator}" in answer
    for other in summary.assessment.indices[2:]:
        value = f"{100 * other.value:.{3 if other.value < 0.02 else 1}f} %"
        assert f"{other.title}: {value}" in answer
    assert "All 3 lesions are cleared; smallest margin 5.4 mm, at lesion 2." in answer
    assert "2 caveats: read before using these numbers." in answer


def test_each_evaluated_rule_stands_in_the_answer(page, summary):
    """What it asks for, the value with interval, the state in words, and the mL missing or to spare."""
    rows = {row[0].split()[0]: row for row in page.rows("answer") if len(row) == 5}
    met = [f for f in summary.assessment.findings if f.state is not State.NOT_EVALUABLE]

    assert len(met) == 6
    for finding in met:
        _, asked, value, state, missing = rows[finding.rule.id]
        sign = "more than" if finding.rule.strict else "at least"
        assert asked.startswith(f"{sign} {100 * finding.rule.threshold:g} % of {finding.rule.denominator}")
        decimals = 3 if finding.value < 0.02 else 1
        assert value.startswith(f"{100 * finding.value:.{decimals}f} %")
        low, high = (f"{100 * v:.{decimals}f}" for v in finding.interval)
        assert value.endswith(f"{low} to {high} %")
        assert {"clear_above": "clearly above", "borderline": "borderline", "clear_below": "clearly below"}[
            finding.state.value
        ] in state
        assert (
            missing == f"{abs(finding.margin_ml):.1f} mL {'missing' if finding.margin_ml < 0 else 'to spare'}"
        )
    assert "V2" not in rows


def test_states_are_told_apart_without_colour(html):
    """Each state has its own symbol and words, and the symbol is hidden from screen readers."""
    for symbol, said in (("▲", "clearly above"), ("◆", "borderline"), ("▼", "clearly below")):
        assert re.search(rf'aria-hidden="true">{symbol}</span>{said}', html)


def test_disagreement_is_said(page, summary):
    """The panel names the rules in each state of each protocol, deficits first."""
    answer = words_of(page.sections["answer"])

    assert "The rules do not agree" in answer
    assert "The 2014 review ▼clearly below V7, more than 40 % of FTLV: 22.6 %," in answer
    assert "◆borderline V1, V6" in answer
    assert "▲clearly above S1" in answer
    findings = summary.assessment.findings
    two = replace(summary, assessment=replace(summary.assessment, findings=(findings[0], findings[2])))
    assert "The rules do not agree" in Page(render_html(two)).text
    agreed = replace(summary, assessment=replace(summary.assessment, findings=findings[:2]))
    text = Page(render_html(agreed)).text
    assert "The rules do not agree" not in text
    assert words_of(text).count("no rule could be evaluated") == 1


def test_what_sources_say_is_evidence_not_an_order(page):
    """Deficits first, with source and the growth that would be needed."""
    answer = words_of(page.sections["answer"])

    assert "Evidence to weigh, not an order." in answer
    said = answer[answer.index("Evidence to weigh") :]
    assert said.index("clearly below") < said.index("borderline") < said.index("clearly above")
    assert (
        "consider portal vein embolization (V7, Azoulay et al., in the 2014 review [54], growth needed"
        in said
    )


def test_volumes_and_indices_are_those_of_the_summary(page, summary):
    """Each amount with its interval; each ratio with its denominator."""
    rows = page.rows("volumes")
    by_title = {row[0]: row for row in rows if row}

    volumes, intervals = summary.volumes, summary.assessment.volume_intervals
    for title, name in (
        ("Future liver remnant (FLR), lesions excluded", "remnant_functional_ml"),
        ("Remnant, lesions in it included", "remnant_ml"),
        ("Resected, lesions included", "resected_ml"),
        ("Ablated, lesions included", "ablated_ml"),
        ("Liver, lesions included (TLV)", "total_ml"),
        ("Lesions inside the liver (TV)", "tumour_ml"),
        ("Liver without lesions (FTLV)", "functional_ml"),
    ):
        low, high = intervals[name]
        assert by_title[title][1:] == [f"{getattr(volumes, name):.1f} mL", f"{low:.1f} to {high:.1f} mL"]
    for index in summary.assessment.indices:
        decimals = 3 if index.value < 0.02 else 1
        assert by_title[index.title][1] == f"{100 * index.value:.{decimals}f} %"
        assert by_title[index.title][3:] == [index.denominator, index.method]
    numerals = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")
    for segment, numeral in zip(volumes.segments, numerals, strict=True):
        share = segment.ml / volumes.total_ml
        gone = segment.ml - segment.remnant_ml
        assert by_title[numeral][1:] == [
            f"{segment.ml:.1f} mL",
            "",
            f"{100 * share:.1f} %",
            f"{segment.remnant_ml:.1f} mL",
            f"{gone:.1f} mL",
        ]


def test_stages_and_lesions_are_those_of_the_summary(page, summary):
    """Rows in order, with amounts and margins."""
    stages = page.rows("stages")[1:]
    for stage, row in zip(summary.volumes.stages, stages, strict=True):
        assert row == [
            f"{stage.number}. {stage.name}",
            stage.after,
            "; ".join(stage.resections),
            *(
                f"{v:.1f} mL"
                for v in (stage.resected_ml, stage.ablated_ml, stage.remnant_functional_ml, stage.remnant_ml)
            ),
        ]
    lesions = page.rows("lesions")[1 : 1 + len(summary.volumes.lesions)]
    for lesion, row in zip(summary.volumes.lesions, lesions, strict=True):
        assert row == [
            f"{lesion.number} ({lesion.name})",
            lesion.location,
            f"{lesion.ml:.1f} mL",
            f"{lesion.longest_diameter_mm:.1f} mm",
            f"{lesion.margin_mm:.1f} mm",
            f"yes, in stage {lesion.cleared_in_stage}",
        ]


def test_a_lesion_that_stays_is_shouted_at_the_top(summary):
    """However little of it stays, it is never rounded to nothing."""
    left = with_lesion(summary, 1, margin_mm=0.0, remaining_ml=0.0312, cleared_in_stage=0, closest_mm=None)
    page = Page(render_html(left))

    assert "1 of 3 lesions NOT CLEARED: 1 (0.03 mL stay)" in words_of(page.sections["answer"])
    assert "none: 0.03 mL of it stays" in words_of(page.sections["lesions"])
    assert "▼not cleared" in words_of(page.sections["lesions"])
    gone = Page(render_html(with_lesion(summary, 1, margin_mm=math.inf, closest_mm=None)))
    assert "no liver stays" in words_of(gone.sections["lesions"])


def test_findings_carry_source_evidence_and_reason(page, summary):
    """Evaluated ones in full, the others with why not."""
    findings = words_of(page.sections["findings"])

    for finding in summary.assessment.findings:
        assert finding.rule.citation.text in findings
        assert finding.rule.evidence.value in findings
    assert "GK-H: common practice, primary source not verified" in findings
    assert "made for cirrhosis; the patient's liver is given as chemotherapy" in findings
    assert all(sentence in findings for sentence in summary.assessment.conclusion)
    assert "(review-2014, version 1.0)" in findings


def test_caveats_methods_and_provenance_are_whole(page, summary):
    """Nothing that the steps said is left out; without caveats the page says so."""
    caveats = words_of(page.sections["caveats"])
    assert all(c.message in caveats and c.code in caveats for c in summary.caveats)
    methods = words_of(page.sections["methods"])
    assert all(sentence in methods for sentence in summary.methods)
    provenance = words_of(page.sections["provenance"])
    assert "flr_volumetry 0.1.0" in provenance
    assert "ef" * 32 in provenance
    assert ["image", "ct/", "CT, 70 slices, 2.000 x 2.000 x 3.000 mm", "ab" * 32] in page.rows("provenance")
    none = Page(render_html(replace(summary, caveats=())))
    assert "No step found anything doubtful in the volumes." in none.sections["caveats"]
    assert "read before using" not in none.text


def test_notes_on_vessels_are_whole_but_no_alarm(summary):
    """They are not counted among the caveats; where the plan cuts along territories, they are."""
    note = Caveat("vessel_gaps_bridged", "Twenty gaps were bridged.")
    noted = replace(summary, caveats=(*summary.caveats, note))
    cut = TerritoryResection(Structure.PORTAL_VEIN, (1,))
    along = replace(noted, plan=ResectionPlan((Stage("one", (cut,)),)), cut_areas=noted.cut_areas[:1])

    for shown, counted in ((noted, 2), (along, 3)):
        page = Page(render_html(shown))
        assert note.message in words_of(page.sections["caveats"])
        assert note.message in summary_text(shown).replace("\n  ", " ")
        assert f"{counted} caveats: read before" in words_of(page.sections["answer"])
    assert doubts_and_notes(noted) == (summary.caveats, (note,))
    assert doubts_and_notes(along) == ((*summary.caveats, note), ())


def test_sections_stand_in_their_order_and_caveats_before_detail(page):
    """The page follows the table of sections, and its links lead somewhere."""
    keys = [section.key for section in SECTIONS]

    assert list(page.sections) == keys
    assert keys[:3] == ["answer", "viewer", "caveats"]
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    links = [a["href"] for tag, a in page.elements if tag == "a"]
    assert set(links) >= {f"#{key}" for key in keys}
    assert all(link.startswith("#") and link[1:] in ids for link in links)


def test_hostile_names_are_shown_as_text(summary, pictures):
    """Whatever a file calls itself, no element comes of it."""
    volumes = replace(
        summary.volumes,
        lesions=tuple(replace(x, name=HOSTILE, location=HOSTILE) for x in summary.volumes.lesions),
        stages=tuple(
            replace(s, name=HOSTILE, after=HOSTILE, resections=(HOSTILE,)) for s in summary.volumes.stages
        ),
    )
    rule = replace(
        summary.assessment.findings[0].rule, id=HOSTILE, title=HOSTILE, note=HOSTILE, effect_above=HOSTILE
    )
    findings = tuple(replace(f, rule=rule, reason=f.reason and HOSTILE) for f in summary.assessment.findings)
    protocols = tuple(replace(p, title=HOSTILE, description=HOSTILE) for p in summary.assessment.protocols)
    provenance = replace(
        summary.provenance,
        inputs=tuple(replace(i, path=HOSTILE, description=HOSTILE) for i in summary.provenance.inputs),
    )
    hostile = replace(
        summary,
        case_id=HOSTILE,
        volumes=volumes,
        caveats=(Caveat("odd", HOSTILE),),
        methods=(HOSTILE,),
        provenance=provenance,
        assessment=replace(summary.assessment, findings=findings, protocols=protocols, conclusion=(HOSTILE,)),
    )
    figures = tuple(replace(f, title=HOSTILE, caption=HOSTILE, alt=HOSTILE) for f in pictures)

    page = Page(render_html(hostile, figures))

    assert not [tag for tag, _ in page.elements if tag == "script"]
    images = [a for tag, a in page.elements if tag == "img"]
    assert len(images) == len(figures)
    assert all(set(a) == {"src", "alt"} and a["alt"] == HOSTILE for a in images)
    assert page.text.count("<script>alert(1)</script>") >= 20


def test_control_characters_do_not_reach_the_page(summary):
    """Characters that turn the reading direction, or end a line in a terminal, are replaced."""
    page = Page(render_html(replace(summary, case_id="a\u202eb\x1b[31mc")))

    assert "case a\ufffdb\ufffd[31mc" in page.text


def test_the_page_asks_for_nothing_beyond_itself(html, page):
    """No address in any attribute or style, no script, and a policy that forbids the rest."""
    assert not re.findall(r"https?://|//[a-z]|@import|url\(", html.replace("data:image/png;base64,", ""))
    assert not [tag for tag, _ in page.elements if tag in {"script", "link", "iframe", "object", "form"}]
    assert all(a["src"].startswith("data:image/png;base64,") for tag, a in page.elements if tag == "img")
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy


def test_figures_are_embedded_whole_and_in_their_sections(page, pictures):
    """The bytes come out again; each picture stands once, with caption and alternative text."""
    images = [a for tag, a in page.elements if tag == "img"]

    assert len(images) == len(pictures)
    assert all(
        base64.b64decode(a["src"].split(",")[1]) == PNG and a["alt"] == "What it shows." for a in images
    )
    assert "Title of plan." in page.sections["pictures"]
    assert "Title of lesion." in page.sections["pictures"]
    assert "Title of ladder." in page.sections["ladder"]
    assert "Title of segments." in page.sections["volumes"]


def test_the_page_is_accessible(page):
    """One language, one main heading, no level skipped, and headers that say what they head."""
    assert ("html", {"lang": "en"}) in page.elements
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    assert all(a.get("scope") in {"col", "row", "rowgroup"} for tag, a in page.elements if tag == "th")
    assert any(a.get("name") == "viewport" for tag, a in page.elements if tag == "meta")
    assert [tag for tag, _ in page.elements].count("main") == 1


def _luminance(colour):
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_has_contrast_in_light_and_dark():
    """Every colour of text stands out by 4.5 to 1 from both grounds (WCAG 2.1, 1.4.3)."""
    css = files("flr_volumetry.report").joinpath("templates", "style.css").read_text(encoding="utf-8")
    themes = [
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", css, re.S)
    ]

    assert len(themes) == 3
    for theme in themes[:2]:
        for text in ("ink", "quiet", "accent", "above", "borderline", "below", "open"):
            for ground in ("ground", "panel"):
                light, dark = sorted((_luminance(theme[text]), _luminance(theme[ground])), reverse=True)
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)


def test_it_decides_nothing(html):
    """The page says what it is for, and never that a patient may be operated on."""
    assert "resectable" not in html.lower()
    assert html.count("Research use only, not a medical device.") >= 2


def test_a_case_without_rules_indices_lesions_and_pictures_still_renders(summary):
    """What could not be computed is said, not left blank."""
    bare = replace(
        summary,
        volumes=replace(summary.volumes, lesions=(), segments=()),
        assessment=replace(summary.assessment, findings=(), indices=(), volume_intervals={}, conclusion=()),
    )
    page = Page(render_html(bare))

    assert f"{summary.volumes.remnant_functional_ml:.0f} mL" in page.sections["answer"]
    assert "No rule of the protocols chosen could be evaluated" in page.sections["answer"]
    assert "No lesion was given." in page.sections["lesions"]
    assert "No pictures were drawn." in page.sections["pictures"]
    assert "there is no ladder to draw" in page.sections["ladder"]


def test_the_patient_is_described_as_far_as_known(page, summary):
    """Each fact with its unit; what is not known is not made up."""
    assert (
        "sex F, age 62 years, height 170 cm, weight 70 kg, parenchyma chemotherapy, chemotherapy 16 weeks"
        in (words_of(page.text))
    )
    unknown = replace(summary, patient=replace(summary.patient, sex=None, age=None, parenchyma=None))
    assert "height 170 cm, weight 70 kg, chemotherapy 16 weeks" in words_of(Page(render_html(unknown)).text)


def with_congestion(summary):
    """The case with 40 mL of its remnant congested and 10 mL without inflow, and one rule judged again."""
    lost = np.zeros((2, 2, 2), dtype=bool)
    consequences = replace(
        summary.consequences,
        inflow=CutOff(Structure.PORTAL_VEIN, ("1.1",), lost, 10.0, ((4, 7.5), (0, 2.5))),
        outflow=CutOff(Structure.HEPATIC_VEINS, ("1.2", "1.3"), lost, 40.0, ((4, 40.0),)),
        effective=(EffectiveRemnant(1.0, 600.0), EffectiveRemnant(0.4, 576.0), EffectiveRemnant(0.0, 560.0)),
        remnant_parts_ml=(500.0, 110.0),
    )
    rule = summary.assessment.findings[0].rule
    judged = CongestionFinding(
        rule, "consensus-20-30-40", ((1.0, 0.4), (0.4, 0.31), (0.0, 0.28)), VeinQuestion.CONSIDER
    )
    return replace(
        summary,
        consequences=consequences,
        assessment=replace(summary.assessment, congestion=(judged,)),
    )


def test_consequences_that_are_not_known_are_said_to_be_so(page):
    rows = dict(page.rows("consequences"))
    assert rows["Remnant"] == "in one piece"
    assert rows["Without portal inflow"].startswith("not known")
    assert rows["Without venous outflow (congested)"].startswith("not known")
    assert rows["Segments fully spared"] == "IV"


def test_congestion_is_shown_by_segment_and_by_what_it_counts(summary):
    page = Page(render_html(with_congestion(summary)))
    rows = page.rows("consequences")
    assert ["Remnant", "in 2 parts: 500.0 mL, 110.0 mL"] in rows
    assert ["Without portal inflow", "10.0 mL (IV 7.5 mL, no segment 2.5 mL)"] in rows
    assert ["Without venous outflow (congested)", "40.0 mL (IV 40.0 mL)"] in rows
    share = f"{100 * 560 / summary.volumes.functional_ml:.1f} %"
    assert ["not at all", "560.0 mL", share] in rows
    judged = next(row for row in rows if row[0].startswith("V17b"))
    assert judged[2:5] == ["40.0 %", "31.0 %", "28.0 %"]
    assert "consider reconstruction" in judged[-1]


def test_congestion_stands_in_the_document_and_the_summary(summary, validator):
    congested = with_congestion(summary)
    document = report_json(congested)
    validator.validate(document)
    assert document["volumes"]["congested_ml"] == 40.0
    assert document["consequences"]["inflow_cut"]["segments"] == [
        {"segment": 4, "ml": 7.5},
        {"segment": 0, "ml": 2.5},
    ]
    assert [e["retained_function"] for e in document["consequences"]["effective_remnant"]] == [1.0, 0.4, 0.0]
    assert document["congestion"][0]["question"] == "consider_reconstruction"
    text = " ".join(summary_text(congested).split())
    assert "remnant, congested counted not at all 560.0 mL" in text
    assert "V17b with congestion reached only with the congested part" in text


def test_the_plan_stands_in_the_document_with_its_numbers(summary, validator):
    document = report_json(summary)
    validator.validate(document)
    first, second = document["plan"]
    assert first["resections"][0].pop("cut_area_cm2") == summary.cut_areas[0].mm2 / 100
    assert first["resections"][0] == {
        "title": "wedge of lesion 2 with 5 mm",
        "kind": "wedge",
        "lesions": [2],
        "margin_mm": 5.0,
    }
    (plane,) = second["resections"][0]["planes"]
    assert plane["point_mm"] == [CUT_X_MM, 0.0, 0.0]
    assert plane["normal"] == pytest.approx([-0.9701425, 0.2425356, 0.0])


def test_a_borderline_value_is_told_what_the_source_says_of_either_side(summary):
    finding = replace(summary.assessment.findings[0], state=State.BORDERLINE)
    page = Page(render_html(replace(summary, assessment=replace(summary.assessment, findings=(finding,)))))
    answer = words_of(page.sections["answer"])
    assert "if below: consider portal vein embolization" in answer
    assert "if above: volume is judged sufficient" in answer


@pytest.fixture(scope="module")
def growing(summary):
    """The case with a forecast of its own volumes, against its own findings."""
    volumes = summary.volumes
    protocols = summary.assessment.protocols
    patient = summary.patient
    judged = assess(volumes, patient, protocols)
    return replace(summary, assessment=judged)


def test_the_forecast_stands_on_the_page_in_the_document_and_in_the_summary(growing, validator, pictures):
    path = growing.assessment.pathway
    page = Page(render_html(growing, pictures))
    rows = page.rows("pathway")
    pve = next(row for row in rows if row[0] == "portal vein embolization")
    assert pve[3].startswith(f"{path.bands[2].median_ml:.1f} mL")
    rule = next(row for row in rows if row[0].startswith(f"{path.rules[0].rule.id} "))
    assert rule[1] == f"{path.rules[0].threshold_ml:.1f} mL"
    assert "never a promise" in words_of(page.sections["pathway"])

    document = report_json(growing)
    validator.validate(document)
    (forecast,) = document["pathway"]["forecasts"]
    assert [b["median_ml"] for b in forecast["bands"]] == [b.median_ml for b in path.bands]
    assert [o["technique"] for o in document["pathway"]["options"]] == ["pve", "pve_s4", "lvd", "alpps"]
    assert [r["rule"] for r in forecast["rules"]] == [r.rule.id for r in path.rules]

    text = " ".join(summary_text(growing, width=120).split())
    assert "After portal vein embolization (not in the plan: what it could do)" in text
    assert f"{path.bands[0].median_ml:.1f} mL" in text


def test_without_a_forecast_the_page_says_so(page):
    assert "No forecast was made." in page.sections["pathway"]


def test_the_forecast_is_drawn(growing):
    drawing = forecast_chart(growing.assessment.pathway)
    (axes,) = drawing.axes
    lines = [text.get_text() for text in axes.texts]
    asked = {f"{r.threshold_ml:.0f} mL" for r in growing.assessment.pathway.rules}
    assert {line.split(":")[0] for line in lines} <= asked
    assert len(lines) >= 2
    low, high = axes.get_ylim()
    assert all(low < r.threshold_ml < high for r in growing.assessment.pathway.rules)
