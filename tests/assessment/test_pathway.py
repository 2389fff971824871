"""Embolization: growth asked for against the review, and the probability of having it."""

from __future__ import annotations

import pytest

from flr_volumetry.assessment import State, assess
from flr_volumetry.assessment.model import PlannedCut
from flr_volumetry.assessment.pathway import GrowthNeed, growth_need
from flr_volumetry.resection import Plane, PlaneResection, ResectionPlan, Stage, Waiting
from flr_volumetry.volumetry.consequences import Consequences
from flr_volumetry.volumetry.forecast import Measurement, Technique, forecast
from flr_volumetry.volumetry.patient import Parenchyma, Patient
from tests.assessment.cases import EXACT, NORMAL, liver, protocol, rule

NOTHING = Consequences(None, None, (), None, None, ())
CUT = (PlaneResection((Plane((0, 0, 0), (1, 0, 0)),)),)


def planned(*afters):
    stages = tuple(Stage(f"stage {n}", CUT, after) for n, after in enumerate(afters))
    return PlannedCut(ResectionPlan(stages), NOTHING)


def pathway(*rules, remnant=350.0, patient=NORMAL, cut=None, **changes):
    volumes = liver(total=1650.0, tumour=150.0, remnant=remnant)
    return assess(volumes, patient, [protocol(*rules)], cut=cut, **changes).pathway


def test_required_growth_and_its_probability_are_those_of_the_forecast():
    """30 % of 1500 mL are 450 mL: 28.6 % more than 350; probabilities as the forecast alone gives."""
    found = pathway(rule(threshold=0.30))
    (judged,) = found.rules
    growth = forecast(Measurement(350.0, 0.05 * 350.0), Technique.PVE, cirrhosis=False)

    assert judged.threshold_ml == pytest.approx(450)
    assert judged.required_growth == pytest.approx(100 / 350)
    assert judged.need is GrowthNeed.TYPICAL
    assert [w for w, _ in judged.probabilities] == [2, 3, 4, 6]
    for weeks, probability in judged.probabilities:
        assert probability == pytest.approx(growth.probability_at_least(450, weeks=weeks))
    assert found.bands == tuple(growth.at(w) for w in (2, 3, 4, 6))


def test_the_denominator_stays_that_of_the_scan():
    """A rule per body weight asks for its share of the weight, whatever the liver does."""
    found = pathway(rule("flr_per_body_weight", 0.006))
    assert found.rules[0].threshold_ml == pytest.approx(0.006 * 70_000)


@pytest.mark.parametrize(
    ("growth", "need"),
    [
        (0.0, GrowthNeed.NONE),
        (0.001, GrowthNeed.WITHIN),
        (0.20, GrowthNeed.WITHIN),
        (0.201, GrowthNeed.TYPICAL),
        (0.294, GrowthNeed.TYPICAL),
        (0.40, GrowthNeed.TYPICAL),
        (0.401, GrowthNeed.BEYOND),
    ],
)
def test_growth_against_the_review(growth, need):
    assert growth_need(growth) is need


def test_a_rule_that_is_reached_asks_for_no_growth():
    (judged,) = pathway(rule(threshold=0.15), errors=EXACT).rules
    assert (judged.required_growth, judged.need) == (0.0, GrowthNeed.NONE)
    assert [p for _, p in judged.probabilities] == pytest.approx(4 * [1.0])


@pytest.mark.parametrize(
    ("procedure", "technique"),
    [
        ("pve", Technique.PVE),
        ("PVL", Technique.PVE),
        ("pve_s4", Technique.PVE_WITH_SEGMENT_4),
        ("lvd", Technique.LVD),
        ("alpps", Technique.ALPPS),
    ],
)
def test_the_plan_names_technique_and_week(procedure, technique):
    found = pathway(rule(), cut=planned(None, Waiting(procedure, 5.0)))
    assert (found.technique, found.planned) == (technique, True)
    assert [b.weeks for b in found.bands] == [2, 3, 4, 5, 6]


def test_a_plan_without_embolization_shows_what_it_could_do():
    for cut in (None, planned(None), planned(None, Waiting("chemotherapy", 8.0))):
        found = pathway(rule(), cut=cut)
        assert (found.technique, found.planned) == (Technique.PVE, False)
        assert [b.weeks for b in found.bands] == [2, 3, 4, 6]


def test_every_technique_is_offered():
    found = pathway(rule(), cut=planned(None, Waiting("lvd", 3.0)))
    assert [o.technique for o in found.options] == list(Technique)
    by_technique = {o.technique: o for o in found.options}
    assert by_technique[Technique.LVD].bands == found.bands
    assert by_technique[Technique.ALPPS].bands[0].median_ml > by_technique[Technique.PVE].bands[0].median_ml


def test_cirrhosis_lowers_the_forecast_and_says_so():
    ill = pathway(rule(), patient=Patient(parenchyma=Parenchyma.CIRRHOSIS))
    sound = pathway(rule(), patient=Patient(parenchyma=Parenchyma.NORMAL))
    assert ill.cirrhosis
    assert not sound.cirrhosis
    assert ill.bands[-1].median_ml < sound.bands[-1].median_ml
    assert "cirrhosis" in ill.methods[0]
    assert "cirrhosis" not in sound.methods[0]


def test_rules_on_the_gross_remnant_and_rules_without_a_value_have_no_forecast():
    off = rule("sflr_t3", 0.3, id="off", enabled=False, note="no")
    rules = (rule("flr_of_total", 0.3, id="gross"), off, rule(id="mine"))
    left = assess(liver(remnant=350.0, tumour_left=10.0), NORMAL, [protocol(*rules)]).pathway
    assert [r.rule.id for r in left.rules] == ["mine"]
    assert [r.rule.id for r in pathway(*rules).rules] == ["gross", "mine"]


def test_each_technique_has_its_own_probabilities():
    """Those of the plan's technique are those of the pathway; ALPPS grows more than PVE."""
    found = pathway(rule(threshold=0.30, id="short"))
    by_technique = {o.technique: o.rules for o in found.options}
    assert by_technique[Technique.PVE] == found.rules
    pve, alpps = (by_technique[t][0].at(4) for t in (Technique.PVE, Technique.ALPPS))
    assert 0 < pve < alpps < 1
    assert found.rules[0].at(5) is None


def test_a_procedure_of_which_no_growth_is_known_is_pointed_out():
    """A misspelt one is not silently taken for another."""
    said = pathway(rule(), cut=planned(None, Waiting("pv embolisation", 3.0)))
    assert [c.code for c in said.caveats] == ["growth_of_procedure_unknown"]
    assert not said.planned
    assert pathway(rule(), cut=planned(None, Waiting("LVD", 3.0))).caveats == ()


def test_a_protocol_points_to_embolization_by_its_worst_rule():
    volumes = liver(total=1650.0, tumour=150.0, remnant=350.0)
    protocols = [
        protocol(rule(threshold=0.10, id="a"), rule(threshold=0.50, id="b"), key="below"),
        protocol(rule(threshold=0.10, id="c"), rule(threshold=0.233, id="d"), key="near"),
        protocol(rule(threshold=0.10, id="e"), key="above"),
        protocol(rule(threshold=0.50, id="f", enabled=False, note="no"), key="none"),
    ]
    needs = assess(volumes, NORMAL, protocols).pathway.needs
    assert {n.protocol: n.state for n in needs} == {
        "below": State.CLEAR_BELOW,
        "near": State.BORDERLINE,
        "above": State.CLEAR_ABOVE,
        "none": State.NOT_EVALUABLE,
    }


def test_the_curve_runs_from_the_procedure_to_the_last_week():
    found = pathway(rule())
    assert [b.weeks for b in found.curve] == [0.5 * n for n in range(13)]
    assert found.curve[0].median_ml == pytest.approx(350, rel=1e-6)
    assert found.curve[-1] == found.bands[-1]
