"""How much of a chronically ill liver may go by its function (G1, G3), as an extent and never a permit."""

from __future__ import annotations

from enum import IntEnum

from flr_volumetry.errors import FormulaError
from flr_volumetry.volumetry.formulas import _domain


class Extent(IntEnum):
    """Extents of hepatectomy that function rules speak of, from none to the largest."""

    NONE = 0
    ENUCLEATION = 1
    LIMITED = 2
    SEGMENTECTOMY = 3
    SECTIONECTOMY_OR_LEFT = 4
    RIGHT_OR_TRISECTIONECTOMY = 5


class AscitesControl(IntEnum):
    """Ascites as the rule of Makuuchi asks for it."""

    NONE = 0
    CONTROLLED = 1
    UNCONTROLLED = 2


def makuuchi_extent(*, bilirubin_mg_per_dl: float, ascites: AscitesControl, icg_r15_percent: float) -> Extent:
    """Return the largest extent of hepatectomy by the rule of Makuuchi (G1).

    Parameters
    ----------
    bilirubin_mg_per_dl : float
        Total bilirubin, mg/dL, 0.05 to 60.
    ascites : AscitesControl
        As found.
    icg_r15_percent : float
        Retention of indocyanine green at 15 minutes, percent: 0 to below 100.

    Returns
    -------
    Extent
        For hepatocellular carcinoma and chronic liver disease.

    Raises
    ------
    FormulaError
        If a value lies outside its range.

    Notes
    -----
    Uncontrolled ascites or bilirubin of 2.0 and above: none; 1.6 to 1.9: enucleation; 1.1 to 1.5: limited
    resection; up to 1.0 by ICG-R15: below 10 % up to right hepatectomy or trisectionectomy, below
    20 % left hepatectomy or a sectionectomy, below 30 % segmentectomy, below 40 % limited resection,
    from 40 % enucleation. Bilirubin between the printed steps belongs to the more careful one.
    Makuuchi 1993; Imamura et al., Arch Surg 2003;138:1198 (GK-H).

    Examples
    --------
    >>> makuuchi_extent(bilirubin_mg_per_dl=0.8, ascites=AscitesControl.NONE, icg_r15_percent=12).name
    'SECTIONECTOMY_OR_LEFT'
    """
    _domain.bilirubin(bilirubin_mg_per_dl)
    if not 0 <= icg_r15_percent < 100:
        raise FormulaError(
            f"ICG retention at 15 minutes must lie from 0 to below 100 %, got {icg_r15_percent}",
            reason="not_a_percentage",
        )
    if ascites is AscitesControl.UNCONTROLLED or bilirubin_mg_per_dl >= 2.0:
        return Extent.NONE
    if bilirubin_mg_per_dl > 1.5:
        return Extent.ENUCLEATION
    if bilirubin_mg_per_dl > 1.0:
        return Extent.LIMITED
    for below, extent in (
        (10, Extent.RIGHT_OR_TRISECTIONECTOMY),
        (20, Extent.SECTIONECTOMY_OR_LEFT),
        (30, Extent.SEGMENTECTOMY),
        (40, Extent.LIMITED),
    ):
        if icg_r15_percent < below:
            return extent
    return Extent.ENUCLEATION


class IcgExtent(IntEnum):
    """Extents of the ICG-K rule, from none to the largest."""

    NONE = 0
    NON_ANATOMIC = 1
    MONOSEGMENT = 2
    BISEGMENT = 3
    HEMIHEPATECTOMY = 4


def icg_k_extent(*, icg_k_per_min: float) -> IcgExtent:
    """Return the largest extent of hepatectomy by the clearance of indocyanine green (G3).

    Parameters
    ----------
    icg_k_per_min : float
        K, per minute.

    Returns
    -------
    IcgExtent
        For hepatocellular carcinoma.

    Raises
    ------
    FormulaError
        If K is not above 0.

    Notes
    -----
    At least 0.12 hemihepatectomy, 0.10 two segments, 0.08 one segment, 0.06 non-anatomic. PMC4479695, 198
    patients (FOUND).

    Examples
    --------
    >>> icg_k_extent(icg_k_per_min=0.107).name
    'BISEGMENT'
    """
    _domain.positive(icg_k_per_min, "icg_k_per_min")
    for least, extent in (
        (0.12, IcgExtent.HEMIHEPATECTOMY),
        (0.10, IcgExtent.BISEGMENT),
        (0.08, IcgExtent.MONOSEGMENT),
        (0.06, IcgExtent.NON_ANATOMIC),
    ):
        if icg_k_per_min >= least:
            return extent
    return IcgExtent.NONE
