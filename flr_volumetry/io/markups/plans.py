"""The cuts of a plan as markups, so that a plan computed here opens in 3D Slicer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flr_volumetry.io.markups.values import CurveKind, Markup, MarkupCurve, MarkupPlane, MarkupSurface
from flr_volumetry.resection import PlaneResection, SurfaceResection
from flr_volumetry.resection.surfaces import BezierSurface, ClosedCurve

if TYPE_CHECKING:
    from flr_volumetry.resection import Resection, ResectionPlan


def plan_markups(plan: ResectionPlan) -> tuple[Markup, ...]:
    """Return every plane, closed curve and patch of a plan as markups.

    Parameters
    ----------
    plan : ResectionPlan
        Any. What is not drawn (segments, wedges, territories), meshes, which are files already, and
        patches with weights, which no markup can hold, are left out.

    Returns
    -------
    tuple of Markup
        Named by stage and resection, in the plan's order; the normal of a plane points to what goes. May
        be empty.
    """
    return tuple(
        markup
        for number, stage in enumerate(plan.stages, start=1)
        for resection in stage.resections
        for markup in _markups(resection, f"stage {number}, {resection.title}")
    )


def _markups(resection: Resection, name: str) -> list[Markup]:
    match resection:
        case PlaneResection():
            many = len(resection.planes)
            return [
                MarkupPlane(f"{name}, plane {k}" if many > 1 else name, plane.point_mm, plane.normal)
                for k, plane in enumerate(resection.planes, start=1)
            ]
        case SurfaceResection(surface=ClosedCurve() as curve):
            return [MarkupCurve(name, curve.points_mm, closed=True, kind=CurveKind.SPLINE)]
        case SurfaceResection(surface=BezierSurface(weights=None) as patch):
            return [MarkupSurface(name, patch.control_mm)]
    return []
