"""Writes markups as 3D Slicer opens them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flr_volumetry.errors import OutputError
from flr_volumetry.io.markups.values import (
    CurveKind,
    Floats,
    Markup,
    MarkupCurve,
    MarkupLine,
    MarkupPlane,
    MarkupPoints,
    MarkupSurface,
)
from flr_volumetry.io.writing import write_atomically

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

SCHEMA: Final = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
PLANE_SIDE_MM: Final = 200.0
"""How large a plane is drawn that has no size: larger than most livers."""
_LPS_FROM_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_markups(path: str | os.PathLike[str], markups: Sequence[Markup]) -> None:
    """Write markups as a JSON file of 3D Slicer, its axes stated as LPS.

    Parameters
    ----------
    path : path-like
        Ending in .json; 3D Slicer knows .mrk.json by itself. An existing file is replaced.
    markups : sequence of Markup
        At least one.

    Raises
    ------
    OutputError
        If the file cannot be written, there is nothing to write, or the name has another ending.

    Notes
    -----
    3D Slicer draws a curve as a spline whatever the file says, so one of straight pieces looks rounder
    there; read here again, it is straight. It knows no control points of a surface: they are written as
    a list of points, with their rows and columns beside it.
    """
    where = Path(path)
    if where.suffix.lower() != ".json":
        raise OutputError(f"{where}: markups are written as .mrk.json.", reason="bad_name")
    if not markups:
        raise OutputError(f"{where}: there are no markups to write.", reason="empty")
    document = {"@schema": SCHEMA, "markups": [_entry(markup) for markup in markups]}
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(where, [text.encode("utf-8", "backslashreplace")])


def _entry(markup: Markup) -> dict[str, Any]:
    match markup:
        case MarkupPlane():
            return _plane(markup)
        case MarkupLine():
            return _common("Line", markup.name, markup.points_mm, ("start", "end"))
        case MarkupCurve():
            labels = tuple(f"{n}" for n in range(1, len(markup.points_mm) + 1))
            kind = "ClosedCurve" if markup.closed else "Curve"
            own = {} if markup.kind is CurveKind.SPLINE else {"curveType": markup.kind.value}
            return _common(kind, markup.name, markup.points_mm, labels) | own
        case MarkupPoints():
            return _common("Fiducial", markup.name, markup.points_mm, markup.labels)
        case MarkupSurface():
            rows, columns = markup.control_mm.shape[:2]
            labels = tuple(f"{r}-{c}" for r in range(1, rows + 1) for c in range(1, columns + 1))
            points = markup.control_mm.reshape(-1, 3)
            return _common("Fiducial", markup.name, points, labels) | {"rows": rows, "columns": columns}


def _common(kind: str, name: str, points: Floats, labels: Sequence[str]) -> dict[str, Any]:
    return {
        "type": kind,
        "name": name,
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": False,
        "fixedNumberOfControlPoints": False,
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": len(points),
        "controlPoints": [
            {
                "id": str(number),
                "label": label,
                "description": "",
                "associatedNodeID": "",
                "position": point.tolist(),
                "orientation": [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0],
                "selected": True,
                "locked": False,
                "visibility": True,
                "positionStatus": "defined",
            }
            for number, (point, label) in enumerate(zip(points, labels, strict=True), start=1)
        ],
        "measurements": [],
        "display": {"visibility": True, "opacity": 1.0, "color": [0.4, 1.0, 1.0]},
    }


def _plane(plane: MarkupPlane) -> dict[str, Any]:
    width, height = plane.size_mm or (PLANE_SIDE_MM, PLANE_SIDE_MM)
    frame = np.eye(4)
    # Any axis across the normal will do; the one that differs most from it is the best conditioned.
    x = np.cross(np.eye(3)[np.argmin(np.abs(plane.normal))], plane.normal)
    frame[:3, 0] = x / np.linalg.norm(x)
    frame[:3, 1] = np.cross(plane.normal, frame[:3, 0])
    frame[:3, 2] = plane.normal
    frame[:3, 3] = plane.point_mm
    return _common("Plane", plane.name, plane.point_mm[None], ("",)) | {
        "planeType": "pointNormal",
        "sizeMode": "absolute",
        "autoScalingSizeFactor": 1.0,
        "center": plane.point_mm.tolist(),
        "normal": plane.normal.tolist(),
        # In LPS files 3D Slicer changes the sign of the first two rows of both matrices.
        "objectToBase": _LPS_FROM_RAS.ravel().tolist(),
        "baseToNode": frame.ravel().tolist(),
        "orientation": frame[:3, :3].ravel().tolist(),
        "size": [width, height, 0.0],
        "planeBounds": [-width / 2, width / 2, -height / 2, height / 2],
    }
