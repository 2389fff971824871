"""Tests of liver function as published: values, steps and what cannot be."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr_volumetry.errors import FormulaError
from flr_volumetry.volumetry import formulas
from flr_volumetry.volumetry.formulas import (
    Ascites,
    AscitesControl,
    Encephalopathy,
    Extent,
    IcgExtent,
    SteatosisHint,
)

WELL = {
    "bilirubin_mg_per_dl": 1.0,
    "albumin_g_per_dl": 4.0,
    "inr": 1.0,
    "ascites": Ascites.NONE,
    "encephalopathy": Encephalopathy.NONE,
}
SOUND = {"bilirubin_mg_per_dl": 0.8, "ascites": AscitesControl.NONE, "icg_r15_percent": 5.0}


@pytest.mark.parametrize(("r15", "k"), [(10, 0.15351), (20, 0.10730)])
def test_retention_of_10_and_20_percent(r15, k):
    assert formulas.icg_k_per_min(icg_r15_percent=r15) == pytest.approx(k, abs=5e-6)


def test_icgk_of_a_remnant_of_35_percent():
    """R15 10 %, FLR 35 %: 0.0537, not below 0.05."""
    k = formulas.icg_k_per_min(icg_r15_percent=10)
    assert formulas.icgk_flr_per_min(icg_k_per_min=k, flr_fraction=0.35) == pytest.approx(0.0537, abs=5e-5)


def test_albi_of_10_micromol_and_40_g():
    score = formulas.albi_score(bilirubin_umol_per_l=10, albumin_g_per_l=40)
    assert score == pytest.approx(-2.740, abs=5e-4)
    assert formulas.albi_grade(score=score) == 1


@pytest.mark.parametrize(
    ("score", "grade"), [(-2.60, 1), (-2.59, 2), (-1.39, 2), (-1.38, 3), (-4.0, 1), (0.0, 3)]
)
def test_albi_grades_change_at_their_steps(score, grade):
    assert formulas.albi_grade(score=score) == grade


def test_meld_of_a_healthy_person():
    """Bilirubin, INR and creatinine of 1: 6.43; below 1 counts as 1."""
    assert formulas.meld_score(bilirubin_mg_per_dl=1, inr=1, creatinine_mg_per_dl=1) == 6.43
    assert formulas.meld_score(bilirubin_mg_per_dl=0.4, inr=0.8, creatinine_mg_per_dl=0.6) == 6.43


def test_meld_adds_its_logarithms():
    score = formulas.meld_score(bilirubin_mg_per_dl=math.e, inr=math.e, creatinine_mg_per_dl=math.e)
    assert score == pytest.approx(6.43 + 3.78 + 11.2 + 9.57)
    assert formulas.meld_score(bilirubin_mg_per_dl=math.e, inr=1, creatinine_mg_per_dl=1) == pytest.approx(
        10.21
    )
    assert formulas.meld_score(bilirubin_mg_per_dl=1, inr=math.e, creatinine_mg_per_dl=1) == pytest.approx(
        17.63
    )


@pytest.mark.parametrize(
    ("name", "value", "points"),
    [
        ("bilirubin_mg_per_dl", 1.99, 1),
        ("bilirubin_mg_per_dl", 2.0, 2),
        ("bilirubin_mg_per_dl", 3.0, 2),
        ("bilirubin_mg_per_dl", 3.01, 3),
        ("albumin_g_per_dl", 3.51, 1),
        ("albumin_g_per_dl", 3.5, 2),
        ("albumin_g_per_dl", 2.8, 2),
        ("albumin_g_per_dl", 2.79, 3),
        ("inr", 1.69, 1),
        ("inr", 1.7, 2),
        ("inr", 2.3, 2),
        ("inr", 2.31, 3),
        ("ascites", Ascites.NONE, 1),
        ("ascites", Ascites.MILD, 2),
        ("ascites", Ascites.MODERATE_OR_SEVERE, 3),
        ("encephalopathy", Encephalopathy.NONE, 1),
        ("encephalopathy", Encephalopathy.GRADE_1_2, 2),
        ("encephalopathy", Encephalopathy.GRADE_3_4, 3),
    ],
)
def test_child_pugh_points_change_at_their_steps(name, value, points):
    assert formulas.child_pugh_points(**{**WELL, name: value}) == 4 + points


def test_child_pugh_classes():
    assert [formulas.child_pugh_class(points=n) for n in range(5, 16)] == [*"AABBB", *"CCCCCC"]
    for impossible in (4, 16):
        with pytest.raises(FormulaError, match="5 to 15"):
            formulas.child_pugh_class(points=impossible)


@pytest.mark.parametrize(
    ("changed", "extent"),
    [
        ({"icg_r15_percent": 9.9}, Extent.RIGHT_OR_TRISECTIONECTOMY),
        ({"icg_r15_percent": 10}, Extent.SECTIONECTOMY_OR_LEFT),
        ({"icg_r15_percent": 19.9}, Extent.SECTIONECTOMY_OR_LEFT),
        ({"icg_r15_percent": 20}, Extent.SEGMENTECTOMY),
        ({"icg_r15_percent": 30}, Extent.LIMITED),
        ({"icg_r15_percent": 40}, Extent.ENUCLEATION),
        ({"bilirubin_mg_per_dl": 1.0}, Extent.RIGHT_OR_TRISECTIONECTOMY),
        ({"bilirubin_mg_per_dl": 1.1}, Extent.LIMITED),
        ({"bilirubin_mg_per_dl": 1.5}, Extent.LIMITED),
        ({"bilirubin_mg_per_dl": 1.6}, Extent.ENUCLEATION),
        ({"bilirubin_mg_per_dl": 1.99}, Extent.ENUCLEATION),
        ({"bilirubin_mg_per_dl": 2.0}, Extent.NONE),
        ({"ascites": AscitesControl.CONTROLLED}, Extent.RIGHT_OR_TRISECTIONECTOMY),
        ({"ascites": AscitesControl.UNCONTROLLED}, Extent.NONE),
    ],
)
def test_the_rule_of_makuuchi_step_by_step(changed, extent):
    assert formulas.makuuchi_extent(**{**SOUND, **changed}) is extent


@given(
    st.floats(0.05, 60),
    st.sampled_from(AscitesControl),
    st.floats(0, 39.9),
    st.floats(0, 5),
    st.floats(0, 40),
)
def test_worse_function_never_allows_more(bilirubin, ascites, r15, worse_bilirubin, worse_r15):
    """Below 40 % of ICG: at 40 % the published rule allows less at a normal bilirubin than at 1.1 to 1.5."""
    better = formulas.makuuchi_extent(bilirubin_mg_per_dl=bilirubin, ascites=ascites, icg_r15_percent=r15)
    worse = formulas.makuuchi_extent(
        bilirubin_mg_per_dl=min(60, bilirubin + worse_bilirubin),
        ascites=ascites,
        icg_r15_percent=min(39.9, r15 + worse_r15),
    )
    assert worse <= better


@pytest.mark.parametrize(
    ("k", "extent"),
    [
        (0.12, IcgExtent.HEMIHEPATECTOMY),
        (0.1199, IcgExtent.BISEGMENT),
        (0.10, IcgExtent.BISEGMENT),
        (0.08, IcgExtent.MONOSEGMENT),
        (0.06, IcgExtent.NON_ANATOMIC),
        (0.0599, IcgExtent.NONE),
    ],
)
def test_the_clearance_rule_step_by_step(k, extent):
    assert formulas.icg_k_extent(icg_k_per_min=k) is extent


def test_uptake_of_the_remnant():
    """15 %/min, 30 % of the counts, 1.8181 m2: 2.475 %/min/m2, below 2.69."""
    area = formulas.bsa_mosteller(height_cm=170, weight_kg=70)
    uptake = formulas.remnant_uptake_percent_per_min_per_m2(
        uptake_percent_per_min=15, remnant_count_share=0.30, bsa=area
    )
    assert uptake == pytest.approx(4.5 / 1.8181, abs=1e-4)


def test_specimen_weight_and_steatosis():
    assert formulas.specimen_weight_g(resected_ml=787) == pytest.approx(713.0, abs=0.1)
    index = formulas.liver_attenuation_index_hu(liver_hu=45, spleen_hu=50)
    assert (index, formulas.steatosis_hint(attenuation_index_hu=index)) == (-5, SteatosisHint.MILD)


@pytest.mark.parametrize(
    ("index", "hint"),
    [
        (5.1, SteatosisHint.UNLIKELY),
        (5.0, SteatosisHint.MILD),
        (-10.0, SteatosisHint.MILD),
        (-10.1, SteatosisHint.MARKED),
    ],
)
def test_the_attenuation_index_changes_its_hint_at_its_steps(index, hint):
    assert formulas.steatosis_hint(attenuation_index_hu=index) is hint


@pytest.mark.parametrize(
    ("pdff", "grade"), [(6.3, 0), (6.4, 1), (17.3, 1), (17.4, 2), (22.0, 2), (22.1, 3), (100, 3)]
)
def test_fat_fraction_grades(pdff, grade):
    assert formulas.pdff_steatosis_grade(pdff_percent=pdff) == grade


IMPOSSIBLE = [
    ("icg_k_per_min", {"icg_r15_percent": 0}),
    ("icg_k_per_min", {"icg_r15_percent": 100}),
    ("icgk_flr_per_min", {"icg_k_per_min": 0.0, "flr_fraction": 0.3}),
    ("icgk_flr_per_min", {"icg_k_per_min": 0.15, "flr_fraction": 30}),
    ("albi_score", {"bilirubin_umol_per_l": 0.6, "albumin_g_per_l": 40}),
    ("albi_score", {"bilirubin_umol_per_l": 10, "albumin_g_per_l": 4.0}),
    ("albi_grade", {"score": math.nan}),
    ("meld_score", {"bilirubin_mg_per_dl": 171, "inr": 1, "creatinine_mg_per_dl": 1}),
    ("meld_score", {"bilirubin_mg_per_dl": 1, "inr": 0, "creatinine_mg_per_dl": 1}),
    ("meld_score", {"bilirubin_mg_per_dl": 1, "inr": 1, "creatinine_mg_per_dl": 88}),
    ("child_pugh_points", {**WELL, "albumin_g_per_dl": 40}),
    ("child_pugh_points", {**WELL, "inr": math.nan}),
    ("makuuchi_extent", {**SOUND, "bilirubin_mg_per_dl": 100}),
    ("makuuchi_extent", {**SOUND, "icg_r15_percent": 100}),
    ("icg_k_extent", {"icg_k_per_min": -0.1}),
    ("specimen_weight_g", {"resected_ml": 0}),
    ("specimen_weight_g", {"resected_ml": 500, "g_per_ml": 906}),
    ("liver_attenuation_index_hu", {"liver_hu": 1024, "spleen_hu": 50}),
    ("liver_attenuation_index_hu", {"liver_hu": 50, "spleen_hu": math.nan}),
    ("steatosis_hint", {"attenuation_index_hu": math.nan}),
    ("pdff_steatosis_grade", {"pdff_percent": 101}),
    (
        "functional_remnant_enhancement_ml_per_kg",
        {"remnant_functional_ml": 700, "relative_enhancement": 0, "weight_kg": 70},
    ),
]


@pytest.mark.parametrize(("name", "known"), IMPOSSIBLE)
def test_what_cannot_be_is_refused(name, known):
    with pytest.raises(FormulaError):
        getattr(formulas, name)(**known)
