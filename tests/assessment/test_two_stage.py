"""A two-stage plan followed: lesions by side and stage, what has to grow, and who is at risk."""

from __future__ import annotations

import dataclasses

import pytest

from flr_volumetry.assessment import PlannedCut, assess
from flr_volumetry.assessment.systems import Attested
from flr_volumetry.assessment.systems.attested import Response
from flr_volumetry.assessment.two_stage import FIGURES, How, Side, two_stage_path
from flr_volumetry.resection import Ablation, ResectionPlan, SegmentResection, Stage, Waiting, WedgeResection
from tests.assessment.cases import NORMAL
from tests.assessment.test_systems import PROTOCOLS, facts, lesion

HEPATECTOMY = SegmentResection(frozenset({5, 6, 7, 8}), "right hepatectomy")


FOUR_WEEKS = Waiting("pve", 4)


def staged(lesions, one, two=(), *, after=FOUR_WEEKS, attested=None):
    """Return a case of two stages, its forecast following the plan."""
    plan = ResectionPlan((Stage("one", tuple(one)), Stage("two", (HEPATECTOMY, *two), after)))
    case = facts(lesions, attested=attested)
    assessment = assess(case.volumes, NORMAL, PROTOCOLS, cut=PlannedCut(plan, case.consequences))
    return dataclasses.replace(case, plan=plan, assessment=assessment)


def test_lesions_by_side_and_what_clears_them():
    """Right ones go with the hepatectomy, left ones by wedge and ablation, and one stays."""
    lesions = [
        lesion(1, segment=6, cleared=2),
        lesion(2, segment=3, cleared=1),
        lesion(3, segment=4, cleared=1),
        lesion(4, segment=2, cleared=0),
        lesion(5, segment=1, cleared=2),
    ]
    case = staged(lesions, [WedgeResection((2,), 5.0), Ablation((3,), 6.0)], [WedgeResection((5,), 5.0)])
    path = two_stage_path(case)
    found = [(x.side, x.how, x.stage, x.grows_with_remnant) for x in path.lesions]

    assert found == [
        (Side.RIGHT, How.HEPATECTOMY, 2, False),
        (Side.LEFT, How.WEDGE, 1, False),
        (Side.LEFT, How.ABLATION, 1, False),
        (Side.LEFT, How.NOTHING, 0, True),
        (Side.CAUDATE, How.WEDGE, 2, True),
    ]
    assert path.uncleared == (4,)
    assert "1.00 mL of it stay" in path.lesions[3].warnings[0]
    assert "while the remnant grows" in path.lesions[4].warnings[0]


@pytest.mark.parametrize(("mm", "warned"), [(29.9, False), (30.0, True)])
def test_an_ablation_of_3_cm_is_pointed_out(mm, warned):
    path = two_stage_path(staged([lesion(1, mm, 3)], [Ablation((1,), 6.0)]))
    assert bool(path.lesions[0].warnings) is warned


def test_what_has_to_grow_is_the_functional_remnant_and_the_forecast_is_that_of_the_plan():
    """330 mL grow; median and probabilities at four weeks are those of the pathway."""
    case = staged([lesion(1, segment=6, cleared=2)], [Ablation((1,), 6.0)])
    path, pathway = two_stage_path(case), case.assessment.pathway

    assert path.to_grow_ml == case.volumes.remnant_functional_ml == 330
    assert path.weeks == 4
    assert path.band == next(b for b in pathway.bands if b.weeks == 4)
    assert [(r.id, p) for r, _, _, p in path.rules] == [
        (f.rule.id, dict(f.probabilities)[4]) for f in pathway.rules
    ]
    assert path.rules


def test_without_a_wait_there_is_no_forecast_and_without_stages_no_path():
    case = staged([lesion(1)], [Ablation((1,), 6.0)], after=None)
    path = two_stage_path(case)
    assert (path.weeks, path.band, path.rules) == (None, None, ())
    assert two_stage_path(facts([lesion(1)])) is None


@pytest.mark.parametrize(
    ("key", "lesions", "said", "present"),
    [
        ("many_cycles", 1, {"chemotherapy_cycles": 6.0}, False),
        ("many_cycles", 1, {"chemotherapy_cycles": 7.0}, True),
        ("many_cycles", 1, {}, None),
        ("many_lesions", 5, {}, False),
        ("many_lesions", 6, {}, True),
        ("large_lesion", 1, {}, False),
        ("progression", 1, {"chemotherapy_response": Response.PROGRESSION}, True),
        ("progression", 1, {"chemotherapy_response": Response.STABLE}, False),
        ("progression", 1, {}, None),
    ],
)
def test_predictors_of_failure_turn_at_their_published_steps(key, lesions, said, present):
    case = staged(
        [lesion(n) for n in range(1, lesions + 1)], [Ablation((1,), 6.0)], attested=Attested(**said)
    )
    assert {p.key: p.present for p in two_stage_path(case).predictors}[key] is present
    big = staged([lesion(1, 50.0)], [Ablation((1,), 6.0)])
    assert {p.key: p.present for p in two_stage_path(big).predictors}["large_lesion"] is True


def test_series_are_given_as_ranges():
    said = " ".join(FIGURES)
    for figure in ("20 to 30 %", "57 %", "35 of 45", "89 of 109", "25 of 29", "58 and 18 %", "68 and 6 %"):
        assert figure in said
    assert "none is a prediction" in said
