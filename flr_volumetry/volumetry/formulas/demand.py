"""What a threshold asks for, and what congestion takes away (D14 to D16)."""

from __future__ import annotations

from flr_volumetry.errors import FormulaError
from flr_volumetry.volumetry.formulas import _domain


def effective_remnant_ml(
    *, remnant_functional_ml: float, congested_ml: float, retained_function: float
) -> float:
    """Return the remnant with its congested part weighted by the function it keeps (D14).

    Parameters
    ----------
    remnant_functional_ml : float
        FLR (D5), mL.
    congested_ml : float
        The part of it that loses its venous outflow, mL.
    retained_function : float
        From 0 (the part is lost; conservative) to 1 (congestion ignored).

    Returns
    -------
    float
        Effective FLR, mL; 0 if all of it is congested and none of its function kept.

    Raises
    ------
    FormulaError
        If the congested part exceeds the remnant, or the weight lies outside 0 to 1.

    Notes
    -----
    ``(FLR - C) + f C``. Outputs show f = 0, 0.3 to 0.4 and 1 side by side: the middle one
    (Kawaguchi et al., J Hepatol 2013) is GK-L/M, not verified. Evidence of the accounting: ASSUMED.

    Examples
    --------
    >>> effective_remnant_ml(remnant_functional_ml=400, congested_ml=100, retained_function=0)
    300
    """
    _domain.positive(remnant_functional_ml, "remnant_functional_ml")
    _domain.not_negative(congested_ml, "congested_ml")
    _domain.part_of(congested_ml, "congested_ml", remnant_functional_ml, "remnant_functional_ml")
    if not 0 <= retained_function <= 1:
        raise FormulaError(
            f"retained_function must lie between 0 and 1, got {retained_function}. Is it in percent?",
            reason="not_a_fraction",
        )
    return remnant_functional_ml - congested_ml + retained_function * congested_ml


def margin_ml(*, remnant_functional_ml: float, denominator_ml: float, threshold: float) -> float:
    """Return what a remnant has beyond a threshold (D15, signed).

    Parameters
    ----------
    remnant_functional_ml : float
        FLR (D5), mL.
    denominator_ml : float
        FTLV, TLV or TELV, as the rule says, mL.
    threshold : float
        Fraction between 0 and 1.

    Returns
    -------
    float
        In mL; negative if the remnant falls short.

    Raises
    ------
    FormulaError
        If a volume is not positive, or the threshold is not a fraction.

    Notes
    -----
    ``FLR - t Den``. Evidence: DERIVED.

    Examples
    --------
    >>> round(margin_ml(remnant_functional_ml=350, denominator_ml=1509.66, threshold=0.30), 1)
    -102.9
    """
    _domain.positive(remnant_functional_ml, "remnant_functional_ml")
    _domain.positive(denominator_ml, "denominator_ml")
    _domain.fraction(threshold, "threshold")
    return remnant_functional_ml - threshold * denominator_ml


def deficit_ml(*, remnant_functional_ml: float, denominator_ml: float, threshold: float) -> float:
    """Return what a remnant lacks to reach a threshold (D15).

    Parameters
    ----------
    remnant_functional_ml : float
        FLR (D5), mL.
    denominator_ml : float
        FTLV, TLV or TELV, as the rule says, mL.
    threshold : float
        Fraction between 0 and 1.

    Returns
    -------
    float
        In mL; 0 if the threshold is reached.

    Raises
    ------
    FormulaError
        If a volume is not positive, or the threshold is not a fraction.

    Notes
    -----
    ``max(0, t Den - FLR)``. Evidence: DERIVED.

    Examples
    --------
    >>> round(deficit_ml(remnant_functional_ml=350, denominator_ml=1509.66, threshold=0.30), 1)
    102.9
    """
    margin = margin_ml(
        remnant_functional_ml=remnant_functional_ml, denominator_ml=denominator_ml, threshold=threshold
    )
    return max(0.0, -margin)


def required_growth_fraction(*, deficit_ml: float, remnant_functional_ml: float) -> float:
    """Return the relative growth that would make up a deficit (D16).

    Parameters
    ----------
    deficit_ml : float
        What is lacking (D15), mL.
    remnant_functional_ml : float
        FLR (D5), mL.

    Returns
    -------
    float
        Fraction of the remnant's present volume: a relative growth, not points of FLR %.

    Raises
    ------
    FormulaError
        If the deficit is negative or the remnant has no volume.

    Notes
    -----
    ``deficit / FLR``. Evidence: DERIVED.

    Examples
    --------
    >>> round(required_growth_fraction(deficit_ml=102.9, remnant_functional_ml=350), 3)
    0.294
    """
    _domain.not_negative(deficit_ml, "deficit_ml")
    _domain.positive(remnant_functional_ml, "remnant_functional_ml")
    return deficit_ml / remnant_functional_ml
