"""From living volume to specimen weight, and what CT numbers hint at (clinical base 8.3 and 8.4)."""

from __future__ import annotations

import math
from enum import Enum

from flr_volumetry.errors import FormulaError
from flr_volumetry.volumetry.formulas import _domain

SPECIMEN_G_PER_ML = 0.906
"""24 hemihepatectomies, residual error 57 mL or 6.3 % (BMC Med Imaging 2019, s12880-019-0309-5)."""
CT_HU = (-200.0, 300.0)


def specimen_weight_g(*, resected_ml: float, g_per_ml: float = SPECIMEN_G_PER_ML) -> float:
    """Return what a resected part is expected to weigh, drained of its blood (8.4).

    Parameters
    ----------
    resected_ml : float
        Volume in the living patient (D6), mL.
    g_per_ml : float
        0.906 by default; published ratios run from 0.88 to 1.0. Cirrhotic tissue is denser (1.1 kg/L).

    Returns
    -------
    float
        Weight, g.

    Raises
    ------
    FormulaError
        If the volume is not above 0 or the factor lies outside 0.7 to 1.2.

    Notes
    -----
    ``0.906 V``, 24 hemihepatectomies (FOUND). The conversion is off by default in every report: CT
    exceeds the specimen by 0 to 13 % in published series.

    Examples
    --------
    >>> round(specimen_weight_g(resected_ml=1000))
    906
    """
    _domain.positive(resected_ml, "resected_ml")
    _domain.within(g_per_ml, (0.7, 1.2), "g_per_ml")
    return resected_ml * g_per_ml


class SteatosisHint(Enum):
    """What an unenhanced CT hints at; the user confirms or denies it."""

    UNLIKELY = "macrosteatosis below 5 % is likely"
    MILD = "macrosteatosis of 6 to 30 % is possible"
    MARKED = "macrosteatosis of 30 % and more is possible"


def liver_attenuation_index_hu(*, liver_hu: float, spleen_hu: float) -> float:
    """Return the liver attenuation index: liver minus spleen on an unenhanced CT (8.3).

    Parameters
    ----------
    liver_hu, spleen_hu : float
        Mean CT numbers of parenchyma on an unenhanced scan, HU, -200 to 300.

    Returns
    -------
    float
        HU.

    Raises
    ------
    FormulaError
        If a number is outside -200 to 300 HU.

    Notes
    -----
    ``L - S``; for unenhanced scans only. Evidence: FOUND (weak source).

    Examples
    --------
    >>> liver_attenuation_index_hu(liver_hu=58, spleen_hu=50)
    8
    """
    for name, value in (("liver_hu", liver_hu), ("spleen_hu", spleen_hu)):
        _domain.within(value, CT_HU, name, "Is it in HU?")
    return liver_hu - spleen_hu


def steatosis_hint(*, attenuation_index_hu: float) -> SteatosisHint:
    """Return what a liver attenuation index hints at (8.3).

    Parameters
    ----------
    attenuation_index_hu : float
        As `liver_attenuation_index_hu` gives it.

    Returns
    -------
    SteatosisHint
        A hint to confirm, never a diagnosis.

    Raises
    ------
    FormulaError
        If the index is not a number.

    Notes
    -----
    Above 5 HU below 5 %, -10 to 5 HU 6 to 30 % (FOUND, weak source), below -10 HU 30 % and more (GK-M).

    Examples
    --------
    >>> steatosis_hint(attenuation_index_hu=-12).name
    'MARKED'
    """
    if not math.isfinite(attenuation_index_hu):
        raise FormulaError(f"an attenuation index must be a finite number, got {attenuation_index_hu}")
    if attenuation_index_hu > 5:
        return SteatosisHint.UNLIKELY
    return SteatosisHint.MILD if attenuation_index_hu >= -10 else SteatosisHint.MARKED


def pdff_steatosis_grade(*, pdff_percent: float) -> int:
    """Return the steatosis grade that a proton density fat fraction suggests (8.3).

    Parameters
    ----------
    pdff_percent : float
        Mean over the parenchyma, percent, 0 to 100.

    Returns
    -------
    int
        0 to 3.

    Raises
    ------
    FormulaError
        If it is not a percentage.

    Notes
    -----
    At least 6.4, 17.4 and 22.1 % for grades 1, 2 and 3: Tang et al. 2013 (FOUND). Others found 8.9, 16.3
    and 25 %.

    Examples
    --------
    >>> [pdff_steatosis_grade(pdff_percent=p) for p in (5, 10, 20, 30)]
    [0, 1, 2, 3]
    """
    if not 0 <= pdff_percent <= 100:
        raise FormulaError(
            f"pdff_percent must lie between 0 and 100, got {pdff_percent}", reason="not_a_percentage"
        )
    return sum(pdff_percent >= least for least in (6.4, 17.4, 22.1))
