"""All liver volumes that the verified formulas give one patient, to show how far they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flr_volumetry.volumetry.formulas.bsa import bsa_dubois, bsa_mosteller
from flr_volumetry.volumetry.formulas.telv_body import (
    telv_tu_2007,
    telv_vauthey_2002_weight,
    telv_yu_2004,
)
from flr_volumetry.volumetry.formulas.telv_bsa import (
    telv_heinemann_1999,
    telv_johnson_2005,
    telv_urata_1995,
    telv_vauthey_2002_bsa,
)
from flr_volumetry.volumetry.formulas.telv_bsa_asia import (
    telv_feng_2017,
    telv_korea_1000_dubois,
    telv_korea_1000_mosteller,
    telv_um_2015,
)

if TYPE_CHECKING:
    from flr_volumetry.volumetry.formulas.estimates import LiverEstimate


def liver_estimates(*, height_cm: float, weight_kg: float) -> tuple[LiverEstimate, ...]:
    """Estimate an adult's liver volume by every formula in mL that is FOUND or GK-H.

    Parameters
    ----------
    height_cm : float
        Height, 120 to 220 cm.
    weight_kg : float
        Weight, 30 to 250 kg.

    Returns
    -------
    tuple of LiverEstimate
        T1, T2, T3, T4, T6, T9, T11 (twice), T12, T13 and T14, each with its own body surface
        formula; formulas in grams, of lesser evidence, or that need more are left out.

    Raises
    ------
    FormulaError
        If height or weight are implausible.

    Examples
    --------
    >>> volumes = [e.ml for e in liver_estimates(height_cm=170, weight_kg=70)]
    >>> round(min(volumes), 1), round(max(volumes), 1)
    (1178.9, 1604.8)
    """
    mosteller = bsa_mosteller(height_cm=height_cm, weight_kg=weight_kg)
    dubois = bsa_dubois(height_cm=height_cm, weight_kg=weight_kg)
    return (
        telv_vauthey_2002_bsa(bsa=mosteller),
        telv_vauthey_2002_weight(weight_kg=weight_kg),
        telv_urata_1995(bsa=dubois),
        telv_heinemann_1999(bsa=mosteller),
        telv_johnson_2005(bsa=mosteller),
        telv_yu_2004(height_cm=height_cm, weight_kg=weight_kg),
        telv_korea_1000_dubois(bsa=dubois),
        telv_korea_1000_mosteller(bsa=mosteller),
        telv_um_2015(bsa=mosteller),
        telv_feng_2017(bsa=mosteller),
        telv_tu_2007(weight_kg=weight_kg),
    )
