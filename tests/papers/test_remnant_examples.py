"""Worked examples of remnant ratios, thresholds and their uncertainty."""

from __future__ import annotations

import pytest

from flr_volumetry.assessment import State, assess
from flr_volumetry.io.protocols import available_protocols
from flr_volumetry.volumetry import formulas, growth
from flr_volumetry.volumetry.measure import LiverVolumes
from flr_volumetry.volumetry.patient import Parenchyma, Patient
from flr_volumetry.volumetry.uncertainty import Measured, probability_at_least, ratio_interval

TELV_ML = 1509.66


def test_350_ml_of_1510_are_23_2_percent():
    """FLR 350 mL, TELV 1509.66 mL: sFLR 23.18 %."""
    assert formulas.sflr_fraction(remnant_functional_ml=350, telv_ml=TELV_ML) == pytest.approx(
        0.2318, abs=5e-5
    )


def test_growth_of_37_9_percent_adds_8_79_points():
    """Grown by 37.9 %, 350 mL are 31.97 % of 1509.66 mL: relative growth and points differ."""
    before = formulas.sflr_fraction(remnant_functional_ml=350, telv_ml=TELV_ML)
    after = formulas.sflr_fraction(remnant_functional_ml=350 * 1.379, telv_ml=TELV_ML)

    assert after == pytest.approx(0.3197, abs=5e-5)
    assert 100 * (after - before) == pytest.approx(8.79, abs=5e-3)


def test_30_percent_of_1510_ml_asks_for_103_ml_more():
    """A threshold of 30 % needs 452.9 mL, a deficit of 102.9 mL, a growth of 29.4 %."""
    ask = {"remnant_functional_ml": 350, "denominator_ml": TELV_ML, "threshold": 0.30}
    deficit = formulas.deficit_ml(**ask)
    growth = formulas.required_growth_fraction(deficit_ml=deficit, remnant_functional_ml=350)

    assert deficit == pytest.approx(102.9, abs=0.05)
    assert formulas.margin_ml(**ask) == pytest.approx(-102.9, abs=0.05)
    assert growth == pytest.approx(0.294, abs=5e-4)


def test_330_ml_at_70_kg_are_0_471_percent_of_body_weight():
    """RLV-BWR of Truant et al., J Am Coll Surg 2007;204:22."""
    ratio = formulas.flr_per_body_weight_fraction(remnant_functional_ml=330, weight_kg=70)

    assert ratio == pytest.approx(0.00471, abs=5e-6)


def test_330_of_1500_ml_are_22_percent_from_19_6_to_24_6():
    """With 5 and 3 % of error: 95 % interval 19.6 to 24.6 %, 5.5 % probable to lie below 20 %."""
    remnant, liver = Measured(330, 0.05 * 330), Measured(1500, 0.03 * 1500)
    low, high = ratio_interval(remnant, liver)

    assert low == pytest.approx(0.196, abs=5e-4)
    assert high == pytest.approx(0.246, abs=5e-4)
    assert 1 - probability_at_least(remnant, liver, threshold=0.20) == pytest.approx(0.055, abs=5e-4)


@pytest.fixture(scope="module")
def example():
    """A liver of 1650 mL with 150 mL of tumour, all resected; 330 mL stay; 170 cm, 70 kg, 16 weeks."""
    volumes = LiverVolumes(
        total_ml=1650.0,
        tumour_ml=150.0,
        functional_ml=1500.0,
        remnant_ml=330.0,
        remnant_functional_ml=330.0,
        resected_ml=1320.0,
        ablated_ml=0.0,
        resected_tumour_ml=150.0,
        segments=(),
        lesions=(),
        stages=(),
        voxel_ml=0.001,
    )

    def judged(**known):
        return assess(volumes, Patient(height_cm=170, weight_kg=70, **known), available_protocols())

    return judged


def test_one_liver_has_four_ratios(example):
    """20.0 % of the liver, 22.0 % without tumour, 21.9 % standardised, 0.471 % of the body weight."""
    values = {i.key: i.value for i in example(parenchyma=Parenchyma.NORMAL).indices}

    assert values["flr_of_total"] == pytest.approx(0.200, abs=1e-12)
    assert values["flr"] == pytest.approx(0.220, abs=1e-12)
    assert values["sflr"] == values["sflr_t1"] == pytest.approx(0.219, abs=5e-4)
    assert values["flr_per_body_weight"] == pytest.approx(0.00471, abs=5e-6)
    assert values["phrr"] == pytest.approx(0.78, abs=1e-12)


def test_one_liver_meets_one_rule_and_misses_the_others(example):
    """V1 exactly at its line, V6 missed, S1 missed, and V13 missed after long chemotherapy."""
    normal = {f.rule.id: f for f in example(parenchyma=Parenchyma.NORMAL, chemotherapy_weeks=0).findings}
    long = {f.rule.id: f for f in example(parenchyma=Parenchyma.CHEMOTHERAPY, chemotherapy_weeks=16).findings}

    assert normal["V1"].margin_ml == pytest.approx(0.0, abs=1e-9)
    assert normal["V1"].state is State.BORDERLINE
    assert normal["V6"].margin_ml == pytest.approx(330 - 0.25 * 1650)
    assert normal["V6"].state is State.CLEAR_BELOW
    assert normal["S1"].margin_ml == pytest.approx(330 - 350)
    assert long["V13"].margin_ml == pytest.approx(330 - 0.3 * 1509.66, abs=0.01)
    assert long["V13"].state is State.CLEAR_BELOW
    assert normal["V13"].state is State.NOT_EVALUABLE


def test_growth_from_350_ml_over_four_weeks():
    """FLR 350 grown by 37.9 %: 31.97 % of 1509.66 mL, DH 8.79 points, KGR over 4 weeks 2.20 (2 or more)."""
    after = 350 * 1.379
    hypertrophy = growth.degree_of_hypertrophy(before_ml=350, after_ml=after, telv_ml=TELV_ML)
    rate = growth.kinetic_growth_rate(hypertrophy=hypertrophy, weeks=4, first_scan=True)

    assert growth.relative_growth(before_ml=350, after_ml=after).fraction == pytest.approx(0.379)
    assert hypertrophy.points == pytest.approx(8.79, abs=5e-3)
    assert rate.points_per_week == pytest.approx(2.20, abs=5e-3)
