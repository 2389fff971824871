"""The forecast is the model's distribution, and a scan sharpens it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flr_volumetry.errors import FormulaError
from flr_volumetry.volumetry.forecast import (
    FORECAST_WEEKS,
    MODELS,
    GrowthModel,
    Measurement,
    Technique,
    forecast,
)

BASELINE = Measurement(350.0, 17.5)
SURE = Measurement(350.0, 0.0)
FIXED_TIME = GrowthModel(0.38, (0.20, 0.56), (1.5, 1.5), "made up", "ASSUMED")


def drawn(model, baseline, weeks, *, n=400_000, cirrhosis=False):
    """The model by plain sampling, without nodes."""
    rng = np.random.default_rng(5)
    sd = (model.band_80[1] - model.band_80[0]) / 2 / 1.2815515655
    limit = np.maximum(0, rng.normal(model.median, sd, n))
    if cirrhosis:
        limit *= rng.uniform(0.6, 0.8, n)
    tau = rng.uniform(*model.tau_weeks, n)
    return rng.normal(baseline.ml, baseline.sd_ml, n) * (1 + limit * (1 - np.exp(-weeks / tau)))


@pytest.mark.parametrize("technique", Technique)
@pytest.mark.parametrize("weeks", FORECAST_WEEKS)
@pytest.mark.parametrize("cirrhosis", [False, True])
def test_bands_and_probabilities_are_those_of_sampling(technique, weeks, cirrhosis):
    growth = forecast(BASELINE, technique, cirrhosis=cirrhosis)
    sample = drawn(MODELS[technique], BASELINE, weeks, cirrhosis=cirrhosis)
    band = growth.at(weeks)
    assert (band.band_80_ml[0], band.median_ml, band.band_80_ml[1]) == pytest.approx(
        tuple(np.quantile(sample, (0.1, 0.5, 0.9))), rel=0.004
    )
    asked = float(np.quantile(sample, 0.3))
    assert growth.probability_at_least(asked, weeks=weeks) == pytest.approx(0.7, abs=0.01)


def test_growth_reaches_the_published_shares_of_its_limit():
    """Clinical base 3.3: with tau 1.5 weeks 0.49, 0.74, 0.86, 0.93 and 0.98 at 1, 2, 3, 4 and 6 weeks."""
    growth = forecast(SURE, Technique.PVE, cirrhosis=False, model=FIXED_TIME)
    shares = [growth.growth_at(w)[0] / 0.38 for w in (1, 2, 3, 4, 6)]
    assert shares == pytest.approx([0.49, 0.74, 0.86, 0.93, 0.98], abs=0.006)


def test_at_the_procedure_nothing_has_grown():
    growth = forecast(BASELINE, Technique.PVE, cirrhosis=False)
    assert growth.growth_at(0) == (0, 0, 0)
    assert growth.at(0).median_ml == pytest.approx(350, rel=1e-6)


def test_cirrhosis_lowers_growth():
    plain = forecast(SURE, Technique.PVE, cirrhosis=False).growth_at(6)[0]
    ill = forecast(SURE, Technique.PVE, cirrhosis=True).growth_at(6)[0]
    assert ill / plain == pytest.approx(0.7, abs=0.01)


@given(st.floats(200, 800), st.floats(0.0, 0.1), st.sampled_from(Technique), st.floats(0.1, 26))
@settings(max_examples=40, deadline=None)
def test_a_distribution_is_one(ml, relative_sd, technique, weeks):
    growth = forecast(Measurement(ml, relative_sd * ml), technique, cirrhosis=False)
    low, high = growth.at(weeks).band_80_ml
    asked = np.linspace(0.5 * ml, 3 * ml, 20)
    probabilities = [growth.probability_at_least(float(a), weeks=weeks) for a in asked]
    assert low <= growth.at(weeks).median_ml <= high
    assert probabilities == sorted(probabilities, reverse=True)
    assert growth.at(weeks + 1).median_ml >= growth.at(weeks).median_ml
    assert growth.weight.sum() == pytest.approx(1)


def test_a_scan_moves_the_forecast_towards_what_it_showed_and_narrows_it():
    before = forecast(BASELINE, Technique.PVE, cirrhosis=False)
    slow = before.updated(Measurement(390.0, 15.0, weeks=3.0))
    fast = before.updated(Measurement(520.0, 15.0, weeks=3.0))
    assert slow.at(6).median_ml < before.at(6).median_ml < fast.at(6).median_ml
    for after in (slow, fast):
        assert np.ptp(after.at(6).band_80_ml) < np.ptp(before.at(6).band_80_ml)


def test_an_exact_scan_of_what_was_foretold_keeps_the_median():
    """With a sure baseline and time, growth of the median at 3 weeks leaves the median at 6."""
    before = forecast(SURE, Technique.PVE, cirrhosis=False, model=FIXED_TIME)
    after = before.updated(Measurement(before.at(3).median_ml, 5.0, weeks=3.0))
    assert after.at(6).median_ml == pytest.approx(before.at(6).median_ml, rel=0.005)


def test_updating_is_the_rule_of_bayes():
    """Posterior by sampling: weights of the normal density of the scan."""
    scan = Measurement(430.0, 20.0, weeks=4.0)
    after = forecast(BASELINE, Technique.PVE, cirrhosis=False).updated(scan)
    rng = np.random.default_rng(8)
    n, model = 600_000, MODELS[Technique.PVE]
    limit = np.maximum(0, rng.normal(model.median, 0.36 / 2 / 1.2815515655, n))
    tau, start = rng.uniform(*model.tau_weeks, n), rng.normal(350, 17.5, n)
    weight = np.exp(-0.5 * ((430 - start * (1 + limit * (1 - np.exp(-4 / tau)))) / 20) ** 2)
    later = start * (1 + limit * (1 - np.exp(-6 / tau)))
    order = np.argsort(later)
    share = np.cumsum(weight[order]) / weight.sum()
    expected = np.interp((0.1, 0.5, 0.9), share, later[order])
    band = after.at(6)
    assert (band.band_80_ml[0], band.median_ml, band.band_80_ml[1]) == pytest.approx(
        tuple(expected), rel=0.005
    )


def test_the_same_input_gives_the_same_bits():
    first, second = (forecast(BASELINE, Technique.LVD, cirrhosis=True).at(3.5) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("ml", "sd", "weeks"),
    [(0, 0, 0), (-5, 0, 0), (math.nan, 1, 0), (350, -1, 0), (350, 100, 0), (350, 5, math.nan), (350, 5, 53)],
)
def test_impossible_measurements_are_refused(ml, sd, weeks):
    with pytest.raises(FormulaError):
        Measurement(ml, sd, weeks)


@pytest.mark.parametrize(
    ("scan", "reason"),
    [
        (Measurement(400, 10, weeks=0), "dates_reversed"),
        (Measurement(400, 10, weeks=-2), "dates_reversed"),
        (Measurement(400, 0, weeks=3), "no_error"),
        (Measurement(1500, 10, weeks=3), "outside_forecast"),
    ],
)
def test_scans_that_cannot_update_are_refused(scan, reason):
    with pytest.raises(FormulaError) as refused:
        forecast(BASELINE, Technique.PVE, cirrhosis=False).updated(scan)
    assert refused.value.reason == reason


@pytest.mark.parametrize("weeks", [-0.1, 52.1, math.nan])
def test_no_forecast_beyond_a_year(weeks):
    with pytest.raises(FormulaError, match="0 to 52"):
        forecast(BASELINE, Technique.PVE, cirrhosis=False).at(weeks)


@pytest.mark.parametrize(
    ("median", "band", "tau"),
    [(0.6, (0.2, 0.5), (1, 2)), (0.3, (0.2, 0.5), (0, 2)), (0.3, (0.2, 0.5), (2, 1))],
)
def test_impossible_models_are_refused(median, band, tau):
    with pytest.raises(FormulaError):
        GrowthModel(median, band, tau, "made up", "ASSUMED")
