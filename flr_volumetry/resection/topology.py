"""How the triangles of a surface hang together."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import PlanError

Points = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Triangles = npt.NDArray[np.int32]

NO_AREA = 1e-9
"""Share of the square of its extent below which a surface's area is rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Seams:
    """The edges of triangles, each in its own direction, those of one edge side by side.

    Parameters
    ----------
    ends : (3 m, 2) int64 ndarray
        The lower and the higher vertex of each.
    forward : (3 m,) int64 ndarray
        1 where its triangle runs from the lower to the higher vertex, -1 the other way.
    order : (3 m,) int64 ndarray
        Which edge it is: three times its triangle, plus the corner it starts from.
    first : (e,) int64 ndarray
        Where each edge begins in the arrays above.
    """

    ends: Ints = field(repr=False)
    forward: Ints = field(repr=False)
    order: Ints = field(repr=False)
    first: Ints = field(repr=False)

    @property
    def triangle(self) -> Ints:
        """Whose edge each is."""
        return self.order // 3

    def uses(self) -> Ints:
        """How many triangles each edge has."""
        return np.diff(np.append(self.first, len(self.ends)))

    def balance(self) -> Ints:
        """How many of them run along each edge, less those that run against it."""
        return np.asarray(np.add.reduceat(self.forward, self.first))


def seams(triangles: Triangles) -> Seams:
    """Find which triangles share an edge.

    Parameters
    ----------
    triangles : (m, 3) int32 ndarray
        Three different vertices each.

    Returns
    -------
    Seams
        In order of the vertices.
    """
    starts = triangles.astype(np.int64)
    stops = np.roll(starts, -1, axis=1)
    low, high = np.minimum(starts, stops).ravel(), np.maximum(starts, stops).ravel()
    key = low * (int(triangles.max()) + 1) + high
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return Seams(
        np.stack([low[order], high[order]], axis=1),
        np.where(starts.ravel() < stops.ravel(), 1, -1)[order],
        order,
        first,
    )


def border_of(triangles: Triangles) -> Ints:
    """Find the edges that only one triangle has.

    Parameters
    ----------
    triangles : (m, 3) int32 ndarray
        Three different vertices each.

    Returns
    -------
    (b, 2) int64 ndarray
        Two vertices each, in the direction of the triangle.
    """
    found = seams(triangles)
    alone = found.first[found.uses() == 1]
    ends = found.ends[alone]
    return np.asarray(np.where(found.forward[alone, None] > 0, ends, ends[:, ::-1]))


def inconsistent(triangles: Triangles) -> Ints:
    """Find the edges on whose two sides triangles do not face the same way.

    Parameters
    ----------
    triangles : (m, 3) int32 ndarray
        Three different vertices each.

    Returns
    -------
    (b, 2) int64 ndarray
        Two vertices each; also edges of three triangles or another odd number, which have no two sides.
    """
    found = seams(triangles)
    wrong = (found.uses() > 1) & (found.balance() != 0)
    return np.asarray(found.ends[found.first[wrong]])


def tidy(vertices: Points, triangles: Triangles) -> tuple[Points, Triangles]:
    """Merge vertices at the same place, and drop triangles that this leaves with two corners or one.

    Parameters
    ----------
    vertices : (n, 3) float64 ndarray
        Any.
    triangles : (m, 3) int32 ndarray
        Any.

    Returns
    -------
    (n', 3) float64 ndarray
        Those that a triangle is left to name, in order of their coordinates.
    (m', 3) int32 ndarray
        Those that are left, in their order; may be empty.
    """
    places, at = np.unique(vertices + 0.0, axis=0, return_inverse=True)
    renamed = at.ravel()[triangles]
    a, b, c = renamed.T
    kept = renamed[(a != b) & (b != c) & (c != a)]
    used, renamed = np.unique(kept, return_inverse=True)
    return places[used], renamed.reshape(-1, 3).astype(np.int32)


def sheets(triangles: Triangles) -> Ints:
    """Give a number to each sheet that triangles with shared edges form.

    Parameters
    ----------
    triangles : (m, 3) int32 ndarray
        Three different vertices each.

    Returns
    -------
    (m,) int64 ndarray
        From 0, in order of the first triangle of each.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    found = seams(triangles)
    edge = np.repeat(np.arange(len(found.first)), found.uses())
    count = len(triangles)
    joined = coo_array(
        (np.ones(len(edge), dtype=np.int8), (found.triangle, edge + count)),
        shape=(count + len(found.first),) * 2,
    )
    label = connected_components(joined, directed=False)[1][:count]
    return np.unique(label, return_inverse=True)[1].astype(np.int64)


def consistent(vertices: Points, triangles: Triangles) -> Triangles:
    """Turn triangles so that all of a sheet face the same way.

    Parameters
    ----------
    vertices : (n, 3) float64 ndarray
        LPS mm, for the message.
    triangles : (m, 3) int32 ndarray
        Three different vertices each.

    Returns
    -------
    (m, 3) int32 ndarray
        Of each sheet the smaller part is turned.

    Raises
    ------
    PlanError
        If an edge has more than two triangles, or a sheet has only one side, like a Moebius strip.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    found = seams(triangles)
    many = found.uses() > 2
    if many.any():
        raise _no_two_sides(vertices, found.ends[found.first[many]], "more than two triangles share an edge")
    shared = found.first[found.uses() == 2]
    one, two = found.triangle[shared], found.triangle[shared + 1]
    against = found.forward[shared] == found.forward[shared + 1]
    count = len(triangles)
    # Each triangle stands twice, as it is and turned; what must face the same way is joined.
    ends = np.concatenate([one, one + count]), np.concatenate([two + count * against, two + count * ~against])
    graph = coo_array((np.ones(len(ends[0]), dtype=np.int8), ends), shape=(2 * count, 2 * count))
    label = connected_components(graph, directed=False)[1]
    twisted = label[:count] == label[count:]
    if twisted.any():
        places = triangles[twisted][:1, :2]
        raise _no_two_sides(vertices, places, "it has only one side, like a Moebius strip")
    sheet = np.minimum(label[:count], label[count:])
    as_is = label[:count] == sheet
    mostly = np.bincount(sheet, weights=np.where(as_is, 1.0, -1.0)) >= 0
    turn = as_is != mostly[sheet]
    return np.where(turn[:, None], triangles[:, ::-1], triangles)


def _no_two_sides(vertices: Points, edges: Ints, why: str) -> PlanError:
    x, y, z = vertices[edges[0]].mean(axis=0)
    return PlanError(
        f"a surface has no two sides: near ({x:.1f}, {y:.1f}, {z:.1f}) mm {why}; "
        "export it as one sheet that does not branch",
        reason="inconsistent_orientation",
    )


def area_mm2(vertices: Points, triangles: Triangles) -> Points:
    """Area of each triangle.

    Parameters
    ----------
    vertices : (n, 3) float64 ndarray
        LPS mm.
    triangles : (m, 3) int32 ndarray
        Any.

    Returns
    -------
    (m,) float64 ndarray
        Square millimetres.
    """
    return np.asarray(np.linalg.norm(normals(vertices, triangles), axis=1) / 2)


def has_area(vertices: Points, triangles: Triangles) -> bool:
    """Whether triangles are more than lines and points, beyond rounding.

    Parameters
    ----------
    vertices : (n, 3) float64 ndarray
        LPS mm.
    triangles : (m, 3) int32 ndarray
        Any; may be empty.

    Returns
    -------
    bool
        True if they have an area.
    """
    if not len(triangles):
        return False
    extent = float(np.linalg.norm(np.ptp(vertices[triangles.ravel()], axis=0)))
    return float(area_mm2(vertices, triangles).sum()) > NO_AREA * extent**2


def normals(vertices: Points, triangles: Triangles) -> Points:
    """Return a normal of each triangle as long as twice its area, (m, 3)."""
    a, b, c = vertices[triangles.T]
    return np.asarray(np.cross(b - a, c - a))


def enclosed_mm3(vertices: Points, triangles: Triangles) -> float:
    """Volume that closed triangles enclose, positive if they face outwards.

    Parameters
    ----------
    vertices : (n, 3) float64 ndarray
        LPS mm.
    triangles : (m, 3) int32 ndarray
        Without a border.

    Returns
    -------
    float
        Cubic millimetres.
    """
    a, b, c = (vertices - vertices.mean(axis=0))[triangles.T]
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def corner_normals(vertices: Points, triangles: Triangles) -> Points:
    """Return unit normals at the vertices, each triangle weighted by its angle there.

    Parameters
    ----------
    vertices : (n, 3) float64 ndarray
        Any.
    triangles : (m, 3) int32 ndarray
        Any.

    Returns
    -------
    (n, 3) float64 ndarray
        Zero where there is no triangle with an area.

    Notes
    -----
    The weights with which the sign of the distance to a vertex is right (Baerentzen and Aanaes, IEEE
    TVCG 2005;11:243).
    """
    across = normals(vertices, triangles)
    length = np.linalg.norm(across, axis=1, keepdims=True)
    unit = across / np.where(length > 0, length, 1)
    sums = np.zeros_like(vertices)
    for corner in range(3):
        here, after, before = (vertices[triangles[:, (corner + n) % 3]] for n in range(3))
        out, back = after - here, before - here
        angle = np.arctan2(length[:, 0], np.einsum("ij,ij->i", out, back))
        for axis in range(3):
            sums[:, axis] += np.bincount(
                triangles[:, corner], weights=unit[:, axis] * angle, minlength=len(vertices)
            )
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.asarray(sums / np.where(length > 0, length, 1))
