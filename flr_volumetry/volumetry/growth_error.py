"""How sure growth is: one place for the errors of two scans, so that a better model has one place to go."""

from __future__ import annotations

import math

from flr_volumetry.volumetry.growth import DegreeOfHypertrophy, RelativeGrowth
from flr_volumetry.volumetry.uncertainty import NORMAL_95, Measured, ratio_interval

Interval = tuple[float, float]


def relative_growth_interval(before: Measured, after: Measured) -> tuple[RelativeGrowth, RelativeGrowth]:
    """Return the 95 % interval of relative growth.

    Parameters
    ----------
    before, after : Measured
        The remnant at both dates, mL.

    Returns
    -------
    tuple of RelativeGrowth
        Lower and upper bound.

    Notes
    -----
    Fieller's theorem on ``FLR1 / FLR0``, less 1. Errors of the two scans are taken as independent; a reader
    who outlines both in the same way makes errors that partly cancel, so that the interval is wide rather
    than narrow.

    Examples
    --------
    >>> low, high = relative_growth_interval(Measured(350, 17.5), Measured(482.65, 24.1))
    >>> round(low.fraction, 3), round(high.fraction, 3)
    (0.2, 0.585)
    """
    low, high = ratio_interval(after, before)
    return RelativeGrowth(low - 1), RelativeGrowth(high - 1)


def hypertrophy_interval(
    before: Measured, after: Measured, denominator: Measured
) -> tuple[DegreeOfHypertrophy, DegreeOfHypertrophy]:
    """Return the 95 % interval of the degree of hypertrophy.

    Parameters
    ----------
    before, after : Measured
        The remnant at both dates, mL.
    denominator : Measured
        The one fixed denominator, mL; its standard deviation is 0 where it is computed from body size.

    Returns
    -------
    tuple of DegreeOfHypertrophy
        Lower and upper bound, points.

    Notes
    -----
    ``sd(DH) = 100 / T sqrt(s0^2 + s1^2 + ((FLR1 - FLR0) sT / T)^2)``: first order, errors independent.

    Examples
    --------
    >>> low, high = hypertrophy_interval(Measured(350, 17.5), Measured(482.65, 24.1), Measured(1509.66))
    >>> round(low.points, 1), round(high.points, 1)
    (4.9, 12.7)
    """
    gained = after.value - before.value
    spread = math.hypot(before.sd, after.sd, gained * denominator.sd / denominator.value)
    points, half = 100 * gained / denominator.value, NORMAL_95 * 100 * spread / denominator.value
    return DegreeOfHypertrophy(points - half), DegreeOfHypertrophy(points + half)
