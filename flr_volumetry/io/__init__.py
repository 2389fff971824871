"""Files: every axis convention dies here."""

from flr_volumetry.io.inspection import Inspection, inspect
from flr_volumetry.io.masks import read_label_map, read_mask, read_masks
from flr_volumetry.io.reading import read_image
from flr_volumetry.io.scan import Found, Kind, Scan, scan
from flr_volumetry.io.structures import Structures, read_structures
from flr_volumetry.io.study import Study, read_study
from flr_volumetry.io.writing import write_image, write_label_map, write_mask

__all__ = [
    "Found",
    "Inspection",
    "Kind",
    "Scan",
    "Structures",
    "Study",
    "inspect",
    "read_image",
    "read_label_map",
    "read_mask",
    "read_masks",
    "read_structures",
    "read_study",
    "scan",
    "write_image",
    "write_label_map",
    "write_mask",
]
