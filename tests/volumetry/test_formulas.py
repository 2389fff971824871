"""Definitions obey their identities; what is outside a domain is refused by name."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr_volumetry.errors import FormulaError
from flr_volumetry.volumetry import formulas
from flr_volumetry.volumetry.formulas import BodySurface, BsaFormula, ThoraxCohort
from flr_volumetry.volumetry.patient import Sex

BSA_M2 = BodySurface(1.8, BsaFormula.MOSTELLER)

AMOUNTS = {
    "functional_volume_ml": {"total_ml": 1650.0, "tumour_ml": 150.0},
    "functional_remnant_ml": {"remnant_ml": 350.0, "lost_ml": 20.0},
    "resected_ml": {"total_ml": 1650.0, "remnant_ml": 350.0},
    "resected_functional_ml": {"functional_ml": 1500.0, "remnant_functional_ml": 330.0},
    "flr_fraction": {"remnant_functional_ml": 330.0, "functional_ml": 1500.0},
    "flr_of_total_fraction": {"remnant_ml": 330.0, "total_ml": 1650.0},
    "sflr_fraction": {"remnant_functional_ml": 330.0, "telv_ml": 1509.66},
    "phrr_fraction": {
        "resected_ml": 1320.0,
        "resected_tumour_ml": 100.0,
        "total_ml": 1650.0,
        "tumour_ml": 150.0,
    },
    "flr_per_body_weight_fraction": {"remnant_functional_ml": 330.0, "weight_kg": 70.0},
    "flr_per_bsa_ml_per_m2": {"remnant_functional_ml": 330.0, "bsa": BSA_M2},
    "effective_remnant_ml": {
        "remnant_functional_ml": 400.0,
        "congested_ml": 100.0,
        "retained_function": 0.5,
    },
    "margin_ml": {"remnant_functional_ml": 330.0, "denominator_ml": 1500.0, "threshold": 0.3},
    "deficit_ml": {"remnant_functional_ml": 330.0, "denominator_ml": 1500.0, "threshold": 0.3},
    "required_growth_fraction": {"deficit_ml": 120.0, "remnant_functional_ml": 330.0},
    "volume_ml": {"voxels": 1000, "voxel_ml": 0.001},
    "grwr_fraction": {"graft_g": 560.0, "recipient_weight_kg": 70.0},
    "bsa_mosteller": {"height_cm": 170.0, "weight_kg": 70.0},
    "bsa_dubois": {"height_cm": 170.0, "weight_kg": 70.0},
    "bsa_haycock": {"height_cm": 170.0, "weight_kg": 70.0},
    "bsa_gehan_george": {"height_cm": 170.0, "weight_kg": 70.0},
    "bsa_fujimoto": {"height_cm": 170.0, "weight_kg": 70.0},
    "telv_vauthey_2002_weight": {"weight_kg": 70.0},
    "telv_chan_2006": {"weight_kg": 70.0, "sex": Sex.MALE},
    "telv_yu_2004": {"height_cm": 170.0, "weight_kg": 70.0},
    "telv_chouker_2004": {"weight_kg": 70.0, "age_years": 40.0, "sex": Sex.MALE},
    "telv_tu_2007": {"weight_kg": 70.0},
    "telv_kokudo_2015": {"age_years": 40.0, "chest_width_cm": 28.0, "cohort": ThoraxCohort.SWISS},
}

NUMBERS = [
    (name, key) for name, known in AMOUNTS.items() for key, v in known.items() if isinstance(v, int | float)
]


@pytest.mark.parametrize(("name", "parameter"), NUMBERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0])
def test_no_parameter_may_be_negative_or_not_finite(name, parameter, value):
    """Each number of each formula: nan, infinity and -1 are refused, and the message says what was found."""
    known = {**AMOUNTS[name], parameter: value}

    with pytest.raises(FormulaError, match=r"nan|inf|-1"):
        getattr(formulas, name)(**known)


MAY_BE_NOUGHT = {
    ("functional_volume_ml", "tumour_ml"),
    ("functional_remnant_ml", "lost_ml"),
    ("phrr_fraction", "resected_tumour_ml"),
    ("effective_remnant_ml", "congested_ml"),
    ("effective_remnant_ml", "retained_function"),
    ("required_growth_fraction", "deficit_ml"),
    ("volume_ml", "voxels"),
}


@pytest.mark.parametrize(("name", "parameter"), NUMBERS)
def test_nought_is_refused_where_it_means_missing(name, parameter):
    """A denominator or a remnant of nought is refused; no tumour, nothing lost, no deficit are not."""
    known = {**AMOUNTS[name], parameter: 0}
    if (name, parameter) in MAY_BE_NOUGHT:
        assert math.isfinite(getattr(formulas, name)(**known))
    else:
        with pytest.raises(FormulaError, match=r"\b0\b|exceeds"):
            getattr(formulas, name)(**known)


TOO_MUCH = [
    ("functional_volume_ml", "tumour_ml", 1650.0, "total_ml - tumour_ml"),
    ("functional_volume_ml", "tumour_ml", 1651.0, "tumour_ml = 1651 exceeds total_ml = 1650"),
    ("functional_remnant_ml", "lost_ml", 350.0, "remnant_ml - lost_ml"),
    ("functional_remnant_ml", "lost_ml", 351.0, "exceeds remnant_ml"),
    ("resected_ml", "remnant_ml", 1651.0, "exceeds total_ml"),
    ("resected_functional_ml", "remnant_functional_ml", 1501.0, "exceeds functional_ml"),
    ("flr_fraction", "remnant_functional_ml", 1501.0, "remnant_functional_ml = 1501 exceeds"),
    ("flr_of_total_fraction", "remnant_ml", 1651.0, "exceeds total_ml"),
    ("phrr_fraction", "resected_tumour_ml", 151.0, "exceeds tumour_ml"),
    ("phrr_fraction", "resected_ml", 99.0, "exceeds resected_ml"),
    ("phrr_fraction", "resected_ml", 1601.0, "the parenchyma resected"),
    ("phrr_fraction", "tumour_ml", 1650.0, "total_ml - tumour_ml"),
    ("effective_remnant_ml", "congested_ml", 401.0, "exceeds remnant_functional_ml"),
    ("effective_remnant_ml", "retained_function", 30.0, "in percent"),
    ("margin_ml", "threshold", 30.0, "in percent"),
    ("deficit_ml", "threshold", 1.0, "in percent"),
    ("bsa_mosteller", "height_cm", 1.7, "looks like metres"),
    ("telv_yu_2004", "height_cm", 1.7, "looks like metres"),
    ("bsa_dubois", "height_cm", 70.0, r"70 is outside 120 to 220 cm\.$"),
    ("bsa_haycock", "height_cm", 221.0, "221 is outside"),
    ("bsa_gehan_george", "weight_kg", 251.0, "251 is outside"),
    ("bsa_fujimoto", "weight_kg", 29.0, "29 is outside"),
    ("flr_per_body_weight_fraction", "weight_kg", 70_000.0, "pounds or grams"),
    ("telv_chouker_2004", "age_years", 71.0, "16 to 70"),
    ("telv_chouker_2004", "age_years", 15.9, "16 to 70"),
    ("telv_kokudo_2015", "age_years", 17.0, "17 is outside"),
    ("telv_kokudo_2015", "chest_width_cm", 280.0, "in millimetres"),
]


@pytest.mark.parametrize(("name", "parameter", "value", "message"), TOO_MUCH)
def test_what_cannot_be_is_named(name, parameter, value, message):
    """Parts larger than wholes, percent for fractions, metres for centimetres: each with its message."""
    with pytest.raises(FormulaError, match=message):
        getattr(formulas, name)(**{**AMOUNTS[name], parameter: value})


@pytest.mark.parametrize("name", sorted(AMOUNTS))
def test_formulas_take_keywords_only(name):
    """No formula can be called with numbers in the wrong order."""
    with pytest.raises(TypeError):
        getattr(formulas, name)(*AMOUNTS[name].values())


@pytest.mark.parametrize(("height_cm", "weight_kg"), [(120, 30), (220, 250)])
def test_the_ends_of_the_plausible_body_are_inside(height_cm, weight_kg):
    """120 cm with 30 kg is 1.0 m2, 220 cm with 250 kg is 3.9 m2."""
    area = formulas.bsa_mosteller(height_cm=height_cm, weight_kg=weight_kg).m2

    assert area == pytest.approx((height_cm * weight_kg) ** 0.5 / 60)


def test_everything_public_is_listed_in_order():
    """`__all__` is sorted, complete and true."""
    listed = formulas.__all__

    assert list(listed) == sorted(listed)
    assert all(hasattr(formulas, name) for name in listed)
    assert set(AMOUNTS) <= set(listed)


@pytest.mark.parametrize(("m2", "doubtful"), [(1.29, True), (1.3, False), (2.5, False), (2.51, True)])
def test_vauthey_is_doubtful_outside_1_3_to_2_5_m2(m2, doubtful):
    """T1 carries a caveat outside its range, and the caveat names the body surface."""
    caveats = formulas.telv_vauthey_2002_bsa(bsa=BodySurface(m2, BsaFormula.MOSTELLER)).caveats

    assert [c.code for c in caveats] == (["telv_bsa_out_of_range"] if doubtful else [])
    assert all(f"{m2:.2f} m2" in c.message for c in caveats)


def test_another_body_surface_formula_is_pointed_out():
    """Urata's formula with Mosteller's surface says so."""
    caveats = formulas.telv_urata_1995(bsa=BSA_M2).caveats

    assert [c.code for c in caveats] == ["telv_other_bsa_formula"]
    assert "DuBois" in caveats[0].message
    assert "Mosteller" in caveats[0].message


def test_a_body_too_small_for_a_formula_is_refused():
    """T1 is below nought under 0.63 m2."""
    with pytest.raises(FormulaError, match="T1"):
        formulas.telv_vauthey_2002_bsa(bsa=BodySurface(0.62, BsaFormula.MOSTELLER))


@pytest.mark.parametrize("m2", [0.0, -1.8, math.nan, math.inf])
def test_a_body_surface_is_positive(m2):
    """A surface of nought, below it, or none at all is refused."""
    with pytest.raises(FormulaError, match="body surface"):
        BodySurface(m2, BsaFormula.MOSTELLER)


def test_grams_are_not_millilitres():
    """A formula in grams refuses to be read in mL, and one in mL to be read in grams."""
    grams = formulas.telv_chan_2006(weight_kg=70, sex=Sex.MALE)
    millilitres = formulas.telv_tu_2007(weight_kg=70)

    with pytest.raises(FormulaError, match="grams, not millilitres") as refused:
        _ = grams.ml
    assert refused.value.reason == "grams_not_millilitres"
    with pytest.raises(FormulaError, match="millilitres, not grams"):
        _ = millilitres.g
    with pytest.raises(FormulaError, match="g_per_ml"):
        grams.to_ml(g_per_ml=0)
    assert grams.to_ml(g_per_ml=0.5) == pytest.approx(2260.0)


volumes = st.floats(1.0, 4000.0)
shares = st.floats(0.01, 1.0)


@settings(deadline=None)
@given(total=volumes, share=shares, tumour=st.floats(0.0, 0.9))
def test_what_stays_and_what_goes_make_the_liver(total, share, tumour):
    """D6 + D4 = D1, D7 + D5 = D3, and D11 = 1 - D8 where all tumour goes."""
    tumour_ml = tumour * total
    functional = formulas.functional_volume_ml(total_ml=total, tumour_ml=tumour_ml)
    remnant = share * functional
    resected = formulas.resected_ml(total_ml=total, remnant_ml=remnant)
    parenchyma = formulas.resected_functional_ml(functional_ml=functional, remnant_functional_ml=remnant)
    flr = formulas.flr_fraction(remnant_functional_ml=remnant, functional_ml=functional)

    assert resected + remnant == pytest.approx(total)
    assert parenchyma + remnant == pytest.approx(functional)
    assert flr == pytest.approx(share)
    assert formulas.flr_of_total_fraction(remnant_ml=remnant, total_ml=total) <= flr + 1e-12


@settings(deadline=None)
@given(remnant=volumes, denominator=volumes, threshold=st.floats(0.01, 0.99))
def test_adding_the_deficit_reaches_the_threshold(remnant, denominator, threshold):
    """D15 is exactly what is lacking: with it the remnant meets the threshold, and D16 is its share."""
    ask = {"denominator_ml": denominator, "threshold": threshold}
    deficit = formulas.deficit_ml(remnant_functional_ml=remnant, **ask)
    growth = formulas.required_growth_fraction(deficit_ml=deficit, remnant_functional_ml=remnant)
    grown = remnant * (1 + growth)

    assert deficit == max(0.0, -formulas.margin_ml(remnant_functional_ml=remnant, **ask))
    assert grown == pytest.approx(remnant + deficit)
    if deficit > 0:
        assert grown / denominator == pytest.approx(threshold)


@settings(deadline=None)
@given(remnant=volumes, share=st.floats(0.0, 1.0), kept=st.floats(0.0, 1.0))
def test_congestion_weighs_between_all_and_nothing(remnant, share, kept):
    """D14 runs in a straight line from the uncongested part (f = 0) to the whole remnant (f = 1)."""
    congested = share * remnant

    def effective(f):
        return formulas.effective_remnant_ml(
            remnant_functional_ml=remnant, congested_ml=congested, retained_function=f
        )

    assert effective(0) == pytest.approx(remnant - congested, abs=1e-9)
    assert effective(1) == pytest.approx(remnant)
    assert effective(kept) == pytest.approx((1 - kept) * effective(0) + kept * effective(1), abs=1e-9)
