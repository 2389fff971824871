"""Growth as a share, in points, and in points a week: three types that do not mix."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr_volumetry.errors import FormulaError
from flr_volumetry.volumetry.growth import (
    DegreeOfHypertrophy,
    absolute_growth_ml,
    degree_of_hypertrophy,
    kinetic_growth_rate,
    relative_growth,
)

VOLUME = st.floats(50, 3000)


@given(before=VOLUME, after=VOLUME, telv=VOLUME)
def test_the_measures_agree_on_what_they_share(before, after, telv):
    """Points are relative growth times the earlier share; all have one sign."""
    growth = relative_growth(before_ml=before, after_ml=after).fraction
    points = degree_of_hypertrophy(before_ml=before, after_ml=after, telv_ml=telv).points
    assert points == pytest.approx(100 * growth * before / telv, abs=1e-9)
    assert absolute_growth_ml(before_ml=before, after_ml=after) == pytest.approx(growth * before, abs=1e-9)


def test_a_week_of_growth_counts_by_the_week():
    rate = kinetic_growth_rate(hypertrophy=DegreeOfHypertrophy(10.0), weeks=4.0, first_scan=True)
    assert (rate.points_per_week, rate.weeks) == (2.5, 4.0)


@pytest.mark.parametrize(
    ("days", "comparable"), [(13.9, False), (14.0, True), (56.0, True), (56.1, False), (7.0, False)]
)
def test_a_first_scan_too_early_or_too_late_is_flagged(days, comparable):
    rate = kinetic_growth_rate(hypertrophy=DegreeOfHypertrophy(5.0), weeks=days / 7, first_scan=True)
    assert ([c.code for c in rate.caveats] == []) is comparable
    assert all(c.code == "kgr_not_comparable" for c in rate.caveats)


def test_a_later_scan_is_flagged():
    rate = kinetic_growth_rate(hypertrophy=DegreeOfHypertrophy(5.0), weeks=6, first_scan=False)
    assert [c.code for c in rate.caveats] == ["kgr_not_first_scan"]


@pytest.mark.parametrize("weeks", [0.0, -1.0, math.nan, math.inf, 104.1])
def test_impossible_times_are_refused(weeks):
    with pytest.raises(FormulaError, match="weeks after the embolization"):
        kinetic_growth_rate(hypertrophy=DegreeOfHypertrophy(5.0), weeks=weeks, first_scan=True)


def test_reversed_dates_have_their_reason():
    with pytest.raises(FormulaError) as refused:
        kinetic_growth_rate(hypertrophy=DegreeOfHypertrophy(5.0), weeks=-3, first_scan=True)
    assert refused.value.reason == "dates_reversed"


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("name", ["before_ml", "after_ml"])
def test_volumes_must_be_volumes(name, value):
    known = {"before_ml": 350.0, "after_ml": 400.0, name: value}
    for function in (relative_growth, absolute_growth_ml):
        with pytest.raises(FormulaError):
            function(**known)
    with pytest.raises(FormulaError):
        degree_of_hypertrophy(telv_ml=1500.0, **known)
