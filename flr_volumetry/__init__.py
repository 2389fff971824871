"""Future-liver-remnant volumetry: from a scan, masks and a plan to what stays.

Research use only, not a medical device.

Everything a script needs is here; it is imported when it is first used, so that
``import flr_volumetry`` costs nothing. In a notebook, outcomes, livers and partitions show themselves
with their pictures.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flr_volumetry.app.case import Case, read_case
    from flr_volumetry.app.run import Outcome, run_case
    from flr_volumetry.app.sample import sample_case
    from flr_volumetry.app.write import write_outcome
    from flr_volumetry.assessment import Assessment, assess
    from flr_volumetry.errors import Caveat, FlrError
    from flr_volumetry.images import Grid, Image, LabelMap, Mask, to_grid
    from flr_volumetry.io import (
        read_image,
        read_label_map,
        read_markups,
        read_mask,
        read_masks,
        read_surface,
        write_label_map,
    )
    from flr_volumetry.io.protocols import read_protocols
    from flr_volumetry.liver import Liver, Masks, crop_liver
    from flr_volumetry.planning import SearchSettings, search_plans
    from flr_volumetry.report.notebook import view_3d
    from flr_volumetry.report.row import case_row
    from flr_volumetry.report.row_files import rows_csv, rows_parquet
    from flr_volumetry.resection import (
        Ablation,
        BezierSurface,
        ClosedCurve,
        Combine,
        Partition,
        Plane,
        PlaneResection,
        ReadyLiver,
        RemnantResection,
        ResectionPlan,
        SegmentResection,
        Stage,
        SurfaceResection,
        TerritoryResection,
        TriangleSurface,
        Waiting,
        WedgeResection,
        cut_surface,
        distance_to,
        margins,
        resect,
    )
    from flr_volumetry.territories import (
        Landmarks,
        couinaud_segments,
        find_landmarks,
        find_territories,
        with_segments,
        with_territories,
    )
    from flr_volumetry.volumetry import formulas
    from flr_volumetry.volumetry.measure import LiverVolumes, measure
    from flr_volumetry.volumetry.patient import Patient

_HOMES = {
    "Ablation": "resection",
    "Assessment": "assessment",
    "BezierSurface": "resection",
    "Case": "app.case",
    "Caveat": "errors",
    "ClosedCurve": "resection",
    "Combine": "resection",
    "FlrError": "errors",
    "Grid": "images",
    "Image": "images",
    "LabelMap": "images",
    "Landmarks": "territories",
    "Liver": "liver",
    "LiverVolumes": "volumetry.measure",
    "Mask": "images",
    "Masks": "liver",
    "Outcome": "app.run",
    "Partition": "resection",
    "Patient": "volumetry.patient",
    "Plane": "resection",
    "PlaneResection": "resection",
    "ReadyLiver": "resection",
    "RemnantResection": "resection",
    "ResectionPlan": "resection",
    "SearchSettings": "planning",
    "SegmentResection": "resection",
    "Stage": "resection",
    "SurfaceResection": "resection",
    "TerritoryResection": "resection",
    "TriangleSurface": "resection",
    "Waiting": "resection",
    "WedgeResection": "resection",
    "assess": "assessment",
    "case_row": "report.row",
    "couinaud_segments": "territories",
    "crop_liver": "liver",
    "cut_surface": "resection",
    "distance_to": "resection",
    "find_landmarks": "territories",
    "find_territories": "territories",
    "formulas": "volumetry",
    "margins": "resection",
    "measure": "volumetry.measure",
    "read_case": "app.case",
    "read_image": "io",
    "read_label_map": "io",
    "read_markups": "io",
    "read_mask": "io",
    "read_masks": "io",
    "read_protocols": "io.protocols",
    "read_surface": "io",
    "resect": "resection",
    "rows_csv": "report.row_files",
    "rows_parquet": "report.row_files",
    "run_case": "app.run",
    "sample_case": "app.sample",
    "search_plans": "planning",
    "to_grid": "images",
    "view_3d": "report.notebook",
    "with_segments": "territories",
    "with_territories": "territories",
    "write_label_map": "io",
    "write_outcome": "app.write",
}

__all__ = [
    "Ablation",
    "Assessment",
    "BezierSurface",
    "Case",
    "Caveat",
    "ClosedCurve",
    "Combine",
    "FlrError",
    "Grid",
    "Image",
    "LabelMap",
    "Landmarks",
    "Liver",
    "LiverVolumes",
    "Mask",
    "Masks",
    "Outcome",
    "Partition",
    "Patient",
    "Plane",
    "PlaneResection",
    "ReadyLiver",
    "RemnantResection",
    "ResectionPlan",
    "SearchSettings",
    "SegmentResection",
    "Stage",
    "SurfaceResection",
    "TerritoryResection",
    "TriangleSurface",
    "Waiting",
    "WedgeResection",
    "assess",
    "case_row",
    "couinaud_segments",
    "crop_liver",
    "cut_surface",
    "distance_to",
    "find_landmarks",
    "find_territories",
    "formulas",
    "margins",
    "measure",
    "read_case",
    "read_image",
    "read_label_map",
    "read_markups",
    "read_mask",
    "read_masks",
    "read_protocols",
    "read_surface",
    "resect",
    "rows_csv",
    "rows_parquet",
    "run_case",
    "sample_case",
    "search_plans",
    "to_grid",
    "view_3d",
    "with_segments",
    "with_territories",
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


def load_ipython_extension(shell: Any) -> None:
    """Have a shell show the package's values with their pictures, as ``%load_ext flr_volumetry`` asks."""
    from flr_volumetry.app.jupyter import register

    register(shell)


def _show_in_notebooks() -> None:
    """Do so at once where the package is imported in IPython."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    if shell is not None:
        load_ipython_extension(shell)


_show_in_notebooks()
