"""Later scans against a baseline: one denominator, dates, thresholds, forecast."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from flr_volumetry.assessment.followup import follow_up
from flr_volumetry.assessment.followup_model import (
    AskedRule,
    CountedFrom,
    DatedScan,
    FixedDenominator,
    FixedOn,
    GrowthSetting,
)
from flr_volumetry.assessment.model import State
from flr_volumetry.errors import CaseError
from flr_volumetry.volumetry.forecast import Technique
from flr_volumetry.volumetry.uncertainty import Measured

TELV = FixedDenominator(FixedOn.TELV, Measured(1509.66), "TELV 1509.7 mL")
DAY = dt.date(2024, 5, 3)
SETTING = GrowthSetting(Technique.PVE, DAY, cirrhosis=False)


def scan(ml, days, *, sd=0.03, name="scan", other=1000.0, tumour=50.0):
    date = None if days is None else DAY + dt.timedelta(days)
    return DatedScan(name, date, Measured(ml, sd * ml), other, tumour)


BASELINE = scan(350.0, -2, name="baseline", other=1100.0)


def test_the_worked_example_comes_out_as_published():
    """350 mL grown by 37.9 % in 4 weeks: 31.97 %, DH 8.79, KGR 2.20 (clinical base 12)."""
    (growth,) = follow_up(BASELINE, [scan(482.65, 28)], TELV, SETTING).scans

    assert growth.relative.fraction == pytest.approx(0.379, abs=5e-4)
    assert 100 * growth.share == pytest.approx(31.97, abs=5e-3)
    assert growth.hypertrophy.points == pytest.approx(8.79, abs=5e-3)
    assert growth.rate.points_per_week == pytest.approx(2.20, abs=5e-3)
    assert growth.weeks == 4
    assert growth.caveats == ()
    assert growth.other_side_change == pytest.approx(-1 / 11)
    assert growth.tumour_change == 0
    low, high = growth.hypertrophy_interval
    assert growth.rate_interval == pytest.approx((low.points / 4, high.points / 4))


def test_scans_are_put_in_order_and_only_the_first_rate_is_comparable():
    """Whichever way they are given."""
    result = follow_up(BASELINE, [scan(480, 40, name="b"), scan(450, 21, name="a")], TELV, SETTING)

    assert [g.scan.name for g in result.scans] == ["a", "b"]
    assert result.scans[0].caveats == ()
    assert [c.code for c in result.scans[1].caveats] == ["kgr_not_first_scan"]


@pytest.mark.parametrize("days", [10, 13, 57])
def test_a_rate_from_an_early_or_late_scan_is_flagged(days):
    (growth,) = follow_up(BASELINE, [scan(450, days)], TELV, SETTING).scans
    assert [c.code for c in growth.caveats] == ["kgr_not_comparable"]


@pytest.mark.parametrize(
    ("scans", "procedure", "reason"),
    [
        ([], DAY, "no_followup"),
        ([scan(450, -3)], DAY, "dates_reversed"),
        ([scan(450, -2)], DAY, "dates_reversed"),
        ([scan(450, -2)], None, "dates_reversed"),
        ([scan(450, 21), scan(460, 21)], DAY, "same_date"),
        ([scan(450, 21)], DAY + dt.timedelta(21), "dates_reversed"),
        ([scan(450, 21)], DAY - dt.timedelta(3), "dates_reversed"),
    ],
)
def test_impossible_dates_are_refused(scans, procedure, reason):
    with pytest.raises(CaseError) as refused:
        follow_up(BASELINE, scans, TELV, replace(SETTING, procedure=procedure))
    assert refused.value.reason == reason


def test_without_the_day_of_the_procedure_weeks_count_from_the_baseline_and_it_is_said():
    result = follow_up(BASELINE, [scan(450, 19)], TELV, replace(SETTING, procedure=None))
    assert result.scans[0].weeks == 3
    assert result.counted_from is CountedFrom.BASELINE_SCAN
    assert [c.code for c in result.caveats] == ["no_procedure_date"]


def test_without_dates_there_is_growth_and_no_rate():
    result = follow_up(BASELINE, [scan(450, None)], TELV, SETTING)
    assert result.scans[0].relative.fraction == pytest.approx(450 / 350 - 1)
    assert result.scans[0].rate is None
    assert result.outlook is None
    assert [c.code for c in result.caveats] == ["no_scan_date"]


def test_rules_keep_the_denominator_of_the_baseline():
    """30 % of 1,500 mL is 450 mL at every date; borderline where the interval holds it."""
    rule = AskedRule("V", "p", "t", "flr", Measured(1500.0, 0.0), 0.30)
    scans = [scan(445, 21, sd=0.02), scan(480, 40, sd=0.02)]
    result = follow_up(BASELINE, scans, TELV, SETTING, [rule])

    assert rule.asked_ml == 450
    assert [s.state for s in result.baseline_states] == [State.CLEAR_BELOW]
    assert [g.states[0].state for g in result.scans] == [State.BORDERLINE, State.CLEAR_ABOVE]
    assert result.scans[1].states[0].value == pytest.approx(0.32)
    assert [b.weeks for b in result.outlook.bands] == pytest.approx([40 / 7 + w for w in (0, 1, 2, 4)])
    ((_, reached),) = result.outlook.reached
    assert all(p > 0.9 for p in reached)


def test_a_scan_narrows_the_forecast_and_pulls_it_towards_itself():
    slow = follow_up(BASELINE, [scan(380, 28)], TELV, SETTING).outlook
    fast = follow_up(BASELINE, [scan(520, 28)], TELV, SETTING).outlook
    spread = {o: o.after[8].band_80_ml[1] - o.after[8].band_80_ml[0] for o in (slow, fast)}
    foretold = slow.before[8].band_80_ml[1] - slow.before[8].band_80_ml[0]

    assert slow.limit[0] < 0.30
    assert fast.limit[0] > 0.38
    assert max(spread.values()) < 0.6 * foretold
    assert fast.before == slow.before


def test_growth_that_no_model_foretells_leaves_the_forecast_and_is_said():
    """The remnant trebled: other plans, other patient, or a wrong mask."""
    result = follow_up(BASELINE, [scan(1400, 28, sd=0.01)], TELV, SETTING)
    assert [c.code for c in result.caveats] == ["forecast_not_updated"]
    assert result.outlook.after == result.outlook.before


def test_the_measured_denominator_is_said_to_be_no_telv():
    measured = FixedDenominator(FixedOn.BASELINE_FTLV, Measured(1500, 45), "FTLV")
    assert "do not fit" in follow_up(BASELINE, [scan(450, 21)], measured, SETTING).methods[0]
