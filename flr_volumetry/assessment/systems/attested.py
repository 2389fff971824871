"""What the user attests of a patient: nothing in it can be computed, and what is not said stays unknown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from flr_volumetry.errors import CaseError

COUNTS = {
    "performance_status": (0, 5),
    "asa": (1, 6),
    "primary_t_stage": (1, 4),
    "resectability_group": (1, 3),
}
"""ECOG performance status, ASA class, T stage of the primary tumour, group of the review."""
AMOUNTS = {
    "chemotherapy_cycles": (0.0, 200.0),
    "disease_free_months": (0.0, 600.0),
    "cea_ng_per_ml": (0.0, 1e6),
}


class Site(Enum):
    """Where disease outside the liver lies."""

    LUNG = "lung"
    HILAR_NODES = "hilar_nodes"
    PORTO_CAVAL_NODES = "porto_caval_nodes"
    CELIAC_NODES = "celiac_nodes"
    PARA_AORTIC_NODES = "para_aortic_nodes"
    OVARY = "ovary"
    ADRENAL = "adrenal"
    PERITONEUM = "peritoneum"
    BONE = "bone"
    BRAIN = "brain"
    OTHER = "other"


class Response(Enum):
    """Response of the metastases to chemotherapy."""

    RESPONSE = "response"
    STABLE = "stable"
    PROGRESSION = "progression"


class Differentiation(Enum):
    """Differentiation of a tumour."""

    WELL = "well"
    MODERATE = "moderate"
    POOR = "poor"


class EcmtgStage(Enum):
    """Stages of the European Colorectal Metastases Treatment Group; not those of AJCC of the same names."""

    M0 = "M0"
    M1A = "M1a"
    M1B = "M1b"
    M1C = "M1c"


@dataclass(frozen=True, slots=True)
class Attested:
    """What the user attests; None is unknown.

    Parameters
    ----------
    fit_for_surgery, low_comorbidity, liver_failure, previous_liver_surgery : bool or None
        Of the patient.
    performance_status, asa : int or None
        ECOG 0 to 5; ASA 1 to 6.
    primary_controlled, primary_in_place, simultaneous_resection : bool or None
        Of the primary tumour: removed or controllable; not yet removed; removed in the same operation.
    primary_node_positive : bool or None
        Nodes of the primary tumour.
    primary_t_stage : int or None
        1 to 4.
    primary_differentiation, metastasis_differentiation : Differentiation or None
        By pathology.
    extrahepatic_sites : tuple of Site or None
        Sites of disease outside the liver; empty if there is none.
    extrahepatic_controllable : bool or None
        Whether it can be removed or controlled.
    portal_adenopathy : bool or None
        Enlarged nodes at the liver hilum.
    bilobar : bool or None
        Only needed without a segment map.
    chemotherapy_response : Response or None
        Of the metastases.
    chemotherapy_cycles : float or None
        Before the operation.
    synchronous : bool or None
        Whether the metastases were found with the primary tumour.
    disease_free_months : float or None
        From the primary tumour to the metastases.
    cea_ng_per_ml : float or None
        Before the operation.
    margins_adequate, completely_removable, function_adequate : bool or None
        The team's judgement.
    remnant_inflow, remnant_outflow, remnant_bile_drainage : bool or None
        Whether the spared segments keep their own.
    resectability_group : int or None
        1 to 3, of the review.
    ecmtg_stage : EcmtgStage or None
        Of the European Colorectal Metastases Treatment Group.

    Raises
    ------
    CaseError
        If a number cannot be, or two statements contradict each other.
    """

    fit_for_surgery: bool | None = None
    low_comorbidity: bool | None = None
    liver_failure: bool | None = None
    previous_liver_surgery: bool | None = None
    performance_status: int | None = None
    asa: int | None = None
    primary_controlled: bool | None = None
    primary_in_place: bool | None = None
    simultaneous_resection: bool | None = None
    primary_node_positive: bool | None = None
    primary_t_stage: int | None = None
    primary_differentiation: Differentiation | None = None
    metastasis_differentiation: Differentiation | None = None
    extrahepatic_sites: tuple[Site, ...] | None = None
    extrahepatic_controllable: bool | None = None
    portal_adenopathy: bool | None = None
    bilobar: bool | None = None
    chemotherapy_response: Response | None = None
    chemotherapy_cycles: float | None = None
    synchronous: bool | None = None
    disease_free_months: float | None = None
    cea_ng_per_ml: float | None = None
    margins_adequate: bool | None = None
    completely_removable: bool | None = None
    function_adequate: bool | None = None
    remnant_inflow: bool | None = None
    remnant_outflow: bool | None = None
    remnant_bile_drainage: bool | None = None
    resectability_group: int | None = None
    ecmtg_stage: EcmtgStage | None = None

    def __post_init__(self) -> None:
        for name, (low, high) in {**COUNTS, **AMOUNTS}.items():
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and low <= value <= high):
                raise CaseError(
                    f"[attested] {name} = {value:g} is outside {low:g} to {high:g}", reason="out_of_range"
                )
        sites = self.extrahepatic_sites
        if sites is not None and len(set(sites)) != len(sites):
            raise CaseError("[attested] extrahepatic_sites names a site twice", reason="given_twice")
        if self.synchronous and self.disease_free_months:
            raise CaseError(
                f"[attested] synchronous = true and disease_free_months = {self.disease_free_months:g} "
                "contradict each other: synchronous metastases are found with the primary tumour",
                reason="contradiction",
            )
        if self.simultaneous_resection and self.primary_in_place is False:
            raise CaseError(
                "[attested] simultaneous_resection = true, but primary_in_place = false",
                reason="contradiction",
            )

    @property
    def extrahepatic_held(self) -> bool | None:
        """Whether there is no disease outside the liver, or it can be controlled; None if not known."""
        if self.extrahepatic_sites == ():
            return True
        return self.extrahepatic_controllable

    @property
    def interval_months(self) -> float | None:
        """From the primary tumour to the metastases, months; 0 for synchronous ones."""
        return 0.0 if self.synchronous else self.disease_free_months


NOTHING_ATTESTED = Attested()
