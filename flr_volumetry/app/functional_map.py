"""The functional map and the tissue of a case: read, and weighed against the plan."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from flr_volumetry.assessment.model import InputFile
from flr_volumetry.assessment.plausibility import Phase, Tissue
from flr_volumetry.io import read_image
from flr_volumetry.volumetry.functional_map import MapKind, weigh_map

if TYPE_CHECKING:
    from flr_volumetry.app.case import Case
    from flr_volumetry.liver import Liver
    from flr_volumetry.resection import Partition
    from flr_volumetry.volumetry.patient import Patient


def with_functional_map(
    patient: Patient, case: Case, liver: Liver, partition: Partition
) -> tuple[Patient, tuple[InputFile, ...]]:
    """Weigh the remnant by the functional map of a case, if it names one.

    Parameters
    ----------
    patient : Patient
        With the tests of the case.
    case : Case
        May name a map under [function].
    liver : Liver
        The liver.
    partition : Partition
        The plan carried out.

    Returns
    -------
    tuple of Patient and tuple of InputFile
        The patient with what the map says, and the map for the provenance.

    Raises
    ------
    FlrError
        If the map cannot be read, or does not fit the liver.
    """
    section, tests = case.function, patient.function
    if section is None or section.map is None or section.map_kind is None or tests is None:
        return patient, ()
    image = read_image(case.resolve(section.map))
    kind = MapKind(section.map_kind)
    share = weigh_map(liver, partition, image, kind=kind, background=section.map_background)
    shape = " x ".join(str(n) for n in image.grid.shape)
    words = f"{kind.value.replace('_', ' ')}, {shape} voxels"
    taken = InputFile("functional map", section.map, image.source.sha256, words)
    return replace(patient, function=tests.with_map(share)), (taken,)


def tissue_of(case: Case, liver: Liver, patient: Patient) -> Tissue | None:
    """Return the CT numbers of the liver where the case says in which phase they were taken.

    Parameters
    ----------
    case : Case
        Its phase of contrast; without one nothing is read from the numbers.
    liver : Liver
        With its scan.
    patient : Patient
        Its tests may hold the CT number of the spleen.

    Returns
    -------
    Tissue or None
        Median of the liver without lesions and vessels; None for other scans than CT.
    """
    phase = case.phase
    if phase is None or liver.image is None or liver.image.source.modality not in ("CT", ""):
        return None
    works = liver.voxels.copy()
    for lesion in liver.lesions:
        works[lesion.box] &= ~lesion.voxels
    for vessel in liver.vessels:
        works &= ~vessel.voxels
    if not works.any():
        return None
    spleen = patient.function.spleen_hu if patient.function is not None else None
    return Tissue(float(np.median(liver.image.voxels[works])), Phase(phase), spleen)
