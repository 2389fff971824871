"""How a remnant grew: three measures that are never mixed, each a type of its own (H1 to H3, H5)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flr_volumetry.errors import Caveat, FormulaError
from flr_volumetry.volumetry.formulas import sflr_fraction

DAYS_PER_WEEK = 7.0
KGR_FIRST_DAY, KGR_LAST_DAY = 14, 56
"""First scans before day 14 or after week 8 give rates that the published cut does not fit (ASSUMED)."""
LONGEST_WEEKS = 104.0


@dataclass(frozen=True, slots=True)
class RelativeGrowth:
    """Growth as a share of what there was (H1); the review's 20 to 40 % in 2 to 4 weeks is this.

    Parameters
    ----------
    fraction : float
        0.379 stands for + 37.9 %; negative for a remnant that shrank.
    """

    fraction: float


@dataclass(frozen=True, slots=True)
class DegreeOfHypertrophy:
    """Growth in percentage points of the standardised remnant (H2, DH).

    Parameters
    ----------
    points : float
        Later sFLR minus earlier sFLR, on one fixed TELV, times 100.
    """

    points: float


@dataclass(frozen=True, slots=True)
class KineticGrowthRate:
    """Degree of hypertrophy per week since the embolization (H3, KGR).

    Parameters
    ----------
    points_per_week : float
        Percentage points a week.
    weeks : float
        From the embolization to the scan.
    caveats : tuple of Caveat
        Whether it can be held against the published cut.
    """

    points_per_week: float
    weeks: float
    caveats: tuple[Caveat, ...] = ()


def absolute_growth_ml(*, before_ml: float, after_ml: float) -> float:
    """Return what a remnant gained (H5).

    Parameters
    ----------
    before_ml, after_ml : float
        The same functional remnant at two dates, mL.

    Returns
    -------
    float
        In mL; negative if it shrank.

    Raises
    ------
    FormulaError
        If a volume is not a finite number above 0.

    Notes
    -----
    ``FLR1 - FLR0`` (PMC5901738). Evidence: FOUND.

    Examples
    --------
    >>> absolute_growth_ml(before_ml=350, after_ml=456)
    106
    """
    _volumes(before_ml, after_ml)
    return after_ml - before_ml


def relative_growth(*, before_ml: float, after_ml: float) -> RelativeGrowth:
    """Return the growth of a remnant as a share of what there was (H1).

    Parameters
    ----------
    before_ml, after_ml : float
        The same functional remnant at two dates, mL.

    Returns
    -------
    RelativeGrowth
        A fraction of the earlier volume.

    Raises
    ------
    FormulaError
        If a volume is not a finite number above 0.

    Notes
    -----
    ``(FLR1 - FLR0) / FLR0``. The review's "20 to 40 % in 2 to 4 weeks" [40, 41] is read as this (SEED).

    Examples
    --------
    >>> round(relative_growth(before_ml=350, after_ml=482.65).fraction, 3)
    0.379
    """
    _volumes(before_ml, after_ml)
    return RelativeGrowth((after_ml - before_ml) / before_ml)


def degree_of_hypertrophy(*, before_ml: float, after_ml: float, telv_ml: float) -> DegreeOfHypertrophy:
    """Return the growth of a standardised remnant in percentage points (H2).

    Parameters
    ----------
    before_ml, after_ml : float
        The same functional remnant at two dates, mL.
    telv_ml : float
        Estimated total liver volume, mL: one for both dates, since the liver itself changes after
        embolization.

    Returns
    -------
    DegreeOfHypertrophy
        In points, negative if the remnant shrank.

    Raises
    ------
    FormulaError
        If a volume is not a finite number above 0.

    Notes
    -----
    ``100 (FLR1 / TELV - FLR0 / TELV)``. Ribero et al., Br J Surg 2007;94:1386 (GK-H); Shindoh et al.,
    J Am Coll Surg 2013;216:201 (FOUND).

    Examples
    --------
    >>> round(degree_of_hypertrophy(before_ml=350, after_ml=482.65, telv_ml=1509.66).points, 2)
    8.79
    """
    before = sflr_fraction(remnant_functional_ml=before_ml, telv_ml=telv_ml)
    after = sflr_fraction(remnant_functional_ml=after_ml, telv_ml=telv_ml)
    return DegreeOfHypertrophy(100 * (after - before))


def kinetic_growth_rate(
    *, hypertrophy: DegreeOfHypertrophy, weeks: float, first_scan: bool
) -> KineticGrowthRate:
    """Return the degree of hypertrophy per week (H3).

    Parameters
    ----------
    hypertrophy : DegreeOfHypertrophy
        From before the embolization to the scan.
    weeks : float
        From the embolization to the scan, above 0 and at most 104.
    first_scan : bool
        Whether it is the first volumetry after the embolization, for which the rate is defined.

    Returns
    -------
    KineticGrowthRate
        With a caveat where the published cut of 2 points a week does not fit: a scan before day 14 or
        after week 8, or one that is not the first. Growth is front-loaded, so that the same liver gives
        a higher rate the earlier it is scanned.

    Raises
    ------
    FormulaError
        If the time is not above 0 (dates reversed) or longer than 104 weeks.

    Notes
    -----
    ``DH / weeks``. Shindoh et al., J Am Coll Surg 2013;216:201, n = 107, all sFLR above 20 % (FOUND); limits
    of comparability ASSUMED after PMC6414468.

    Examples
    --------
    >>> rate = kinetic_growth_rate(hypertrophy=DegreeOfHypertrophy(8.79), weeks=4, first_scan=True)
    >>> round(rate.points_per_week, 2), rate.caveats
    (2.2, ())
    """
    if not (math.isfinite(weeks) and 0 < weeks <= LONGEST_WEEKS):
        raise FormulaError(
            f"the scan lies {weeks:g} weeks after the embolization; it must be above 0 and at most "
            f"{LONGEST_WEEKS:g}. Are the dates reversed?",
            reason="dates_reversed" if weeks <= 0 else "not_positive",
        )
    days = DAYS_PER_WEEK * weeks
    caveats = []
    if not KGR_FIRST_DAY <= days <= KGR_LAST_DAY:
        caveats.append(
            Caveat(
                "kgr_not_comparable",
                f"The scan was made {days:.0f} days after the embolization; the published cut of 2 points a "
                f"week was found on first scans, and is held to fit days {KGR_FIRST_DAY} to {KGR_LAST_DAY} "
                "(assumed): growth is fastest in the first week, so that an early scan gives a higher rate.",
            )
        )
    if not first_scan:
        caveats.append(
            Caveat(
                "kgr_not_first_scan",
                "The kinetic growth rate is defined on the first volumetry after the embolization; this is a "
                "later one, and its rate is lower than the first one's.",
            )
        )
    return KineticGrowthRate(hypertrophy.points / weeks, weeks, tuple(caveats))


def _volumes(before_ml: float, after_ml: float) -> None:
    for name, value in (("before_ml", before_ml), ("after_ml", after_ml)):
        if not (math.isfinite(value) and value > 0):
            raise FormulaError(f"{name} must be a finite number above 0, got {value}", reason="not_positive")
