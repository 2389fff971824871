"""Published formulas, one function each.

Conventions. Parameters are keyword-only and carry their unit. Volumes are in mL, ratios are fractions
from 0 to 1. A definition (D1 to D16, S3) and a score of function (G1 to G12) return what they define. A
formula fitted to people returns a value that remembers how it was made and what is doubtful about it:
`BodySurface` (B1 to B5) or `LiverEstimate` (T1 to T17), which carries a `Caveat` where it is used beside
what it was fitted to and refuses to give grams for millilitres. What is not possible at all (a denominator
of nought, a remnant larger than its liver, a height in metres) raises `FormulaError`.

Evidence tags: FOUND, read in the paper or in a publication that prints it; DICT, read in the DICOM
dictionaries; GK-H, GK-M, GK-L, general knowledge of high, middling or low confidence, not verified;
DERIVED, arithmetic; ASSUMED, an engineering choice without clinical source.
"""

from flr_volumetry.volumetry.formulas.amounts import (
    ablation_zone_ml,
    functional_remnant_ml,
    functional_volume_ml,
    resected_functional_ml,
    resected_ml,
    volume_ml,
)
from flr_volumetry.volumetry.formulas.blood import (
    bilirubin_mg_per_dl,
    bilirubin_umol_per_l,
    creatinine_mg_per_dl,
)
from flr_volumetry.volumetry.formulas.bsa import (
    BodySurface,
    BsaFormula,
    body_surface,
    bsa_dubois,
    bsa_fujimoto,
    bsa_gehan_george,
    bsa_haycock,
    bsa_mosteller,
)
from flr_volumetry.volumetry.formulas.conversion import (
    SteatosisHint,
    liver_attenuation_index_hu,
    pdff_steatosis_grade,
    specimen_weight_g,
    steatosis_hint,
)
from flr_volumetry.volumetry.formulas.demand import (
    deficit_ml,
    effective_remnant_ml,
    margin_ml,
    required_growth_fraction,
)
from flr_volumetry.volumetry.formulas.estimates import (
    AmountUnit,
    LiverEstimate,
    TelvFormula,
)
from flr_volumetry.volumetry.formulas.extent import (
    AscitesControl,
    Extent,
    IcgExtent,
    icg_k_extent,
    makuuchi_extent,
)
from flr_volumetry.volumetry.formulas.fong import fong_points
from flr_volumetry.volumetry.formulas.function import (
    Ascites,
    Encephalopathy,
    albi_grade,
    albi_score,
    child_pugh_class,
    child_pugh_points,
    functional_remnant_enhancement_ml_per_kg,
    icg_k_per_min,
    icgk_flr_per_min,
    meld_score,
    remnant_uptake_percent_per_min_per_m2,
)
from flr_volumetry.volumetry.formulas.ratios import (
    flr_fraction,
    flr_of_total_fraction,
    flr_per_body_weight_fraction,
    flr_per_bsa_ml_per_m2,
    grwr_fraction,
    phrr_fraction,
    sflr_fraction,
)
from flr_volumetry.volumetry.formulas.reserve import (
    MeldRisk,
    chemotherapy_steatohepatitis,
    limax_remnant_ug_per_kg_per_h,
    meld_risk,
    portal_hypertension,
    remnant_uptake_percent_per_min,
)
from flr_volumetry.volumetry.formulas.spread import (
    liver_estimates,
)
from flr_volumetry.volumetry.formulas.telv_body import (
    ThoraxCohort,
    telv_chan_2006,
    telv_chouker_2004,
    telv_kokudo_2015,
    telv_tu_2007,
    telv_vauthey_2002_weight,
    telv_yu_2004,
)
from flr_volumetry.volumetry.formulas.telv_bsa import (
    telv_deland_1968,
    telv_heinemann_1999,
    telv_johnson_2005,
    telv_urata_1995,
    telv_vauthey_2002_bsa,
)
from flr_volumetry.volumetry.formulas.telv_bsa_asia import (
    telv_feng_2017,
    telv_hashimoto_2006,
    telv_korea_1000_dubois,
    telv_korea_1000_mosteller,
    telv_lee_2002,
    telv_um_2015,
    telv_yoshizumi_2003,
)

__all__ = [
    "AmountUnit",
    "Ascites",
    "AscitesControl",
    "BodySurface",
    "BsaFormula",
    "Encephalopathy",
    "Extent",
    "IcgExtent",
    "LiverEstimate",
    "MeldRisk",
    "SteatosisHint",
    "TelvFormula",
    "ThoraxCohort",
    "ablation_zone_ml",
    "albi_grade",
    "albi_score",
    "bilirubin_mg_per_dl",
    "bilirubin_umol_per_l",
    "body_surface",
    "bsa_dubois",
    "bsa_fujimoto",
    "bsa_gehan_george",
    "bsa_haycock",
    "bsa_mosteller",
    "chemotherapy_steatohepatitis",
    "child_pugh_class",
    "child_pugh_points",
    "creatinine_mg_per_dl",
    "deficit_ml",
    "effective_remnant_ml",
    "flr_fraction",
    "flr_of_total_fraction",
    "flr_per_body_weight_fraction",
    "flr_per_bsa_ml_per_m2",
    "fong_points",
    "functional_remnant_enhancement_ml_per_kg",
    "functional_remnant_ml",
    "functional_volume_ml",
    "grwr_fraction",
    "icg_k_extent",
    "icg_k_per_min",
    "icgk_flr_per_min",
    "limax_remnant_ug_per_kg_per_h",
    "liver_attenuation_index_hu",
    "liver_estimates",
    "makuuchi_extent",
    "margin_ml",
    "meld_risk",
    "meld_score",
    "pdff_steatosis_grade",
    "phrr_fraction",
    "portal_hypertension",
    "remnant_uptake_percent_per_min",
    "remnant_uptake_percent_per_min_per_m2",
    "required_growth_fraction",
    "resected_functional_ml",
    "resected_ml",
    "sflr_fraction",
    "specimen_weight_g",
    "steatosis_hint",
    "telv_chan_2006",
    "telv_chouker_2004",
    "telv_deland_1968",
    "telv_feng_2017",
    "telv_hashimoto_2006",
    "telv_heinemann_1999",
    "telv_johnson_2005",
    "telv_kokudo_2015",
    "telv_korea_1000_dubois",
    "telv_korea_1000_mosteller",
    "telv_lee_2002",
    "telv_tu_2007",
    "telv_um_2015",
    "telv_urata_1995",
    "telv_vauthey_2002_bsa",
    "telv_vauthey_2002_weight",
    "telv_yoshizumi_2003",
    "telv_yu_2004",
    "volume_ml",
]
