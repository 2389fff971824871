"""Surfaces that cut a liver, as values: triangles, a patch of control points, a closed curve."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import PlanError
from flr_volumetry.images import MM3_PER_ML, read_only
from flr_volumetry.resection import topology

CHORD_MM = 0.02
"""How far the triangles that stand for a patch may lie from it."""
LEAST_POINTS = 4
"""A bicubic patch has at least so many control points along either edge."""
LEAST_CURVE_POINTS = 4
"""Three points give a plane; a curve takes one more."""
FARTHEST_MM = 1e6
"""Coordinates beyond this are no millimetres of a patient."""


@dataclass(frozen=True, slots=True, eq=False)
class TriangleSurface:
    """A surface of triangles; what lies in front of it goes.

    Parameters
    ----------
    vertices_mm : (n, 3) float64 array_like
        Corners, LPS mm.
    triangles : (m, 3) array_like of int
        Three vertices each, counter-clockwise as seen from the side that goes. Of a closed surface
        whose triangles face outwards what it encloses goes, and if they face inwards, all else.

    Raises
    ------
    PlanError
        If the arrays are not of those shapes, a number is not finite, or a triangle names a vertex
        that is not there.
    """

    vertices_mm: npt.NDArray[np.float64] = field(repr=False)
    triangles: npt.NDArray[np.int32] = field(repr=False)

    def __post_init__(self) -> None:
        vertices = _points(self.vertices_mm, "a surface's vertices", dimensions=2)
        triangles = np.array(self.triangles)
        if triangles.ndim != 2 or triangles.shape[1] != 3 or triangles.dtype.kind not in "iu":
            raise PlanError(f"a surface's triangles must be (m, 3) whole numbers, got {triangles.shape}")
        if not len(triangles):
            raise PlanError("a surface has no triangle", reason="empty_surface")
        if triangles.min() < 0 or triangles.max() >= len(vertices):
            raise PlanError(
                f"a surface has {len(vertices)} vertices, and a triangle names number "
                f"{int(triangles.max()) if triangles.min() >= 0 else int(triangles.min())}"
            )
        object.__setattr__(self, "vertices_mm", read_only(vertices))
        object.__setattr__(self, "triangles", read_only(triangles.astype(np.int32)))

    @property
    def is_closed(self) -> bool:
        """Whether it has no border; vertices at one place count as one."""
        return not len(self.border_mm)

    @property
    def border_mm(self) -> npt.NDArray[np.float64]:
        """Edges that only one triangle has, (b, 2, 3), LPS mm; vertices at one place count as one."""
        vertices, triangles = topology.tidy(self.vertices_mm, self.triangles)
        if not len(triangles):
            return np.zeros((0, 2, 3))
        return np.asarray(vertices[topology.border_of(triangles)])

    @property
    def area_mm2(self) -> float:
        """Area, mm2."""
        return float(topology.area_mm2(self.vertices_mm, self.triangles).sum())

    @property
    def enclosed_ml(self) -> float:
        """What a closed surface encloses, mL; negative if its triangles face inwards.

        Raises
        ------
        PlanError
            If it is open.
        """
        border = self.border_mm
        if len(border):
            x, y, z = border[0].mean(axis=0)
            raise PlanError(
                f"the surface is open and encloses no volume: {len(border)} edges have one triangle only, "
                f"one of them near ({x:.1f}, {y:.1f}, {z:.1f}) mm; close the mesh where it was drawn",
                reason="open_surface",
            )
        return topology.enclosed_mm3(self.vertices_mm, self.triangles) / MM3_PER_ML

    def flipped(self) -> TriangleSurface:
        """Return the same triangles facing the other way, so that the other side goes."""
        return TriangleSurface(self.vertices_mm, self.triangles[:, ::-1])

    def tidied(self) -> TriangleSurface:
        """Return it with vertices at the same place merged, without triangles that have no area.

        Returns
        -------
        TriangleSurface
            The same surface.

        Raises
        ------
        PlanError
            If no triangle has an area.
        """
        vertices, triangles = topology.tidy(self.vertices_mm, self.triangles)
        if not topology.has_area(vertices, triangles):
            raise PlanError(
                f"a surface has no area: all corners of its {len(self.triangles)} triangles lie on lines or "
                "points; draw it again",
                reason="zero_area",
            )
        return TriangleSurface(vertices, triangles)

    def consistent(self) -> TriangleSurface:
        """Return it, tidied, with all triangles of a sheet facing the way most of them do.

        Returns
        -------
        TriangleSurface
            The same surface.

        Raises
        ------
        PlanError
            If it branches, has only one side, or has no area.
        """
        tidied = self.tidied()
        return TriangleSurface(tidied.vertices_mm, topology.consistent(tidied.vertices_mm, tidied.triangles))

    def towards(self, point_mm: npt.ArrayLike) -> TriangleSurface:
        """Return it turned so that a point lies on the side that goes.

        Parameters
        ----------
        point_mm : (3,) array_like
            LPS mm.

        Returns
        -------
        TriangleSurface
            Consistent and tidied; it or its like facing the other way.

        Raises
        ------
        PlanError
            If the point lies on the surface, or the surface has no two sides.
        """
        from flr_volumetry.resection.nearest import side_of

        facing = self.consistent()
        return facing if side_of(facing, point_mm) > 0 else facing.flipped()


@dataclass(frozen=True, slots=True, eq=False)
class BezierSurface:
    """A bicubic patch laid by control points; what lies in front of it goes.

    Parameters
    ----------
    control_mm : (n, m, 3) array_like
        Control points, LPS mm, at least 4 along either edge. With 4 x 4 it is one Bezier patch; more
        are those of a clamped uniform bicubic B-spline. The four corners lie on the surface, the others
        draw it towards them. The side that goes is the one that steps along the first axis, then along
        the second, turn about counter-clockwise (the side of the cross product of the two).
    weights : (n, m) array_like or None
        Of a rational patch (NURBS), above 0; None for all alike.

    Raises
    ------
    PlanError
        If there are fewer points, a number is not finite, or a weight is not above 0.
    """

    control_mm: npt.NDArray[np.float64] = field(repr=False)
    weights: npt.NDArray[np.float64] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        control = _points(self.control_mm, "a patch's control points", dimensions=3)
        if min(control.shape[:2]) < LEAST_POINTS:
            raise PlanError(
                f"a patch needs at least {LEAST_POINTS} x {LEAST_POINTS} control points, "
                f"got {control.shape[0]} x {control.shape[1]}",
                reason="too_few_points",
            )
        object.__setattr__(self, "control_mm", read_only(control))
        if self.weights is not None:
            weights = np.array(self.weights, dtype=np.float64)
            if weights.shape != control.shape[:2] or not np.isfinite(weights).all() or weights.min() <= 0:
                raise PlanError(
                    f"a patch of {control.shape[0]} x {control.shape[1]} control points needs as many "
                    f"weights above 0, got {weights.shape}",
                    reason="bad_weights",
                )
            object.__setattr__(self, "weights", read_only(weights))

    def mesh(self, *, chord_mm: float = CHORD_MM) -> TriangleSurface:
        """Return triangles that stand for the patch.

        Parameters
        ----------
        chord_mm : float
            No point of a triangle is further from the patch.

        Returns
        -------
        TriangleSurface
            Facing the same way.

        Raises
        ------
        PlanError
            If the patch has no area, or is so bent that this would take millions of triangles.
        """
        from flr_volumetry.resection.patch import tessellate

        return TriangleSurface(*tessellate(self.control_mm, self.weights, chord_mm))

    def flipped(self) -> BezierSurface:
        """Return the same patch facing the other way, so that the other side goes."""
        weights = None if self.weights is None else self.weights.T
        return BezierSurface(self.control_mm.transpose(1, 0, 2), weights)

    def towards(self, point_mm: npt.ArrayLike) -> BezierSurface:
        """Return it turned so that a point lies on the side that goes.

        Parameters
        ----------
        point_mm : (3,) array_like
            LPS mm.

        Returns
        -------
        BezierSurface
            It or its like facing the other way.

        Raises
        ------
        PlanError
            If the point lies on the patch.
        """
        from flr_volumetry.resection.nearest import side_of

        return self if side_of(self, point_mm) > 0 else self.flipped()


@dataclass(frozen=True, slots=True, eq=False)
class ClosedCurve:
    """A closed curve drawn on the liver's surface; the cut is the smooth sheet that spans it.

    Parameters
    ----------
    points_mm : (n, 3) array_like
        At least 4 points in order, LPS mm, joined by a smooth curve through all of them and from the
        last to the first; counter-clockwise as seen from the side that goes.

    Raises
    ------
    PlanError
        If there are fewer points, or a number is not finite.
    """

    points_mm: npt.NDArray[np.float64] = field(repr=False)

    def __post_init__(self) -> None:
        points = _points(self.points_mm, "a curve's points", dimensions=2)
        if len(points) > 1 and np.array_equal(points[0], points[-1]):
            points = points[:-1]
        distinct = len(np.unique(points, axis=0))
        if distinct < LEAST_CURVE_POINTS:
            raise PlanError(
                f"a closed curve needs at least {LEAST_CURVE_POINTS} points, got {distinct}; "
                "three points give a plane (Plane.through)",
                reason="too_few_points",
            )
        object.__setattr__(self, "points_mm", read_only(points))

    def flipped(self) -> ClosedCurve:
        """Return the same curve the other way round, so that the other side goes."""
        return ClosedCurve(self.points_mm[::-1])

    def mesh(self, *, beyond_mm: float = 0.0) -> TriangleSurface:
        """Return triangles of the sheet that spans the curve.

        Parameters
        ----------
        beyond_mm : float
            How far the sheet goes on outside the curve.

        Returns
        -------
        TriangleSurface
            Facing the side that goes.

        Raises
        ------
        PlanError
            If the curve crosses itself, or is so bent that from no side it can be seen as a whole.
        """
        from flr_volumetry.resection.curve import spanning_sheet

        return spanning_sheet(self.points_mm, beyond_mm)

    def towards(self, point_mm: npt.ArrayLike) -> ClosedCurve:
        """Return it in the direction that lets the side of a point go.

        Parameters
        ----------
        point_mm : (3,) array_like
            LPS mm.

        Returns
        -------
        ClosedCurve
            It or its like the other way round.

        Raises
        ------
        PlanError
            If the point lies on the sheet.
        """
        from flr_volumetry.resection.nearest import side_of

        return self if side_of(self, point_mm) > 0 else self.flipped()


Surface = TriangleSurface | BezierSurface | ClosedCurve
"""What a liver can be cut along."""


def _points(values: npt.ArrayLike, what: str, *, dimensions: int) -> npt.NDArray[np.float64]:
    points = np.array(values, dtype=np.float64)
    shape = "(n, 3)" if dimensions == 2 else "(n, m, 3)"
    if points.ndim != dimensions or points.shape[-1] != 3 or not np.isfinite(points).all():
        raise PlanError(f"{what} must be {shape} finite numbers, got {points.shape}")
    if points.size and np.abs(points).max() > FARTHEST_MM:
        raise PlanError(f"{what} must be millimetres of a patient, got {np.abs(points).max():g}")
    return points
