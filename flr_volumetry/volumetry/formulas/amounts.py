"""Amounts of liver: all of it, what stays and what goes (D1 to D7, W13), mL.

These are definitions, so they have a domain but no fitted range. The numbers D are those of the
project's table of definitions, and appear in every output beside the value.
"""

from __future__ import annotations

import math

from flr_volumetry.errors import FormulaError
from flr_volumetry.volumetry.formulas import _domain


def volume_ml(*, voxels: int, voxel_ml: float) -> float:
    """Return the volume of so many voxels: TLV (D1), TV (D2) or the gross remnant (D4).

    Parameters
    ----------
    voxels : int
        How many lie in the mask.
    voxel_ml : float
        Volume of one voxel, mL: the determinant of the affine, not a product of spacings.

    Returns
    -------
    float
        Volume, mL.

    Raises
    ------
    FormulaError
        If the count is negative or the voxel has no volume.

    Notes
    -----
    ``V = n v``. Method: DICOM 126030, sum of segmented voxels. Evidence: DICT.

    Examples
    --------
    >>> volume_ml(voxels=20_000, voxel_ml=0.001)
    20.0
    """
    _domain.not_negative(voxels, "voxels")
    _domain.positive(voxel_ml, "voxel_ml")
    return voxels * voxel_ml


def functional_volume_ml(*, total_ml: float, tumour_ml: float) -> float:
    """Return the liver volume without tumour, FTLV (D3).

    Parameters
    ----------
    total_ml : float
        TLV (D1), tumour included, mL.
    tumour_ml : float
        TV (D2), the tumour inside the liver, mL; 0 if there is none.

    Returns
    -------
    float
        FTLV, mL.

    Raises
    ------
    FormulaError
        If the liver has no volume, the tumour a negative one, or the tumour fills the liver.

    Notes
    -----
    ``FTLV = TLV - TV``. Yigitler et al., Liver Transpl 2003;9:S18; Ribero et al., Ann Surg 2013.
    Evidence: FOUND.

    Examples
    --------
    >>> functional_volume_ml(total_ml=1650, tumour_ml=150)
    1500
    """
    _domain.tumour_inside(tumour_ml, total_ml)
    return total_ml - tumour_ml


def functional_remnant_ml(*, remnant_ml: float, lost_ml: float) -> float:
    """Return the parenchyma that stays and works, FLR (D5).

    Parameters
    ----------
    remnant_ml : float
        Gross remnant (D4), tumour in it included, mL.
    lost_ml : float
        The union, inside the remnant, of tumour, planned ablation zones and planned wedges, mL.

    Returns
    -------
    float
        FLR, mL.

    Raises
    ------
    FormulaError
        If nothing would be left, or more is lost than there is.

    Notes
    -----
    ``FLR = V(R minus (T, A, W))``. Subtracting the tumour is the standard definition (GK-H),
    subtracting ablations and wedges a conservative choice (ASSUMED).

    Examples
    --------
    >>> functional_remnant_ml(remnant_ml=350, lost_ml=20)
    330
    """
    _domain.positive(remnant_ml, "remnant_ml")
    _domain.not_negative(lost_ml, "lost_ml")
    _domain.part_of(lost_ml, "lost_ml", remnant_ml, "remnant_ml")
    _domain.positive(remnant_ml - lost_ml, "remnant_ml - lost_ml")
    return remnant_ml - lost_ml


def resected_ml(*, total_ml: float, remnant_ml: float) -> float:
    """Return the gross volume that goes (D6).

    Parameters
    ----------
    total_ml : float
        TLV (D1), mL.
    remnant_ml : float
        Gross remnant (D4), mL.

    Returns
    -------
    float
        Volume of the specimen in the living patient, tumour included, mL; not its weight.

    Raises
    ------
    FormulaError
        If a volume is not positive or the remnant exceeds the liver.

    Notes
    -----
    ``TLV - FLR_gross``. Evidence: definition.

    Examples
    --------
    >>> resected_ml(total_ml=1650, remnant_ml=350)
    1300
    """
    _domain.positive(total_ml, "total_ml")
    _domain.positive(remnant_ml, "remnant_ml")
    _domain.part_of(remnant_ml, "remnant_ml", total_ml, "total_ml")
    return max(0.0, total_ml - remnant_ml)


def resected_functional_ml(*, functional_ml: float, remnant_functional_ml: float) -> float:
    """Return the working parenchyma that goes (D7).

    Parameters
    ----------
    functional_ml : float
        FTLV (D3), mL.
    remnant_functional_ml : float
        FLR (D5), mL.

    Returns
    -------
    float
        Volume without tumour, mL.

    Raises
    ------
    FormulaError
        If a volume is not positive or the remnant exceeds the liver.

    Notes
    -----
    ``FTLV - FLR``. Evidence: definition.

    Examples
    --------
    >>> resected_functional_ml(functional_ml=1500, remnant_functional_ml=330)
    1170
    """
    _domain.share_of(remnant_functional_ml, functional_ml, "functional_ml")
    return max(0.0, functional_ml - remnant_functional_ml)


def ablation_zone_ml(*, diameter_mm: float, margin_mm: float) -> float:
    """Return the volume that an ablation of a round lesion with a margin destroys (W13).

    Parameters
    ----------
    diameter_mm : float
        Of the lesion, mm.
    margin_mm : float
        All around it, mm; 0 or more.

    Returns
    -------
    float
        A ball of the lesion's diameter and twice the margin, mL.

    Raises
    ------
    FormulaError
        If the diameter is not above 0 or the margin is negative.

    Notes
    -----
    ``4/3 pi (d/2 + m)^3``. Evidence: DERIVED.

    Examples
    --------
    >>> [round(ablation_zone_ml(diameter_mm=25, margin_mm=m), 1) for m in (5, 10)]
    [22.4, 47.7]
    """
    _domain.positive(diameter_mm, "diameter_mm")
    _domain.not_negative(margin_mm, "margin_mm")
    if diameter_mm > 500:
        raise FormulaError(f"diameter_mm = {diameter_mm:g} exceeds 500. Is it in mm?", reason="out_of_range")
    return 4 / 3 * math.pi * (diameter_mm / 2 + margin_mm) ** 3 / 1000
