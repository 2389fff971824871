"""Where the trees of a vessel begin."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.anatomy import Structure
from flr_volumetry.errors import LiverError
from flr_volumetry.territories.skeleton import end_depth, skeletonize, tips_of
from flr_volumetry.territories.voxel_graph import MOUTH_MM, ways_to

if TYPE_CHECKING:
    from flr_volumetry.territories.lattice import Bool, Index, Points
    from flr_volumetry.territories.skeleton import Skeleton
    from flr_volumetry.territories.voxel_graph import VoxelGraph

SNAP_MM = 10.0
"""A root given by the user is moved to the vessel over at most this distance."""
OUTSIDE_MM = 5.0
"""An end counts as outside the liver if its vessel runs there for more than this (assumed)."""
AS_WIDE = 0.7
"""Ends at least so wide, against the widest, may be the root (assumed)."""
LARGE_PART = 0.1
"""Separate parts of hepatic veins with more than this share of them have a root of their own (assumed)."""


def given_roots(graph: VoxelGraph, roots_mm: Points) -> Index:
    """Find the voxels that the user's roots stand for.

    Parameters
    ----------
    graph : VoxelGraph
        Of the vessel.
    roots_mm : (m, 3) ndarray
        In the frame of the graph's points.

    Returns
    -------
    (m,) int64 ndarray
        The voxel nearest to each.

    Raises
    ------
    LiverError
        If one is further than 10 mm from the vessel, or two lie on one part of it.
    """
    from scipy.spatial import cKDTree

    found = cKDTree(graph.points).query(roots_mm)
    far, at = np.asarray(found[0]), np.asarray(found[1])
    if not (far <= SNAP_MM).all():
        n = int(np.argmax(far))
        raise LiverError(
            f"root {n + 1} of {len(far)} lies {far[n]:.1f} mm from the nearest voxel of the vessel, more "
            f"than {SNAP_MM:.0f} mm. Give a point on the vessel, in LPS mm.",
            reason="root_far_from_vessel",
        )
    if len(np.unique(graph.part[at])) < len(at):
        raise LiverError(
            "two roots lie on one connected part of the vessel, and a tree has one root. Give one root for "
            "each part, or separate the parts in the mask.",
            reason="two_roots",
        )
    return np.asarray(at, dtype=np.int64)


def find_roots(
    graph: VoxelGraph, inside: Bool, up_mm: Points, structure: Structure, cava: Points | None
) -> Index:
    """Find where the trees of a vessel begin.

    Parameters
    ----------
    graph : VoxelGraph
        Of the vessel.
    inside : (n,) ndarray of bool
        Which voxels lie in the liver.
    up_mm : (n,) float64 ndarray
        How far each voxel lies towards the patient's head, mm.
    structure : Structure
        Portal vein or hepatic veins.
    cava : (m, 3) ndarray or None
        Points of the vena cava, in the frame of the graph's points, where it has a mask of its own.

    Returns
    -------
    (k,) int64 ndarray
        One voxel for each part that has voxels in the liver, the largest part first.

    Notes
    -----
    A portal vein begins outside the liver: at the end whose way into the liver is widest, of several at
    the longest. Hepatic veins begin at the widest end near the vena cava; if that is part of the mask, at
    its upper end. If no end lies outside, the widest end is the root. A small separate part begins at
    the end nearest to the largest tree.
    """
    starts = _starts(graph, inside)
    skeleton = skeletonize(graph, starts)
    ends = _Ends(graph, skeleton, starts, inside, up_mm)
    parts = graph.part[starts]
    sizes = np.bincount(graph.part)
    roots: list[int] = []
    for part in parts.tolist():
        hepatic = structure is Structure.HEPATIC_VEINS
        if not roots or (hepatic and sizes[part] >= LARGE_PART * len(graph.part)):
            roots.append(ends.root(part, cava if hepatic else None, upper=hepatic))
        else:
            roots.append(ends.nearest_to(part, graph.points[graph.part == parts[0]]))
    return np.array(roots, dtype=np.int64)


def _starts(graph: VoxelGraph, inside: Bool) -> Index:
    """For each part with liver in it, the liver voxel furthest from its deepest one: a free end."""
    deepest = []
    for part in np.unique(graph.part[inside]):
        own = np.flatnonzero(inside & (graph.part == part))
        deepest.append(int(own[np.argmax(graph.depth_mm[own])]))
    ways = ways_to(graph, np.array(deepest))
    starts = []
    for root in deepest:
        own = np.flatnonzero(inside & (graph.part == graph.part[root]))
        starts.append(int(own[np.argmax(ways.length_mm[own])]))
    return np.array(starts, dtype=np.int64)


class _Ends:
    """The free ends of a skeleton, with what tells a root from a tip."""

    def __init__(
        self,
        graph: VoxelGraph,
        skeleton: Skeleton,
        starts: Index,
        inside: Bool,
        up_mm: npt.NDArray[np.float64],
    ) -> None:
        self.graph, self.up_mm = graph, up_mm
        before = {int(v): int(u) for p in skeleton.paths for u, v in pairwise(p)}
        free = tips_of(skeleton)
        self.voxel: list[int] = []
        self.end_mm: list[float] = []
        self.entry_mm: list[float] = []
        self.outside_mm: list[float] = []
        for path, is_free in zip(skeleton.paths, free, strict=True):
            if is_free:
                self._add(path, before, inside)
        for start in starts.tolist():
            first = next((p for p in skeleton.paths if p[0] == start), np.array([start, start]))
            self.voxel.append(start)
            self.end_mm.append(end_depth(graph, first[::-1]))
            self.entry_mm.append(0.0)
            self.outside_mm.append(0.0)
        self.part = graph.part[self.voxel]

    def _add(self, path: Index, before: dict[int, int], inside: Bool) -> None:
        points, depth = self.graph.points, self.graph.depth_mm
        at, outside = int(path[-1]), 0.0
        while not inside[at] and at in before:
            outside += float(np.linalg.norm(points[at] - points[before[at]]))
            at = before[at]
        self.voxel.append(int(path[-1]))
        self.end_mm.append(end_depth(self.graph, path))
        self.entry_mm.append(float(depth[at]) if outside > OUTSIDE_MM else 0.0)
        self.outside_mm.append(outside)

    def root(self, part: int, cava: Points | None, *, upper: bool) -> int:
        own = np.flatnonzero(self.part == part)
        voxel = np.array(self.voxel)[own]
        end, entry, outside = (np.array(a)[own] for a in (self.end_mm, self.entry_mm, self.outside_mm))
        if cava is not None:
            from scipy.spatial import cKDTree

            near = np.asarray(cKDTree(cava).query(self.graph.points[voxel])[0])
            if near.min() <= MOUTH_MM:
                return int(voxel[np.argmax(np.where(near <= MOUTH_MM, end, -1.0))])
        width = entry if entry.max() > 0 else end
        rank = self.up_mm[voxel] if upper else outside if entry.max() > 0 else end
        return int(voxel[np.argmax(np.where(width >= AS_WIDE * width.max(), rank, -np.inf))])

    def nearest_to(self, part: int, tree: Points) -> int:
        from scipy.spatial import cKDTree

        own = np.flatnonzero(self.part == part)
        voxel = np.array(self.voxel)[own]
        return int(voxel[np.argmin(cKDTree(tree).query(self.graph.points[voxel])[0])])
