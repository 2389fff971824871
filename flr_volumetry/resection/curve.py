"""The smooth sheet that spans a closed curve."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import PlanError
from flr_volumetry.images import read_only
from flr_volumetry.resection.surfaces import TriangleSurface

Points = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

STEP_MM = 2.0
"""Distance between points of a curve and of its sheet, as far as `FEWEST` and `MOST` allow."""
FEWEST, MOST = 128, 512
"""Points that a curve is followed by."""
CLEAR_STEPS = 0.6
"""Points of the sheet keep this far from the curve, in its steps."""
LONGEST_STEPS = 3.0
"""Triangles with longer edges bridge a gap that is none of the sheet."""
CROSSES_MM = 5.0
"""A curve that comes as close to itself where it seems to cross, crosses itself."""
NO_AREA = 1e-6
"""Share of the square of its length below which a curve encloses no area; of a circle it is 0.08."""
TINY = 1e-300
VIEWS = 400
WIDEST_VIEW = 0.5
"""A curve is looked at from within 60 degrees (this is the cosine) of where it encloses most."""


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """A closed curve, and the side from which it is seen as a whole.

    Parameters
    ----------
    points_mm : (n, 3) float64 ndarray, read-only
        Close together, in order, LPS mm.
    axes : (3, 3) float64 ndarray, read-only
        Unit vectors: two across the view, and the one towards the eye, which sees the curve run
        counter-clockwise.
    step_mm : float
        Mean distance between neighbours.
    """

    points_mm: Points = field(repr=False)
    axes: Points = field(repr=False)
    step_mm: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "points_mm", read_only(self.points_mm))
        object.__setattr__(self, "axes", read_only(self.axes))

    @property
    def seen_mm(self) -> Points:
        """The curve as it is seen, (n, 2)."""
        return np.asarray((self.points_mm - self.points_mm.mean(axis=0)) @ self.axes[:2].T)

    @property
    def outward(self) -> Points:
        """Unit vectors out of the curve, at right angles to it as it is seen, LPS, (n, 3)."""
        seen = self.seen_mm
        along = np.roll(seen, -1, axis=0) - np.roll(seen, 1, axis=0)
        out = np.stack([along[:, 1], -along[:, 0]], axis=1)
        length = np.linalg.norm(out, axis=1, keepdims=True)
        return np.asarray(out / np.where(length > 0, length, 1) @ self.axes[:2])


def outline(points_mm: Points) -> Outline:
    """Follow a smooth curve through points, and find the side from which it is seen as a whole.

    Parameters
    ----------
    points_mm : (n, 3) float64 ndarray
        At least 4, LPS mm.

    Returns
    -------
    Outline
        Seen from where it encloses the largest area, if it does not seem to cross itself there.

    Raises
    ------
    PlanError
        If the curve encloses no area, crosses itself, or is seen as a whole from no side near that.
    """
    followed = _followed(points_mm)
    middle = followed - followed.mean(axis=0)
    area = np.cross(middle, np.roll(middle, -1, axis=0)).sum(axis=0) / 2
    length = float(np.linalg.norm(np.roll(followed, -1, axis=0) - followed, axis=1).sum())
    size = float(np.linalg.norm(area))
    for view in (_flattest(middle), area / max(size, TINY)):
        where = _apparent_crossing(followed, view) if view.any() else None
        if where is not None and where[1] <= CROSSES_MM:
            x, y, z = where[0]
            raise PlanError(
                f"the curve crosses itself near ({x:.1f}, {y:.1f}, {z:.1f}) mm, where two strands of it pass "
                f"{where[1]:.1f} mm from each other; give its points in order around the liver, each once",
                reason="self_crossing_curve",
            )
    if size <= NO_AREA * length**2:
        raise PlanError(
            f"the curve, {length:.0f} mm long, encloses no area; give its points in order around the liver",
            reason="zero_area",
        )
    if where is not None:
        view = _clear_view(followed, view, where[0])
    aside = np.cross(view, np.eye(3)[int(np.argmin(np.abs(view)))])
    aside /= np.linalg.norm(aside)
    return Outline(followed, np.stack([aside, np.cross(view, aside), view]), length / len(followed))


def _followed(points: Points) -> Points:
    """Evenly spaced points of the closed cubic spline through points, by the roots of their distances."""
    from scipy.interpolate import CubicSpline

    points = points[np.any(points != np.roll(points, 1, axis=0), axis=1)]
    closed = np.concatenate([points, points[:1]])
    knots = np.concatenate([[0], np.cumsum(np.sqrt(np.linalg.norm(np.diff(closed, axis=0), axis=1)))])
    spline = CubicSpline(knots, closed, bc_type="periodic")
    fine = np.linspace(0, knots[-1], 16 * MOST + 1)
    passed = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(spline(fine), axis=0), axis=1))])
    count = int(np.clip(np.ceil(passed[-1] / STEP_MM), FEWEST, MOST))
    return np.asarray(spline(np.interp(np.arange(count) * passed[-1] / count, passed, fine)))


def _flattest(middle: Points) -> Points:
    return np.asarray(np.linalg.svd(middle, full_matrices=False)[2][2])


def _apparent_crossing(points: Points, view: Points) -> tuple[Points, float] | None:
    """Where strands of a curve seem to cross, and how far they are apart there: the closest of them."""
    aside = np.cross(view, np.eye(3)[int(np.argmin(np.abs(view)))])
    aside /= np.linalg.norm(aside)
    seen = points @ np.stack([aside, np.cross(view, aside)]).T
    start, way = seen, np.roll(seen, -1, axis=0) - seen
    count = len(points)
    first, second = np.triu_indices(count, 2)
    apart = (first != 0) | (second != count - 1)
    first, second = first[apart], second[apart]
    gap = start[second] - start[first]
    turn = way[first, 0] * way[second, 1] - way[first, 1] * way[second, 0]
    some = turn != 0
    turn = np.where(some, turn, 1)
    s = (gap[:, 0] * way[second, 1] - gap[:, 1] * way[second, 0]) / turn
    t = (gap[:, 0] * way[first, 1] - gap[:, 1] * way[first, 0]) / turn
    (hits,) = np.nonzero(some & (s >= 0) & (s < 1) & (t >= 0) & (t < 1))
    if not len(hits):
        return None
    after = np.roll(points, -1, axis=0)
    one = points[first[hits]] + s[hits, None] * (after - points)[first[hits]]
    other = points[second[hits]] + t[hits, None] * (after - points)[second[hits]]
    distance = np.linalg.norm(one - other, axis=1)
    closest = int(np.argmin(distance))
    return (one[closest] + other[closest]) / 2, float(distance[closest])


def _clear_view(points: Points, view: Points, where: Points) -> Points:
    """Nearest direction to a view from which a curve does not seem to cross itself."""
    nth = np.arange(VIEWS) + 0.5
    height = 1 - 2 * nth / VIEWS
    turn = np.pi * (1 + 5**0.5) * nth
    flat = np.sqrt(1 - height**2)
    directions = np.stack([flat * np.cos(turn), flat * np.sin(turn), height], axis=1)
    cosine = directions @ view
    for n in np.argsort(-cosine, kind="stable")[: int((cosine > WIDEST_VIEW).sum())]:
        if _apparent_crossing(points, directions[n]) is None:
            return np.asarray(directions[n])
    x, y, z = where
    raise PlanError(
        f"the curve winds so much that from no side it is seen as a whole; it overlaps itself near "
        f"({x:.1f}, {y:.1f}, {z:.1f}) mm; give the cut as a surface (control points or a mesh)",
        reason="too_bent",
    )


def spanning_sheet(points_mm: Points, beyond_mm: float) -> TriangleSurface:
    """Lay a smooth sheet through a closed curve.

    Parameters
    ----------
    points_mm : (n, 3) float64 ndarray
        At least 4 points of the curve, LPS mm.
    beyond_mm : float
        How far the sheet goes on outside the curve.

    Returns
    -------
    TriangleSurface
        Counter-clockwise as the curve.

    Raises
    ------
    PlanError
        As for `outline`.
    """
    curve = outline(points_mm)
    return sheet_within(curve, np.full(len(curve.points_mm), beyond_mm))


def sheet_within(curve: Outline, beyond_mm: Points) -> TriangleSurface:
    """Lay a smooth sheet through a closed curve, and on beyond it.

    Parameters
    ----------
    curve : Outline
        The curve.
    beyond_mm : (n,) float64 ndarray
        How far the sheet goes on outside, at each of its points, as the curve is seen.

    Returns
    -------
    TriangleSurface
        Facing the eye.

    Notes
    -----
    The height of the sheet over the plane across the view is harmonic, inside the curve and outside, and
    on the curve that of the curve; at the outer border it is level. It is found by linear finite
    elements. A flat curve gives a flat sheet, exactly.
    """
    from scipy.spatial import Delaunay

    seen = curve.seen_mm
    height = (curve.points_mm - curve.points_mm.mean(axis=0)) @ curve.axes[2]
    nodes, outside = _nodes(seen, beyond_mm, curve.step_mm)
    places = np.concatenate([seen, nodes])
    triangles = Delaunay(places).simplices.astype(np.int64)
    corners = places[triangles]
    u, v = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    clockwise = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0] < 0
    triangles[clockwise] = triangles[clockwise][:, ::-1]
    kind = np.concatenate([np.zeros(len(seen), dtype=np.int64), np.where(outside, 1, 2)])[triangles]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    short = longest <= LONGEST_STEPS * curve.step_mm
    on_curve = (kind == 0).all(axis=1)
    within = np.zeros(len(triangles), dtype=bool)
    within[on_curve] = _enclosed(seen, corners[on_curve].mean(axis=1))
    triangles = triangles[(kind == 2).any(axis=1) | within | (short & bool(beyond_mm.any()))]
    triangles = _hanging_on(triangles, len(seen), len(places))
    heights = _harmonic(places, triangles, height)
    used, named = np.unique(triangles, return_inverse=True)
    lifted = np.column_stack([places, heights])[used] @ curve.axes + curve.points_mm.mean(axis=0)
    return TriangleSurface(lifted, named.reshape(-1, 3).astype(np.int32))


def _nodes(seen: Points, beyond: Points, step: float) -> tuple[Points, Flags]:
    """Points of a triangular lattice inside the curve and up to a distance outside; which are outside."""
    from scipy.spatial import cKDTree

    reach = float(beyond.max()) + 2 * step
    low, high = seen.min(axis=0) - reach, seen.max(axis=0) + reach
    rows = np.arange(low[1], high[1], step * np.sqrt(0.75))
    columns = np.arange(low[0], high[0] + step, step)
    shift = np.where(np.arange(len(rows)) % 2, step / 2, 0.0)
    lattice = np.stack(
        [columns[None, :] + shift[:, None], np.repeat(rows[:, None], len(columns), axis=1)], axis=-1
    ).reshape(-1, 2)
    far, nearest = cKDTree(seen).query(lattice)
    inside = _enclosed(seen, lattice)
    clear = far > CLEAR_STEPS * step
    close = (beyond[nearest] > 0) & (far <= beyond[nearest] + step)
    kept = clear & (inside | close)
    return lattice[kept], ~inside[kept]


def _enclosed(seen: Points, places: Points) -> Flags:
    """Which places a closed polygon encloses."""
    inside = np.zeros(len(places), dtype=bool)
    for (x, y), (u, v) in zip(seen, np.roll(seen, -1, axis=0), strict=True):
        if y == v:
            continue
        passes = (places[:, 1] >= min(y, v)) & (places[:, 1] < max(y, v))
        inside ^= passes & (places[:, 0] < x + (places[:, 1] - y) * (u - x) / (v - y))
    return inside


def _hanging_on(triangles: Ints, curve: int, count: int) -> Ints:
    """Those triangles that hang together with the curve."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    one, other = triangles[:, [0, 1]].T.ravel(), triangles[:, [1, 2]].T.ravel()
    graph = coo_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=(count, count))
    number = connected_components(graph, directed=False)[1]
    return triangles[np.isin(number[triangles[:, 0]], number[:curve])]


def _harmonic(places: Points, triangles: Ints, height: Points) -> Points:
    """Heights of all places, harmonic but for the first of them, which have theirs."""
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import spsolve

    count, known = len(places), len(height)
    corners = places[triangles]
    one, other, weight = [], [], []
    for n in range(3):
        a, b, c = (corners[:, (n + k) % 3] for k in range(3))
        u, v = b - a, c - a
        # The cotangent of the angle opposite the edge.
        cotangent = (u * v).sum(axis=1) / np.maximum(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0], 1e-12)
        one.append(triangles[:, (n + 1) % 3])
        other.append(triangles[:, (n + 2) % 3])
        weight.append(cotangent / 2)
    ends = np.concatenate([*one, *other]), np.concatenate([*other, *one])
    stiff = coo_array((np.concatenate([*weight, *weight]), ends), shape=(count, count)).tocsr()
    total = np.asarray(stiff.sum(axis=1)).ravel()
    free = np.unique(triangles)
    free = free[free >= known]
    heights = np.zeros(count)
    heights[:known] = height
    if len(free):
        inner = coo_array((total[free], (np.arange(len(free)),) * 2)).tocsc() - stiff[free][:, free].tocsc()
        heights[free] = spsolve(inner, stiff[free][:, :known] @ height)
    return heights
