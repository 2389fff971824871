"""Masks from a scan: what a back-end is, which there are, and how good their masks are."""

from flr_volumetry.segmentation.hints import NO_HINTS, BoxMm, Hints, PointMm
from flr_volumetry.segmentation.protocol import (
    Availability,
    Device,
    FoundLesion,
    Made,
    Modality,
    Quality,
    Segmentation,
    Segmenter,
    Settings,
)
from flr_volumetry.segmentation.register import DEFAULT, GROUP, backend, backend_names, segment

__all__ = [
    "DEFAULT",
    "GROUP",
    "NO_HINTS",
    "Availability",
    "BoxMm",
    "Device",
    "FoundLesion",
    "Hints",
    "Made",
    "Modality",
    "PointMm",
    "Quality",
    "Segmentation",
    "Segmenter",
    "Settings",
    "backend",
    "backend_names",
    "segment",
]
