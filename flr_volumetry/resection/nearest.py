"""How far points are from a surface, on which side, and where ways cross it."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import PlanError
from flr_volumetry.images import read_only
from flr_volumetry.resection import topology
from flr_volumetry.resection.sheet import Sheet, bare

if TYPE_CHECKING:
    from flr_volumetry.resection.surfaces import Surface

Points = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PIECE_MM = 6.0
"""Triangles with longer edges are looked for in pieces."""
MOST_PIECES = 200_000
FEW_TRIANGLES = 16
"""So few are all compared with every point."""
FIRST_LOOK = 6
"""How many of the nearest pieces a point is first compared with."""
ON_SURFACE_MM = 1e-6
A_FEW = 64
"""For so many points or fewer it pays to look at the surface near them only."""
NO_SIDE = 1e-3
"""A point that lies this close to the surface carried on beyond its border, for its distance, has no side."""


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """Triangles in pieces with short edges, to be found by their middles.

    Parameters
    ----------
    corners_mm : (m, 3, 3) float64 ndarray
        Of the triangles.

    Attributes
    ----------
    triangle : (k,) int64 ndarray, read-only
        Of which triangle each piece is.
    radius_mm : float
        No point of a piece is further from its middle.
    tree : cKDTree
        Of the middles.
    """

    corners_mm: InitVar[Points]
    triangle: Ints = field(init=False, repr=False)
    radius_mm: float = field(init=False)
    tree: Any = field(init=False, repr=False)

    def __post_init__(self, corners_mm: Points) -> None:
        from scipy.spatial import cKDTree

        corners, triangle = _cut_up(corners_mm)
        middles = corners.mean(axis=1)
        radius = float(np.linalg.norm(corners - middles[:, None], axis=2).max())
        object.__setattr__(self, "triangle", read_only(triangle))
        object.__setattr__(self, "radius_mm", radius)
        object.__setattr__(self, "tree", cKDTree(middles))


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """A surface made ready for questions of distance.

    Parameters
    ----------
    sheet : Sheet
        The surface.

    Notes
    -----
    Distances are exact to rounding. The side of a point is that of the face, edge or corner of the
    surface nearest to it, edges and corners by the mean of their faces weighted by angle (Baerentzen and
    Aanaes, IEEE TVCG 2005;11:243). Beyond the border of an open surface the side is that of the surface
    carried on.
    """

    sheet: Sheet
    _pieces: Pieces | None = field(init=False, repr=False)
    _normals: tuple[Points, Points, Points] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        corners = self.sheet.vertices_mm[self.sheet.triangles]
        object.__setattr__(self, "_pieces", Pieces(corners) if len(corners) > FEW_TRIANGLES else None)
        object.__setattr__(self, "_normals", _normals(self.sheet))

    def feet_mm(self, points_mm: npt.ArrayLike) -> tuple[Points, Points]:
        """Return how far points are from the surface, and where it is nearest.

        Parameters
        ----------
        points_mm : (n, 3) array_like
            LPS mm.

        Returns
        -------
        (n,) float64 ndarray
            Distances, mm.
        (n, 3) float64 ndarray
            The nearest points of the surface, LPS mm.
        """
        distance, foot, _, _ = self._closest(np.asarray(points_mm, dtype=np.float64))
        return distance, foot

    def depth_mm(self, points_mm: Points) -> tuple[Points, Points]:
        """Return how far points lie beyond the surface, and the way there.

        Parameters
        ----------
        points_mm : (n, 3) float64 ndarray
            LPS mm.

        Returns
        -------
        (n,) float64 ndarray
            Distances, mm; negative on the side that stays.
        (n, 3) float64 ndarray
            Unit vectors from what stays to what goes, through the nearest point of the surface.
        """
        points = np.asarray(points_mm, dtype=np.float64)
        distance, foot, triangle, feature = self._closest(points)
        across = self._across(triangle, feature)
        way = points - foot
        side = np.where(np.einsum("ij,ij->i", way, across) >= 0, 1.0, -1.0)
        far = distance > ON_SURFACE_MM
        outward = np.where(far[:, None], way * (side / np.where(far, distance, 1))[:, None], across)
        facing = self.sheet.facing
        return distance * side * facing, outward * facing

    def reaches(self, points_mm: Points, within_mm: float) -> npt.NDArray[np.bool_]:
        """Tell which points the surface may come near to, at little cost.

        Parameters
        ----------
        points_mm : (n, 3) float64 ndarray
            LPS mm.
        within_mm : float
            How near.

        Returns
        -------
        (n,) bool ndarray
            False only for points that are further from it.
        """
        if self._pieces is None:
            return np.ones(len(points_mm), dtype=bool)
        bound = within_mm + self._pieces.radius_mm
        far = self._pieces.tree.query(points_mm, distance_upper_bound=bound)[0]
        return np.asarray(np.isfinite(far))

    def side(self, point_mm: Points) -> tuple[float, float]:
        """Return how far a point lies beyond the surface, mm, and the cosine of the way to it.

        Parameters
        ----------
        point_mm : (3,) float64 ndarray
            LPS mm.

        Returns
        -------
        depth_mm : float
            Negative on the side that stays.
        cosine : float
            1 for a way straight away from the surface, 0 for one in line with it beyond its border.
        """
        distance, foot, triangle, feature = self._closest(point_mm[None])
        way = float(((point_mm - foot[0]) * self._across(triangle, feature)[0]).sum())
        cosine = abs(way) / distance[0] if distance[0] > 0 else 0.0
        return float(np.copysign(distance[0], way * self.sheet.facing)), float(cosine)

    def _across(self, triangle: Ints, feature: Ints) -> Points:
        """Return normals of faces (0), edges (1 to 3) and corners (4 to 6)."""
        faces, edges, corners = self._normals
        found = faces[triangle]
        for n in range(3):
            here = feature == 1 + n
            found[here] = edges[triangle[here] * 3 + n]
            here = feature == 4 + n
            found[here] = corners[self.sheet.triangles[triangle[here], n]]
        return found

    def _closest(self, points: Points) -> tuple[Points, Points, Ints, Ints]:
        """Distance, foot, triangle and its part, 0 the face, 1 to 3 an edge, 4 to 6 a corner."""
        distance, foot = np.full(len(points), np.inf), np.zeros((len(points), 3))
        triangle, feature = np.zeros((2, len(points)), dtype=np.int64)
        left = np.arange(len(points))
        if self._pieces is None:
            count = len(self.sheet.triangles)
            return self._best(points, np.broadcast_to(np.arange(count), (len(points), count)))
        look = min(FIRST_LOOK, self._pieces.tree.n)
        while len(left):
            far, piece = self._pieces.tree.query(points[left], look)
            of = self._pieces.triangle[piece.reshape(len(left), look)]
            found = self._best(points[left], of)
            distance[left], foot[left], triangle[left], feature[left] = found
            farthest = far.reshape(len(left), look)[:, -1]
            if look == self._pieces.tree.n:
                break
            left = left[farthest - self._pieces.radius_mm <= distance[left]]
            look = min(4 * look, self._pieces.tree.n)
        return distance, foot, triangle, feature

    def _best(self, points: Points, triangles: Ints) -> tuple[Points, Points, Ints, Ints]:
        """Compare each point with triangles of its own."""
        count, look = triangles.shape
        corners = self.sheet.vertices_mm[self.sheet.triangles[triangles.ravel()]]
        feet, part = _feet(np.repeat(points, look, axis=0), corners)
        feet, part = feet.reshape(count, look, 3), part.reshape(count, look)
        gaps = np.linalg.norm(feet - points[:, None], axis=2)
        row, best = np.arange(count), gaps.argmin(axis=1)
        return gaps[row, best], feet[row, best], triangles[row, best], part[row, best]


def near_part(sheet: Sheet, points_mm: Points) -> Sheet:
    """Keep the part of a surface that decides how far a few points are from it, and on which side.

    Parameters
    ----------
    sheet : Sheet
        The surface, all of whose vertices have triangles.
    points_mm : (n, 3) float64 ndarray
        LPS mm.

    Returns
    -------
    Sheet
        With some of the triangles and their vertices; all of it for many points.
    """
    if len(points_mm) > A_FEW:
        return sheet
    one, two, three = np.ascontiguousarray(sheet.triangles.T)
    columns = [np.ascontiguousarray(column) for column in sheet.vertices_mm.T]
    beside = np.zeros(len(sheet.vertices_mm), dtype=bool)
    for point in points_mm:
        away = [column - at for column, at in zip(columns, point, strict=True)]
        near = np.sqrt(sum(x * x for x in away).min())
        # The nearest triangle comes at least as near, so that it is not all to one side of that cube.
        sides = np.zeros(len(beside), dtype=np.uint8)
        for axis, x in enumerate(away):
            sides |= (x < -near).view(np.uint8) << (2 * axis)
            sides |= (x > near).view(np.uint8) << (2 * axis + 1)
        some = sheet.triangles[(sides.take(one) & sides.take(two) & sides.take(three)) == 0]
        feet, _ = _feet(np.broadcast_to(point, (len(some), 3)), sheet.vertices_mm[some])
        # Its neighbours decide the side.
        beside[some[np.argmin(((feet - point) ** 2).sum(axis=1))]] = True
    kept = sheet.triangles[beside[one] | beside[two] | beside[three]]
    used, number = np.unique(kept, return_inverse=True)
    return Sheet(sheet.vertices_mm[used], number.reshape(kept.shape).astype(np.int32), sheet.facing)


def side_of(surface: Surface, point_mm: npt.ArrayLike) -> int:
    """Find on which side of a surface a point lies.

    Parameters
    ----------
    surface : Surface
        Of any kind.
    point_mm : (3,) array_like
        LPS mm.

    Returns
    -------
    int
        1 on the side that goes, -1 on the one that stays.

    Raises
    ------
    PlanError
        If it lies on the surface, or beyond its border in line with it.
    """
    point = np.asarray(point_mm, dtype=np.float64)
    if point.shape != (3,) or not np.isfinite(point).all():
        raise PlanError(f"towards_mm must be three finite numbers, got {point_mm!r}")
    depth, lean = Nearest(bare(surface)).side(point)
    if abs(depth) < NO_SIDE or lean < NO_SIDE:
        x, y, z = point
        raise PlanError(
            f"({x:.1f}, {y:.1f}, {z:.1f}) mm lies in the surface itself, or in line with its border; "
            "give a point clearly on the side that goes",
            reason="no_side",
        )
    return 1 if depth > 0 else -1


def _cut_up(corners: Points) -> tuple[Points, Ints]:
    """Cut triangles in four until their edges are short; and of which triangle each piece is."""
    of = np.arange(len(corners))
    extent = float(np.ptp(corners.reshape(-1, 3), axis=0).max())
    limit = max(PIECE_MM, extent / 64)
    done: list[Points] = []
    kept: list[Ints] = []
    while len(corners) and sum(len(some) for some in done) + len(corners) < MOST_PIECES:
        long = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2).max(axis=1) > limit
        done.append(corners[~long])
        kept.append(of[~long])
        corners, of = corners[long], np.repeat(of[long], 4)
        a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
        d, e, f = (a + b) / 2, (b + c) / 2, (c + a) / 2
        corners = np.stack([a, d, f, d, b, e, f, e, c, d, e, f], axis=1).reshape(-1, 3, 3)
    return np.concatenate([*done, corners]), np.concatenate([*kept, of])


def _normals(sheet: Sheet) -> tuple[Points, Points, Points]:
    """Return unit normals of the faces, of the three edges of each, and of the vertices."""
    faces = _unit(topology.normals(sheet.vertices_mm, sheet.triangles))
    found = topology.seams(sheet.triangles)
    edge = np.repeat(np.arange(len(found.first)), found.uses())
    sums = np.zeros((len(found.first), 3))
    np.add.at(sums, edge, faces[found.triangle])
    edges = np.empty((3 * len(faces), 3))
    edges[found.order] = _unit(sums)[edge]
    return faces, edges, topology.corner_normals(sheet.vertices_mm, sheet.triangles)


def _unit(vectors: Points) -> Points:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1))


def _feet(points: Points, corners: Points) -> tuple[Points, Ints]:
    """Nearest point of one triangle to each point, and on which part of it: face, edge or corner.

    The nearest of the foot in the plane, if it lies in the triangle, and of the feet on the edges.
    """
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    u, v, w = b - a, c - a, points - a
    uu, uv, vv = (np.einsum("ij,ij->i", x, y) for x, y in ((u, u), (u, v), (v, v)))
    wu, wv = np.einsum("ij,ij->i", w, u), np.einsum("ij,ij->i", w, v)
    area = uu * vv - uv * uv
    flat = area > 0
    s = np.where(flat, (vv * wu - uv * wv) / np.where(flat, area, 1), -1)
    t = np.where(flat, (uu * wv - uv * wu) / np.where(flat, area, 1), -1)
    inside = (s > 0) & (t > 0) & (s + t < 1)
    feet = a + s[:, None] * u + t[:, None] * v
    part = np.zeros(len(points), dtype=np.int64)
    outside = np.flatnonzero(~inside)
    best = np.full(len(outside), np.inf)
    for n in range(3):
        start = corners[outside, n]
        way = corners[outside, (n + 1) % 3] - start
        length = np.einsum("ij,ij->i", way, way)
        share = np.einsum("ij,ij->i", points[outside] - start, way) / np.where(length > 0, length, 1)
        share = np.clip(share, 0, 1)
        foot = start + share[:, None] * way
        gap = np.einsum("ij,ij->i", points[outside] - foot, points[outside] - foot)
        nearer = gap < best
        best[nearer] = gap[nearer]
        feet[outside[nearer]] = foot[nearer]
        kind = np.where(share == 0, 4 + n, np.where(share == 1, 4 + (n + 1) % 3, 1 + n))
        part[outside[nearer]] = kind[nearer]
    return feet, part
