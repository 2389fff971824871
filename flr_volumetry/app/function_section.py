"""The [function] table of a case file: tests of liver function."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from flr_volumetry.app.tables import Section
from flr_volumetry.volumetry import formulas
from flr_volumetry.volumetry.formulas import Ascites, Encephalopathy
from flr_volumetry.volumetry.liver_function import Disease, LiverFunction, PlannedExtent

PAIRS = (
    ("bilirubin_mg_per_dl", "bilirubin_umol_per_l"),
    ("albumin_g_per_dl", "albumin_g_per_l"),
    ("creatinine_mg_per_dl", "creatinine_umol_per_l"),
    ("icg_r15_percent", "icg_k_per_min"),
)
PLAIN = (
    "inr",
    "ascites_controlled",
    "icg_r15_percent",
    "icg_k_per_min",
    "platelets_per_nl",
    "hvpg_mmhg",
    "varices",
    "splenomegaly",
    "anticoagulants",
    "limax_ug_per_kg_per_h",
    "mebrofenin_percent_per_min",
    "mebrofenin_remnant_share",
    "gadoxetate_relative_enhancement",
    "pdff_percent",
    "spleen_hu",
    "bile_duct_resection",
)


class FunctionSection(Section):
    """The [function] table; all optional, what is missing leaves its rules not evaluable."""

    bilirubin_mg_per_dl: float | None = None
    bilirubin_umol_per_l: float | None = None
    albumin_g_per_dl: float | None = None
    albumin_g_per_l: float | None = None
    inr: float | None = None
    creatinine_mg_per_dl: float | None = None
    creatinine_umol_per_l: float | None = None
    ascites: Literal["none", "mild", "moderate_or_severe"] | None = None
    ascites_controlled: bool | None = None
    encephalopathy: Literal["none", "grade_1_2", "grade_3_4"] | None = None
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
    planned_extent: (
        Literal[
            "right_or_trisectionectomy",
            "left_hepatectomy",
            "sectionectomy",
            "segmentectomy",
            "limited",
            "enucleation",
        ]
        | None
    ) = None
    bile_duct_resection: bool | None = None
    disease: Literal["crlm", "hcc", "perihilar"] | None = None
    map: str | None = Field(default=None, min_length=1)
    map_kind: Literal["mebrofenin_spect", "gadoxetate_mri"] | None = None
    map_background: float = 0.0

    @model_validator(mode="after")
    def _one_unit_each(self) -> FunctionSection:
        for one, other in PAIRS:
            if getattr(self, one) is not None and getattr(self, other) is not None:
                raise ValueError(f"give {one} or {other}, not both")
        if (self.map is None) != (self.map_kind is None):
            raise ValueError("map and map_kind (mebrofenin_spect or gadoxetate_mri) go together")
        if self.map is None and self.map_background:
            raise ValueError("map_background needs a map")
        mebrofenin = self.map_kind == "mebrofenin_spect"
        stands_for = "mebrofenin_remnant_share" if mebrofenin else "gadoxetate_relative_enhancement"
        if self.map is not None and getattr(self, stands_for) is not None:
            raise ValueError(f"the map gives {stands_for}; leave it out")
        return self

    def value(self) -> LiverFunction:
        """Return it as a value of the core, in the core's units."""
        bilirubin, creatinine = self.bilirubin_mg_per_dl, self.creatinine_mg_per_dl
        if self.bilirubin_umol_per_l is not None:
            bilirubin = formulas.bilirubin_mg_per_dl(bilirubin_umol_per_l=self.bilirubin_umol_per_l)
        if self.creatinine_umol_per_l is not None:
            creatinine = formulas.creatinine_mg_per_dl(creatinine_umol_per_l=self.creatinine_umol_per_l)
        albumin = self.albumin_g_per_l / 10 if self.albumin_g_per_l is not None else self.albumin_g_per_dl
        return LiverFunction(
            bilirubin_mg_per_dl=bilirubin,
            albumin_g_per_dl=albumin,
            creatinine_mg_per_dl=creatinine,
            ascites=Ascites[self.ascites.upper()] if self.ascites else None,
            encephalopathy=Encephalopathy[self.encephalopathy.upper()] if self.encephalopathy else None,
            planned_extent=PlannedExtent(self.planned_extent) if self.planned_extent else None,
            disease=Disease(self.disease) if self.disease else None,
            **{name: getattr(self, name) for name in PLAIN},
        )
