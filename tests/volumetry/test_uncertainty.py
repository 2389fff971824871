"""Intervals and probabilities against simulation and against each other."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flr_volumetry.errors import FormulaError
from flr_volumetry.volumetry.uncertainty import (
    Measured,
    RelativeErrors,
    amount_interval,
    margin_sd,
    probability_at_least,
    ratio_interval,
)

errors = st.floats(0.005, 0.2)
amounts = st.floats(10.0, 4000.0)


def measured(value, relative):
    return Measured(value, relative * value)


@pytest.mark.parametrize(("a", "b"), [(0.05, 0.03), (0.02, 0.1), (0.08, 0.0)])
def test_interval_covers_95_percent_of_simulated_errors(a, b):
    """Of 200,000 noisy measurements of a true ratio of 0.22, 95 % have an interval that holds it."""
    rng = np.random.default_rng(20140101)
    remnants = rng.normal(330.0, a * 330.0, 200_000)
    livers = rng.normal(1500.0, b * 1500.0, 200_000)
    inside = np.abs(remnants - 0.22 * livers) <= 1.959964 * np.hypot(a * 330.0, 0.22 * b * 1500.0)
    some = [
        ratio_interval(Measured(f, a * 330.0), Measured(t, b * 1500.0))
        for f, t in zip(remnants[:2000], livers[:2000], strict=True)
    ]
    held = np.array([low <= 0.22 <= high for low, high in some])

    assert inside.mean() == pytest.approx(0.95, abs=0.002)
    assert held.tolist() == inside[:2000].tolist()


def test_probability_is_the_share_of_simulated_ratios():
    """330 +- 16.5 over 1500 +- 45 reaches 21 % as often in a simulation as the formula says."""
    rng = np.random.default_rng(7)
    ratio = rng.normal(330, 16.5, 400_000) / rng.normal(1500, 45, 400_000)
    for threshold in (0.19, 0.21, 0.23, 0.25):
        said = probability_at_least(Measured(330, 16.5), Measured(1500, 45), threshold=threshold)

        assert said == pytest.approx((ratio >= threshold).mean(), abs=0.003)


@settings(deadline=None)
@given(f=amounts, t=amounts, a=errors, b=errors)
def test_ends_of_the_interval_have_probability_2_5_and_97_5_percent(f, t, a, b):
    """Interval and probability are one statement: the ratio lies above the lower end with 97.5 %."""
    remnant, liver = measured(f, a), measured(t, b)
    low, high = ratio_interval(remnant, liver)
    assume(low > 0)

    assert low < f / t < high
    assert probability_at_least(remnant, liver, threshold=low) == pytest.approx(0.975, abs=1e-6)
    assert probability_at_least(remnant, liver, threshold=high) == pytest.approx(0.025, abs=1e-6)


@settings(deadline=None)
@given(f=amounts, t=amounts, a=errors, b=errors, low=st.floats(0.01, 1), step=st.floats(0.001, 1))
def test_probability_falls_as_the_threshold_rises(f, t, a, b, low, step):
    """A higher threshold is never more probably reached."""
    remnant, liver = measured(f, a), measured(t, b)

    assert probability_at_least(remnant, liver, threshold=low) >= probability_at_least(
        remnant, liver, threshold=low + step
    )


@settings(deadline=None)
@given(f=amounts, t=amounts, a=errors, b=errors, threshold=st.floats(0.01, 2))
def test_probability_is_the_normal_one_of_the_margin(f, t, a, b, threshold):
    """P = Phi(margin / its standard deviation), by the standard library's normal."""
    remnant, liver = measured(f, a), measured(t, b)
    z = (f / t - threshold) / margin_sd(remnant, liver, threshold=threshold)

    assert probability_at_least(remnant, liver, threshold=threshold) == pytest.approx(
        NormalDist().cdf(z), abs=1e-9
    )


@pytest.mark.parametrize(("threshold", "probability"), [(0.19, 1.0), (0.2, 1.0), (0.21, 0.0)])
def test_exact_amounts_leave_no_doubt(threshold, probability):
    """Without errors the interval is a point and the probability 0 or 1; reaching is enough."""
    remnant, liver = Measured(300.0), Measured(1500.0)

    assert ratio_interval(remnant, liver) == pytest.approx((0.2, 0.2))
    assert probability_at_least(remnant, liver, threshold=threshold) == probability


def test_interval_of_an_amount_is_1_96_sd_to_each_side():
    """300 +- 15: 270.6 to 329.4."""
    assert amount_interval(Measured(300.0, 15.0)) == pytest.approx((270.6, 329.4), abs=0.005)


def test_exact_denominator_scales_the_interval_of_the_remnant():
    """Over an exact volume, the ratio's interval is the remnant's divided by it."""
    low, high = ratio_interval(Measured(300.0, 15.0), Measured(1500.0))

    assert (low, high) == pytest.approx((270.6 / 1500, 329.4 / 1500), abs=1e-5)


@pytest.mark.parametrize("value", [-0.01, 0.26, 5.0, math.nan])
@pytest.mark.parametrize("name", ["remnant", "liver"])
def test_relative_errors_are_fractions(name, value):
    """A standard deviation of 5 means 500 %: refused, and percent suspected."""
    with pytest.raises(FormulaError, match=rf"{name}.*percent"):
        RelativeErrors(**{name: value})


def test_default_errors_are_5_and_3_percent_and_say_so():
    """The methods sentence states both, and that they are assumed."""
    sentence = RelativeErrors().sentence

    assert (RelativeErrors().remnant, RelativeErrors().liver) == (0.05, 0.03)
    assert "5 % on the remnant and 3 % on the liver (assumed" in sentence


@pytest.mark.parametrize(
    ("value", "sd"), [(0.0, 0.0), (-1.0, 0.1), (math.nan, 0.1), (100.0, 26.0), (100.0, -1.0)]
)
def test_amounts_without_sense_are_refused(value, sd):
    """An amount of nought or less, and an error beyond a quarter of it."""
    with pytest.raises(FormulaError):
        Measured(value, sd)
