"""Every ratio and interval that volumes and patient allow."""

from __future__ import annotations

import math

import pytest

from flr_volumetry.assessment import RULE_INDICES, assess
from flr_volumetry.assessment.function import FUNCTION_UNITS
from flr_volumetry.volumetry.patient import Patient
from flr_volumetry.volumetry.uncertainty import Measured, ratio_interval
from tests.assessment.cases import ALL, NORMAL, liver


def test_weight_alone_gives_the_formula_that_needs_no_height():
    """T2 is computed from weight; everything on body surface is missing."""
    keys = {i.key for i in assess(liver(), Patient(weight_kg=70), ALL).indices}

    assert keys == {"flr", "flr_of_total", "phrr", "sflr_t2", "flr_per_body_weight"}


def test_a_full_patient_has_every_index_once():
    """All ratios, each with the interval around its value and its denominator in words and number."""
    indices = assess(liver(), NORMAL, ALL).indices
    keys = [i.key for i in indices]

    assert len(keys) == len(set(keys))
    assert set(keys) == {"phrr", *(set(RULE_INDICES) - set(FUNCTION_UNITS))}
    for index in indices:
        low, high = index.interval
        assert low < index.value < high
        assert index.value == pytest.approx(index.numerator_ml / index.denominator_amount)
        assert index.method
    denominators = {i.key: i.denominator for i in indices}
    assert denominators["flr"] == "FTLV 1500.0 mL"
    assert denominators["flr_of_total"] == "TLV 1650.0 mL"
    assert denominators["sflr_t3"] == "TELV 1280.4 mL (T3 Urata 1995)"
    assert denominators["flr_per_body_weight"] == "body weight 70 kg"
    assert denominators["flr_per_bsa"] == "BSA 1.8181 m2 (Mosteller 1987)"


def test_each_index_uses_its_own_remnant():
    """Tumour that stays counts in D9 and in no other ratio; ablated tissue counts in none."""
    left = liver(remnant=360.0, tumour_left=30.0, ablated=100.0)
    values = {i.key: i.value for i in assess(left, NORMAL, ALL).indices}

    assert values["flr_of_total"] == pytest.approx(360 / 1650)
    assert values["flr"] == pytest.approx(330 / 1500)
    assert values["sflr_t2"] == pytest.approx(330 / 1487.5)
    assert values["flr_per_body_weight"] == pytest.approx(330 / 70_000)
    assert values["phrr"] == pytest.approx((1190 - 120) / 1500)


def test_each_measured_share_has_the_errors_of_its_own_volumes():
    """D8 and D9: 5 % of their own remnant, 3 % of their own liver, and the interval made of both."""
    left = liver(remnant=360.0, tumour_left=30.0)
    indices = {i.key: i for i in assess(left, NORMAL, ALL).indices}

    for key, remnant, whole in (("flr", 330.0, 1500.0), ("flr_of_total", 360.0, 1650.0)):
        index = indices[key]
        assert (index.numerator_ml, index.denominator_amount) == (remnant, whole)
        assert index.sd_numerator == pytest.approx(0.05 * remnant)
        assert index.sd_denominator == pytest.approx(0.03 * whole)
        assert index.interval == pytest.approx(
            ratio_interval(Measured(remnant, 0.05 * remnant), Measured(whole, 0.03 * whole))
        )


def test_interval_of_the_resection_rate_mirrors_that_of_the_remnant():
    """What D8 gains, D11 loses: the widths agree and the ends sum to one."""
    values = {i.key: i for i in assess(liver(), NORMAL, ALL).indices}

    assert values["phrr"].interval[0] == pytest.approx(1 - values["flr"].interval[1])
    assert values["phrr"].interval[1] == pytest.approx(1 - values["flr"].interval[0])


def test_a_measured_share_never_exceeds_the_whole():
    """A remnant of 99 % has an interval that ends at 100 %; a standardised share may go beyond."""
    large = liver(tumour=0.0, remnant=1633.5)
    values = {i.key: i for i in assess(large, NORMAL, ALL).indices}

    assert values["flr"].interval[1] == 1.0
    assert values["flr_of_total"].interval[1] == 1.0
    assert values["phrr"].interval[0] >= 0.0
    assert values["sflr"].value > 1.0


@pytest.mark.parametrize(("key", "amount"), [("flr_per_body_weight", 70_000.0), ("flr_per_bsa", 1.8181)])
def test_body_size_is_exact_in_the_interval(key, amount):
    """330 +- 16.5 mL over an exact weight or surface: both ends are the remnant's, divided."""
    index = next(i for i in assess(liver(), NORMAL, ALL).indices if i.key == key)
    ends = ((330 - 1.959964 * 16.5) / amount, (330 + 1.959964 * 16.5) / amount)

    assert index.interval == pytest.approx(ends, rel=1e-4)
    assert index.sd_denominator == 0


def test_estimated_volumes_are_exact_in_the_interval():
    """The interval of a standardised ratio is the remnant's alone, and the methods say so."""
    assessment = assess(liver(), NORMAL, ALL)
    sflr = next(i for i in assessment.indices if i.key == "sflr")

    assert sflr.sd_denominator == 0
    assert sflr.interval[0] == pytest.approx((330 - 1.959964 * 16.5) / 1509.66, abs=1e-5)
    assert any("taken as exact" in sentence for sentence in assessment.methods)


def test_intervals_of_amounts():
    """Liver 3 %, remnant 5 %, resected from both; tumour and ablation have no stated error."""
    intervals = assess(liver(), NORMAL, ALL).volume_intervals
    z = 1.959964

    assert set(intervals) == {
        "total_ml",
        "functional_ml",
        "remnant_ml",
        "remnant_functional_ml",
        "resected_ml",
    }
    assert intervals["total_ml"] == pytest.approx((1650 - z * 49.5, 1650 + z * 49.5), abs=1e-3)
    assert intervals["remnant_functional_ml"] == pytest.approx((330 - z * 16.5, 330 + z * 16.5), abs=1e-3)
    assert intervals["resected_ml"][1] - 1320 == pytest.approx(z * math.hypot(49.5, 16.5), abs=1e-3)
