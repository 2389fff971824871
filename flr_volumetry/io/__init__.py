"""Files: every axis convention dies here."""

from flr_volumetry.io.dicom.seg_writing import (
    SEGMENT_CODES,
    Algorithm,
    Family,
    MaskToWrite,
    colour_table,
    label_array,
    write_dicom_seg,
)
from flr_volumetry.io.inspection import Inspection, inspect
from flr_volumetry.io.markups import (
    CurveKind,
    Markup,
    MarkupCurve,
    MarkupLine,
    MarkupPlane,
    MarkupPoints,
    MarkupSurface,
    plan_markups,
    read_markups,
    write_markups,
)
from flr_volumetry.io.masks import read_label_map, read_mask, read_masks
from flr_volumetry.io.meshes import read_surface, write_surface
from flr_volumetry.io.reading import read_image
from flr_volumetry.io.scan import Found, Kind, Scan, scan
from flr_volumetry.io.spaces import Space
from flr_volumetry.io.structures import Structures, read_structures
from flr_volumetry.io.study import Study, read_study
from flr_volumetry.io.writing import write_image, write_label_map, write_mask

__all__ = [
    "SEGMENT_CODES",
    "Algorithm",
    "CurveKind",
    "Family",
    "Found",
    "Inspection",
    "Kind",
    "Markup",
    "MarkupCurve",
    "MarkupLine",
    "MarkupPlane",
    "MarkupPoints",
    "MarkupSurface",
    "MaskToWrite",
    "Scan",
    "Space",
    "Structures",
    "Study",
    "colour_table",
    "inspect",
    "label_array",
    "plan_markups",
    "read_image",
    "read_label_map",
    "read_markups",
    "read_mask",
    "read_masks",
    "read_structures",
    "read_study",
    "read_surface",
    "scan",
    "write_dicom_seg",
    "write_image",
    "write_label_map",
    "write_markups",
    "write_mask",
    "write_surface",
]
