"""Where the lines of a lattice pass through triangles."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from flr_volumetry.images import read_only

Points = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class LatticeMesh:
    """Triangles in steps of a lattice.

    Parameters
    ----------
    corners : (3, n) float64 ndarray, read-only
        Along each axis.
    triangles : (3, m) int64 ndarray, read-only
        Three corners each; the front is where they turn counter-clockwise in axes of the lattice.
    normals : (3, m) float64 ndarray, read-only
        Of the triangles, twice as long as their area.
    """

    corners: Points = field(repr=False)
    triangles: Ints = field(repr=False)
    normals: Points = field(repr=False)

    def __post_init__(self) -> None:
        for name in ("corners", "triangles", "normals"):
            object.__setattr__(self, name, read_only(getattr(self, name)))


def normals_of(corners: Points, triangles: Ints) -> Points:
    """Return normals of triangles, twice as long as their area.

    Parameters
    ----------
    corners : (3, n) float64 ndarray
        Along each axis.
    triangles : (3, m) int64 ndarray
        Three corners each.

    Returns
    -------
    (3, m) float64 ndarray
        Along each axis.
    """
    one, two, three = triangles
    u = [axis.take(two) - axis.take(one) for axis in corners]
    v = [axis.take(three) - axis.take(one) for axis in corners]
    return np.stack([u[(n + 1) % 3] * v[(n + 2) % 3] - u[(n + 2) % 3] * v[(n + 1) % 3] for n in range(3)])


def around(corners: Points, triangles: Ints, shape: tuple[int, int, int]) -> Flags:
    """Find the triangles that are not all to one side of a box of the lattice.

    Parameters
    ----------
    corners : (3, n) float64 ndarray
        Along each axis.
    triangles : (3, m) int64 ndarray
        Three corners each.
    shape : tuple of int
        The box, from -1 to this.

    Returns
    -------
    (m,) bool ndarray
        False for those that no line between two places in the box meets.
    """
    sides = np.zeros(corners.shape[1], dtype=np.uint8)
    for axis in range(3):
        sides |= (corners[axis] < -1).astype(np.uint8) << (2 * axis)
        sides |= (corners[axis] > shape[axis]).astype(np.uint8) << (2 * axis + 1)
    one, two, three = triangles
    return np.asarray((sides[one] & sides[two] & sides[three]) == 0)


@dataclass(frozen=True, slots=True, eq=False)
class Crossings:
    """Where the lines along one axis of a lattice pass through triangles.

    Parameters
    ----------
    across : tuple of (n,) int64 ndarray
        Which line: its place along the next axis and along the one after that, counted round.
    at : (n,) float64 ndarray
        Where along the line.
    sign : (n,) int64 ndarray
        1 where the line comes out at the front of the triangle, -1 where it comes out at the back.
    """

    across: tuple[Ints, Ints]
    at: Points = field(repr=False)
    sign: Ints = field(repr=False)


def crossings_along(axis: int, mesh: LatticeMesh, shape: tuple[int, int, int]) -> Crossings:
    """Find where the lines along one axis of a lattice pass through triangles.

    Parameters
    ----------
    axis : int
        0, 1 or 2.
    mesh : LatticeMesh
        The triangles.
    shape : tuple of int
        Lines from 0 to below this are looked at, along their whole length.

    Returns
    -------
    Crossings
        In no particular order.

    Notes
    -----
    Triangles are filled line by line, from one edge to the other, half open in both directions. Where
    an edge meets a line is found by the same sum for both triangles that share it, so that a line
    through an edge or a corner passes through one of them, and as often forwards through a closed
    surface as backwards, whatever the rounding.
    """
    b, c = (axis + 1) % 3, (axis + 2) % 3
    height = np.ceil(mesh.corners[c]).clip(-1, shape[c] + 1).astype(np.int64)
    some, ends, turns = _upright(mesh.triangles, height, shape[c])
    low, middle, high = ends
    filled, line = _counted(height.take(low).clip(0), height.take(high).clip(None, shape[c]))
    start = _meets(mesh, b, c, (low, high), filled, line)
    lower = line < height.take(middle).take(filled)
    bend = np.where(lower, 0, len(low)) + filled
    edges = np.concatenate([low, middle]), np.concatenate([middle, high])
    stop = _meets(mesh, b, c, edges, bend, line)
    begin, end = (np.ceil(side).clip(0, shape[b]).astype(np.int64) for side in (start, stop))
    turn = turns.take(filled)
    forward = np.where(end > begin, turn, -turn)
    hit, place = _counted(np.minimum(begin, end), np.maximum(begin, end))
    across = place, line.take(hit)
    at = _depths(mesh, axis, some, filled.take(hit), across)
    return Crossings(across, at, forward.take(hit))


def _upright(triangles: Ints, height: Ints, limit: int) -> tuple[Ints, tuple[Ints, Ints, Ints], Ints]:
    """Those triangles that a line passes through, their corners by height, and 1 for an even exchange."""
    one, two, three = (height.take(corner) for corner in triangles)
    lowest = np.minimum(np.minimum(one, two), three)
    highest = np.maximum(np.maximum(one, two), three)
    (some,) = np.nonzero((lowest < highest) & (lowest < limit) & (highest > 0))
    corners = [corner.take(some) for corner in triangles]
    heights = [each.take(some) for each in (one, two, three)]
    odd = np.zeros(len(some), dtype=bool)
    for a, b in ((0, 1), (1, 2), (0, 1)):
        over = heights[a] > heights[b]
        for pair in (corners, heights):
            pair[a], pair[b] = np.where(over, pair[b], pair[a]), np.where(over, pair[a], pair[b])
        odd ^= over
    return some, (corners[0], corners[1], corners[2]), np.where(odd, -1, 1)


def _counted(first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """Which of the ranges from each first to below each last, and their numbers one after the other."""
    counts = np.maximum(last - first, 0)
    of = np.repeat(np.arange(len(counts)), counts)
    number = (first - np.cumsum(counts) + counts).take(of)
    number += np.arange(len(of))
    return of, number


def _meets(mesh: LatticeMesh, b: int, c: int, edges: tuple[Ints, Ints], of: Ints, line: Ints) -> Points:
    """Where edges, from the lower to the higher end, meet lines."""
    start, stop = edges
    from_b, from_c = mesh.corners[b].take(start), mesh.corners[c].take(start)
    rise = mesh.corners[c].take(stop) - from_c
    slope = (mesh.corners[b].take(stop) - from_b) / np.where(rise > 0, rise, 1)
    met = line - from_c.take(of)
    met *= slope.take(of)
    met += from_b.take(of)
    return np.asarray(met)


def _depths(mesh: LatticeMesh, axis: int, some: Ints, of: Ints, across: tuple[Ints, Ints]) -> Points:
    """Where lines meet the planes of triangles, not beyond their corners."""
    b, c = (axis + 1) % 3, (axis + 2) % 3
    corners = [corner.take(some) for corner in mesh.triangles]
    along = [mesh.corners[axis].take(corner) for corner in corners]
    steep = mesh.normals[axis].take(some)
    level = np.where(steep == 0, 1, steep)
    at = along[0].take(of)
    for n, places in zip((b, c), across, strict=True):
        base = mesh.corners[n].take(corners[0])
        slope = np.where(steep == 0, 0, -mesh.normals[n].take(some) / level)
        at += slope.take(of) * (places - base.take(of))
    least = np.minimum(np.minimum(along[0], along[1]), along[2])
    most = np.maximum(np.maximum(along[0], along[1]), along[2])
    return np.asarray(np.clip(at, least.take(of), most.take(of)))
