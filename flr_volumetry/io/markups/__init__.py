"""Planes, curves and points drawn in 3D Slicer."""

from flr_volumetry.io.markups.files import read_markups
from flr_volumetry.io.markups.plans import plan_markups
from flr_volumetry.io.markups.values import (
    CurveKind,
    Markup,
    MarkupCurve,
    MarkupLine,
    MarkupPlane,
    MarkupPoints,
    MarkupSurface,
)
from flr_volumetry.io.markups.writing import write_markups

__all__ = [
    "CurveKind",
    "Markup",
    "MarkupCurve",
    "MarkupLine",
    "MarkupPlane",
    "MarkupPoints",
    "MarkupSurface",
    "plan_markups",
    "read_markups",
    "write_markups",
]
