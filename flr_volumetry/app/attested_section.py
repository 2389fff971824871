"""The [attested] table of a case file: what only people can say."""

from __future__ import annotations

from typing import Literal

from flr_volumetry.app.tables import Section
from flr_volumetry.assessment.systems.attested import (
    Attested,
    Differentiation,
    EcmtgStage,
    Response,
    Site,
)

Grade = Literal["well", "moderate", "poor"]
SiteName = Literal[
    "lung",
    "hilar_nodes",
    "porto_caval_nodes",
    "celiac_nodes",
    "para_aortic_nodes",
    "ovary",
    "adrenal",
    "peritoneum",
    "bone",
    "brain",
    "other",
]


class AttestedSection(Section):
    """The [attested] table; all optional, what is missing is shown as missing."""

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
    primary_differentiation: Grade | None = None
    metastasis_differentiation: Grade | None = None
    extrahepatic_sites: list[SiteName] | None = None
    extrahepatic_controllable: bool | None = None
    portal_adenopathy: bool | None = None
    bilobar: bool | None = None
    chemotherapy_response: Literal["response", "stable", "progression"] | None = None
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
    ecmtg_stage: Literal["M0", "M1a", "M1b", "M1c"] | None = None

    def value(self) -> Attested:
        """Return it as a value of the core."""
        said = self.model_dump()
        for name, kind in (
            ("primary_differentiation", Differentiation),
            ("metastasis_differentiation", Differentiation),
            ("chemotherapy_response", Response),
            ("ecmtg_stage", EcmtgStage),
        ):
            if said[name] is not None:
                said[name] = kind(said[name])
        if said["extrahepatic_sites"] is not None:
            said["extrahepatic_sites"] = tuple(Site(site) for site in said["extrahepatic_sites"])
        return Attested(**said)
