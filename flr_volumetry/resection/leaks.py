"""Why a surface does not cut a liver in two, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import PlanError
from flr_volumetry.resection import topology
from flr_volumetry.resection.faces import faces_of
from flr_volumetry.resection.nearest import FEW_TRIANGLES, Nearest
from flr_volumetry.resection.sheet import Sheet

if TYPE_CHECKING:
    from flr_volumetry.resection.lines import LiverLines, Stretches

Points = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

ENOUGH = 400
"""So many points of the liver's surface say about how far a surface is that misses it."""
CLOSEST = FEW_TRIANGLES
"""So many triangles, those with the nearest middles, are looked at exactly."""
SAMPLES_A_STEP = 4
"""How often the border of a surface is looked at, in the shortest step of the grid."""


def miss(sheet: Sheet, lines: LiverLines) -> PlanError:
    """Return the error of a surface that does not meet the liver.

    Parameters
    ----------
    sheet : Sheet
        The surface.
    lines : LiverLines
        The liver.

    Returns
    -------
    PlanError
        With the place where they come closest.
    """
    ends = _ends_mm(lines)
    ends = ends[:: 1 + len(ends) // ENOUGH]
    if len(sheet.triangles) > FEW_TRIANGLES:
        from scipy.spatial import cKDTree

        tree = cKDTree(sheet.vertices_mm[sheet.triangles].mean(axis=1))
        ends = ends[[int(np.argmin(tree.query(ends)[0]))]]
        near = sheet.triangles[tree.query(ends[0], CLOSEST)[1]]
        sheet = Sheet(sheet.vertices_mm, near, sheet.facing)
    distance, foot = Nearest(sheet).feet_mm(ends)
    nearest = int(np.argmin(distance))
    return PlanError(
        f"the surface misses the liver: it comes no closer than about {distance[nearest]:.1f} mm, at "
        f"{_place(foot[nearest])} mm; check that it was drawn on this scan, in these axes",
        reason="surface_misses_liver",
    )


def contradiction(
    sheet: Sheet,
    lines: LiverLines,
    parts: Stretches,
    both: Flags,
    sides: tuple[Flags, Flags],
) -> PlanError:
    """Return the error of a surface both of whose sides are one piece of liver.

    Parameters
    ----------
    sheet : Sheet
        The surface.
    lines : LiverLines
        The liver.
    parts : Stretches
        Parts of its rows.
    both : (r,) bool ndarray
        Which of them hang together with both sides.
    sides : tuple of (r,) bool ndarray
        Which of them stay, and which go, by a crossing next to them.

    Returns
    -------
    PlanError
        With the place where the surface's border runs inside the liver, or else where its sides meet.
    """
    points, lengths = _border(sheet, lines)
    inside = _inside(lines, points)
    if inside.any():
        depth = np.zeros(len(points))
        depth[inside] = _depth_mm(lines, points[inside])
        at = int(np.argmax(depth))
        return PlanError(
            f"the surface does not span the liver: {lengths[inside].sum():.0f} mm of its border run inside "
            f"the liver, deepest, {depth[at]:.1f} mm below the liver's surface, at {_place(points[at])} mm; "
            "carry the surface on there until it leaves the liver",
            reason="surface_leaks",
        )
    stays, goes = sides
    some = np.flatnonzero(both & stays & goes)
    part = int(some[0]) if len(some) else int(np.flatnonzero(both & (stays | goes))[0])
    line = parts.line[part]
    height = lines.grid.shape[1]
    middle = lines.grid.centres_mm(
        [[(parts.begin[part] + parts.end[part] - 1) / 2, line % height, line // height]]
    )[0]
    return PlanError(
        f"the two sides of the surface contradict each other in the liver near {_place(middle)} mm: it "
        "crosses itself, or lies there in two sheets that face the same way; mend it, or give the sheets as "
        "resections of their own",
        reason="contradictory_surface",
    )


def _place(point: Points) -> str:
    x, y, z = point
    return f"({x:.1f}, {y:.1f}, {z:.1f})"


def _border(sheet: Sheet, lines: LiverLines) -> tuple[Points, Points]:
    """Points along the border, close together, and the length each stands for."""
    edges = sheet.vertices_mm[topology.border_of(sheet.triangles)]
    if not len(edges):
        return np.zeros((0, 3)), np.zeros(0)
    lengths = np.linalg.norm(edges[:, 1] - edges[:, 0], axis=1)
    counts = np.ceil(lengths * SAMPLES_A_STEP / min(lines.grid.spacing_mm)).astype(np.int64)
    of = np.repeat(np.arange(len(edges)), counts)
    nth = np.arange(len(of)) - np.repeat(np.cumsum(counts) - counts, counts)
    share = (nth + 0.5) / counts[of]
    points = edges[of, 0] + share[:, None] * (edges[of, 1] - edges[of, 0])
    return points, lengths[of] / counts[of]


def _inside(lines: LiverLines, points: Points) -> Flags:
    """Which points lie in a cell of the lattice with liver at a corner."""
    low = np.floor(lines.grid.indices_at(points)).astype(np.int64)
    found = np.zeros(len(points), dtype=bool)
    for corner in np.ndindex(2, 2, 2):
        found |= lines.holds(low + np.asarray(corner))
    return found


def _depth_mm(lines: LiverLines, points: Points) -> Points:
    from scipy.spatial import cKDTree

    depth = cKDTree(_capsule_mm(lines)).query(points)[0]
    inside = lines.holds(np.rint(lines.grid.indices_at(points)).astype(np.int64))
    return np.where(inside, depth, 0.0)


def _ends_mm(lines: LiverLines) -> Points:
    """Centres of the first and the last voxel of every stretch of liver."""
    solid, height = lines.solid, lines.grid.shape[1]
    columns = np.stack([solid.begin, solid.end - 1], axis=1).ravel()
    line = np.repeat(solid.line, 2)
    return lines.grid.centres_mm(np.stack([columns, line % height, line // height], axis=1))


def _capsule_mm(lines: LiverLines) -> Points:
    """Points of the liver's surface, half-way between voxels inside and outside."""
    return faces_of(lines.painted(), lines.grid, (0, 0, 0)).middles_mm
