"""Tests of liver function, as measured; what was not measured is None and is never taken as passed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from flr_volumetry.errors import FormulaError
from flr_volumetry.volumetry.formulas import _domain
from flr_volumetry.volumetry.formulas.extent import AscitesControl
from flr_volumetry.volumetry.formulas.function import Ascites, Encephalopathy
from flr_volumetry.volumetry.functional_map import MapKind

if TYPE_CHECKING:
    from flr_volumetry.volumetry.functional_map import MapShare

_LIMITS: dict[str, tuple[float, float, str]] = {
    "bilirubin_mg_per_dl": (*_domain.BILIRUBIN_MG_PER_DL, "Is it in micromol/L?"),
    "albumin_g_per_dl": (1.0, 7.0, "Is it in g/L?"),
    "inr": (*_domain.INR, ""),
    "creatinine_mg_per_dl": (0.1, 20.0, "Is it in micromol/L?"),
    "icg_r15_percent": (0.01, 99.9, "Is it a fraction?"),
    "icg_k_per_min": (0.001, 0.6, "Is it in percent per minute?"),
    "platelets_per_nl": (1.0, 2000.0, "Is it per microlitre? Per nL it is 10^9/L."),
    "hvpg_mmhg": (0.0, 60.0, "Is it in mmHg?"),
    "limax_ug_per_kg_per_h": (10.0, 1500.0, "Is it in ug/kg/h?"),
    "mebrofenin_percent_per_min": (0.5, 60.0, "Is it in percent per minute?"),
    "mebrofenin_remnant_share": (0.001, 0.999, "Is it in percent? Give a fraction."),
    "gadoxetate_relative_enhancement": (0.01, 10.0, "Is it in percent? Give a fraction."),
    "pdff_percent": (0.0, 100.0, ""),
    "spleen_hu": (-200.0, 300.0, "Is it in HU?"),
}
"""What each number can be in its unit at all (assumed sanity limits), and what it may be instead."""


class Disease(Enum):
    """Kinds of disease that rules of function were made for."""

    COLORECTAL_METASTASES = "crlm"
    HEPATOCELLULAR = "hcc"
    PERIHILAR = "perihilar"


class PlannedExtent(Enum):
    """Extents of a hepatectomy, as rules of function tell them apart; the largest first."""

    RIGHT_OR_TRISECTIONECTOMY = "right_or_trisectionectomy"
    LEFT_HEPATECTOMY = "left_hepatectomy"
    SECTIONECTOMY = "sectionectomy"
    SEGMENTECTOMY = "segmentectomy"
    LIMITED = "limited"
    ENUCLEATION = "enucleation"


@dataclass(frozen=True, slots=True)
class LiverFunction:
    """Tests of liver function of one patient.

    Parameters
    ----------
    bilirubin_mg_per_dl, albumin_g_per_dl, inr, creatinine_mg_per_dl : float or None
        Blood tests.
    ascites : Ascites or None
        As found.
    ascites_controlled : bool or None
        Whether ascites that is there is controlled by drugs.
    encephalopathy : Encephalopathy or None
        As found.
    icg_r15_percent, icg_k_per_min : float or None
        Indocyanine green: what is left at 15 minutes, or the clearance; one of the two.
    platelets_per_nl, hvpg_mmhg : float or None
        Platelets, 10^9/L; hepatic venous pressure gradient.
    varices, splenomegaly, anticoagulants : bool or None
        As found; anticoagulants explain a raised INR.
    limax_ug_per_kg_per_h : float or None
        LiMAx of the whole liver.
    mebrofenin_percent_per_min : float or None
        Uptake of the whole liver.
    mebrofenin_remnant_share : float or None
        Counts in the remnant over counts in the liver, where they were counted elsewhere.
    gadoxetate_relative_enhancement : float or None
        Of the remnant.
    pdff_percent, spleen_hu : float or None
        Fat fraction of the liver; CT number of the spleen on the unenhanced scan.
    planned_extent : PlannedExtent or None
        Extent of the hepatectomy, where the share of the liver that goes does not tell it rightly.
    bile_duct_resection : bool or None
        Whether the bile duct is resected too.
    disease : Disease or None
        What the operation is for.
    map_share : MapShare or None
        What a functional map says; it stands for the share or the enhancement of its kind.

    Raises
    ------
    FormulaError
        If a number cannot be in its unit, or both forms of the indocyanine test are given.
    """

    bilirubin_mg_per_dl: float | None = None
    albumin_g_per_dl: float | None = None
    inr: float | None = None
    creatinine_mg_per_dl: float | None = None
    ascites: Ascites | None = None
    ascites_controlled: bool | None = None
    encephalopathy: Encephalopathy | None = None
    icg_r15_percent: float | None = None
    icg_k_per_min: float | None = None
    platelets_per_nl: float | None = None
    hvpg_mmhg: float | None = None
    varices: bool | None = None
    splenomegaly: bool | None = None
    anticoagulants: bool | None = None
    limax_ug_per_kg_per_h: float | None = None
    mebrofenin_percent_per_min: float | None = None
    mebrofenin_remnant_share: float | None = None
    gadoxetate_relative_enhancement: float | None = None
    pdff_percent: float | None = None
    spleen_hu: float | None = None
    planned_extent: PlannedExtent | None = None
    bile_duct_resection: bool | None = None
    disease: Disease | None = None
    map_share: MapShare | None = None

    def __post_init__(self) -> None:
        for name, (low, high, hint) in _LIMITS.items():
            value = getattr(self, name)
            if value is not None:
                _domain.within(value, (low, high), name, hint)
        if self.icg_r15_percent is not None and self.icg_k_per_min is not None:
            raise FormulaError(
                "icg_r15_percent and icg_k_per_min are two forms of one test; give one of them",
                reason="given_twice",
            )
        if self.ascites is Ascites.NONE and self.ascites_controlled is False:
            raise FormulaError(
                "ascites is given as none and as not controlled; leave ascites_controlled out",
                reason="contradiction",
            )

    def with_map(self, share: MapShare) -> LiverFunction:
        """Return the same tests with what a functional map says of the remnant.

        Parameters
        ----------
        share : MapShare
            As `flr_volumetry.volumetry.functional_map.weigh_map` found it.

        Returns
        -------
        LiverFunction
            Its share of the counts, or its enhancement, taken from the map.
        """
        if share.kind is MapKind.MEBROFENIN:
            return replace(self, map_share=share, mebrofenin_remnant_share=share.remnant_share)
        return replace(self, map_share=share, gadoxetate_relative_enhancement=share.remnant_mean)

    @property
    def ascites_control(self) -> AscitesControl | None:
        """Ascites as the rule of Makuuchi asks for it; None if not known."""
        if self.ascites is None:
            return None
        if self.ascites is Ascites.NONE:
            return AscitesControl.NONE
        if self.ascites_controlled is None:
            return None
        return AscitesControl.CONTROLLED if self.ascites_controlled else AscitesControl.UNCONTROLLED


NOT_TESTED = LiverFunction()
