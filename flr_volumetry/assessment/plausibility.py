"""What looks odd about volumes, tissue or patient, and what it does to the numbers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from flr_volumetry.errors import Caveat, FormulaError
from flr_volumetry.volumetry import formulas
from flr_volumetry.volumetry.patient import Parenchyma

if TYPE_CHECKING:
    from flr_volumetry.volumetry.measure import LiverVolumes
    from flr_volumetry.volumetry.patient import Patient

LARGE_TUMOUR_SHARE = 0.5
ONCOSURGE_INVOLVEMENT = 0.7
OBESE_KG_PER_M2 = 30.0
RANGE_SLACK = 0.05
"""A share this far outside the published range is called implausible, not merely unusual (assumed)."""


class Phase(Enum):
    """Contrast phase of the scan."""

    UNENHANCED = "unenhanced"
    PORTAL_VENOUS = "portal_venous"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Tissue:
    """What the scan shows of the liver tissue.

    Parameters
    ----------
    median_hu : float
        Median CT number of the liver without lesions, HU.
    phase : Phase
        Contrast phase.
    spleen_hu : float or None
        Median CT number of the spleen, HU.
    """

    median_hu: float
    phase: Phase
    spleen_hu: float | None = None


@dataclass(frozen=True, slots=True)
class _Group:
    """A group of segments and its share of the liver in a population, as fractions."""

    name: str
    segments: frozenset[int]
    mean: float
    sd: float
    low: float
    high: float


_GROUPS = (
    _Group("the right liver (segments 5 to 8)", frozenset({5, 6, 7, 8}), 0.65, 0.07, 0.49, 0.82),
    _Group("the left liver (segments 2 to 4)", frozenset({2, 3, 4}), 0.33, 0.07, 0.17, 0.49),
    _Group("segment 4", frozenset({4}), 0.17, 0.04, 0.10, 0.29),
    _Group("the left lateral section (segments 2 and 3)", frozenset({2, 3}), 0.16, 0.04, 0.05, 0.27),
)
"""Abdalla et al. 2004, 102 livers (GK-H); right liver also Chan 2006 (FOUND)."""


def check_conservation(volumes: LiverVolumes) -> None:
    """Refuse volumes that do not add up.

    Parameters
    ----------
    volumes : LiverVolumes
        Counted.

    Raises
    ------
    FormulaError
        If remnant, resected and ablated do not sum to the liver, or liver less tumour is not the
        functional volume, to half a voxel.
    """
    slack = max(0.5 * volumes.voxel_ml, 1e-9 * volumes.total_ml)
    pieces = volumes.remnant_ml + volumes.resected_ml + volumes.ablated_ml
    if not abs(pieces - volumes.total_ml) <= slack:
        raise FormulaError(
            f"remnant {volumes.remnant_ml:g}, resected {volumes.resected_ml:g} and ablated "
            f"{volumes.ablated_ml:g} mL sum to {pieces:g} mL, but the liver has {volumes.total_ml:g} mL",
            reason="volumes_not_conserved",
        )
    functional = volumes.total_ml - volumes.tumour_ml
    if not abs(functional - volumes.functional_ml) <= slack:
        raise FormulaError(
            f"liver {volumes.total_ml:g} less tumour {volumes.tumour_ml:g} is {functional:g} mL, but the "
            f"functional volume is given as {volumes.functional_ml:g} mL",
            reason="volumes_not_conserved",
        )
    if volumes.remnant_functional_ml > volumes.remnant_ml + slack:
        raise FormulaError(
            f"the functional remnant of {volumes.remnant_functional_ml:g} mL exceeds the remnant of "
            f"{volumes.remnant_ml:g} mL, of which it is a part",
            reason="volumes_not_conserved",
        )


def volume_caveats(volumes: LiverVolumes) -> tuple[Caveat, ...]:
    """Return what looks odd about the volumes.

    Parameters
    ----------
    volumes : LiverVolumes
        Counted.

    Returns
    -------
    tuple of Caveat
        On tumour load, tumour left behind, growth not counted, and shares of segments.
    """
    return (*_tumour_caveats(volumes), *_stage_caveats(volumes), *_segment_caveats(volumes))


def _tumour_caveats(volumes: LiverVolumes) -> list[Caveat]:
    caveats = []
    share = volumes.tumour_ml / volumes.total_ml
    if share > LARGE_TUMOUR_SHARE:
        caveats.append(
            Caveat(
                "large_tumour_share",
                f"Tumour fills {100 * share:.1f} % of the liver (more than 50 %): ratios to the liver with "
                "and without tumour differ widely; check the lesion masks.",
            )
        )
    if share > ONCOSURGE_INVOLVEMENT:
        caveats.append(
            Caveat(
                "oncosurge_involvement",
                f"Tumour fills {100 * share:.1f} % of the liver: OncoSurge (Poston et al., J Clin Oncol "
                "2005;23:7125) lists involvement of more than 70 % as an absolute contraindication; that "
                "this share is what it means by involvement is assumed.",
            )
        )
    left_ml = volumes.remnant_ml - volumes.remnant_functional_ml
    if left_ml > 0.5 * volumes.voxel_ml:
        caveats.append(
            Caveat(
                "tumour_in_remnant",
                f"{left_ml:.2f} mL of tumour stay in the remnant: D9 counts it as remnant, D8 and the "
                "standardised ratios do not.",
            )
        )
    return caveats


def _stage_caveats(volumes: LiverVolumes) -> list[Caveat]:
    waits = [stage for stage in volumes.stages if stage.after]
    return [
        Caveat(
            "growth_not_counted",
            f"Stage {stage.number} ({stage.name}) follows {stage.after}: the remnant is measured on the "
            "scan as it is, and growth or atrophy until then is not counted.",
        )
        for stage in waits
    ]


def _segment_caveats(volumes: LiverVolumes) -> list[Caveat]:
    if not volumes.segments:
        return []
    ml = {s.segment: s.ml for s in volumes.segments}
    caveats = []
    for group in _GROUPS:
        share = sum(ml.get(n, 0.0) for n in group.segments) / volumes.total_ml
        if abs(share - group.mean) <= 2 * group.sd:
            continue
        implausible = not group.low - RANGE_SLACK <= share <= group.high + RANGE_SLACK
        caveats.append(
            Caveat(
                "segment_share_implausible" if implausible else "segment_share_unusual",
                f"By the segment map {group.name} holds {100 * share:.1f} % of the liver, outside "
                f"{100 * group.mean:.0f} +- {2 * 100 * group.sd:.0f} % (mean and 2 SD of 102 livers, range "
                f"{100 * group.low:.0f} to {100 * group.high:.0f} %): check the segment map, unless the "
                "liver was operated on or embolized.",
            )
        )
    return caveats


def patient_caveats(patient: Patient) -> tuple[Caveat, ...]:
    """Return where the patient lies beside what formulas and thresholds were made for.

    Parameters
    ----------
    patient : Patient
        What is known of them.

    Returns
    -------
    tuple of Caveat
        On children, obesity, liver volumes estimated in cirrhosis, and chemotherapy without a word on the
        parenchyma.
    """
    caveats = []
    if patient.age is not None and patient.age < 18:
        caveats.append(
            Caveat(
                "child",
                f"The patient is {patient.age:g} years old; every threshold was found in adults.",
            )
        )
    if patient.height_cm is not None and patient.weight_kg is not None:
        bmi = patient.weight_kg / (patient.height_cm / 100) ** 2
        if bmi >= OBESE_KG_PER_M2:
            caveats.append(
                Caveat(
                    "obesity_inflates_telv",
                    f"Body mass index {bmi:.1f} kg/m2: formulas driven by weight may overestimate the liver "
                    "and so underestimate the standardised ratios (GK-M); compare the measured ratio (D8).",
                )
            )
    caveats.extend(_function_caveats(patient))
    if patient.chemotherapy_weeks and patient.parenchyma is None:
        caveats.append(
            Caveat(
                "chemotherapy_without_parenchyma",
                f"{patient.chemotherapy_weeks:g} weeks of chemotherapy are given, but not the state of the "
                "parenchyma: rules made for it are not evaluated. State parenchyma (chemotherapy, or what "
                "was found).",
            )
        )
    if patient.parenchyma is Parenchyma.CIRRHOSIS:
        caveats.append(
            Caveat(
                "telv_in_cirrhosis",
                "In cirrhosis estimated liver volumes correlate poorly with measured ones (PMC3921016): "
                "prefer the measured ratio (D8) and tests of liver function.",
            )
        )
    return tuple(caveats)


def _function_caveats(patient: Patient) -> list[Caveat]:
    """Return what tests of function hint at, for the user to confirm, and what a map's reading found."""
    tests = patient.function
    if tests is None:
        return []
    caveats = list(tests.map_share.caveats) if tests.map_share is not None else []
    grade = (
        formulas.pdff_steatosis_grade(pdff_percent=tests.pdff_percent)
        if tests.pdff_percent is not None
        else 0
    )
    steatotic = patient.parenchyma is Parenchyma.STEATOSIS
    if grade and not steatotic:
        caveats.append(
            Caveat(
                "possible_steatosis",
                f"A fat fraction of {tests.pdff_percent:g} % suggests steatosis of grade {grade} (Tang "
                "2013; others "
                "found other cuts): consider the thresholds for steatotic livers. The parenchyma stays as "
                "given "
                "until the case says otherwise.",
            )
        )
    cash = formulas.chemotherapy_steatohepatitis(
        steatosis=True if grade or steatotic else None,
        splenomegaly=tests.splenomegaly,
        platelets_per_nl=tests.platelets_per_nl,
    )
    if cash and patient.chemotherapy_weeks and not steatotic:
        caveats.append(
            Caveat(
                "possible_cash",
                "Steatosis, splenomegaly and few platelets after chemotherapy: possible "
                "chemotherapy-associated "
                "steatohepatitis (2014 review [73]); consider the thresholds for steatotic livers.",
            )
        )
    return caveats


def tissue_caveats(tissue: Tissue) -> tuple[Caveat, ...]:
    """Return what the CT numbers of the liver suggest; the user confirms or rejects it.

    Parameters
    ----------
    tissue : Tissue
        CT numbers, and the phase they were taken in.

    Returns
    -------
    tuple of Caveat
        On implausible CT numbers (assumed limits), and on signs of steatosis, which are read only
        from unenhanced scans.
    """
    limits = {Phase.UNENHANCED: (20.0, 80.0), Phase.PORTAL_VENOUS: (70.0, 150.0)}.get(tissue.phase)
    caveats = []
    if limits is not None and not limits[0] <= tissue.median_hu <= limits[1]:
        caveats.append(
            Caveat(
                "implausible_liver_hu",
                f"The liver's median is {tissue.median_hu:.0f} HU, outside {limits[0]:.0f} to "
                f"{limits[1]:.0f} HU for the {tissue.phase.value} phase (assumed limits): check mask, phase "
                "and rescaling.",
            )
        )
    spleen = tissue.spleen_hu
    darker = spleen is not None and tissue.median_hu - spleen <= -10
    if tissue.phase is Phase.UNENHANCED and (tissue.median_hu < 40 or darker):
        caveats.append(
            Caveat(
                "possible_steatosis",
                f"Unenhanced liver of {tissue.median_hu:.0f} HU (below 40 HU, or 10 HU or more below the "
                f"spleen){_index_words(tissue)}: possible steatosis; consider the thresholds for steatotic "
                "livers. The parenchyma stays as given until the case says otherwise.",
            )
        )
    return tuple(caveats)


def _index_words(tissue: Tissue) -> str:
    if tissue.spleen_hu is None:
        return ""
    index = formulas.liver_attenuation_index_hu(liver_hu=tissue.median_hu, spleen_hu=tissue.spleen_hu)
    return f"; {index:.0f} HU against the spleen: {formulas.steatosis_hint(attenuation_index_hu=index).value}"
