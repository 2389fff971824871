"""Makes the phantom that the benchmarks read."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from flr_volumetry.images import Grid
from flr_volumetry.io import write_label_map, write_mask
from flr_volumetry.phantom import sample_patient
from flr_volumetry.phantom.dicom import write_dicom_series

SHAPE = (512, 512, 400)
SPACING = (0.75, 0.75, 0.64)


def make(folder: Path) -> Path:
    """Write the series and its masks, unless they are there."""
    if (folder / "done").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    phantom = sample_patient()
    low, high = phantom.field_of_view_mm
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = (low + high) / 2 - np.array(SPACING) * (np.array(SHAPE) - 1) / 2
    grid = Grid(SHAPE, affine, "1.2.826.0.1.3680043.10.1.1")
    print("rendering the phantom ...", flush=True)
    write_dicom_series(phantom.image(grid), folder / "ct")
    found = phantom.structures(grid)
    for name in ("liver", "portal_vein", "hepatic_veins"):
        write_mask(folder / f"{name}.nii.gz", getattr(found, name))
    for number, lesion in enumerate(found.lesions, start=1):
        write_mask(folder / f"lesion{number}.nii.gz", lesion)
    write_label_map(folder / "segments.nii.gz", found.segments)
    (folder / "done").touch()
    return folder
