"""Liver size estimated from body surface area, Asian donors and adults (T5, T7, T11 to T13, T17)."""

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

YOSHIZUMI_2003 = TelvFormula(
    "T5",
    "Yoshizumi 2003",
    "772 BSA",
    AmountUnit.G,
    "about 1413 donors",
    "Transplantation 2003;76:1377",
    "GK-M",
    BsaFormula.MOSTELLER,
    BSA_UNKNOWN,
)
HASHIMOTO_2006 = TelvFormula(
    "T7",
    "Hashimoto 2006",
    "-404.8 + 961.3 BSA",
    AmountUnit.ML,
    "Japanese donors",
    "J Gastroenterol Hepatol 2006;21:1710",
    "GK-M",
    BsaFormula.DUBOIS,
    "the paper's, GK-M",
)
KOREA_1000_DUBOIS = TelvFormula(
    "T11-DuBois",
    "Korea 1000 (DuBois)",
    "-464.728 + 908.204 BSA",
    AmountUnit.ML,
    "1000 Korean donors",
    "synapse.koreamed 1040650",
    "FOUND",
    BsaFormula.DUBOIS,
    "the paper's",
)
KOREA_1000_MOSTELLER = TelvFormula(
    "T11-Mosteller",
    "Korea 1000 (Mosteller)",
    "-439.169 + 893.485 BSA",
    AmountUnit.ML,
    "1000 Korean donors",
    "synapse.koreamed 1040650",
    "FOUND",
    BsaFormula.MOSTELLER,
    "the paper's",
)
UM_2015 = TelvFormula(
    "T12",
    "Um 2015",
    "-456.3 + 969.8 BSA",
    AmountUnit.ML,
    "2155 Korean donors, r2 = 0.50, mean error 10.5 %",
    "J Gastrointest Surg 2015, doi 10.1007/s11605-015-2846-8",
    "FOUND",
    BsaFormula.MOSTELLER,
    BSA_UNKNOWN,
)
FENG_2017 = TelvFormula(
    "T13",
    "Feng 2017",
    "-124.272 + 758.259 BSA",
    AmountUnit.ML,
    "369 Chinese adults, R2 = 0.299; too high above 70 years, too low for livers above 1800 mL",
    "World J Gastroenterol 2017;23:4968",
    "FOUND",
    BsaFormula.MOSTELLER,
    BSA_UNKNOWN,
)
LEE_2002 = TelvFormula(
    "T17",
    "Lee 2002",
    "95 + 691 BSA",
    AmountUnit.ML,
    "Koreans",
    "Lee et al., 2002",
    "GK-L",
    BsaFormula.MOSTELLER,
    BSA_UNKNOWN,
)


def telv_yoshizumi_2003(*, bsa: BodySurface) -> LiverEstimate:
    """Estimate liver weight from body surface by Yoshizumi 2003 (T5), g.

    Parameters
    ----------
    bsa : BodySurface
        Body surface area; another formula than the published one earns a caveat.

    Returns
    -------
    LiverEstimate
        In g.

    Raises
    ------
    FormulaError
        If the body is so small that the formula yields nothing.

    Notes
    -----
    ``772 BSA`` in grams. Yoshizumi et al., Transplantation 2003;76:1377: about 1413 donors.
    Evidence: GK-M.

    Examples
    --------
    >>> from flr_volumetry.volumetry.formulas import bsa_mosteller
    >>> round(telv_yoshizumi_2003(bsa=bsa_mosteller(height_cm=170, weight_kg=70)).amount, 1)
    1403.6
    """
    return estimate_from_bsa(YOSHIZUMI_2003, amount=772 * bsa.m2, bsa=bsa)


def telv_hashimoto_2006(*, bsa: BodySurface) -> LiverEstimate:
    """Estimate liver volume from body surface by Hashimoto 2006 (T7), mL.

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
    ``961.3 BSA - 404.8``, BSA by DuBois. Hashimoto et al., J Gastroenterol Hepatol
    2006;21:1710: Japanese donors. Evidence: GK-M.

    Examples
    --------
    >>> from flr_volumetry.volumetry.formulas import bsa_dubois
    >>> round(telv_hashimoto_2006(bsa=bsa_dubois(height_cm=170, weight_kg=70)).amount, 1)
    1334.9
    """
    return estimate_from_bsa(HASHIMOTO_2006, amount=-404.8 + 961.3 * bsa.m2, bsa=bsa)


def telv_korea_1000_dubois(*, bsa: BodySurface) -> LiverEstimate:
    """Estimate liver volume from body surface by the Korean thousand, DuBois (T11), mL.

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
    ``908.204 BSA - 464.728``, BSA by DuBois. 1000 Korean donors (synapse.koreamed 1040650).
    Evidence: FOUND.

    Examples
    --------
    >>> from flr_volumetry.volumetry.formulas import bsa_dubois
    >>> round(telv_korea_1000_dubois(bsa=bsa_dubois(height_cm=170, weight_kg=70)).amount, 1)
    1178.9
    """
    return estimate_from_bsa(KOREA_1000_DUBOIS, amount=-464.728 + 908.204 * bsa.m2, bsa=bsa)


def telv_korea_1000_mosteller(*, bsa: BodySurface) -> LiverEstimate:
    """Estimate liver volume from body surface by the Korean thousand, Mosteller (T11), mL.

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
    ``893.485 BSA - 439.169``, BSA by Mosteller. 1000 Korean donors (synapse.koreamed
    1040650). Evidence: FOUND.

    Examples
    --------
    >>> from flr_volumetry.volumetry.formulas import bsa_mosteller
    >>> round(telv_korea_1000_mosteller(bsa=bsa_mosteller(height_cm=170, weight_kg=70)).amount, 1)
    1185.3
    """
    return estimate_from_bsa(KOREA_1000_MOSTELLER, amount=-439.169 + 893.485 * bsa.m2, bsa=bsa)


def telv_um_2015(*, bsa: BodySurface) -> LiverEstimate:
    """Estimate liver volume from body surface by Um 2015 (T12), mL.

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
    ``969.8 BSA - 456.3``. Um et al., J Gastrointest Surg 2015: 2155 Korean donors, r2 = 0.50,
    mean error 10.5 %. Evidence: FOUND.

    Examples
    --------
    >>> from flr_volumetry.volumetry.formulas import bsa_mosteller
    >>> round(telv_um_2015(bsa=bsa_mosteller(height_cm=170, weight_kg=70)).amount, 1)
    1306.9
    """
    return estimate_from_bsa(UM_2015, amount=-456.3 + 969.8 * bsa.m2, bsa=bsa)


def telv_feng_2017(*, bsa: BodySurface) -> LiverEstimate:
    """Estimate liver volume from body surface by Feng 2017 (T13), mL.

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
    ``758.259 BSA - 124.272``. Feng et al., World J Gastroenterol 2017;23:4968: 369 Chinese
    adults, R2 = 0.299. Evidence: FOUND.

    Examples
    --------
    >>> from flr_volumetry.volumetry.formulas import bsa_mosteller
    >>> round(telv_feng_2017(bsa=bsa_mosteller(height_cm=170, weight_kg=70)).amount, 1)
    1254.3
    """
    return estimate_from_bsa(FENG_2017, amount=-124.272 + 758.259 * bsa.m2, bsa=bsa)


def telv_lee_2002(*, bsa: BodySurface) -> LiverEstimate:
    """Estimate liver volume from body surface by Lee 2002 (T17), mL.

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
    ``691 BSA + 95``. Lee et al., 2002: Koreans. Evidence: GK-L.

    Examples
    --------
    >>> from flr_volumetry.volumetry.formulas import bsa_mosteller
    >>> round(telv_lee_2002(bsa=bsa_mosteller(height_cm=170, weight_kg=70)).amount, 1)
    1351.3
    """
    return estimate_from_bsa(LEE_2002, amount=95 + 691 * bsa.m2, bsa=bsa)
