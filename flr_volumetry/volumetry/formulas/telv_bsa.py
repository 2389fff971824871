"""Liver size estimated from body surface area (T1, T3, T4, T6, T16)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flr_volumetry.volumetry.formulas.bsa import BsaFormula
from flr_volumetry.volumetry.formulas.estimates import (
    BSA_UNKNOWN,
    AmountUnit,
    TelvFormula,
    estimate_from_bsa,
)

if TYPE_CHECKING:
    from flr_volumetry.volumetry.formulas.bsa import BodySurface
    from flr_volumetry.volumetry.formulas.estimates import LiverEstimate

VAUTHEY_2002_BSA = TelvFormula(
    "T1",
    "Vauthey 2002 (BSA)",
    "-794.41 + 1267.28 BSA",
    AmountUnit.ML,
    "292 Western adults of four centres, r2 = 0.46",
    "Liver Transpl 2002;8:233, as printed in Ribero et al., Ann Surg 2013",
    "FOUND",
    BsaFormula.MOSTELLER,
    "the paper's, GK-M",
    (1.3, 2.5),
)
URATA_1995 = TelvFormula(
    "T3",
    "Urata 1995",
    "2.4 + 706.2 BSA",
    AmountUnit.ML,
    "96 Japanese; underestimates Caucasians by 322.6 +- 335.8 g (Heinemann 1999)",
    "Hepatology 1995;21:1317, as printed in Kawaguchi et al., J Surg Oncol 2019;119:594",
    "FOUND",
    BsaFormula.DUBOIS,
    "the paper's, GK-M",
)
HEINEMANN_1999 = TelvFormula(
    "T4",
    "Heinemann 1999",
    "-345.7 + 1072.8 BSA",
    AmountUnit.ML,
    "1332 German autopsies",
    "Liver Transpl Surg 1999;5:366",
    "FOUND",
    BsaFormula.MOSTELLER,
    BSA_UNKNOWN,
)
JOHNSON_2005 = TelvFormula(
    "T6",
    "Johnson 2005",
    "1000 x 0.722 BSA^1.176",
    AmountUnit.ML,
    "meta-analysis from birth to adults",
    "Liver Transpl 2005;11:1481",
    "GK-H",
    BsaFormula.MOSTELLER,
    BSA_UNKNOWN,
)
DELAND_1968 = TelvFormula(
    "T16",
    "DeLand and North 1968",
    "-220 + 1020 BSA",
    AmountUnit.ML,
    "not known",
    "Radiology 1968;91:1195",
    "GK-M",
    BsaFormula.MOSTELLER,
    BSA_UNKNOWN,
)


def telv_vauthey_2002_bsa(*, bsa: BodySurface) -> LiverEstimate:
    """Estimate liver volume from body surface by Vauthey 2002 (T1), mL.

    Parameters
    ----------
    bsa : BodySurface
        Body surface area; another formula than the published one earns a caveat.

    Returns
    -------
    LiverEstimate
        In mL.

    Raises
    ------
    FormulaError
        If the body is so small that the formula yields nothing.

    Notes
    -----
    ``TELV = -794.41 + 1267.28 BSA``, BSA by Mosteller (GK-M). Vauthey et al., Liver Transpl
    2002;8:233: 292 Western adults of four centres, r2 = 0.46. Nought at 0.63 m2; outside 1.3 to
    2.5 m2 (assumed) the estimate carries a caveat. Some copies print -794. Evidence: FOUND.

    Examples
    --------
    >>> from flr_volumetry.volumetry.formulas import bsa_mosteller
    >>> round(telv_vauthey_2002_bsa(bsa=bsa_mosteller(height_cm=170, weight_kg=70)).amount, 1)
    1509.7
    """
    return estimate_from_bsa(VAUTHEY_2002_BSA, amount=-794.41 + 1267.28 * bsa.m2, bsa=bsa)


def telv_urata_1995(*, bsa: BodySurface) -> LiverEstimate:
    """Estimate liver volume from body surface by Urata 1995 (T3), mL.

    Parameters
    ----------
    bsa : BodySurface
        Body surface area; another formula than the published one earns a caveat.

    Returns
    -------
    LiverEstimate
        In mL.

    Raises
    ------
    FormulaError
        If the body is so small that the formula yields nothing.

    Notes
    -----
    ``TELV = 706.2 BSA + 2.4``, BSA by DuBois (GK-M). Urata et al., Hepatology 1995;21:1317:
    96 Japanese. Underestimates Caucasians by 322.6 +- 335.8 g (Heinemann 1999). Evidence: FOUND.

    Examples
    --------
    >>> from flr_volumetry.volumetry.formulas import bsa_dubois
    >>> round(telv_urata_1995(bsa=bsa_dubois(height_cm=170, weight_kg=70)).amount, 1)
    1280.4
    """
    return estimate_from_bsa(URATA_1995, amount=2.4 + 706.2 * bsa.m2, bsa=bsa)


def telv_heinemann_1999(*, bsa: BodySurface) -> LiverEstimate:
    """Estimate liver volume from body surface by Heinemann 1999 (T4), mL.

    Parameters
    ----------
    bsa : BodySurface
        Body surface area; another formula than the published one earns a caveat.

    Returns
    -------
    LiverEstimate
        In mL.

    Raises
    ------
    FormulaError
        If the body is so small that the formula yields nothing.

    Notes
    -----
    ``TELV = 1072.8 BSA - 345.7``; the paper's BSA formula is not known, Mosteller is taken.
    Heinemann et al., Liver Transpl Surg 1999;5:366: 1332 German autopsies. Evidence: FOUND.

    Examples
    --------
    >>> from flr_volumetry.volumetry.formulas import bsa_mosteller
    >>> round(telv_heinemann_1999(bsa=bsa_mosteller(height_cm=170, weight_kg=70)).amount, 1)
    1604.8
    """
    return estimate_from_bsa(HEINEMANN_1999, amount=-345.7 + 1072.8 * bsa.m2, bsa=bsa)


def telv_johnson_2005(*, bsa: BodySurface) -> LiverEstimate:
    """Estimate liver volume from body surface by Johnson 2005 (T6), mL.

    Parameters
    ----------
    bsa : BodySurface
        Body surface area; another formula than the published one earns a caveat.

    Returns
    -------
    LiverEstimate
        In mL.

    Raises
    ------
    FormulaError
        If the body is so small that the formula yields nothing.

    Notes
    -----
    ``1000 (0.722 BSA^1.176)``; the paper gives litres. Johnson et al., Liver Transpl
    2005;11:1481: meta-analysis from birth to adults. Evidence: GK-H.

    Examples
    --------
    >>> from flr_volumetry.volumetry.formulas import bsa_mosteller
    >>> round(telv_johnson_2005(bsa=bsa_mosteller(height_cm=170, weight_kg=70)).amount, 1)
    1458.3
    """
    return estimate_from_bsa(JOHNSON_2005, amount=1000 * 0.722 * bsa.m2**1.176, bsa=bsa)


def telv_deland_1968(*, bsa: BodySurface) -> LiverEstimate:
    """Estimate liver volume from body surface by DeLand and North 1968 (T16), mL.

    Parameters
    ----------
    bsa : BodySurface
        Body surface area; another formula than the published one earns a caveat.

    Returns
    -------
    LiverEstimate
        In mL.

    Raises
    ------
    FormulaError
        If the body is so small that the formula yields nothing.

    Notes
    -----
    ``1020 BSA - 220``. DeLand and North, Radiology 1968;91:1195. Evidence: GK-M.

    Examples
    --------
    >>> from flr_volumetry.volumetry.formulas import bsa_mosteller
    >>> round(telv_deland_1968(bsa=bsa_mosteller(height_cm=170, weight_kg=70)).amount, 1)
    1634.5
    """
    return estimate_from_bsa(DELAND_1968, amount=-220 + 1020 * bsa.m2, bsa=bsa)
