"""Tests of liver function, as published scores (G2 to G5, G7 to G10).

What a test is missing for is never taken as passed: every number must be given.
"""

from __future__ import annotations

import math
from enum import Enum

from flr_volumetry.errors import FormulaError
from flr_volumetry.volumetry.formulas import _domain
from flr_volumetry.volumetry.formulas.bsa import BodySurface

ICG_MINUTES = 15.0
MELD_FLOOR = 1.0


def icg_k_per_min(*, icg_r15_percent: float) -> float:
    """Return the plasma disappearance rate of indocyanine green from what is left at 15 minutes (G2).

    Parameters
    ----------
    icg_r15_percent : float
        Retention at 15 minutes, percent: above 0, below 100.

    Returns
    -------
    float
        K per minute; the PDR in percent per minute is 100 times it.

    Raises
    ------
    FormulaError
        If the retention lies outside 0 to 100 %.

    Notes
    -----
    ``K = -ln(R15 / 100) / 15``, one exponential. Evidence: DERIVED.

    Examples
    --------
    >>> round(icg_k_per_min(icg_r15_percent=10), 5), round(icg_k_per_min(icg_r15_percent=20), 5)
    (0.15351, 0.1073)
    """
    if not 0 < icg_r15_percent < 100:
        raise FormulaError(
            f"ICG retention at 15 minutes must lie between 0 and 100 %, got {icg_r15_percent}",
            reason="not_a_percentage",
        )
    return -math.log(icg_r15_percent / 100) / ICG_MINUTES


def icgk_flr_per_min(*, icg_k_per_min: float, flr_fraction: float) -> float:
    """Return the share of the indocyanine green clearance that the remnant holds (G4).

    Parameters
    ----------
    icg_k_per_min : float
        K of the whole liver, per minute.
    flr_fraction : float
        FLR / FTLV (D8), a fraction.

    Returns
    -------
    float
        K of the remnant, per minute.

    Raises
    ------
    FormulaError
        If K is not above 0 or the share is not a fraction.

    Notes
    -----
    ``K FLR``. Nagino et al., Ann Surg 2006;243:364, at least 0.05 (GK-H); 0.04 for normal livers, Um
    et al. 2015 (FOUND); 0.075 with bile duct resection, PMC7893452 (FOUND).

    Examples
    --------
    >>> round(icgk_flr_per_min(icg_k_per_min=0.15351, flr_fraction=0.35), 4)
    0.0537
    """
    _domain.positive(icg_k_per_min, "icg_k_per_min")
    _domain.fraction(flr_fraction, "flr_fraction")
    return icg_k_per_min * flr_fraction


def remnant_uptake_percent_per_min_per_m2(
    *, uptake_percent_per_min: float, remnant_count_share: float, bsa: BodySurface
) -> float:
    """Return the mebrofenin uptake of the remnant, per body surface: FRL-F (G5).

    Parameters
    ----------
    uptake_percent_per_min : float
        Of the whole liver, percent of the injected activity per minute.
    remnant_count_share : float
        Counts in the remnant over counts in the liver, a fraction.
    bsa : BodySurface
        Body surface area, with its formula.

    Returns
    -------
    float
        Percent per minute per m2.

    Raises
    ------
    FormulaError
        If the uptake is not above 0 or the share is not a fraction.

    Notes
    -----
    ``uptake share / BSA``. de Graaf et al. 2010, PMC2809979: 2.69 and above, n = 55 (FOUND).

    Examples
    --------
    >>> from flr_volumetry.volumetry.formulas import bsa_mosteller
    >>> area = bsa_mosteller(height_cm=170, weight_kg=70)
    >>> round(
    ...     remnant_uptake_percent_per_min_per_m2(
    ...         uptake_percent_per_min=15, remnant_count_share=0.35, bsa=area
    ...     ),
    ...     2,
    ... )
    2.89
    """
    _domain.positive(uptake_percent_per_min, "uptake_percent_per_min")
    _domain.fraction(remnant_count_share, "remnant_count_share")
    return uptake_percent_per_min * remnant_count_share / bsa.m2


def functional_remnant_enhancement_ml_per_kg(
    *, remnant_functional_ml: float, relative_enhancement: float, weight_kg: float
) -> float:
    """Return the remnant weighted by its gadoxetate enhancement, per body weight: functFLR (G7).

    Parameters
    ----------
    remnant_functional_ml : float
        FLR (D5), mL.
    relative_enhancement : float
        Of the remnant in the hepatobiliary phase against the unenhanced scan, a fraction.
    weight_kg : float
        Body weight, 30 to 250 kg.

    Returns
    -------
    float
        mL per kg; context, no threshold of it is shipped.

    Raises
    ------
    FormulaError
        If an amount is not above 0 or the weight is implausible.

    Notes
    -----
    ``FLR RE / W``. Eur Radiol 2018, 62 patients, at least four segments (FOUND).

    Examples
    --------
    >>> functional_remnant_enhancement_ml_per_kg(
    ...     remnant_functional_ml=700, relative_enhancement=0.8, weight_kg=70
    ... )
    8.0
    """
    _domain.positive(remnant_functional_ml, "remnant_functional_ml")
    _domain.positive(relative_enhancement, "relative_enhancement")
    _domain.weight(weight_kg)
    return remnant_functional_ml * relative_enhancement / weight_kg


def albi_score(*, bilirubin_umol_per_l: float, albumin_g_per_l: float) -> float:
    """Return the albumin-bilirubin score (G9).

    Parameters
    ----------
    bilirubin_umol_per_l : float
        Total bilirubin, micromol/L, 1 to 1000 (1 mg/dL is 17.1).
    albumin_g_per_l : float
        Serum albumin, g/L, 10 to 70.

    Returns
    -------
    float
        The more negative the better; `albi_grade` grades it.

    Raises
    ------
    FormulaError
        If a value lies outside its range, as one in mg/dL or g/dL does.

    Notes
    -----
    ``0.66 log10(bilirubin) - 0.085 albumin``. Johnson et al. 2015 (GK-H for 0.085; Hepatoma Res
    2020;6:32 prints 0.0852, which differs by 0.008 at 40 g/L).

    Examples
    --------
    >>> round(albi_score(bilirubin_umol_per_l=10, albumin_g_per_l=40), 3)
    -2.74
    """
    _domain.within(bilirubin_umol_per_l, (1.0, 1000.0), "bilirubin_umol_per_l", "Is it in mg/dL?")
    _domain.within(albumin_g_per_l, (10.0, 70.0), "albumin_g_per_l", "Is it in g/dL?")
    return 0.66 * math.log10(bilirubin_umol_per_l) - 0.085 * albumin_g_per_l


def albi_grade(*, score: float) -> int:
    """Return the grade of an albumin-bilirubin score (G9).

    Parameters
    ----------
    score : float
        As `albi_score` gives it.

    Returns
    -------
    int
        1 up to -2.60, 2 up to -1.39, 3 above.

    Raises
    ------
    FormulaError
        If the score is not a number.

    Notes
    -----
    Johnson et al. 2015; Hepatoma Res 2020;6:32 (FOUND).

    Examples
    --------
    >>> albi_grade(score=-2.74), albi_grade(score=-2.60), albi_grade(score=-1.39), albi_grade(score=-1.0)
    (1, 1, 2, 3)
    """
    if not math.isfinite(score):
        raise FormulaError(f"an ALBI score must be a finite number, got {score}")
    return 1 if score <= -2.60 else 2 if score <= -1.39 else 3


def meld_score(*, bilirubin_mg_per_dl: float, inr: float, creatinine_mg_per_dl: float) -> float:
    """Return the score of the Model for End-stage Liver Disease (G10).

    Parameters
    ----------
    bilirubin_mg_per_dl : float
        Total bilirubin, mg/dL, 0.05 to 60.
    inr : float
        International normalised ratio, 0.5 to 20.
    creatinine_mg_per_dl : float
        Serum creatinine, mg/dL, 0.1 to 20.

    Returns
    -------
    float
        Not rounded; values below 1 count as 1, so that the least is 6.43.

    Raises
    ------
    FormulaError
        If a value lies outside its range, as one in micromol/L does.

    Notes
    -----
    ``3.78 ln(bilirubin) + 11.2 ln(INR) + 9.57 ln(creatinine) + 6.43``. 9 and above: no hepatectomy
    in cirrhosis, by one textbook (FOUND); Cucchetti et al. 2006 (GK-M).

    Examples
    --------
    >>> meld_score(bilirubin_mg_per_dl=1, inr=1, creatinine_mg_per_dl=1)
    6.43
    """
    _domain.bilirubin(bilirubin_mg_per_dl)
    _domain.within(inr, _domain.INR, "inr")
    _domain.within(creatinine_mg_per_dl, (0.1, 20.0), "creatinine_mg_per_dl", "Is it in micromol/L?")
    return (
        3.78 * math.log(max(MELD_FLOOR, bilirubin_mg_per_dl))
        + 11.2 * math.log(max(MELD_FLOOR, inr))
        + 9.57 * math.log(max(MELD_FLOOR, creatinine_mg_per_dl))
        + 6.43
    )


class Ascites(Enum):
    """Grades of ascites in the Child-Pugh score."""

    NONE = "none"
    MILD = "mild"
    MODERATE_OR_SEVERE = "moderate or severe"


class Encephalopathy(Enum):
    """Grades of encephalopathy in the Child-Pugh score."""

    NONE = "none"
    GRADE_1_2 = "grade 1 to 2"
    GRADE_3_4 = "grade 3 to 4"


def child_pugh_points(
    *,
    bilirubin_mg_per_dl: float,
    albumin_g_per_dl: float,
    inr: float,
    ascites: Ascites,
    encephalopathy: Encephalopathy,
) -> int:
    """Return the Child-Pugh score (G8).

    Parameters
    ----------
    bilirubin_mg_per_dl : float
        Total bilirubin, mg/dL, 0.05 to 60.
    albumin_g_per_dl : float
        Serum albumin, g/dL, 1 to 7.
    inr : float
        International normalised ratio, 0.5 to 20.
    ascites : Ascites
        As found.
    encephalopathy : Encephalopathy
        As found.

    Returns
    -------
    int
        5 to 15; `child_pugh_class` gives the letter.

    Raises
    ------
    FormulaError
        If a value lies outside its range.

    Notes
    -----
    1, 2 or 3 points each: bilirubin below 2, 2 to 3, above 3; albumin above 3.5, 2.8 to 3.5, below 2.8;
    INR below 1.7, 1.7 to 2.3, above 2.3 (FOUND).

    Examples
    --------
    >>> child_pugh_points(
    ...     bilirubin_mg_per_dl=2.5,
    ...     albumin_g_per_dl=3.0,
    ...     inr=1.2,
    ...     ascites=Ascites.MILD,
    ...     encephalopathy=Encephalopathy.NONE,
    ... )
    8
    """
    _domain.bilirubin(bilirubin_mg_per_dl)
    _domain.within(albumin_g_per_dl, (1.0, 7.0), "albumin_g_per_dl", "Is it in g/L?")
    _domain.within(inr, _domain.INR, "inr")
    return (
        _points(bilirubin_mg_per_dl, 2.0, 3.0)
        + 4
        - _points(albumin_g_per_dl, 2.8, 3.5)
        + _points(inr, 1.7, 2.3)
        + 1
        + list(Ascites).index(ascites)
        + 1
        + list(Encephalopathy).index(encephalopathy)
    )


def child_pugh_class(*, points: int) -> str:
    """Return the class of a Child-Pugh score (G8).

    Parameters
    ----------
    points : int
        5 to 15.

    Returns
    -------
    str
        "A" for 5 and 6, "B" for 7 to 9, "C" for 10 to 15.

    Raises
    ------
    FormulaError
        If the score lies outside 5 to 15.

    Notes
    -----
    FOUND; what it means for surgery (A major possible, B minor only, C contraindicated) is GK-H.

    Examples
    --------
    >>> [child_pugh_class(points=n) for n in (6, 7, 9, 10)]
    ['A', 'B', 'B', 'C']
    """
    if points not in range(5, 16):
        raise FormulaError(f"a Child-Pugh score is a whole number from 5 to 15, got {points}")
    return "A" if points <= 6 else "B" if points <= 9 else "C"


def _points(value: float, low: float, high: float) -> int:
    return 1 if value < low else 2 if value <= high else 3
