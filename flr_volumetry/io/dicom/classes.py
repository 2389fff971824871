"""What the SOP classes are that a folder may hold (PS3.4, annex B.5)."""

from __future__ import annotations

from typing import Final

_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."

SLICE_CLASSES: Final = frozenset(_STORAGE + suffix for suffix in ("2", "4", "128"))
"""CT, MR and PET images: one slice in each file."""
ENHANCED_CLASSES: Final = frozenset(
    _STORAGE + suffix for suffix in ("2.1", "2.2", "4.1", "4.3", "4.4", "130", "128.1")
)
"""Enhanced and legacy converted enhanced CT, MR and PET images: many frames in one file."""
SECONDARY_CAPTURES: Final = frozenset(_STORAGE + suffix for suffix in ("7", "7.1", "7.2", "7.3", "7.4"))
SEGMENTATION: Final = _STORAGE + "66.4"
LABEL_MAP_SEGMENTATION: Final = _STORAGE + "66.7"
STRUCTURE_SET: Final = _STORAGE + "481.3"
MASK_CLASSES: Final = frozenset({SEGMENTATION, LABEL_MAP_SEGMENTATION, STRUCTURE_SET})

NAMES: Final = {
    _STORAGE + "1": "computed radiography",
    _STORAGE + "1.1": "digital X-ray",
    _STORAGE + "1.2": "mammography",
    _STORAGE + "2": "CT image",
    _STORAGE + "2.1": "enhanced CT image",
    _STORAGE + "2.2": "legacy converted enhanced CT image",
    _STORAGE + "4": "MR image",
    _STORAGE + "4.1": "enhanced MR image",
    _STORAGE + "4.2": "MR spectroscopy",
    _STORAGE + "4.3": "enhanced MR colour image",
    _STORAGE + "4.4": "legacy converted enhanced MR image",
    _STORAGE + "6.1": "ultrasound image",
    _STORAGE + "3.1": "ultrasound cine",
    _STORAGE + "7": "secondary capture",
    _STORAGE + "7.1": "secondary capture of several frames",
    _STORAGE + "7.2": "secondary capture of several frames",
    _STORAGE + "7.3": "secondary capture of several frames",
    _STORAGE + "7.4": "colour secondary capture of several frames",
    _STORAGE + "11.1": "presentation state",
    _STORAGE + "12.1": "X-ray angiography",
    _STORAGE + "20": "nuclear medicine image",
    _STORAGE + "30": "parametric map",
    _STORAGE + "66": "raw data",
    _STORAGE + "66.1": "spatial registration",
    _STORAGE + "66.4": "segmentation",
    _STORAGE + "66.5": "surface segmentation",
    _STORAGE + "66.7": "label map segmentation",
    _STORAGE + "67": "real world value mapping",
    _STORAGE + "77.1.6": "whole slide microscopy",
    _STORAGE + "88.11": "structured report",
    _STORAGE + "88.22": "structured report",
    _STORAGE + "88.33": "structured report",
    _STORAGE + "88.34": "structured report",
    _STORAGE + "88.59": "key object selection",
    _STORAGE + "88.67": "radiation dose report",
    _STORAGE + "104.1": "encapsulated PDF",
    _STORAGE + "128": "PET image",
    _STORAGE + "481.1": "radiotherapy image",
    _STORAGE + "481.2": "radiotherapy dose",
    _STORAGE + "481.3": "radiotherapy structure set",
    _STORAGE + "481.5": "radiotherapy plan",
    "1.2.840.10008.1.3.10": "DICOM directory",
}


def class_name(uid: str) -> str:
    """Return what a SOP class is called, in a few words."""
    return NAMES.get(uid, f"object of class {uid}" if uid else "object that does not say its class")
