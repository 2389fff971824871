"""From volumes, patient and rules to findings: applicability, margins, states, refusals."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr_volumetry.assessment import State, assess
from flr_volumetry.assessment.function import FUNCTION_UNITS
from flr_volumetry.errors import FormulaError, ProtocolError
from flr_volumetry.io.protocols import read_protocols
from flr_volumetry.volumetry.patient import Parenchyma, Patient
from flr_volumetry.volumetry.uncertainty import RelativeErrors
from tests.assessment.cases import (
    ALL,
    EXACT,
    NORMAL,
    PERSON,
    by_id,
    codes,
    judge,
    liver,
    protocol,
    rule,
    unit,
)


def test_every_rule_of_every_protocol_has_one_finding_in_order():
    """Nothing is left out, and nothing is reordered."""
    findings = assess(liver(), NORMAL, ALL).findings

    assert [(f.protocol, f.rule.id) for f in findings] == [(p.key, r.id) for p in ALL for r in p.rules]


APPLIES = [
    # parenchyma, weeks, rules of the triad and of MD Anderson that apply
    (Parenchyma.NORMAL, 0, {"V17a", "V11", "V18"}),
    (Parenchyma.NORMAL, 12, {"V17a", "V11", "V18"}),
    (Parenchyma.NORMAL, 12.1, {"V17c", "V13", "V18"}),
    (Parenchyma.NORMAL, None, {"V17a", "V11", "V18"}),
    (Parenchyma.CHEMOTHERAPY, 8, {"V17a", "V18"}),
    (Parenchyma.CHEMOTHERAPY, 16, {"V17c", "V13", "V18"}),
    (Parenchyma.CHEMOTHERAPY, None, {"V18"}),
    (Parenchyma.STEATOSIS, 0, {"V17b", "V18"}),
    (Parenchyma.STEATOSIS, 16, {"V17b", "V13", "V18"}),
    (Parenchyma.FIBROSIS, 16, {"V17d", "V18"}),
    (Parenchyma.CIRRHOSIS, None, {"V17d", "V18"}),
    (Parenchyma.CHOLESTASIS, 0, {"V17d", "V18"}),
    (None, 16, {"V18"}),
    (None, None, {"V18"}),
]


@pytest.mark.parametrize(("parenchyma", "weeks", "expected"), APPLIES)
def test_a_rule_is_judged_only_for_livers_it_was_made_for(parenchyma, weeks, expected):
    """Each state of the liver meets its own rules; what is not known never counts as met."""
    patient = Patient(**PERSON, parenchyma=parenchyma, chemotherapy_weeks=weeks)
    findings = assess(liver(), patient, read_protocols(["consensus-20-30-40", "mda-sflr"])).findings
    judged = {f.rule.id for f in findings if f.state is not State.NOT_EVALUABLE}

    assert judged == expected
    for finding in findings:
        blank = (finding.value, finding.interval, finding.margin_points, finding.margin_ml)
        if finding.state is State.NOT_EVALUABLE:
            assert finding.reason
            assert set(blank) == {None}
            assert finding.probability_above is None
            assert finding.required_growth is None
        else:
            assert not finding.reason
            assert None not in blank


def test_silence_on_chemotherapy_is_pointed_out():
    """A normal liver without a word on chemotherapy is judged by rules for short courses, with a caveat."""
    quiet = Patient(**PERSON, parenchyma=Parenchyma.NORMAL)
    consensus = read_protocols(["consensus-20-30-40"])
    said = assess(liver(), quiet, consensus).caveats

    assert [c.message for c in said if c.code == "chemotherapy_not_stated"]
    assert "V17a" in next(c.message for c in said if c.code == "chemotherapy_not_stated")
    assert "chemotherapy_not_stated" not in codes(assess(liver(), NORMAL, consensus))


REASONS = [
    (Patient(parenchyma=Parenchyma.NORMAL), "V11", "height_cm and weight_kg are not given"),
    (Patient(parenchyma=Parenchyma.NORMAL, weight_kg=70), "V11", "height_cm is not given"),
    (Patient(parenchyma=Parenchyma.NORMAL, height_cm=170), "S1", "weight_kg is not given"),
    (Patient(**PERSON), "V17a", "the state of the parenchyma is not given; the rule was made for: normal"),
    (Patient(**PERSON, parenchyma=Parenchyma.CIRRHOSIS), "V1", "made for: normal; this liver: cirrhosis"),
    (NORMAL, "V13", "made for more than 12 weeks of chemotherapy; this patient had 0"),
    (dataclasses.replace(NORMAL, chemotherapy_weeks=16), "V11", "made for at most 12 weeks"),
    (dataclasses.replace(NORMAL, chemotherapy_weeks=None), "V13", "chemotherapy_weeks is not given"),
    (dataclasses.replace(NORMAL, age=12), "V11", "fitted to adults, and the patient is 12 years old"),
    (NORMAL, "S2a", "disabled: general knowledge of low confidence"),
]


@pytest.mark.parametrize(("patient", "name", "reason"), REASONS)
def test_what_is_not_evaluable_says_why(patient, name, reason):
    """Missing data are named, and so is whom a rule was made for."""
    finding = by_id(assess(liver(), patient, ALL))[name]

    assert finding.state is State.NOT_EVALUABLE
    assert reason in finding.reason


STATES = [
    # threshold, remnant sd, liver sd, state: value 0.22 throughout
    (0.199, 0.0, 0.0, State.CLEAR_ABOVE),
    (0.201, 0.0, 0.0, State.BORDERLINE),
    (0.239, 0.0, 0.0, State.BORDERLINE),
    (0.241, 0.0, 0.0, State.CLEAR_BELOW),
    (0.199, 0.05, 0.0, State.BORDERLINE),
    (0.196, 0.05, 0.03, State.BORDERLINE),
    (0.195, 0.05, 0.03, State.CLEAR_ABOVE),
    (0.245, 0.05, 0.03, State.BORDERLINE),
    (0.247, 0.05, 0.03, State.CLEAR_BELOW),
]


@pytest.mark.parametrize(("threshold", "remnant", "whole", "state"), STATES)
def test_borderline_is_two_points_or_1_96_sd_whichever_is_more(threshold, remnant, whole, state):
    """22.0 % of functional volume against thresholds around it, with and without errors."""
    finding = judge(rule(threshold=threshold), errors=RelativeErrors(remnant=remnant, liver=whole))

    assert finding.state is state


@pytest.mark.parametrize(
    ("threshold", "state"),
    [(0.0047, State.CLEAR_ABOVE), (0.0048, State.CLEAR_BELOW), (0.02, State.CLEAR_BELOW)],
)
def test_two_points_do_not_blur_ratios_to_body_weight(threshold, state):
    """0.471 % of the body weight is told from 0.470 and 0.480 % when measured exactly."""
    assert judge(rule("flr_per_body_weight", threshold), errors=EXACT).state is state


@pytest.mark.parametrize(("strict", "state"), [(False, State.CLEAR_ABOVE), (True, State.CLEAR_BELOW)])
def test_exactly_at_a_threshold_strictness_decides(strict, state):
    """350 mL at 70 kg are exactly 0.5 %: enough for "at least", not for "more than"."""
    finding = judge(rule("flr_per_body_weight", 0.005, strict=strict), liver(remnant=350.0), errors=EXACT)

    assert finding.state is state


def test_thresholds_in_other_units_have_margins_in_ml_only():
    """330 mL on 1.8181 m2 against 300 mL/m2: 215.4 mL short, no percentage points."""
    finding = judge(rule("flr_per_bsa", 300.0, unit="mL/m2"))

    assert finding.margin_points is None
    assert finding.margin_ml == pytest.approx(330 - 300 * 1.81812, abs=0.01)
    assert finding.required_growth == pytest.approx(215.4 / 330, abs=1e-3)
    assert finding.state is State.CLEAR_BELOW


@pytest.mark.parametrize("key", sorted({r.index for p in ALL for r in p.rules} - set(FUNCTION_UNITS)))
def test_a_rule_is_judged_on_its_own_index(key):
    """Value and interval of a finding are those of the index the rule names."""
    assessment = assess(
        liver(), NORMAL, [protocol(rule(key, 300.0 if key == "flr_per_bsa" else 0.3, unit=unit(key)))]
    )
    index = next(i for i in assessment.indices if i.key == key)

    assert assessment.findings[0].value == index.value
    assert assessment.findings[0].interval == index.interval


totals = st.floats(600.0, 4000.0)
fractions = st.floats(0.02, 0.95)


@settings(deadline=None)
@given(total=totals, tumour=st.floats(0.0, 0.6), share=fractions, threshold=st.floats(0.05, 0.9))
def test_margin_growth_probability_and_state_are_one_statement(total, tumour, share, threshold):
    """Adding what is missing reaches the threshold; signs agree; sure states are sure."""
    functional = total * (1 - tumour)
    remnant = share * functional
    volumes = liver(total=total, tumour=total - functional, remnant=remnant)
    finding = judge(rule(threshold=threshold), volumes)
    reached = (remnant - finding.margin_ml) / volumes.functional_ml
    grown = remnant * (1 + finding.required_growth) / volumes.functional_ml

    assert reached == pytest.approx(threshold)
    assert finding.margin_points == pytest.approx(100 * (finding.value - threshold))
    assert grown == pytest.approx(max(threshold, finding.value))
    assert (finding.probability_above >= 0.5) == (finding.margin_ml >= 0)
    if finding.state is State.CLEAR_ABOVE:
        assert finding.probability_above > 0.9749
        assert finding.margin_points >= 2
    if finding.state is State.CLEAR_BELOW:
        assert finding.probability_above < 0.0251
        assert finding.margin_points <= -2
    if finding.interval[0] < threshold < min(finding.interval[1], 0.999):
        assert finding.state is State.BORDERLINE


@settings(deadline=None)
@given(share=fractions, factor=st.floats(0.5, 3.0))
def test_scaling_a_liver_leaves_its_shares(share, factor):
    """Twice the liver, twice the remnant: FLR % stays, mL of margin double."""
    one = judge(rule(), liver(tumour=0.0, remnant=share * 1650))
    other = judge(rule(), liver(total=1650 * factor, tumour=0.0, remnant=share * 1650 * factor))

    assert other.value == pytest.approx(one.value)
    assert other.margin_ml == pytest.approx(factor * one.margin_ml, abs=1e-6)
    assert other.probability_above == pytest.approx(one.probability_above, abs=1e-9)


@settings(deadline=None)
@given(share=st.floats(0.05, 0.9), step=st.floats(0.001, 0.05))
def test_more_remnant_is_never_less_probable(share, step):
    """The probability rises with the remnant."""
    one = judge(rule(), liver(tumour=0.0, remnant=share * 1650))
    more = judge(rule(), liver(tumour=0.0, remnant=(share + step) * 1650))

    assert more.probability_above >= one.probability_above


NOT_CONSERVED = [
    {"remnant_ml": 331.0},
    {"resected_ml": 1319.0},
    {"ablated_ml": 1.0},
    {"functional_ml": 1501.0},
    {"tumour_ml": 151.0},
    {"remnant_functional_ml": 331.0},
    {"total_ml": math.nan},
]


@pytest.mark.parametrize("change", NOT_CONSERVED)
def test_volumes_that_do_not_add_up_are_refused(change):
    """A millilitre too much or too little anywhere stops the assessment."""
    with pytest.raises(FormulaError) as refused:
        assess(dataclasses.replace(liver(), **change), NORMAL, ALL)
    assert refused.value.reason == "volumes_not_conserved"


def test_a_remnant_of_nothing_but_tumour_is_refused():
    """No functional remnant is not 0 %, but an error."""
    with pytest.raises(FormulaError, match="remnant_functional_ml"):
        assess(liver(remnant=100.0, tumour_left=100.0), NORMAL, ALL)


def test_no_protocol_or_the_same_twice_is_refused():
    """An assessment without rules would look like one without objections."""
    with pytest.raises(ProtocolError, match="no protocol"):
        assess(liver(), NORMAL, [])
    with pytest.raises(ProtocolError, match="twice: p"):
        assess(liver(), NORMAL, [protocol(rule()), protocol(rule())])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"index": "phrr"}, "'phrr'; known: flr"), ({"index": "flr_per_bsa"}, "'fraction', but 'flr_per_bsa'")],
)
def test_a_rule_on_a_foreign_index_or_unit_is_refused(wrong, message):
    """A rule built by hand is checked as one read from a file."""
    with pytest.raises(ProtocolError, match=message):
        judge(rule(**wrong))


@pytest.mark.parametrize("threshold", [0.0, 1.0, 20.0, -0.2, math.nan])
def test_a_fraction_lies_between_0_and_1(threshold):
    """Percent for a fraction is refused when the rule is made."""
    with pytest.raises(ProtocolError, match="fraction"):
        rule(threshold=threshold)


@pytest.mark.parametrize("threshold", [0.0, -1.0, math.nan, math.inf])
def test_an_amount_is_above_0(threshold):
    """A threshold in mL/m2 is finite and positive."""
    with pytest.raises(ProtocolError, match="above 0"):
        rule("flr_per_bsa", threshold, unit="mL/m2")
