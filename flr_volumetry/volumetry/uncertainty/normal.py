"""Intervals of amounts and of their ratios, and the side of a threshold, for errors that may be shared.

A remnant and its liver share the liver's outline, so part of their errors goes together and cancels in
their ratio; that part is their covariance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from flr_volumetry.errors import FormulaError

NORMAL_95 = 1.959963984540054
"""Half the width of the central 95 % of a standard normal."""

MAX_RELATIVE_SD = 0.25
"""Above it a volume could be negative within the interval, and the normal model says nothing."""


@dataclass(frozen=True, slots=True)
class Measured:
    """An amount and its standard deviation.

    Parameters
    ----------
    value : float
        The amount.
    sd : float
        Its standard deviation, in the same unit; 0 for what is taken as exact.

    Raises
    ------
    FormulaError
        If the amount is not positive, or the standard deviation lies outside 0 to a quarter of it.
    """

    value: float
    sd: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and self.value > 0):
            raise FormulaError(f"a measured amount must be finite and above 0, got {self.value}")
        if not 0 <= self.sd <= MAX_RELATIVE_SD * self.value * (1 + 1e-9):
            raise FormulaError(
                f"the standard deviation of {self.value:g} must lie between 0 and a quarter of it, "
                f"got {self.sd}"
            )


def amount_interval(amount: Measured) -> tuple[float, float]:
    """Return the 95 % interval of an amount.

    Parameters
    ----------
    amount : Measured
        Value and standard deviation.

    Returns
    -------
    tuple of float
        Lower and upper bound, in the amount's unit.

    Examples
    --------
    >>> [round(bound, 1) for bound in amount_interval(Measured(330, 16.5))]
    [297.7, 362.3]
    """
    half = NORMAL_95 * amount.sd
    return (amount.value - half, amount.value + half)


def ratio_interval(
    numerator: Measured, denominator: Measured, *, covariance: float = 0.0
) -> tuple[float, float]:
    """Return the 95 % interval of the ratio of two normals.

    Parameters
    ----------
    numerator, denominator : Measured
        Values and standard deviations.
    covariance : float
        Of the two errors, in the product of their units; 0 for independent ones.

    Returns
    -------
    tuple of float
        Lower and upper bound.

    Notes
    -----
    Fieller's theorem: all r for which F - r T lies within 1.96 of its standard deviations of 0, the
    roots of ``(T^2 - z^2 sT^2) r^2 - 2 (F T - z^2 c) r + F^2 - z^2 sF^2 = 0`` with the covariance c.
    Fieller, J R Stat Soc B 1954;16:175.

    Examples
    --------
    >>> [round(bound, 3) for bound in ratio_interval(Measured(330, 16.5), Measured(1500, 45))]
    [0.196, 0.246]

    Errors that go together cancel: a remnant and a liver both drawn 3 % too large leave the ratio as it is.

    >>> [round(r, 3) for r in ratio_interval(Measured(330, 9.9), Measured(1500, 45), covariance=445.5)]
    [0.22, 0.22]
    """
    z2 = NORMAL_95**2
    a = denominator.value**2 - z2 * denominator.sd**2
    b = numerator.value * denominator.value - z2 * covariance
    c = numerator.value**2 - z2 * numerator.sd**2
    root = math.sqrt(max(0.0, b * b - a * c))
    return ((b - root) / a, (b + root) / a)


def margin_sd(
    numerator: Measured, denominator: Measured, *, threshold: float, covariance: float = 0.0
) -> float:
    """Return the standard deviation of a ratio's distance from a threshold.

    Parameters
    ----------
    numerator, denominator : Measured
        Values and standard deviations.
    threshold : float
        In the unit of the ratio.
    covariance : float
        Of the two errors, in the product of their units; 0 for independent ones.

    Returns
    -------
    float
        Standard deviation of F / T - t at the threshold, in the unit of the ratio.

    Notes
    -----
    ``sqrt(sF^2 + t^2 sT^2 - 2 t c) / T``: that of F - t T, so that a threshold lies within 1.96 of it of the
    ratio exactly when it lies within the interval of `ratio_interval`.

    Examples
    --------
    >>> round(margin_sd(Measured(330, 16.5), Measured(1500, 45), threshold=0.2), 5)
    0.01253
    """
    return _distance_sd(numerator, denominator, threshold, covariance) / denominator.value


def probability_at_least(
    numerator: Measured, denominator: Measured, *, threshold: float, covariance: float = 0.0
) -> float:
    """Return the probability that a ratio of two normals reaches a threshold.

    Parameters
    ----------
    numerator, denominator : Measured
        Values and standard deviations.
    threshold : float
        In the unit of the ratio.
    covariance : float
        Of the two errors, in the product of their units; 0 for independent ones.

    Returns
    -------
    float
        From 0 to 1; 0 or 1 if both are exact.

    Notes
    -----
    ``P(F / T >= t) = Phi((F - t T) / sqrt(sF^2 + t^2 sT^2 - 2 t c))``, for T positive beyond doubt.

    Examples
    --------
    >>> round(1 - probability_at_least(Measured(330, 16.5), Measured(1500, 45), threshold=0.2), 3)
    0.055
    """
    distance = numerator.value - threshold * denominator.value
    sd = _distance_sd(numerator, denominator, threshold, covariance)
    if sd == 0:
        return 1.0 if distance >= 0 else 0.0
    return 0.5 * math.erfc(-distance / sd / math.sqrt(2))


def _distance_sd(numerator: Measured, denominator: Measured, threshold: float, covariance: float) -> float:
    """Return the standard deviation of F - t T."""
    variance = numerator.sd**2 + (threshold * denominator.sd) ** 2 - 2 * threshold * covariance
    return math.sqrt(max(0.0, variance))
