"""Later scans against a baseline: growth on one fixed denominator, thresholds, and the forecast updated."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from flr_volumetry.assessment.followup_model import (
    AskedRule,
    CountedFrom,
    DatedScan,
    FixedDenominator,
    FixedOn,
    FollowUp,
    GrowthSetting,
    Outlook,
    RuleState,
    ScanGrowth,
)
from flr_volumetry.assessment.model import State
from flr_volumetry.errors import CaseError, Caveat, FormulaError
from flr_volumetry.volumetry.forecast import LONGEST_WEEKS, Measurement, forecast
from flr_volumetry.volumetry.growth import (
    DAYS_PER_WEEK,
    DegreeOfHypertrophy,
    kinetic_growth_rate,
    relative_growth,
)
from flr_volumetry.volumetry.growth_error import hypertrophy_interval, relative_growth_interval
from flr_volumetry.volumetry.uncertainty import NORMAL_95, probability_at_least, ratio_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.volumetry.forecast import Forecast

AHEAD_WEEKS = (1.0, 2.0, 4.0)
"""After the last scan: when the updated forecast is given."""
KGR_CUT = 2.0
"""Points a week: hepatic insufficiency in 0 % at or above it, 21.6 % below; n = 107, sFLR above 20 % (Shindoh
et al., J Am Coll Surg 2013;216:201, FOUND)."""
DH_CUT = 7.5
"""Points: the best cut of the degree of hypertrophy in the same series (FOUND)."""


def follow_up(
    baseline: DatedScan,
    scans: Sequence[DatedScan],
    denominator: FixedDenominator,
    setting: GrowthSetting,
    rules: Sequence[AskedRule] = (),
) -> FollowUp:
    """Hold later scans against a baseline.

    Parameters
    ----------
    baseline : DatedScan
        Before the procedure.
    scans : sequence of DatedScan
        At least one; put in order of their dates.
    denominator : FixedDenominator
        For all dates.
    setting : GrowthSetting
        What was done to make the remnant grow.
    rules : sequence of AskedRule
        Of the baseline's protocols.

    Returns
    -------
    FollowUp
        Growth, thresholds and forecast.

    Raises
    ------
    CaseError
        If there is no later scan, a later scan is not later, two lie on one day, or the procedure lies
        before the baseline scan or on or after the first later one.

    Notes
    -----
    Never each date's own liver: after embolization the other side shrinks and lesions grow (clinical base
    1.1 and 3.1).
    """
    ordered, since = _in_order(baseline, scans, setting)
    caveats = _date_caveats(since)
    growths = []
    first = True
    for scan in ordered:
        weeks = _weeks(since, scan)
        growths.append(_growth(baseline, scan, denominator, rules, (weeks, first, since[1])))
        first = False
    outlook, doubts = _outlook(baseline, growths, setting, rules)
    return FollowUp(
        baseline,
        denominator,
        setting,
        since[1],
        tuple(_state(rule, baseline) for rule in rules),
        tuple(growths),
        outlook,
        (*caveats, *doubts),
        (_sentence(denominator),),
    )


_Since = tuple["dt.date | None", CountedFrom]


def _in_order(
    baseline: DatedScan, scans: Sequence[DatedScan], setting: GrowthSetting
) -> tuple[list[DatedScan], _Since]:
    if not scans:
        raise CaseError("a follow-up needs at least one later scan", reason="no_followup")
    dates = [scan.date for scan in scans]
    if baseline.date is None or None in dates:
        return list(scans), (None, CountedFrom.NOTHING)
    ordered = sorted(scans, key=lambda scan: scan.date or dt.date.min)
    days = [scan.date for scan in ordered if scan.date is not None]
    if days[0] <= baseline.date:
        raise CaseError(
            f"the follow-up {ordered[0].name} is of {days[0]}, the baseline of {baseline.date}: a follow-up "
            "is later. Are they given the wrong way round?",
            reason="dates_reversed",
        )
    if len(set(days)) < len(days):
        raise CaseError(f"two follow-ups are of one day: {', '.join(map(str, days))}", reason="same_date")
    if setting.procedure is None:
        return ordered, (baseline.date, CountedFrom.BASELINE_SCAN)
    if not baseline.date <= setting.procedure < days[0]:
        raise CaseError(
            f"the procedure is said to be of {setting.procedure}, which does not lie between the baseline "
            f"({baseline.date}) and the first follow-up ({days[0]}).",
            reason="dates_reversed",
        )
    return ordered, (setting.procedure, CountedFrom.PROCEDURE)


def _date_caveats(since: _Since) -> list[Caveat]:
    if since[1] is CountedFrom.NOTHING:
        said = (
            "The date of a scan is not known, so that there is no growth rate and no updated forecast, and "
            "the order of the scans is the one given. Dates come from DICOM, or from date = ... in the case."
        )
        return [Caveat("no_scan_date", said)]
    if since[1] is CountedFrom.BASELINE_SCAN:
        said = (
            "The date of the embolization or first stage is not given: weeks count from the baseline scan, "
            "which lies before it, so that the rate is too low and not comparable with a published cut."
        )
        return [Caveat("no_procedure_date", said)]
    return []


def _weeks(since: _Since, scan: DatedScan) -> float | None:
    start = since[0]
    return None if start is None or scan.date is None else (scan.date - start).days / DAYS_PER_WEEK


def _growth(
    baseline: DatedScan,
    scan: DatedScan,
    denominator: FixedDenominator,
    rules: Sequence[AskedRule],
    when: tuple[float | None, bool, CountedFrom],
) -> ScanGrowth:
    weeks, first, _ = when
    before, after, whole = baseline.remnant, scan.remnant, denominator.amount
    hypertrophy = DegreeOfHypertrophy(100 * (after.value - before.value) / whole.value)
    low, high = hypertrophy_interval(before, after, whole)
    rate = (
        kinetic_growth_rate(hypertrophy=hypertrophy, weeks=weeks, first_scan=first)
        if weeks is not None
        else None
    )
    return ScanGrowth(
        scan=scan,
        weeks=weeks,
        gain_ml=after.value - before.value,
        relative=relative_growth(before_ml=before.value, after_ml=after.value),
        relative_interval=relative_growth_interval(before, after),
        hypertrophy=hypertrophy,
        hypertrophy_interval=(low, high),
        rate=rate,
        rate_interval=(low.points / weeks, high.points / weeks) if weeks is not None else None,
        share=after.value / whole.value,
        share_interval=ratio_interval(after, whole),
        other_side_change=_change(baseline.other_side_ml, scan.other_side_ml),
        tumour_change=_change(baseline.tumour_ml, scan.tumour_ml),
        states=tuple(_state(rule, scan) for rule in rules),
        caveats=rate.caveats if rate is not None else (),
    )


def _change(before_ml: float, after_ml: float) -> float | None:
    return after_ml / before_ml - 1 if before_ml > 0 else None


def _state(rule: AskedRule, scan: DatedScan) -> RuleState:
    low, high = ratio_interval(scan.remnant, rule.denominator)
    above = low > rule.threshold
    state = State.CLEAR_ABOVE if above else State.CLEAR_BELOW if high < rule.threshold else State.BORDERLINE
    return RuleState(
        rule,
        scan.remnant.value / rule.denominator.value,
        (low, high),
        probability_at_least(scan.remnant, rule.denominator, threshold=rule.threshold),
        state,
    )


def _outlook(
    baseline: DatedScan, growths: Sequence[ScanGrowth], setting: GrowthSetting, rules: Sequence[AskedRule]
) -> tuple[Outlook | None, list[Caveat]]:
    last = growths[-1].weeks
    if last is None or last > LONGEST_WEEKS:
        return None, []
    start = Measurement(baseline.remnant.value, baseline.remnant.sd)
    foretold = forecast(start, setting.technique, cirrhosis=setting.cirrhosis)
    updated, caveats = foretold, []
    for growth in growths:
        updated, doubt = _updated(updated, growth)
        caveats += doubt
    weeks = [w for w in (last, *(last + ahead for ahead in AHEAD_WEEKS)) if w <= LONGEST_WEEKS]
    curve = [0.5 * n for n in range(int(2 * min(max(6.0, weeks[-1]), LONGEST_WEEKS)) + 1)]
    outlook = Outlook(
        before=tuple(foretold.at(w) for w in curve),
        after=tuple(updated.at(w) for w in curve),
        bands=tuple(updated.at(w) for w in weeks),
        reached=tuple(
            (rule, tuple(updated.probability_at_least(rule.asked_ml, weeks=w) for w in weeks))
            for rule in rules
        ),
        limit=updated.growth_at(LONGEST_WEEKS),
    )
    return outlook, caveats


def _updated(before: Forecast, growth: ScanGrowth) -> tuple[Forecast, list[Caveat]]:
    remnant = growth.scan.remnant
    try:
        measured = Measurement(remnant.value, remnant.sd, growth.weeks or 0.0)
        return before.updated(measured), []
    except FormulaError as error:
        said = f"The forecast was not updated by {growth.scan.name}: {error.message}"
        return before, [Caveat("forecast_not_updated", said)]


def _sentence(denominator: FixedDenominator) -> str:
    why = (
        "body size is known"
        if denominator.kind is FixedOn.TELV
        else "body size is not known, so that the published cuts of DH and KGR, found on TELV, do not fit"
    )
    return (
        f"Shares, degree of hypertrophy (DH) and kinetic growth rate (KGR) of all dates stand on one fixed "
        f"denominator, {denominator.words} ({why}). Intervals (95 %, {NORMAL_95:.2f} standard deviations) "
        "take the errors of the two scans as independent. Rules keep the denominator they had at baseline. "
        "The forecast made at baseline was updated by each scan (Bayes)."
    )
