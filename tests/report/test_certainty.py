"""Intervals, changes and the sensitivity panel as the report shows them."""

import html
from dataclasses import replace

import jsonschema
import pytest

from flr_volumetry.assessment import PlannedCut, assess
from flr_volumetry.assessment.model import State
from flr_volumetry.io.protocols import available_protocols
from flr_volumetry.report import certainty
from flr_volumetry.report.document import report_json, report_schema
from flr_volumetry.report.page import render_html
from flr_volumetry.report.table import summary_text
from flr_volumetry.volumetry.measure import measure
from flr_volumetry.volumetry.uncertainty import estimate_errors
from tests.report.cases import make_case


@pytest.fixture(scope="module")
def summary():
    """A case assessed in earnest, with errors from its geometry."""
    liver, partition, made = make_case()
    volumes = measure(liver, partition)
    errors = estimate_errors(liver, partition, volumes, consequences=made.consequences)
    assessment = assess(
        volumes,
        made.patient,
        available_protocols(),
        errors=errors,
        cut=PlannedCut(partition.plan, made.consequences),
    )
    return replace(made, volumes=volumes, assessment=assessment)


def test_the_document_holds_every_interval_and_fits_its_schema(summary):
    """Segments, stages, lesions and margins; sources; shares; the covariance of the share."""
    document = report_json(summary)
    jsonschema.Draft202012Validator(report_schema()).validate(document)
    errors = summary.assessment.errors
    for row in document["segments"]:
        low, high = row["ml_interval"]
        assert low <= row["ml"] <= high
    for row in document["lesions"]:
        assert row["ml_interval"][0] < row["ml"] < row["ml_interval"][1]
        if row["cleared"] and row["margin_mm"] is not None:
            assert row["margin_interval_mm"][0] <= row["margin_mm"] <= row["margin_interval_mm"][1]
        else:
            assert row["margin_interval_mm"] is None
    for row in document["stages"]:
        assert row["remnant_ml_interval"][0] < row["remnant_ml"] < row["remnant_ml_interval"][1]
    assert len(document["uncertainty"]["sources"]) == 4
    assert document["uncertainty"]["cut_ml_per_mm"] == pytest.approx(errors.cut_ml_per_mm)
    flr = document["indices"]["flr"]
    assert flr["covariance"] == pytest.approx(errors.covariance("remnant_functional_ml", "functional_ml"))
    assert flr["covariance"] > 0
    assert len(document["sensitivity"]["shares"]) > 30
    assert len(document["disagreements"]) == len(summary.assessment.disagreements)


def test_changes_say_growth_and_shift_to_each_threshold(summary):
    """Missed ones first; the shift is the mL over mL per mm, towards the specimen where more must stay."""
    changes = certainty.changes(summary)
    margins = [c.finding.margin_ml for c in changes]
    assert margins == sorted(margins)
    rate = summary.assessment.errors.cut_ml_per_mm
    for change in changes:
        assert change.cut_mm == pytest.approx(-change.finding.margin_ml / rate)
        missed = change.finding.margin_ml < 0
        assert change.cut_words.endswith("towards the specimen" if missed else "to spare")
        assert bool(change.growth) == missed


def test_at_a_glance_the_severest_rules_of_each_protocol_come_first(summary):
    """And no other state is lost."""
    for line in certainty.at_a_glance(summary):
        mine = [
            f for f in summary.assessment.findings if f.volumetric and f.rule in _rules(summary, line.title)
        ]
        shown = len(line.findings) + sum(len(rules.split(", ")) for _, rules in line.others)
        assert shown == len(mine)
        order = [State.CLEAR_BELOW, State.BORDERLINE, State.CLEAR_ABOVE]
        assert line.state is min((f.state for f in mine), key=order.index)


def _rules(summary, title):
    return next(p.rules for p in summary.assessment.protocols if p.title == title)


def test_page_and_terminal_tell_rule_state_missing_and_what_next(summary):
    """In the first lines of both."""
    text, page = summary_text(summary, width=200), html.unescape(render_html(summary))
    top = page[page.index('id="answer"') : page.index("<table>")]
    following = certainty.next_step(summary)
    assert following
    assert following in " ".join(text.splitlines()[:12])
    assert "What next" in top
    for line in certainty.at_a_glance(summary):
        assert line.title in top
        assert line.findings[0].rule.id in top
    assert "On other denominators the same remnant is" in text
    assert 'id="change"' in page
    assert 'id="sensitivity"' in page


def test_rows_of_the_panel_run_from_least_to_most(summary):
    """Each with the spread over body surfaces, where it has one."""
    rows = certainty.share_rows(summary.assessment.sensitivity)
    values = [r.share.value for r in rows]
    assert values == sorted(values)
    for row in rows:
        if row.spread:
            assert row.spread[0] <= row.share.value <= row.spread[1]
    assert {r.share.key for r in rows if r.spread is None} == {"FTLV", "TLV", "T2", "T9", "T14"}
