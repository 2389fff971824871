"""Systems of the literature: what was computed, what attested, what is missing, and never a verdict."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from flr_volumetry.anatomy import Structure
from flr_volumetry.assessment import assess
from flr_volumetry.assessment.systems import Answer, Attested, Basis, Facts, Outcome, fill_in
from flr_volumetry.assessment.systems.attested import Differentiation, EcmtgStage, Response, Site
from flr_volumetry.errors import CaseError
from flr_volumetry.io.protocols import read_protocols
from flr_volumetry.resection import Ablation, ResectionPlan, SegmentResection, Stage
from flr_volumetry.volumetry.consequences import Consequences
from flr_volumetry.volumetry.liver_function import LiverFunction
from flr_volumetry.volumetry.measure import LesionFacts, SegmentVolume
from flr_volumetry.volumetry.near_vessels import NearVessel
from flr_volumetry.volumetry.patient import Parenchyma
from tests.assessment.cases import NORMAL, liver

PROTOCOLS = read_protocols(["consensus-20-30-40", "review-2014"])


def lesion(number, mm=20.0, segment=6, *, margin=12.0, cleared=1):
    """Return a lesion of so many mm in one segment."""
    remaining = 0.0 if cleared else 1.0
    return LesionFacts(
        number, "", 4.0, mm, (segment,), f"segment {segment}", margin, None, remaining, cleared
    )


def facts(lesions=(), *, attested=None, patient=NORMAL, near=(), ablated=(), gone=(5, 6, 7, 8), **changes):
    """Return a case of 330 of 1500 mL, of which the segments named go."""
    segments = tuple(SegmentVolume(n, 200.0, 0.0 if n in gone else 200.0) for n in range(1, 9))
    volumes = dataclasses.replace(liver(), lesions=tuple(lesions), segments=segments, **changes)
    spared = tuple(n for n in range(1, 9) if n not in gone)
    consequences = Consequences(
        spared, adjacent_spared=True, remnant_parts_ml=(330.0,), inflow=None, outflow=None, effective=()
    )
    cuts = (SegmentResection(frozenset(gone), "cut"), *([Ablation(tuple(ablated), 6.0)] if ablated else []))
    return Facts(
        volumes,
        consequences,
        assess(volumes, patient, PROTOCOLS),
        patient,
        attested or Attested(),
        ResectionPlan((Stage("one", cuts),)),
        tuple(near),
    )


def filled(case):
    return {c.key: c for c in fill_in(case)}


def answers(checklist):
    return {i.key: i.answer for i in checklist.items}


ALL_SAID = {
    "fit_for_surgery": True,
    "low_comorbidity": True,
    "liver_failure": False,
    "previous_liver_surgery": False,
    "performance_status": 1,
    "asa": 2,
    "primary_controlled": True,
    "primary_in_place": True,
    "simultaneous_resection": False,
    "primary_node_positive": False,
    "primary_t_stage": 3,
    "primary_differentiation": Differentiation.MODERATE,
    "metastasis_differentiation": Differentiation.POOR,
    "extrahepatic_sites": (),
    "portal_adenopathy": False,
    "chemotherapy_response": Response.RESPONSE,
    "chemotherapy_cycles": 6.0,
    "synchronous": False,
    "disease_free_months": 20.0,
    "cea_ng_per_ml": 10.0,
    "margins_adequate": True,
    "completely_removable": True,
    "function_adequate": True,
    "remnant_inflow": True,
    "remnant_outflow": True,
    "remnant_bile_drainage": True,
    "resectability_group": 1,
    "ecmtg_stage": EcmtgStage.M1A,
}


def test_with_everything_said_nothing_is_missing_and_every_condition_is_met():
    """One lesion of 20 mm in segment VI, margin 12 mm, all good news."""
    function = LiverFunction(icg_r15_percent=5.0)
    case = facts(
        [lesion(1)], attested=Attested(**ALL_SAID), patient=dataclasses.replace(NORMAL, function=function)
    )
    for key, checklist in filled(case).items():
        expected = {Outcome.MET, Outcome.DISPLAY}
        assert checklist.outcome in expected, (key, checklist.sentence)
        missing = [i.key for i in checklist.items if i.basis is Basis.MISSING]
        assert missing == (["lesion_1_vessels"] if key == "ablation" else [])


def test_with_nothing_said_nothing_is_attested_and_what_is_missing_names_its_key():
    """Every missing answer is unknown, and never yes."""
    for checklist in fill_in(facts([lesion(1)])):
        for item in checklist.items:
            assert item.basis is not Basis.ATTESTED
            assert (item.basis is Basis.MISSING) == (item.answer is Answer.UNKNOWN)
            assert item.said


def test_no_system_uses_the_word_of_a_verdict():
    """Neither with all said nor with nothing said."""
    for said in (Attested(), Attested(**ALL_SAID), Attested(extrahepatic_sites=(Site.PERITONEUM, Site.LUNG))):
        for checklist in fill_in(facts([lesion(1), lesion(2, cleared=0)], attested=said)):
            words = " ".join(
                [
                    checklist.title,
                    checklist.sentence,
                    *checklist.notes,
                    *(i.question + i.said for i in checklist.items),
                ]
            )
            assert "resectable" not in words.lower()
            assert checklist.citation.text


TURNS = [
    # system, item, what changes, answer
    ("oncosurge-review-2014", "margins_over_1_cm", {"lesions": [lesion(1, margin=10.0)]}, Answer.NO),
    ("oncosurge-review-2014", "margins_over_1_cm", {"lesions": [lesion(1, margin=10.1)]}, Answer.YES),
    ("oncosurge-review-2014", "margins_over_1_cm", {"lesions": [lesion(1), lesion(2, cleared=0)]}, Answer.NO),
    ("oncosurge-review-2014", "margins_over_1_cm", {"lesions": []}, Answer.UNKNOWN),
    (
        "oncosurge-2005",
        "involvement_up_to_70_percent",
        {"tumour_ml": 1155.0, "functional_ml": 495.0, "resected_tumour_ml": 1155.0},
        Answer.YES,
    ),
    (
        "oncosurge-2005",
        "involvement_up_to_70_percent",
        {"tumour_ml": 1156.0, "functional_ml": 494.0, "resected_tumour_ml": 1156.0},
        Answer.NO,
    ),
    ("fong-1999", "several_lesions", {"lesions": [lesion(1)]}, Answer.NO),
    ("fong-1999", "several_lesions", {"lesions": [lesion(1), lesion(2)]}, Answer.YES),
    ("fong-1999", "large_lesion", {"lesions": [lesion(1, 50.0)]}, Answer.NO),
    ("fong-1999", "large_lesion", {"lesions": [lesion(1, 20.0), lesion(2, 50.1)]}, Answer.YES),
    ("ablation", "lesion_1_size", {"lesions": [lesion(1, 29.9)]}, Answer.YES),
    ("ablation", "lesion_1_size", {"lesions": [lesion(1, 30.0)]}, Answer.NO),
    ("ablation", "lesion_1_vessels", {"near": [NearVessel(1, Structure.IVC, 4.9)]}, Answer.NO),
    ("ablation", "lesion_1_vessels", {"near": [NearVessel(1, Structure.IVC, 5.0)]}, Answer.YES),
    ("ablation", "lesion_1_margin", {"ablated": [1]}, Answer.YES),
    ("collision", "up_to_ten", {"lesions": [lesion(n) for n in range(1, 11)]}, Answer.YES),
    ("collision", "up_to_ten", {"lesions": [lesion(n) for n in range(1, 12)]}, Answer.NO),
    ("collision", "any_up_to_3_cm", {"lesions": [lesion(1, 30.1)]}, Answer.NO),
    ("collision", "any_up_to_3_cm", {"lesions": [lesion(1, 30.0)]}, Answer.YES),
    ("jsccr-2010", "completely_removed", {"lesions": [lesion(1, cleared=0)]}, Answer.NO),
    ("technical-review-2014", "r0", {"lesions": [lesion(1, margin=0.0)]}, Answer.NO),
    ("technical-review-2014", "r0", {"lesions": [lesion(1, margin=0.1)]}, Answer.YES),
    ("technical-review-2014", "least_remnant", {}, Answer.YES),
    (
        "technical-review-2014",
        "least_remnant",
        {"patient": dataclasses.replace(NORMAL, parenchyma=Parenchyma.CIRRHOSIS)},
        Answer.NO,
    ),
    (
        "technical-review-2014",
        "least_remnant",
        {"patient": dataclasses.replace(NORMAL, parenchyma=Parenchyma.FIBROSIS)},
        Answer.UNKNOWN,
    ),
    ("function-testing", "function_tested", {}, Answer.NO),
    ("function-testing", "function_tested", {"gone": (5, 6)}, Answer.YES),
]


@pytest.mark.parametrize(("system", "item", "changes", "answer"), TURNS)
def test_what_masks_and_plan_answer_turns_at_its_limit(system, item, changes, answer):
    case = facts(**{"lesions": [lesion(1)], **changes})
    assert answers(filled(case)[system])[item] is answer


@pytest.mark.parametrize(
    ("count", "bilobar", "response"), list(itertools.product((4, 5), (False, True), (None, *Response)))
)
def test_oncosurge_after_chemotherapy(count, bilobar, response):
    """Up to four and on one side: whatever the response; else only once shrunk."""
    lesions = [lesion(n, segment=2 if bilobar and n == 1 else 7) for n in range(1, count + 1)]
    patient = dataclasses.replace(NORMAL, chemotherapy_weeks=8)
    case = facts(lesions, patient=patient, attested=Attested(chemotherapy_response=response))
    answer = answers(filled(case)["oncosurge-2005"])["few_and_unilobar_or_shrunk"]

    if count <= 4 and not bilobar:
        assert answer is Answer.YES
    elif response is None:
        assert answer is Answer.UNKNOWN
    else:
        assert answer is (Answer.YES if response is Response.RESPONSE else Answer.NO)


@pytest.mark.parametrize("broken", ["extrahepatic_controllable", "liver_failure", "fit_for_surgery"])
def test_an_absolute_contraindication_of_oncosurge_is_said(broken):
    said = {**ALL_SAID, "extrahepatic_sites": (Site.LUNG,), "extrahepatic_controllable": True}
    assert filled(facts([lesion(1)], attested=Attested(**said)))["oncosurge-2005"].outcome is Outcome.MET
    said[broken] = broken == "liver_failure"
    checklist = filled(facts([lesion(1)], attested=Attested(**said)))["oncosurge-2005"]
    assert checklist.outcome is Outcome.NOT_MET
    assert "absolute contraindication" in checklist.sentence


def test_the_score_of_fong_is_a_range_while_points_are_unknown():
    """Two lesions, one of 60 mm: 2 points; three unknown: between 2 and 5; all known: 2 or 5."""
    lesions = [lesion(1), lesion(2, 60.0)]
    assert "between 2 and 5" in filled(facts(lesions))["fong-1999"].sentence
    low = Attested(primary_node_positive=False, disease_free_months=12.0, cea_ng_per_ml=200.0)
    high = Attested(primary_node_positive=True, synchronous=True, cea_ng_per_ml=201.0)
    assert filled(facts(lesions, attested=low))["fong-1999"].sentence.startswith("Score 2 of 5: low")
    assert filled(facts(lesions, attested=high))["fong-1999"].sentence.startswith("Score 5 of 5: high")


@pytest.mark.parametrize(
    ("sites", "stage"),
    [
        ((), "ajcc8:M1a"),
        ((Site.LUNG,), "ajcc8:M1b"),
        ((Site.LUNG, Site.BONE), "ajcc8:M1b"),
        ((Site.PERITONEUM,), "ajcc8:M1c"),
    ],
)
def test_stages_carry_their_system(sites, stage):
    """ecmtg:M1a is not ajcc8:M1a, and the group's M0 contradicts a lesion in the masks."""
    said = Attested(extrahepatic_sites=sites, ecmtg_stage=EcmtgStage.M1A)
    checklist = filled(facts([lesion(1)], attested=said))["ecmtg"]
    items = {i.key: i.said for i in checklist.items}
    assert items["ajcc8"] == stage
    assert items["ecmtg"].startswith("ecmtg:M1a")
    clash = filled(facts([lesion(1)], attested=Attested(ecmtg_stage=EcmtgStage.M0)))["ecmtg"]
    assert clash.outcome is Outcome.NOT_MET


def test_more_than_one_site_outside_the_liver_is_pointed_out():
    one, two = (Attested(extrahepatic_sites=s) for s in ((Site.LUNG,), (Site.LUNG, Site.OVARY)))
    assert filled(facts(attested=one))["extrahepatic-review-2014"].outcome is Outcome.MET
    assert filled(facts(attested=two))["extrahepatic-review-2014"].outcome is Outcome.NOT_MET


@pytest.mark.parametrize(("count", "outcome"), [(3, Outcome.MET), (4, Outcome.NOT_MET)])
def test_peritoneal_metastases_go_with_three_liver_lesions_at_most(count, outcome):
    said = Attested(**{**ALL_SAID, "extrahepatic_sites": (Site.PERITONEUM,)})
    case = facts([lesion(n) for n in range(1, count + 1)], attested=said)
    assert filled(case)["peritoneal-2008"].outcome is outcome


def test_a_major_hepatectomy_with_the_primary_tumour_is_pointed_out():
    both = Attested(simultaneous_resection=True)
    assert filled(facts(attested=both))["simultaneous-review-2014"].outcome is Outcome.NOT_MET
    assert filled(facts(attested=both, gone=(5, 6)))["simultaneous-review-2014"].outcome is Outcome.MET


def test_what_people_say_does_not_hide_a_lesion_that_stays():
    said = Attested(**ALL_SAID)
    item = next(
        i
        for i in filled(facts([lesion(1, cleared=0)], attested=said))["jsccr-2010"].items
        if i.key == "completely_removed"
    )
    assert item.answer is Answer.NO
    assert "although completely_removable attests it" in item.said


@pytest.mark.parametrize(
    "said",
    [
        {"performance_status": 6},
        {"asa": 0},
        {"resectability_group": 4},
        {"cea_ng_per_ml": -1.0},
        {"synchronous": True, "disease_free_months": 8.0},
        {"simultaneous_resection": True, "primary_in_place": False},
        {"extrahepatic_sites": (Site.LUNG, Site.LUNG)},
    ],
)
def test_statements_that_cannot_be_are_refused(said):
    with pytest.raises(CaseError):
        Attested(**said)
