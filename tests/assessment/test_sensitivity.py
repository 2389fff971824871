"""The same remnant on every denominator, and which thresholds it would cross."""

import pytest

from flr_volumetry.assessment import assess
from flr_volumetry.volumetry.patient import Patient
from tests.assessment.cases import NORMAL, liver, protocol, rule


def panel(patient=NORMAL, *rules, volumes=None):
    """The panel of one assessment."""
    return assess(volumes or liver(), patient, [protocol(*(rules or (rule(),)))]).sensitivity


def test_shares_are_the_remnant_over_the_published_volumes():
    """Clinical base 12 at 170 cm and 70 kg: 330 mL of each TELV, of 1500 and of 1650 mL."""
    found = {s.key: s for s in panel().shares if s.own_surface}
    published = {"FTLV": 1500.0, "TLV": 1650.0, "T1": 1509.66, "T2": 1487.5, "T3": 1280.4, "T4": 1604.8}
    published |= {"T6": 1458.3, "T7": 1334.9, "T9": 1536.8, "T12": 1306.9, "T13": 1254.3, "T14": 1276.05}
    for key, ml in published.items():
        assert found[key].liver_ml == pytest.approx(ml, abs=0.06), key
        assert found[key].value == pytest.approx(330.0 / ml, rel=1e-4), key
    assert {"T5", "T8", "T10", "T15"}.isdisjoint(found)


def test_every_body_surface_is_tried_its_own_first():
    """T1 with five, Mosteller first; weight formulas once."""
    shares = panel().shares
    mine = [s for s in shares if s.key == "T1"]
    assert [s.own_surface for s in mine] == [True, False, False, False, False]
    assert len({s.surface for s in mine}) == 5
    assert mine[0].surface.startswith("Mosteller")
    assert len([s for s in shares if s.key == "T2"]) == 1


def test_what_cannot_be_used_is_named_with_its_reason():
    """Grams are no volume; a child has no such formula; without weight or height some or all are missing."""
    assert dict(panel().left_out)["T8"].startswith("yields grams")
    assert "chest" in dict(panel().left_out)["T15"]
    assert dict(panel(Patient()).left_out) == {"T1 to T17": "need the weight"}
    assert [s.key for s in panel(Patient()).shares] == ["FTLV", "TLV"]
    light = panel(Patient(weight_kg=70))
    assert {s.key for s in light.shares} == {"FTLV", "TLV", "T2", "T14"}
    assert panel(Patient(age=9, height_cm=130, weight_kg=30)).left_out[0][1] == "were fitted to adults"


def test_a_threshold_flips_where_another_denominator_crosses_it():
    """330 of 1500 mL is 22.0 %: 21 % is reached, and missed on TLV and T4; 5 % flips nowhere."""
    (flip,) = panel(NORMAL, rule(threshold=0.21), rule(id="low", threshold=0.05)).flips
    assert flip.rule == "R"
    assert flip.reached
    assert {"TLV", "T4"} <= set(flip.otherwise_on)
    assert "FTLV" not in flip.otherwise_on
    assert "T1" not in flip.otherwise_on
    (missed,) = panel(NORMAL, rule(threshold=0.23)).flips
    assert not missed.reached
    assert {"T3", "T13"} <= set(missed.otherwise_on)


def test_rules_on_body_weight_do_not_flip():
    """They are no share of a liver."""
    assert panel(NORMAL, rule("flr_per_body_weight", 0.0047)).flips == ()


def test_disagreement_is_a_finding_with_the_rules_on_either_side():
    """Between protocols, and among the rules of one; none where all agree."""
    low, high = (
        protocol(rule(id="low", threshold=0.1), key="a"),
        protocol(rule(id="high", threshold=0.5), key="b"),
    )
    (found,) = assess(liver(), NORMAL, [low, high]).disagreements
    assert (found.protocols, found.above, found.below) == (("a", "b"), ("low",), ("high",))
    assert found.sentence in assess(liver(), NORMAL, [low, high]).conclusion
    both = protocol(rule(id="low", threshold=0.1), rule(id="high", threshold=0.5))
    (own,) = assess(liver(), NORMAL, [both]).disagreements
    assert own.protocols == ("p",)
    assert assess(liver(), NORMAL, [low]).disagreements == ()
