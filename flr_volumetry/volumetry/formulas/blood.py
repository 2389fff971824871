"""Units of blood tests: laboratories print two, formulas want one."""

from __future__ import annotations

from flr_volumetry.volumetry.formulas import _domain

UMOL_PER_MG_BILIRUBIN = 17.1
"""Micromol/L of bilirubin in 1 mg/dL (molar mass 584.7 g/mol)."""
UMOL_PER_MG_CREATININE = 88.4
"""Micromol/L of creatinine in 1 mg/dL (molar mass 113.1 g/mol)."""


def bilirubin_umol_per_l(*, bilirubin_mg_per_dl: float) -> float:
    """Return a total bilirubin in micromol/L.

    Parameters
    ----------
    bilirubin_mg_per_dl : float
        In mg/dL, 0.05 to 60.

    Returns
    -------
    float
        In micromol/L.

    Raises
    ------
    FormulaError
        If the value lies outside its range, as one in micromol/L may.

    Notes
    -----
    ``17.1 b``. Evidence: DERIVED.

    Examples
    --------
    >>> bilirubin_umol_per_l(bilirubin_mg_per_dl=1)
    17.1
    """
    _domain.bilirubin(bilirubin_mg_per_dl)
    return UMOL_PER_MG_BILIRUBIN * bilirubin_mg_per_dl


def bilirubin_mg_per_dl(*, bilirubin_umol_per_l: float) -> float:
    """Return a total bilirubin in mg/dL.

    Parameters
    ----------
    bilirubin_umol_per_l : float
        In micromol/L, 1 to 1000.

    Returns
    -------
    float
        In mg/dL.

    Raises
    ------
    FormulaError
        If the value lies outside its range, as one in mg/dL may.

    Notes
    -----
    ``b / 17.1``. Evidence: DERIVED.

    Examples
    --------
    >>> bilirubin_mg_per_dl(bilirubin_umol_per_l=34.2)
    2.0
    """
    _domain.within(bilirubin_umol_per_l, (1.0, 1000.0), "bilirubin_umol_per_l", "Is it in mg/dL?")
    return bilirubin_umol_per_l / UMOL_PER_MG_BILIRUBIN


def creatinine_mg_per_dl(*, creatinine_umol_per_l: float) -> float:
    """Return a creatinine in mg/dL.

    Parameters
    ----------
    creatinine_umol_per_l : float
        In micromol/L, 9 to 1800.

    Returns
    -------
    float
        In mg/dL.

    Raises
    ------
    FormulaError
        If the value lies outside its range, as one in mg/dL does.

    Notes
    -----
    ``c / 88.4``. Evidence: DERIVED.

    Examples
    --------
    >>> creatinine_mg_per_dl(creatinine_umol_per_l=88.4)
    1.0
    """
    _domain.within(creatinine_umol_per_l, (9.0, 1800.0), "creatinine_umol_per_l", "Is it in mg/dL?")
    return creatinine_umol_per_l / UMOL_PER_MG_CREATININE
