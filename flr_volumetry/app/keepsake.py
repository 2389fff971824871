"""What a run keeps beside its report so that a later scan can be held against it.

The partition alone says which side each voxel is on. To bring it onto a later scan, vessels and lesions are
needed, and the scan around the liver, coarse; with them the folder is enough, wherever the scan itself went.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flr_volumetry.anatomy import Structure
from flr_volumetry.assessment.model import ScanFacts
from flr_volumetry.errors import Caveat
from flr_volumetry.images import Grid, Image, LabelMap
from flr_volumetry.io import write_image, write_label_map

if TYPE_CHECKING:
    from pathlib import Path

    from flr_volumetry.app.case import Case
    from flr_volumetry.liver import Liver

PARTITION = "partition.nii.gz"
STRUCTURES = "structures.nii.gz"
SMALL_SCAN = "scan_2mm.nii.gz"
SMALL_MM = 2.0
VESSEL_LABELS = {structure: 1001 + n for n, structure in enumerate(Structure)}
"""Labels of vessels in the file of structures; lesions have their own numbers, from 1."""


def write_keepsake(folder: Path, liver: Liver) -> None:
    """Write lesions and vessels as one label map, and the scan around the liver with 2 mm steps.

    Parameters
    ----------
    folder : Path
        Of the report.
    liver : Liver
        The case's. Where a lesion lies on a vessel, it is the lesion that is written.
    """
    labels = np.zeros(liver.grid.shape, dtype=np.uint16, order="F")
    names: dict[int, str] = {}
    for vessel in liver.vessels:
        number = VESSEL_LABELS[vessel.structure]
        labels[vessel.voxels] = number
        names[number] = vessel.structure.value
    for lesion in liver.lesions:
        labels[lesion.box][lesion.voxels] = lesion.number
        names[lesion.number] = lesion.name
    write_label_map(folder / STRUCTURES, LabelMap(liver.grid, labels, names))
    if liver.image is not None:
        write_image(folder / SMALL_SCAN, small_scan(liver.image))


def small_scan(image: Image) -> Image:
    """Return a scan with steps of 2 mm along its own axes, or its own steps where they are longer.

    Parameters
    ----------
    image : Image
        Cropped to the liver.

    Returns
    -------
    Image
        Averaged over about a step, int16.
    """
    from scipy.ndimage import affine_transform, gaussian_filter

    spacing = np.asarray(image.grid.spacing_mm)
    factor = np.maximum(SMALL_MM / spacing, 1.0)
    shape = tuple(int(n) for n in np.floor((np.asarray(image.grid.shape) - 1) / factor) + 1)
    width = np.where(factor > 1, 0.35 * factor, 0.0)
    values = gaussian_filter(image.voxels.astype(np.float32), width)
    small: npt.NDArray[Any] = affine_transform(values, factor, output_shape=shape, order=1, mode="nearest")
    affine = image.grid.affine.copy()
    affine[:3, :3] *= factor
    grid = Grid((shape[0], shape[1], shape[2]), affine, image.grid.frame_of_reference_uid)
    limits = np.iinfo(np.int16)
    return Image(
        grid,
        np.rint(np.clip(small, limits.min, limits.max)).astype(np.int16, order="F"),
        image.source,
    )


def scan_facts(case: Case, liver: Liver) -> tuple[ScanFacts, tuple[Caveat, ...]]:
    """Return when a case's scan was acquired and of whom, and whether file and case disagree.

    Parameters
    ----------
    case : Case
        May say `date` under [image], [study] or [masks].
    liver : Liver
        With its scan, if there is one.

    Returns
    -------
    ScanFacts
        The case's date before the file's.
    tuple of Caveat
        If both are known and differ.
    """
    given = next((t.date for t in (case.image, case.study, case.masks) if t is not None and t.date), None)
    source = liver.image.source if liver.image is not None else None
    found = _day(source.acquired) if source is not None else None
    who = source.patient_id.strip() if source is not None else ""
    key = hashlib.sha256(f"flr_volumetry patient {who}".encode()).hexdigest()[:16] if who else ""
    caveats = []
    if given and found and given != found:
        said = (
            f"The case says that the scan is of {given}, the scan itself says {found}; {given} is used. "
            "Dates are often moved when scans are anonymised."
        )
        caveats.append(Caveat("scan_dates_differ", said))
    return ScanFacts(given or found, key), tuple(caveats)


def _day(text: str) -> dt.date | None:
    """Read a DICOM date, YYYYMMDD; None for anything else."""
    try:
        return dt.datetime.strptime(text[:8], "%Y%m%d").date()
    except ValueError:
        return None
