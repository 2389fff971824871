"""What stays, as a share of what (D8 to D13, S3).

Ratios are fractions from 0 to 1, unless the name says otherwise; these are definitions, so they
have a domain but no fitted range. The numbers D and S are those of the project's table of
definitions, and appear in every output beside the value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flr_volumetry.volumetry.formulas import _domain

if TYPE_CHECKING:
    from flr_volumetry.volumetry.formulas.bsa import BodySurface

G_PER_KG = 1000.0


def flr_fraction(*, remnant_functional_ml: float, functional_ml: float) -> float:
    """Return the remnant as a share of the functional liver volume (D8), the default.

    Parameters
    ----------
    remnant_functional_ml : float
        FLR (D5), mL.
    functional_ml : float
        FTLV (D3), mL.

    Returns
    -------
    float
        Fraction from 0 to 1.

    Raises
    ------
    FormulaError
        If a volume is not positive or the remnant exceeds the liver.

    Notes
    -----
    ``FLR / FTLV``. Kawaguchi et al., J Surg Oncol 2019;119:594, Table 1 ("CT non-tumour");
    Ribero et al., Ann Surg 2013. Evidence: FOUND.

    Examples
    --------
    >>> flr_fraction(remnant_functional_ml=330, functional_ml=1500)
    0.22
    """
    _domain.share_of(remnant_functional_ml, functional_ml, "functional_ml")
    return min(1.0, remnant_functional_ml / functional_ml)


def flr_of_total_fraction(*, remnant_ml: float, total_ml: float) -> float:
    """Return the gross remnant as a share of the gross liver volume (D9).

    Parameters
    ----------
    remnant_ml : float
        Gross remnant (D4), mL.
    total_ml : float
        TLV (D1), tumour included, mL.

    Returns
    -------
    float
        Fraction from 0 to 1; lower than D8 where tumour goes with the specimen.

    Raises
    ------
    FormulaError
        If a volume is not positive or the remnant exceeds the liver.

    Notes
    -----
    ``FLR_gross / TLV``. Evidence: definition; older usage.

    Examples
    --------
    >>> flr_of_total_fraction(remnant_ml=330, total_ml=1650)
    0.2
    """
    _domain.positive(remnant_ml, "remnant_ml")
    _domain.positive(total_ml, "total_ml")
    _domain.part_of(remnant_ml, "remnant_ml", total_ml, "total_ml")
    return min(1.0, remnant_ml / total_ml)


def sflr_fraction(*, remnant_functional_ml: float, telv_ml: float) -> float:
    """Return the standardised remnant: a share of the estimated liver volume (D10).

    Parameters
    ----------
    remnant_functional_ml : float
        FLR (D5), mL.
    telv_ml : float
        Estimated total liver volume, mL; `LiverEstimate.ml` refuses formulas in grams.

    Returns
    -------
    float
        Fraction; may exceed 1, since the estimate is not of this liver.

    Raises
    ------
    FormulaError
        If a volume is not positive.

    Notes
    -----
    ``FLR / TELV``. Vauthey et al., Surgery 2000;127:512; independent of tumour load and of the
    atrophy that follows portal vein embolization. Evidence: FOUND.

    Examples
    --------
    >>> round(sflr_fraction(remnant_functional_ml=350, telv_ml=1509.66), 4)
    0.2318
    """
    _domain.positive(remnant_functional_ml, "remnant_functional_ml")
    _domain.positive(telv_ml, "telv_ml")
    return remnant_functional_ml / telv_ml


def phrr_fraction(
    *, resected_ml: float, resected_tumour_ml: float, total_ml: float, tumour_ml: float
) -> float:
    """Return the parenchymal hepatic resection rate (D11).

    Parameters
    ----------
    resected_ml : float
        Cut out, tumour included, mL.
    resected_tumour_ml : float
        Tumour in it, mL.
    total_ml : float
        TLV (D1), mL.
    tumour_ml : float
        TV (D2), mL.

    Returns
    -------
    float
        Fraction from 0 to 1; 1 minus D8 where nothing is ablated.

    Raises
    ------
    FormulaError
        If a part exceeds its whole or the functional liver has no volume.

    Notes
    -----
    ``(resected - TV_resected) / (TLV - TV)``. Kubota et al., Hepatology 1997 (GK-M).

    Examples
    --------
    >>> phrr_fraction(resected_ml=1320, resected_tumour_ml=150, total_ml=1650, tumour_ml=150)
    0.78
    """
    _domain.tumour_inside(tumour_ml, total_ml)
    _domain.not_negative(resected_ml, "resected_ml")
    _domain.not_negative(resected_tumour_ml, "resected_tumour_ml")
    _domain.part_of(resected_tumour_ml, "resected_tumour_ml", resected_ml, "resected_ml")
    _domain.part_of(resected_tumour_ml, "resected_tumour_ml", tumour_ml, "tumour_ml")
    parenchyma_ml = resected_ml - resected_tumour_ml
    functional_ml = total_ml - tumour_ml
    _domain.part_of(parenchyma_ml, "the parenchyma resected", functional_ml, "total_ml - tumour_ml")
    return min(1.0, max(0.0, parenchyma_ml / functional_ml))


def flr_per_body_weight_fraction(*, remnant_functional_ml: float, weight_kg: float) -> float:
    """Return the remnant's ratio to body weight, RLV-BWR (D12).

    Parameters
    ----------
    remnant_functional_ml : float
        FLR (D5), mL.
    weight_kg : float
        Body weight, 30 to 250 kg.

    Returns
    -------
    float
        Fraction; the published 0.5 % is 0.005.

    Raises
    ------
    FormulaError
        If the volume is not positive or the weight implausible.

    Notes
    -----
    ``FLR / (1000 W)``, taking 1 mL for 1 g. Truant et al., J Am Coll Surg 2007;204:22.
    Evidence: FOUND.

    Examples
    --------
    >>> round(flr_per_body_weight_fraction(remnant_functional_ml=330, weight_kg=70), 5)
    0.00471
    """
    _domain.positive(remnant_functional_ml, "remnant_functional_ml")
    _domain.weight(weight_kg)
    return remnant_functional_ml / (G_PER_KG * weight_kg)


def flr_per_bsa_ml_per_m2(*, remnant_functional_ml: float, bsa: BodySurface) -> float:
    """Return the remnant's ratio to body surface area (D13).

    Parameters
    ----------
    remnant_functional_ml : float
        FLR (D5), mL.
    bsa : BodySurface
        Body surface area, with its formula.

    Returns
    -------
    float
        In mL/m2.

    Raises
    ------
    FormulaError
        If the volume is not positive.

    Notes
    -----
    ``FLR / BSA``. PMC7893452 (n = 289). Evidence: FOUND.

    Examples
    --------
    >>> from flr_volumetry.volumetry.formulas import bsa_mosteller
    >>> area = bsa_mosteller(height_cm=170, weight_kg=70)
    >>> round(flr_per_bsa_ml_per_m2(remnant_functional_ml=330, bsa=area), 1)
    181.5
    """
    _domain.positive(remnant_functional_ml, "remnant_functional_ml")
    return remnant_functional_ml / bsa.m2


def grwr_fraction(*, graft_g: float, recipient_weight_kg: float) -> float:
    """Return the graft-to-recipient weight ratio (S3); context from transplantation, no rule here.

    Parameters
    ----------
    graft_g : float
        Weight of the graft, g.
    recipient_weight_kg : float
        Body weight, 30 to 250 kg.

    Returns
    -------
    float
        Fraction; the customary 0.8 % is 0.008.

    Raises
    ------
    FormulaError
        If the graft has no weight or the body weight is implausible.

    Notes
    -----
    ``graft / (1000 W)``. Evidence: GK-H.

    Examples
    --------
    >>> grwr_fraction(graft_g=560, recipient_weight_kg=70)
    0.008
    """
    _domain.positive(graft_g, "graft_g")
    _domain.weight(recipient_weight_kg)
    return graft_g / (G_PER_KG * recipient_weight_kg)
