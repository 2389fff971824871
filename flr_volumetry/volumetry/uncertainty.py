"""How sure a volume, a ratio and the side of a threshold are.

First part: every measured volume carries a relative standard deviation, and the errors of remnant and
liver are taken as independent normals. The two share the liver's boundary, so part of the error in fact
cancels in their ratio: independence makes the interval wider, not narrower.
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
class RelativeErrors:
    """Relative standard deviations of measured volumes; a site sets its own.

    Parameters
    ----------
    remnant : float
        Of the remnant, a fraction. Default 0.05: no verified inter-observer figure is known, and
        the cut, not the liver's outline, dominates (ASSUMED).
    liver : float
        Of the whole liver, with or without tumour, a fraction. Default 0.03 (ASSUMED).

    Raises
    ------
    FormulaError
        If one lies outside 0 to 0.25.
    """

    remnant: float = 0.05
    liver: float = 0.03

    def __post_init__(self) -> None:
        for name, value in (("remnant", self.remnant), ("liver", self.liver)):
            if not 0 <= value <= MAX_RELATIVE_SD:
                raise FormulaError(
                    f"the relative standard deviation of the {name} must lie between 0 and "
                    f"{MAX_RELATIVE_SD}, got {value}. Is it in percent?",
                    reason="not_a_fraction",
                )

    @property
    def sentence(self) -> str:
        """One sentence for the methods section."""
        return (
            f"Intervals take a standard deviation of {100 * self.remnant:g} % on the remnant and "
            f"{100 * self.liver:g} % on the liver (assumed, for want of a verified figure), normal and "
            "independent; 95 % intervals of ratios by Fieller's theorem; the probability of reaching a "
            "threshold t is that of F - t T being 0 or more. Liver volumes estimated from body size, body "
            "weight and body surface are taken as exact: how far a person may lie from a formula is no error "
            "of the scan, and is shown by the spread between formulas instead."
        )


DEFAULT_ERRORS = RelativeErrors()


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


def ratio_interval(numerator: Measured, denominator: Measured) -> tuple[float, float]:
    """Return the 95 % interval of the ratio of two independent normals.

    Parameters
    ----------
    numerator, denominator : Measured
        Values and standard deviations.

    Returns
    -------
    tuple of float
        Lower and upper bound.

    Notes
    -----
    Fieller's theorem: all r for which F - r T lies within 1.96 of its standard deviations of 0, the
    roots of ``(T^2 - z^2 sT^2) r^2 - 2 F T r + F^2 - z^2 sF^2 = 0``. Fieller, J R Stat Soc B 1954;16:175.

    Examples
    --------
    >>> [round(bound, 3) for bound in ratio_interval(Measured(330, 16.5), Measured(1500, 45))]
    [0.196, 0.246]
    """
    z2 = NORMAL_95**2
    a = denominator.value**2 - z2 * denominator.sd**2
    b = numerator.value * denominator.value
    c = numerator.value**2 - z2 * numerator.sd**2
    root = math.sqrt(max(0.0, b * b - a * c))
    return ((b - root) / a, (b + root) / a)


def margin_sd(numerator: Measured, denominator: Measured, *, threshold: float) -> float:
    """Return the standard deviation of a ratio's distance from a threshold.

    Parameters
    ----------
    numerator, denominator : Measured
        Values and standard deviations.
    threshold : float
        In the unit of the ratio.

    Returns
    -------
    float
        Standard deviation of F / T - t at the threshold, in the unit of the ratio.

    Notes
    -----
    ``sqrt(sF^2 + t^2 sT^2) / T``: that of F - t T, so that a threshold lies within 1.96 of it of the
    ratio exactly when it lies within the interval of `ratio_interval`.

    Examples
    --------
    >>> round(margin_sd(Measured(330, 16.5), Measured(1500, 45), threshold=0.2), 5)
    0.01253
    """
    return math.hypot(numerator.sd, threshold * denominator.sd) / denominator.value


def probability_at_least(numerator: Measured, denominator: Measured, *, threshold: float) -> float:
    """Return the probability that a ratio of two independent normals reaches a threshold.

    Parameters
    ----------
    numerator, denominator : Measured
        Values and standard deviations.
    threshold : float
        In the unit of the ratio.

    Returns
    -------
    float
        From 0 to 1; 0 or 1 if both are exact.

    Notes
    -----
    ``P(F / T >= t) = Phi((F - t T) / sqrt(sF^2 + t^2 sT^2))``, for T positive beyond doubt.

    Examples
    --------
    >>> round(1 - probability_at_least(Measured(330, 16.5), Measured(1500, 45), threshold=0.2), 3)
    0.055
    """
    distance = numerator.value - threshold * denominator.value
    sd = math.hypot(numerator.sd, threshold * denominator.sd)
    if sd == 0:
        return 1.0 if distance >= 0 else 0.0
    return 0.5 * math.erfc(-distance / sd / math.sqrt(2))
