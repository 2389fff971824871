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
    from flr_volumetry.volumetry.functional_map import MapShare
    from flr_volumetry.volumetry.patient import Patient


def map_share_of(
    case: Case, liver: Liver, partition: Partition
) -> tuple[MapShare | None, tuple[InputFile, ...]]:
    """Weigh the remnant by the functional map of a case, if it names one.

    Parameters
    ----------
    case : Case
        May name a map under [function].
    liver : Liver
        The liver.
    partition : Partition
        The plan carried out.

    Returns
    -------
    tuple of MapShare or None and tuple of InputFile
        What the map says, and the map for the provenance.

    Raises
    ------
    FlrError
        If the map cannot be read, or does not fit the liver.
    """
    section = case.function
    if section is None or section.map is None or section.map_kind is None:
        return None, ()
    image = read_image(case.resolve(section.map))
    kind = MapKind(section.map_kind)
    share = weigh_map(liver, partition, image, kind=kind, background=section.map_background)
    shape = " x ".join(str(n) for n in image.grid.shape)
    words = f"{kind.value.replace('_', ' ')}, {shape} voxels"
    return share, (InputFile("functional map", section.map, image.source.sha256, words),)


def tissue_of(case: Case, liver: Liver) -> Tissue | None:
    """Return the CT numbers of the liver where the case says in which phase they were taken.

    Parameters
    ----------
    case : Case
        Its phase of contrast; without one nothing is read from the numbers.
    liver : Liver
        With its scan.

    Returns
    -------
    Tissue or None
        Median of the liver without lesions and vessels, without that of the spleen, which is a fact of the
        patient's; None for other scans than CT.
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
    return Tissue(float(np.median(liver.image.voxels[works])), Phase(phase))


def with_spleen(tissue: Tissue | None, patient: Patient) -> Tissue | None:
    """Add to a liver's CT number that of the spleen, which is among the patient's tests."""
    if tissue is None or patient.function is None:
        return tissue
    return replace(tissue, spleen_hu=patient.function.spleen_hu)
