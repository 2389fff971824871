"""Liver size estimated from weight, height, age or chest width (T2, T8 to T10, T14, T15)."""

from __future__ import annotations

import math
from enum import Enum

from flr_volumetry.errors import FormulaError
from flr_volumetry.volumetry.formulas import _domain
from flr_volumetry.volumetry.formulas.estimates import AmountUnit, LiverEstimate, TelvFormula
from flr_volumetry.volumetry.patient import Sex

VAUTHEY_2002_WEIGHT = TelvFormula(
    "T2",
    "Vauthey 2002 (weight)",
    "191.80 + 18.51 W",
    AmountUnit.ML,
    "292 Western adults of four centres, r2 = 0.49",
    "Liver Transpl 2002;8:233, paper not seen",
    "GK-H",
)
CHAN_2006 = TelvFormula(
    "T8",
    "Chan 2006",
    "218 + 12.3 W + 51 (male)",
    AmountUnit.G,
    "159 Chinese donors, blood-free weight, R2 = 0.48",
    "World J Gastroenterol 2006",
    "FOUND",
)
YU_2004 = TelvFormula(
    "T9",
    "Yu 2004",
    "21.585 W^0.732 H^0.225",
    AmountUnit.ML,
    "Koreans",
    "as printed in Kim et al. 2013, synapse.koreamed 1040587",
    "FOUND",
)
CHOUKER_2004_YOUNG = TelvFormula(
    "T10",
    "Chouker 2004 (16 to 50 years)",
    "452 + 16.34 W + 11.85 age - 166 (female)",
    AmountUnit.G,
    "728 German autopsies",
    "Liver Transpl 2004, lt.20113",
    "FOUND",
)
CHOUKER_2004_OLD = TelvFormula(
    "T10",
    "Chouker 2004 (51 to 70 years)",
    "1390 + 15.94 W - 12.86 age",
    AmountUnit.G,
    "728 German autopsies",
    "Liver Transpl 2004, lt.20113",
    "FOUND",
)
TU_2007 = TelvFormula(
    "T14",
    "Tu 2007",
    "121.75 + 16.49 W",
    AmountUnit.ML,
    "Chinese",
    "PMC4171167",
    "FOUND",
)
KOKUDO_2015 = TelvFormula(
    "T15",
    "Kokudo type 2015",
    "203.3 - 3.61 age + 58.7 chest width [cm] - 463.7 (Japanese)",
    AmountUnit.ML,
    "180 Japanese and 160 Swiss",
    "J Hepatol 2015;63:848",
    "FOUND",
)


class ThoraxCohort(Enum):
    """The two cohorts of Kokudo's formula, which it tells apart by a constant."""

    JAPANESE = "japanese"
    SWISS = "swiss"


def telv_vauthey_2002_weight(*, weight_kg: float) -> LiverEstimate:
    """Estimate liver volume from weight by Vauthey 2002 (T2), mL.

    Parameters
    ----------
    weight_kg : float
        Weight, 30 to 250 kg.

    Returns
    -------
    LiverEstimate
        In mL.

    Raises
    ------
    FormulaError
        If the weight is implausible.

    Notes
    -----
    ``TELV = 191.80 + 18.51 W``. Vauthey et al., Liver Transpl 2002;8:233: 292 Western adults,
    r2 = 0.49. Obesity inflates it. Evidence: GK-H, paper not seen.

    Examples
    --------
    >>> telv_vauthey_2002_weight(weight_kg=70).ml
    1487.5
    """
    _domain.weight(weight_kg)
    return LiverEstimate(VAUTHEY_2002_WEIGHT, 191.80 + 18.51 * weight_kg)


def telv_chan_2006(*, weight_kg: float, sex: Sex) -> LiverEstimate:
    """Estimate the blood-free liver weight of a Chinese adult by Chan 2006 (T8), g.

    Parameters
    ----------
    weight_kg : float
        Weight, 30 to 250 kg.
    sex : Sex
        As in DICOM (0010,0040).

    Returns
    -------
    LiverEstimate
        In g; not a CT volume, and low against formulas in mL.

    Raises
    ------
    FormulaError
        If the weight is implausible.

    Notes
    -----
    ``218 + 12.3 W + 51 (male)``. Chan et al., World J Gastroenterol 2006: 159 donors, R2 = 0.48.
    Evidence: FOUND.

    Examples
    --------
    >>> telv_chan_2006(weight_kg=70, sex=Sex.MALE).g
    1130.0
    """
    _domain.weight(weight_kg)
    return LiverEstimate(CHAN_2006, 218 + 12.3 * weight_kg + (51 if sex is Sex.MALE else 0))


def telv_yu_2004(*, height_cm: float, weight_kg: float) -> LiverEstimate:
    """Estimate liver volume from weight and height by Yu 2004 (T9), mL.

    Parameters
    ----------
    height_cm : float
        Height, 120 to 220 cm.
    weight_kg : float
        Weight, 30 to 250 kg.

    Returns
    -------
    LiverEstimate
        In mL.

    Raises
    ------
    FormulaError
        If height or weight are implausible.

    Notes
    -----
    ``21.585 W^0.732 H^0.225``. Koreans; as printed in Kim et al. 2013 (synapse.koreamed 1040587).
    Evidence: FOUND.

    Examples
    --------
    >>> round(telv_yu_2004(height_cm=170, weight_kg=70).ml, 1)
    1536.8
    """
    _domain.height(height_cm)
    _domain.weight(weight_kg)
    return LiverEstimate(YU_2004, 21.585 * weight_kg**0.732 * height_cm**0.225)


def telv_chouker_2004(*, weight_kg: float, age_years: float, sex: Sex) -> LiverEstimate:
    """Estimate liver weight from weight, age and sex by Chouker 2004 (T10), g.

    Parameters
    ----------
    weight_kg : float
        Weight, 30 to 250 kg.
    age_years : float
        Age; completed years from 16 to 70 count.
    sex : Sex
        As in DICOM (0010,0040).

    Returns
    -------
    LiverEstimate
        In g; much higher than other formulas, and with a step between 50 and 51 years.

    Raises
    ------
    FormulaError
        If the weight is implausible or the age outside the fitted range.

    Notes
    -----
    16 to 50 years: ``452 + 16.34 W + 11.85 age - 166 (female)``; 51 to 70 years:
    ``1390 + 15.94 W - 12.86 age``. Chouker et al., Liver Transpl 2004: 728 German autopsies.
    Evidence: FOUND.

    Examples
    --------
    >>> round(telv_chouker_2004(weight_kg=70, age_years=60, sex=Sex.MALE).g, 1)
    1734.2
    """
    _domain.weight(weight_kg)
    if not 16 <= age_years < 71:
        raise FormulaError(
            f"T10 (Chouker 2004) was fitted to ages from 16 to 70 years, got {age_years:g}",
            reason="age_out_of_range",
        )
    if math.floor(age_years) <= 50:
        female_g = 166 if sex is Sex.FEMALE else 0
        return LiverEstimate(CHOUKER_2004_YOUNG, 452 + 16.34 * weight_kg + 11.85 * age_years - female_g)
    return LiverEstimate(CHOUKER_2004_OLD, 1390 + 15.94 * weight_kg - 12.86 * age_years)


def telv_tu_2007(*, weight_kg: float) -> LiverEstimate:
    """Estimate the liver volume of a Chinese adult from weight by Tu 2007 (T14), mL.

    Parameters
    ----------
    weight_kg : float
        Weight, 30 to 250 kg.

    Returns
    -------
    LiverEstimate
        In mL.

    Raises
    ------
    FormulaError
        If the weight is implausible.

    Notes
    -----
    ``121.75 + 16.49 W``. PMC4171167. Evidence: FOUND.

    Examples
    --------
    >>> round(telv_tu_2007(weight_kg=70).ml, 2)
    1276.05
    """
    _domain.weight(weight_kg)
    return LiverEstimate(TU_2007, 121.75 + 16.49 * weight_kg)


def telv_kokudo_2015(*, age_years: float, chest_width_cm: float, cohort: ThoraxCohort) -> LiverEstimate:
    """Estimate liver volume from age and chest width on CT by a formula of 2015 (T15), mL.

    Parameters
    ----------
    age_years : float
        Age, 18 to 120 years.
    chest_width_cm : float
        Width of the chest on CT, 15 to 50 cm (assumed limits).
    cohort : ThoraxCohort
        Which of the paper's two cohorts the patient is likened to; the paper's constant for it is
        a reason not to use this formula by default.

    Returns
    -------
    LiverEstimate
        In mL.

    Raises
    ------
    FormulaError
        If the age or the width is implausible, as a width in millimetres is.

    Notes
    -----
    ``203.3 - 3.61 age + 58.7 width - 463.7 (Japanese)``. J Hepatol 2015;63:848: 180 Japanese
    and 160 Swiss. That the width is in cm is inferred. Evidence: FOUND.

    Examples
    --------
    >>> round(telv_kokudo_2015(age_years=40, chest_width_cm=28, cohort=ThoraxCohort.SWISS).ml, 1)
    1702.5
    """
    if not 18 <= age_years <= 120:
        raise FormulaError(f"age_years = {age_years:g} is outside 18 to 120", reason="age_out_of_range")
    if not 15 <= chest_width_cm <= 50:
        raise FormulaError(
            f"chest_width_cm = {chest_width_cm:g} is outside 15 to 50 cm. Is it in millimetres?",
            reason="implausible_chest_width",
        )
    offset_ml = 463.7 if cohort is ThoraxCohort.JAPANESE else 0.0
    return LiverEstimate(KOKUDO_2015, 203.3 - 3.61 * age_years + 58.7 * chest_width_cm - offset_ml)
