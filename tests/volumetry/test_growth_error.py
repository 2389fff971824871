"""Intervals of growth against draws."""

from __future__ import annotations

import numpy as np
import pytest

from flr_volumetry.volumetry.growth_error import hypertrophy_interval, relative_growth_interval
from flr_volumetry.volumetry.uncertainty import Measured

BEFORE, AFTER = Measured(350, 17.5), Measured(480, 30.0)


def draws(measured, seed):
    return np.random.default_rng(seed).normal(measured.value, measured.sd, 200_000)


@pytest.mark.parametrize("whole", [Measured(1509.66), Measured(1500, 45)])
def test_the_interval_of_dh_holds_95_percent_of_draws(whole):
    """Both ends, against 200,000 draws of both scans and the denominator."""
    points = 100 * (draws(AFTER, 1) - draws(BEFORE, 2)) / draws(whole, 3)
    low, high = hypertrophy_interval(BEFORE, AFTER, whole)

    assert [low.points, high.points] == pytest.approx(np.quantile(points, [0.025, 0.975]), abs=0.08)


def test_the_interval_of_relative_growth_holds_95_percent_of_draws():
    growth = draws(AFTER, 1) / draws(BEFORE, 2) - 1
    low, high = relative_growth_interval(BEFORE, AFTER)

    assert [low.fraction, high.fraction] == pytest.approx(np.quantile(growth, [0.025, 0.975]), abs=0.006)
