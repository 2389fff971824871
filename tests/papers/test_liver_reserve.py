"""Signs of liver reserve, units of blood tests, Fong's points and ablation zones, at their printed steps."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr_volumetry.errors import FormulaError
from flr_volumetry.volumetry import formulas
from flr_volumetry.volumetry.formulas import MeldRisk

TRUTHS = (True, False, None)


@pytest.mark.parametrize(
    ("score", "risk"),
    [
        (6.43, MeldRisk.LOW),
        (8.99, MeldRisk.LOW),
        (9, MeldRisk.INTERMEDIATE),
        (10, MeldRisk.INTERMEDIATE),
        (10.01, MeldRisk.HIGH),
    ],
)
def test_meld_bands_change_at_nine_and_above_ten(score, risk):
    assert formulas.meld_risk(score=score) is risk


@pytest.mark.parametrize(
    ("signs", "there"),
    [
        ({"hvpg_mmhg": 10}, True),
        ({"hvpg_mmhg": 9.9}, None),
        ({"varices": True}, True),
        ({"platelets_per_nl": 99, "splenomegaly": True}, True),
        ({"platelets_per_nl": 100, "splenomegaly": True}, None),
        ({"platelets_per_nl": 99, "splenomegaly": False, "varices": False, "hvpg_mmhg": 4}, False),
        ({"platelets_per_nl": 100, "varices": False, "hvpg_mmhg": 4}, False),
        ({"platelets_per_nl": 99, "varices": False, "hvpg_mmhg": 4}, None),
        ({}, None),
    ],
)
def test_portal_hypertension_is_absent_only_if_every_sign_is_known_to_be(signs, there):
    assert formulas.portal_hypertension(**signs) is there


def test_the_signs_of_steatohepatitis_are_all_needed():
    """Against three-valued logic written out: any absent sign denies, else any unknown leaves it open."""
    for steatosis, splenomegaly, few in itertools.product(TRUTHS, repeat=3):
        count = None if few is None else 90 if few else 110
        signs = (steatosis, splenomegaly, few)
        expected = False if False in signs else None if None in signs else True
        found = formulas.chemotherapy_steatohepatitis(
            steatosis=steatosis, splenomegaly=splenomegaly, platelets_per_nl=count
        )
        assert found is expected, signs


def test_capacity_and_uptake_of_a_remnant():
    """LiMAx 400 and 25 %: 100, the critical value; 17 %/min and half the counts: 8.5 %/min."""
    assert formulas.limax_remnant_ug_per_kg_per_h(limax_ug_per_kg_per_h=400, flr_fraction=0.25) == 100
    assert formulas.remnant_uptake_percent_per_min(
        uptake_percent_per_min=17, remnant_count_share=0.5
    ) == pytest.approx(8.5)


@pytest.mark.parametrize(("margin_mm", "ml"), [(5, 22.4), (10, 47.7)])
def test_an_ablation_of_25_mm_with_its_margin(margin_mm, ml):
    """W13: 22.4 and 47.7 mL."""
    assert formulas.ablation_zone_ml(diameter_mm=25, margin_mm=margin_mm) == pytest.approx(ml, abs=0.05)


@given(st.floats(0.1, 55))
def test_bilirubin_goes_there_and_back(mg):
    there = formulas.bilirubin_umol_per_l(bilirubin_mg_per_dl=mg)
    assert there == pytest.approx(17.1 * mg)
    assert formulas.bilirubin_mg_per_dl(bilirubin_umol_per_l=there) == pytest.approx(mg)


def test_albi_in_both_units():
    """10 micromol/L and 40 g/L, given as mg/dL: the same -2.740."""
    umol = formulas.bilirubin_umol_per_l(bilirubin_mg_per_dl=10 / 17.1)
    assert formulas.albi_score(bilirubin_umol_per_l=umol, albumin_g_per_l=40) == pytest.approx(
        -2.740, abs=5e-4
    )
    assert formulas.creatinine_mg_per_dl(creatinine_umol_per_l=176.8) == pytest.approx(2)


FONG = {
    "node_positive": False,
    "disease_free_months": 12.0,
    "lesions": 1,
    "cea_ng_per_ml": 200.0,
    "largest_mm": 50.0,
}


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"node_positive": True}, 0),
        ({"disease_free_months": 11.9}, 1),
        ({"lesions": 2}, 2),
        ({"cea_ng_per_ml": 200.1}, 3),
        ({"largest_mm": 50.1}, 4),
    ],
)
def test_each_point_of_fong_is_given_beyond_its_step(changed, place):
    """None at the step itself; one point beyond it, and unknown if it is not known."""
    assert formulas.fong_points(**FONG) == (False,) * 5
    points = formulas.fong_points(**{**FONG, **changed})
    assert [n for n, point in enumerate(points) if point] == [place]
    unknown = formulas.fong_points(**{**FONG, next(iter(changed)): None})
    assert [n for n, point in enumerate(unknown) if point is None] == [place]


IMPOSSIBLE = [
    ("meld_risk", {"score": 6.4}),
    ("meld_risk", {"score": math.nan}),
    ("portal_hypertension", {"hvpg_mmhg": -1}),
    ("portal_hypertension", {"platelets_per_nl": 180_000}),
    ("chemotherapy_steatohepatitis", {"steatosis": True, "splenomegaly": True, "platelets_per_nl": 0}),
    ("limax_remnant_ug_per_kg_per_h", {"limax_ug_per_kg_per_h": 0.3, "flr_fraction": 0.3}),
    ("limax_remnant_ug_per_kg_per_h", {"limax_ug_per_kg_per_h": 300, "flr_fraction": 30}),
    ("remnant_uptake_percent_per_min", {"uptake_percent_per_min": 0, "remnant_count_share": 0.3}),
    ("remnant_uptake_percent_per_min", {"uptake_percent_per_min": 61, "remnant_count_share": 0.3}),
    ("remnant_uptake_percent_per_min", {"uptake_percent_per_min": 15, "remnant_count_share": 30}),
    ("ablation_zone_ml", {"diameter_mm": 0, "margin_mm": 5}),
    ("ablation_zone_ml", {"diameter_mm": 25, "margin_mm": -1}),
    ("ablation_zone_ml", {"diameter_mm": 501, "margin_mm": 5}),
    ("bilirubin_umol_per_l", {"bilirubin_mg_per_dl": 171}),
    ("bilirubin_mg_per_dl", {"bilirubin_umol_per_l": 0.6}),
    ("creatinine_mg_per_dl", {"creatinine_umol_per_l": 1.0}),
    ("fong_points", {**FONG, "cea_ng_per_ml": -1}),
    ("fong_points", {**FONG, "largest_mm": math.nan}),
]


@pytest.mark.parametrize(("name", "known"), IMPOSSIBLE)
def test_what_cannot_be_is_refused(name, known):
    with pytest.raises(FormulaError):
        getattr(formulas, name)(**known)
