"""Voxel arrays and where they lie in the patient.

Arrays are indexed ``[column, row, slice]``; every affine takes such an index to
the voxel's centre in DICOM patient axes, millimetres: +x left, +y posterior,
+z head (LPS). Files with other conventions are converted where they are read.
"""

from flr_volumetry.images.arrays import Image, LabelMap, Mask, Origin, Source, read_only
from flr_volumetry.images.grid import AFFINE_ATOL_MM, MM3_PER_ML, Box, Grid, require_same_frame
from flr_volumetry.images.resample import bounding_box, to_grid

__all__ = [
    "AFFINE_ATOL_MM",
    "MM3_PER_ML",
    "Box",
    "Grid",
    "Image",
    "LabelMap",
    "Mask",
    "Origin",
    "Source",
    "bounding_box",
    "read_only",
    "require_same_frame",
    "to_grid",
]
