"""Body surface area from height and weight (B1 to B5)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from flr_volumetry.volumetry.formulas import _domain


class BsaFormula(Enum):
    """Formulas of body surface area; the value is the code of DICOM CID 3663."""

    MOSTELLER = "122244"
    DUBOIS = "122241"
    HAYCOCK = "122243"
    GEHAN_GEORGE = "122242"
    FUJIMOTO = "122268"

    @property
    def title(self) -> str:
        """What the report calls it."""
        return _TITLES[self]


_TITLES = {
    BsaFormula.MOSTELLER: "Mosteller 1987",
    BsaFormula.DUBOIS: "DuBois 1916",
    BsaFormula.HAYCOCK: "Haycock 1978",
    BsaFormula.GEHAN_GEORGE: "Gehan-George 1970",
    BsaFormula.FUJIMOTO: "Fujimoto",
}


@dataclass(frozen=True, slots=True)
class BodySurface:
    """A body surface area that remembers its formula.

    Formulas of liver volume were fitted with one or another; a bare number could not be checked.

    Parameters
    ----------
    m2 : float
        Area, m2.
    formula : BsaFormula
        How it was estimated.

    Raises
    ------
    FormulaError
        If the area is not a finite number above 0.
    """

    m2: float
    formula: BsaFormula

    def __post_init__(self) -> None:
        _domain.positive(self.m2, "the body surface area in m2")


def bsa_mosteller(*, height_cm: float, weight_kg: float) -> BodySurface:
    """Estimate body surface area by Mosteller's formula (B1).

    Parameters
    ----------
    height_cm : float
        Height, 120 to 220 cm.
    weight_kg : float
        Weight, 30 to 250 kg.

    Returns
    -------
    BodySurface
        In m2.

    Raises
    ------
    FormulaError
        If height or weight lie outside these limits (assumed), as a height in metres does.

    Notes
    -----
    ``sqrt(H W / 3600)``, H in cm, W in kg. DICOM prints ``(HT * WT / 36) ** 0.5``, with HT in
    metres. Mosteller, N Engl J Med 1987;317:1098. Evidence: DICT, FOUND.

    Examples
    --------
    >>> round(bsa_mosteller(height_cm=170, weight_kg=70).m2, 4)
    1.8181
    """
    _body(height_cm, weight_kg)
    return BodySurface(math.sqrt(height_cm * weight_kg / 3600), BsaFormula.MOSTELLER)


def bsa_dubois(*, height_cm: float, weight_kg: float) -> BodySurface:
    """Estimate body surface area by DuBois and DuBois' formula (B2).

    Parameters
    ----------
    height_cm : float
        Height, 120 to 220 cm.
    weight_kg : float
        Weight, 30 to 250 kg.

    Returns
    -------
    BodySurface
        In m2.

    Raises
    ------
    FormulaError
        If height or weight lie outside these limits (assumed).

    Notes
    -----
    ``0.007184 W^0.425 H^0.725``, H in cm, W in kg. DuBois, Arch Intern Med 1916;17:863.
    The variant with 0.007358 (DICOM 122266) is another formula. Evidence: DICT, FOUND.

    Examples
    --------
    >>> round(bsa_dubois(height_cm=170, weight_kg=70).m2, 4)
    1.8097
    """
    _body(height_cm, weight_kg)
    return BodySurface(0.007184 * weight_kg**0.425 * height_cm**0.725, BsaFormula.DUBOIS)


def bsa_haycock(*, height_cm: float, weight_kg: float) -> BodySurface:
    """Estimate body surface area by Haycock's formula (B3).

    Parameters
    ----------
    height_cm : float
        Height, 120 to 220 cm.
    weight_kg : float
        Weight, 30 to 250 kg.

    Returns
    -------
    BodySurface
        In m2.

    Raises
    ------
    FormulaError
        If height or weight lie outside these limits (assumed).

    Notes
    -----
    ``0.024265 W^0.5378 H^0.3964``, H in cm, W in kg. Haycock, J Pediatr 1978;93:62.
    Evidence: DICT, FOUND.

    Examples
    --------
    >>> round(bsa_haycock(height_cm=170, weight_kg=70).m2, 4)
    1.8257
    """
    _body(height_cm, weight_kg)
    return BodySurface(0.024265 * weight_kg**0.5378 * height_cm**0.3964, BsaFormula.HAYCOCK)


def bsa_gehan_george(*, height_cm: float, weight_kg: float) -> BodySurface:
    """Estimate body surface area by Gehan and George's formula (B4).

    Parameters
    ----------
    height_cm : float
        Height, 120 to 220 cm.
    weight_kg : float
        Weight, 30 to 250 kg.

    Returns
    -------
    BodySurface
        In m2.

    Raises
    ------
    FormulaError
        If height or weight lie outside these limits (assumed).

    Notes
    -----
    ``0.0235 W^0.51456 H^0.42246``, H in cm, W in kg. Gehan and George, Cancer Chemother Rep
    1970;54:225. Evidence: DICT, FOUND.

    Examples
    --------
    >>> round(bsa_gehan_george(height_cm=170, weight_kg=70).m2, 4)
    1.8313
    """
    _body(height_cm, weight_kg)
    return BodySurface(0.0235 * weight_kg**0.51456 * height_cm**0.42246, BsaFormula.GEHAN_GEORGE)


def bsa_fujimoto(*, height_cm: float, weight_kg: float) -> BodySurface:
    """Estimate body surface area by Fujimoto's formula (B5).

    Parameters
    ----------
    height_cm : float
        Height, 120 to 220 cm.
    weight_kg : float
        Weight, 30 to 250 kg.

    Returns
    -------
    BodySurface
        In m2.

    Raises
    ------
    FormulaError
        If height or weight lie outside these limits (assumed).

    Notes
    -----
    ``0.008883 W^0.444 H^0.663``, H in cm, W in kg; fitted to Japanese. DICOM CID 3663, 122268.
    Evidence: DICT, FOUND.

    Examples
    --------
    >>> round(bsa_fujimoto(height_cm=170, weight_kg=70).m2, 4)
    1.7643
    """
    _body(height_cm, weight_kg)
    return BodySurface(0.008883 * weight_kg**0.444 * height_cm**0.663, BsaFormula.FUJIMOTO)


def body_surface(*, formula: BsaFormula, height_cm: float, weight_kg: float) -> BodySurface:
    """Estimate body surface area by a formula chosen as a value.

    Parameters
    ----------
    formula : BsaFormula
        Which one.
    height_cm : float
        Height, 120 to 220 cm.
    weight_kg : float
        Weight, 30 to 250 kg.

    Returns
    -------
    BodySurface
        In m2.

    Raises
    ------
    FormulaError
        If height or weight lie outside these limits (assumed).

    Examples
    --------
    >>> round(body_surface(formula=BsaFormula.DUBOIS, height_cm=160, weight_kg=55).m2, 4)
    1.5632
    """
    functions = {
        BsaFormula.MOSTELLER: bsa_mosteller,
        BsaFormula.DUBOIS: bsa_dubois,
        BsaFormula.HAYCOCK: bsa_haycock,
        BsaFormula.GEHAN_GEORGE: bsa_gehan_george,
        BsaFormula.FUJIMOTO: bsa_fujimoto,
    }
    return functions[formula](height_cm=height_cm, weight_kg=weight_kg)


def _body(height_cm: float, weight_kg: float) -> None:
    _domain.height(height_cm)
    _domain.weight(weight_kg)
