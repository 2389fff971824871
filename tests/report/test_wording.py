"""Numbers are said without loss where a loss would mislead."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from flr_volumetry.assessment.model import Evidence, State
from flr_volumetry.report import wording
from tests.report.cases import make_case, with_lesion


@pytest.fixture(scope="module")
def summary():
    return make_case("axial")[2]


@pytest.fixture(scope="module")
def finding(summary):
    return summary.assessment.findings[0]


@pytest.mark.parametrize(
    ("amount", "said"),
    [(1860.649, "1860.6 mL"), (0.0, "0.0 mL"), (-0.0, "0.0 mL"), (0.0312, "0.03 mL"), (0.05, "0.1 mL")]
    + [(4e-13, "0.0 mL"), (-3e-13, "0.0 mL"), (0.0004, "0.0004 mL"), (0.96, "1.0 mL")],
)
def test_amounts(amount, said):
    """One decimal; a trace is shown, the rest of a subtraction is not."""
    assert wording.ml(amount) == said


@pytest.mark.parametrize(
    ("amount", "said"),
    [(612.4, "612 mL"), (9.96, "10.0 mL"), (10.4, "10 mL"), (0.0, "0.0 mL"), (9.4, "9.4 mL")],
)
def test_headline_amounts(amount, said):
    """Whole millilitres, except where a decimal matters."""
    assert wording.whole_ml(amount) == said


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0.2, "fraction", "20.0 %"),
        (0.19996, "fraction", "20.0 %"),
        (0.00471, "fraction", "0.471 %"),
        (0.02, "fraction", "2.0 %"),
        (301.26, "mL/m2", "301.3 mL/m2"),
        (0.0, "fraction", "0.000 %"),
    ],
)
def test_quantities(value, unit, said):
    """Fractions become percentages, small ones with three decimals; other units stay."""
    assert wording.quantity(value, unit) == said


def test_intervals():
    """Both ends alike; without end they are said to be so."""
    assert wording.quantity_interval((0.196, 0.246), "fraction") == "19.6 to 24.6 %"
    assert wording.quantity_interval((0.00421, 0.00521), "fraction") == "0.421 to 0.521 %"
    assert wording.quantity_interval((250.0, 301.26), "mL/m2") == "250.0 to 301.3 mL/m2"
    assert wording.quantity_interval((0.1, math.inf), "fraction") == "unbounded"
    assert wording.quantity_interval((-math.inf, 0.3), "fraction") == "unbounded"
    assert wording.quantity_interval(None, "fraction") == ""
    assert wording.ml_interval((544.26, 613.84)) == "544.3 to 613.8 mL"
    assert wording.ml_interval(None) == ""


@pytest.mark.parametrize(
    ("margin", "said", "signed"),
    [
        (102.94, "102.9 mL to spare", "+102.9 mL"),
        (-34.25, "34.2 mL missing", "-34.2 mL"),
        (-0.04, "0.04 mL missing", "-0.04 mL"),
        (-0.001, "0.001 mL missing", "-0.001 mL"),
        (0.0, "exactly on the threshold", "+0 mL"),
        (None, "", ""),
    ],
)
def test_a_deficit_is_never_rounded_away(finding, margin, said, signed):
    """However small, it is said on which side of the threshold the remnant lies."""
    near = replace(finding, margin_ml=margin)

    assert wording.missing_ml(near) == said
    assert wording.signed_ml(near) == signed


@pytest.mark.parametrize(
    ("margin", "said"), [(8.44, "+8.4"), (-2.06, "-2.1"), (-0.004, "-0.004"), (0.0, "+0.0"), (None, "")]
)
def test_points_keep_their_sign(finding, margin, said):
    """A margin that rounds to nought is given with more digits."""
    assert wording.points(replace(finding, margin_points=margin)) == said


def test_points_of_small_thresholds_have_more_decimals(finding):
    """0.471 % against 0.5 % lacks 0.029 points."""
    small = replace(finding, rule=replace(finding.rule, threshold=0.005), margin_points=-0.029)

    assert wording.points(small) == "-0.029"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.054, "5.4 %"),
        (0.99999, "above 99.9 %"),
        (1.0, "above 99.9 %"),
        (0.0, "below 0.1 %"),
        (0.001, "0.1 %"),
        (None, ""),
    ],
)
def test_probabilities_are_never_certainties(value, said):
    """Neither 0 nor 100 %."""
    assert wording.probability(value) == said


def test_thresholds_say_whether_reaching_them_is_enough(finding):
    """At least, or more than; in the unit of the rule."""
    assert wording.threshold(finding) == "at least 30 %"
    strict = replace(finding, rule=replace(finding.rule, strict=True, threshold=0.266))
    assert wording.threshold(strict) == "more than 26.6 %"
    assert wording.short_threshold(strict) == "> 26.6 %"
    area = replace(finding, rule=replace(finding.rule, unit="mL/m2", threshold=300.0))
    assert wording.threshold(area) == "at least 300 mL/m2"
    assert wording.short_threshold(area) == ">= 300 mL/m2"


def test_growth_is_said_where_it_is_needed(finding):
    """As a percentage of the remnant; nothing where the threshold is reached."""
    assert wording.growth(replace(finding, required_growth=0.294)) == "29.4 %"
    assert wording.growth(replace(finding, required_growth=0.0)) == ""
    assert wording.growth(replace(finding, required_growth=None)) == ""
    assert wording.growth(replace(finding, required_growth=math.inf)) == "no growth reaches it"


def test_clearance_names_what_stays(summary):
    """All cleared, one cleared, some left, none given."""
    assert wording.clearance(summary) == "All 3 lesions are cleared; smallest margin 5.4 mm, at lesion 2"
    one = replace(summary, volumes=replace(summary.volumes, lesions=summary.volumes.lesions[:1]))
    assert wording.clearance(one) == "The lesion is cleared; smallest margin 67.0 mm, at lesion 1"
    left = with_lesion(summary, 3, cleared_in_stage=0, remaining_ml=2.0, margin_mm=0.0)
    assert wording.clearance(left) == "1 of 3 lesions NOT CLEARED: 3 (2.0 mL stay)"
    assert not wording.all_cleared(left)
    alone = replace(one, volumes=replace(one.volumes, lesions=left.volumes.lesions[2:]))
    assert wording.clearance(alone) == "1 of 1 lesion NOT CLEARED: 3 (2.0 mL stay)"
    assert wording.clearance(replace(one, volumes=replace(one.volumes, lesions=()))) == ""
    endless = with_lesion(summary, 2, margin_mm=math.inf)
    assert wording.clearance(endless).endswith("smallest margin 34.0 mm, at lesion 3")


def test_every_state_and_every_evidence_tag_has_words():
    """None is missing, and states differ in symbol, words and class."""
    assert set(wording.STATES) == set(State)
    assert set(wording.EVIDENCE) == set(Evidence)
    for part in ("symbol", "words", "css"):
        assert len({getattr(words, part) for words in wording.STATES.values()}) == len(State)


def test_cleaning_leaves_letters_alone():
    """Accents, other scripts and markup stay; control characters become visible."""
    assert wording.clean("Müller 肝 <b> $x$") == "Müller 肝 <b> $x$"
    assert wording.clean("a\r\nb\tc\x00d\x9be\u2066f") == "a b c\ufffdd\ufffde\ufffdf"


def test_shares():
    """Of nothing there is no share."""
    assert wording.share(25.0, 100.0) == "25.0 %"
    assert wording.share(1.0, 0.0) == ""
