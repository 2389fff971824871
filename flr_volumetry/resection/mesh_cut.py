"""Which voxels of a liver lie beyond a surface."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.images import read_only
from flr_volumetry.resection.front import forward
from flr_volumetry.resection.leaks import contradiction, miss
from flr_volumetry.resection.lines import (
    HALF,
    LiverLines,
    Stretches,
    divided,
    lines_of,
    painted,
    side_by_side,
)
from flr_volumetry.resection.nearest import Nearest, near_part
from flr_volumetry.resection.raster import LatticeMesh, around, crossings_along, normals_of
from flr_volumetry.resection.sheet import Sheet, sheet_of

if TYPE_CHECKING:
    from flr_volumetry.liver import Liver
    from flr_volumetry.resection.surfaces import Surface

ON_SURFACE_MM = 1e-6
"""A voxel centre no further beyond a surface than this lies on it, and stays."""

Points = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceParts:
    """A liver's rows, cut into parts where a surface crosses them.

    Parameters
    ----------
    lines : LiverLines
        The liver.
    parts : Stretches
        Parts of its rows, in the order in which the voxels lie in memory.
    goes : (r,) bool ndarray, read-only
        Whether each lies beyond the surface.
    """

    lines: LiverLines = field(repr=False)
    parts: Stretches = field(repr=False)
    goes: Flags = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "goes", read_only(self.goes))

    def places(self) -> Ints:
        """Where what goes begins and ends, by turns, in the liver's box laid out flat, columns fastest."""
        before = self.parts.line[self.goes] * self.lines.grid.shape[0]
        ends = np.stack([before + self.parts.begin[self.goes], before + self.parts.end[self.goes]], axis=1)
        return ends.ravel()

    def painted(self) -> Flags:
        """Return what goes as a mask of the liver's box, columns fastest."""
        ends = self.places()
        return painted(ends[::2], ends[1::2], self.lines.grid)


def beyond_surface(surface: Surface, liver: Liver) -> Flags:
    """Find which voxels of a liver lie beyond a surface.

    Parameters
    ----------
    surface : Surface
        Triangles, a patch, or a curve.
    liver : Liver
        The liver.

    Returns
    -------
    ndarray of bool
        Of the shape of the liver's grid; False outside the liver.

    Raises
    ------
    PlanError
        If the surface misses the liver, does not span it, contradicts itself, or is not a surface that
        can cut.

    Notes
    -----
    Exact for the triangles that stand for the surface, on sheared grids too; a centre on the surface
    stays. See `surface_parts`.
    """
    found = surface_parts(surface, lines_of(liver))
    goes = np.zeros(liver.grid.shape, dtype=bool, order="F")
    goes[found.lines.box] = found.painted()
    return goes


def surface_parts(surface: Surface, lines: LiverLines) -> SurfaceParts:
    """Cut a liver's rows along a surface.

    Parameters
    ----------
    surface : Surface
        Triangles, a patch, or a curve.
    lines : LiverLines
        The liver.

    Returns
    -------
    SurfaceParts
        What goes of each row.

    Raises
    ------
    PlanError
        As for `beyond_surface`.

    Notes
    -----
    Where the lines between voxel centres, along all three axes of the grid, pass through the triangles
    is found exactly. A centre next to such a crossing lies on the side of the triangle crossed; what no
    crossing separates from it, along the lines, lies on the same side. Two sides that meet in this way
    mean that the surface does not span the liver, or contradicts itself. A part of the liver that the
    surface does not touch takes the side of the point of the surface nearest to it.
    """
    sheet = sheet_of(surface, lines)
    cut = _Cut(sheet, lines, _lattice(sheet, lines))
    parts, first, sides = cut.along_rows()
    crossed = [cut.across(axis, parts, sides) for axis in (1, 2)]
    # Two parts known to be on the same side tell nothing new of each other.
    side = sides[0].astype(np.int8) - sides[1]
    number, count = _connected(len(parts.line), cut.joined(crossed, parts, first, side))
    stays, goes = (np.bincount(number, weights=side, minlength=count) > 0 for side in sides)
    if (stays & goes).any():
        number, count = _connected(len(parts.line), cut.joined(crossed, parts, first))
        stays, goes = (np.bincount(number, weights=side, minlength=count) > 0 for side in sides)
        raise contradiction(sheet, lines, parts, (stays & goes)[number], sides)
    untouched = ~(stays | goes)
    if untouched.any():
        goes[untouched] = _beyond_nearest(sheet, lines, parts, number, untouched)
        # A sheet may run between two parts of a liver; a closed surface may hold all of it.
        if untouched.all() and (not goes.any() or (sheet.facing > 0 and goes.all())):
            raise miss(sheet, lines)
    return SurfaceParts(lines, parts, goes[number])


def _lattice(sheet: Sheet, lines: LiverLines) -> LatticeMesh:
    """Those triangles that can matter, moved a hair towards what goes, so that a centre on them stays."""
    triangles = sheet.triangles.T.astype(np.int64)
    vertices = np.ascontiguousarray(sheet.vertices_mm.T)
    to_index = np.linalg.inv(lines.grid.affine)
    corners = to_index[:3, :3] @ vertices + to_index[:3, 3:]
    triangles = np.compress(around(corners, triangles, lines.grid.shape), triangles, axis=1)
    at = np.stack([axis.take(triangles) for axis in corners])
    triangles = np.compress(lines.reached(at.min(axis=1), at.max(axis=1)), triangles, axis=1)
    hair = forward(vertices, triangles) * (sheet.facing * ON_SURFACE_MM)
    corners += to_index[:3, :3] @ hair
    return LatticeMesh(corners, triangles, normals_of(corners, triangles))


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """A surface about to cut a liver."""

    sheet: Sheet
    lines: LiverLines
    mesh: LatticeMesh

    def along_rows(self) -> tuple[Stretches, Ints, tuple[Flags, Flags]]:
        """Cut the rows; which part is the first of each stretch; which parts stay and which go."""
        solid = self.lines.solid
        line, column, sign = self._net(0)
        of = solid.at(line, column)
        kept = of >= 0
        kept[kept] = solid.end[of[kept]] > column[kept] + 1
        of, column, sign = of[kept], column[kept], sign[kept]
        parts, first = divided(solid, of, column + 1)
        stays, goes = np.zeros(len(parts.line), dtype=bool), np.zeros(len(parts.line), dtype=bool)
        behind = of + np.arange(1, len(of) + 1)
        stays[behind - (sign > 0)] = True
        goes[behind - (sign < 0)] = True
        return parts, first, (stays, goes)

    def across(self, axis: int, parts: Stretches, sides: tuple[Flags, Flags]) -> tuple[Ints, Ints]:
        """Mark the parts in neighbouring rows or slices that the surface lies between.

        Those parts, each pair as one number and in order, and how many ways between them are crossed.
        """
        stays, goes = sides
        line, column, sign = self._net(axis)
        low = parts.at(line, column)
        high = parts.at(line + (1 if axis == 1 else self.lines.grid.shape[1]), column)
        kept = np.flatnonzero((low >= 0) & (high >= 0))
        low, high, forward = low.take(kept), high.take(kept), sign.take(kept) > 0
        stays[np.where(forward, low, high)] = True
        goes[np.where(forward, high, low)] = True
        # In order of the parts, as the crossings are in order of their lines and columns.
        key = low << HALF | high
        begins = np.flatnonzero(np.diff(key, prepend=-1))
        return key.take(begins), np.diff(np.append(begins, len(key)))

    def joined(
        self,
        crossed: list[tuple[Ints, Ints]],
        parts: Stretches,
        first: Ints,
        side: npt.NDArray[np.int8] | None = None,
    ) -> list[tuple[Ints, Ints]]:
        """Pairs of parts in neighbouring rows, and slices, with a way between them that nothing crosses."""
        found = []
        for (key, often), beside in zip(crossed, self.lines.beside, strict=True):
            one, other, shared = side_by_side(parts, first, beside, side)
            pair = one << HALF | other
            at = np.searchsorted(pair, key)
            known = np.flatnonzero(np.append(pair, -1).take(at) == key)
            shared[at.take(known)] -= often.take(known)
            (ways,) = np.nonzero(shared > 0)
            found.append((one.take(ways), other.take(ways)))
        return found

    def _net(self, axis: int) -> tuple[Ints, Ints, Ints]:
        """Ways between neighbours along an axis that the surface crosses, all told, and which way.

        The neighbour with the lower index, as line and column, in order; 1 where the other one goes.
        """
        width, height, _ = shape = self.lines.grid.shape
        found = crossings_along(axis, self.mesh, shape)
        low = np.floor(found.at)
        (inside,) = np.nonzero((low >= 0) & (low < shape[axis] - 1))
        at = low[inside].astype(np.int64)
        index = [at, found.across[0][inside], found.across[1][inside]]
        column, row, piece = index[-axis % 3], index[(1 - axis) % 3], index[(2 - axis) % 3]
        facing = self.sheet.facing * np.sign(np.linalg.det(self.lines.grid.affine[:3, :3]))
        packed = 2 * ((row + height * piece) * width + column) + (found.sign[inside] * facing > 0)
        packed.sort()
        key, sign = packed >> 1, 2 * (packed & 1) - 1
        first = np.flatnonzero(np.diff(key, prepend=-1))
        if len(first) < len(key):
            # Crossed twice, there and back: not crossed.
            sign = np.sign(np.add.reduceat(sign, first))
            key, sign = key[first[sign != 0]], sign[sign != 0]
        line, column = np.divmod(key, width)
        return line, column, sign


def _connected(count: int, joined: list[tuple[Ints, Ints]]) -> tuple[Ints, int]:
    """Give a number to each group that hangs together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    one, other = (np.concatenate([pairs[n] for pairs in joined]) for n in (0, 1))
    graph = coo_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=(count, count))
    groups, number = connected_components(graph, directed=False)
    return number.astype(np.int64), int(groups)


def _beyond_nearest(
    sheet: Sheet, lines: LiverLines, parts: Stretches, number: Ints, untouched: Flags
) -> Flags:
    """On which side of the surface parts of the liver lie that it does not touch."""
    (part,) = np.nonzero(untouched[number])
    part = part[np.unique(number[part], return_index=True)[1]]
    row, piece = parts.line[part] % lines.grid.shape[1], parts.line[part] // lines.grid.shape[1]
    centres = lines.grid.centres_mm(np.stack([parts.begin[part], row, piece], axis=1))
    return np.asarray(Nearest(near_part(sheet, centres)).depth_mm(centres)[0] > ON_SURFACE_MM)
