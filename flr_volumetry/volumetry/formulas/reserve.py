"""Signs of liver reserve beyond single scores (G6, G10 to G12, CASH): what is not known stays unknown.

A sign is true, false, or None where the tests given do not decide it; None is never taken as absent.
"""

from __future__ import annotations

from enum import IntEnum

from flr_volumetry.volumetry.formulas import _domain

HVPG_MMHG = 10.0
PLATELETS_PER_NL = 100.0
LIMAX_UG_PER_KG_PER_H = (10.0, 1500.0)


class MeldRisk(IntEnum):
    """Bands of the MELD score in cirrhosis; Cucchetti et al. 2006 (GK-M)."""

    LOW = 1
    INTERMEDIATE = 2
    HIGH = 3


def meld_risk(*, score: float) -> MeldRisk:
    """Return the band of a MELD score in cirrhosis (G10).

    Parameters
    ----------
    score : float
        As `meld_score` gives it: 6.43 or more.

    Returns
    -------
    MeldRisk
        Below 9, 9 to 10, above 10.

    Raises
    ------
    FormulaError
        If the score is below 6.43, which no person has, or not a number.

    Notes
    -----
    Cucchetti et al. 2006: below 9 safe, 9 to 10 intermediate, above 10 high risk (GK-M).

    Examples
    --------
    >>> [meld_risk(score=s).name for s in (6.43, 9, 10, 10.1)]
    ['LOW', 'INTERMEDIATE', 'INTERMEDIATE', 'HIGH']
    """
    _domain.within(score, (6.43, 200.0), "score", "MELD is never below 6.43.")
    if score < 9:
        return MeldRisk.LOW
    return MeldRisk.INTERMEDIATE if score <= 10 else MeldRisk.HIGH


def portal_hypertension(
    *,
    hvpg_mmhg: float | None = None,
    varices: bool | None = None,
    platelets_per_nl: float | None = None,
    splenomegaly: bool | None = None,
) -> bool | None:
    """Return whether signs of portal hypertension are there (G11).

    Parameters
    ----------
    hvpg_mmhg : float or None
        Hepatic venous pressure gradient, mmHg, 0 to 60.
    varices : bool or None
        Oesophageal or gastric, as found.
    platelets_per_nl : float or None
        Per nanolitre, that is 10^9/L, 1 to 2000.
    splenomegaly : bool or None
        As found.

    Returns
    -------
    bool or None
        True if any sign is there, False only if all three are known to be absent, else None.

    Raises
    ------
    FormulaError
        If a number lies outside its range, as platelets per microlitre do.

    Notes
    -----
    A gradient of 10 mmHg and above, or varices, or platelets below 100 per nL with splenomegaly (GK-H).

    Examples
    --------
    >>> portal_hypertension(platelets_per_nl=80, splenomegaly=True)
    True
    >>> portal_hypertension(hvpg_mmhg=5) is None
    True
    >>> portal_hypertension(hvpg_mmhg=5, varices=False, platelets_per_nl=200)
    False
    """
    if hvpg_mmhg is not None:
        _domain.within(hvpg_mmhg, (0.0, 60.0), "hvpg_mmhg", "Is it in mmHg?")
    if platelets_per_nl is not None:
        _domain.platelets(platelets_per_nl)
    few = None if platelets_per_nl is None else platelets_per_nl < PLATELETS_PER_NL
    pressure = None if hvpg_mmhg is None else hvpg_mmhg >= HVPG_MMHG
    signs = (pressure, varices, _all(few, splenomegaly))
    if any(sign is True for sign in signs):
        return True
    return None if any(sign is None for sign in signs) else False


def chemotherapy_steatohepatitis(
    *, steatosis: bool | None, splenomegaly: bool | None, platelets_per_nl: float | None
) -> bool | None:
    """Return whether the three signs of chemotherapy-associated steatohepatitis are there (CASH).

    Parameters
    ----------
    steatosis, splenomegaly : bool or None
        As found.
    platelets_per_nl : float or None
        Per nanolitre, 1 to 2000.

    Returns
    -------
    bool or None
        True if all are there, False if one is known to be absent, else None.

    Raises
    ------
    FormulaError
        If the platelets lie outside their range.

    Notes
    -----
    Steatosis, splenomegaly and thrombocytopenia: the 2014 review [73] (SEED); platelets below 100 per nL
    are taken for thrombocytopenia (ASSUMED: the review prints no number).

    Examples
    --------
    >>> chemotherapy_steatohepatitis(steatosis=True, splenomegaly=True, platelets_per_nl=90)
    True
    """
    if platelets_per_nl is not None:
        _domain.platelets(platelets_per_nl)
    few = None if platelets_per_nl is None else platelets_per_nl < PLATELETS_PER_NL
    return _all(steatosis, splenomegaly, few)


def _all(*signs: bool | None) -> bool | None:
    if any(sign is False for sign in signs):
        return False
    return None if any(sign is None for sign in signs) else True


def limax_remnant_ug_per_kg_per_h(*, limax_ug_per_kg_per_h: float, flr_fraction: float) -> float:
    """Return the enzymatic capacity that a remnant is expected to keep (G12).

    Parameters
    ----------
    limax_ug_per_kg_per_h : float
        LiMAx of the whole liver, 10 to 1500.
    flr_fraction : float
        FLR / FTLV (D8), a fraction.

    Returns
    -------
    float
        Micrograms per kg and hour.

    Raises
    ------
    FormulaError
        If the capacity lies outside its range or the share is not a fraction.

    Notes
    -----
    ``LiMAx FLR``. 315 and above is called normal, a remnant below 100 (80 to 100) critical (GK-L/M).

    Examples
    --------
    >>> limax_remnant_ug_per_kg_per_h(limax_ug_per_kg_per_h=400, flr_fraction=0.3)
    120.0
    """
    _domain.within(limax_ug_per_kg_per_h, LIMAX_UG_PER_KG_PER_H, "limax_ug_per_kg_per_h", "In ug/kg/h?")
    _domain.fraction(flr_fraction, "flr_fraction")
    return limax_ug_per_kg_per_h * flr_fraction


def remnant_uptake_percent_per_min(*, uptake_percent_per_min: float, remnant_count_share: float) -> float:
    """Return the mebrofenin uptake of the remnant, not divided by body surface (G6).

    Parameters
    ----------
    uptake_percent_per_min : float
        Of the whole liver, percent of the injected activity per minute: above 0, at most 60.
    remnant_count_share : float
        Counts in the remnant over counts in the liver, a fraction.

    Returns
    -------
    float
        Percent per minute.

    Raises
    ------
    FormulaError
        If the uptake lies outside its range or the share is not a fraction.

    Notes
    -----
    ``uptake share``. Perihilar tumours: 8.5 %/min and above, 547 patients, six centres (FOUND,
    S1365-182X(22)01680-X).

    Examples
    --------
    >>> round(remnant_uptake_percent_per_min(uptake_percent_per_min=15, remnant_count_share=0.6), 6)
    9.0
    """
    _domain.positive(uptake_percent_per_min, "uptake_percent_per_min")
    _domain.within(uptake_percent_per_min, (0.0, 60.0), "uptake_percent_per_min", "In percent per minute?")
    _domain.fraction(remnant_count_share, "remnant_count_share")
    return uptake_percent_per_min * remnant_count_share
