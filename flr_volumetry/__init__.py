"""Future-liver-remnant volumetry: from a scan, masks and a plan to what stays.

Research use only, not a medical device.

Everything a script needs is here; it is imported when it is first used, so that
``import flr_volumetry`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flr_volumetry.app.case import Case, read_case
    from flr_volumetry.app.run import Outcome, run_case
    from flr_volumetry.app.write import write_outcome
    from flr_volumetry.assessment import Assessment, assess
    from flr_volumetry.errors import Caveat, FlrError
    from flr_volumetry.images import Grid, Image, LabelMap, Mask, to_grid
    from flr_volumetry.io import (
        read_image,
        read_label_map,
        read_mask,
        read_masks,
        write_label_map,
    )
    from flr_volumetry.io.protocols import read_protocols
    from flr_volumetry.liver import Liver, Masks, crop_liver
    from flr_volumetry.resection import (
        Ablation,
        Partition,
        Plane,
        PlaneResection,
        ResectionPlan,
        SegmentResection,
        Stage,
        WedgeResection,
        margins,
        resect,
    )
    from flr_volumetry.volumetry import formulas
    from flr_volumetry.volumetry.measure import LiverVolumes, measure
    from flr_volumetry.volumetry.patient import Patient

_HOMES = {
    "Ablation": "resection",
    "Assessment": "assessment",
    "Case": "app.case",
    "Caveat": "errors",
    "FlrError": "errors",
    "Grid": "images",
    "Image": "images",
    "LabelMap": "images",
    "Liver": "liver",
    "LiverVolumes": "volumetry.measure",
    "Mask": "images",
    "Masks": "liver",
    "Outcome": "app.run",
    "Partition": "resection",
    "Patient": "volumetry.patient",
    "Plane": "resection",
    "PlaneResection": "resection",
    "ResectionPlan": "resection",
    "SegmentResection": "resection",
    "Stage": "resection",
    "WedgeResection": "resection",
    "assess": "assessment",
    "crop_liver": "liver",
    "formulas": "volumetry",
    "margins": "resection",
    "measure": "volumetry.measure",
    "read_case": "app.case",
    "read_image": "io",
    "read_label_map": "io",
    "read_mask": "io",
    "read_masks": "io",
    "read_protocols": "io.protocols",
    "resect": "resection",
    "run_case": "app.run",
    "to_grid": "images",
    "write_label_map": "io",
    "write_outcome": "app.write",
}

__all__ = [
    "Ablation",
    "Assessment",
    "Case",
    "Caveat",
    "FlrError",
    "Grid",
    "Image",
    "LabelMap",
    "Liver",
    "LiverVolumes",
    "Mask",
    "Masks",
    "Outcome",
    "Partition",
    "Patient",
    "Plane",
    "PlaneResection",
    "ResectionPlan",
    "SegmentResection",
    "Stage",
    "WedgeResection",
    "assess",
    "crop_liver",
    "formulas",
    "margins",
    "measure",
    "read_case",
    "read_image",
    "read_label_map",
    "read_mask",
    "read_masks",
    "read_protocols",
    "resect",
    "run_case",
    "to_grid",
    "write_label_map",
    "write_outcome",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'flr_volumetry' has no attribute {name!r}")
    if name == "formulas":
        return importlib.import_module("flr_volumetry.volumetry.formulas")
    return getattr(importlib.import_module(f"flr_volumetry.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
