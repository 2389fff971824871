"""Centrelines of a vessel mask: from the root to every tip, spurs left out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from flr_volumetry.territories.voxel_graph import first_along, ways_to

if TYPE_CHECKING:
    from flr_volumetry.territories.lattice import Bool, Index
    from flr_volumetry.territories.voxel_graph import VoxelGraph, Ways

SLACK_MM = 2.0
"""The tube around a centreline reaches so far beyond the balls that touch the wall, at least one step of the
grid: it holds a flat one (assumed)."""
SPUR_MM = 2.0
"""A side branch counts if it runs on beyond the tube it leaves by more than that vessel's depth and this, or
one step of the grid (assumed)."""
TIP_SHARE = 0.7
"""A centreline ends where it is so deep, against the depth within one radius of the end (assumed)."""
END_MM = 10.0
"""How wide a vessel is at its end is judged over so much of it (assumed)."""

FREE, TUBE, REFUSED = 0, 1, 2
TIPS = 2000
"""So many voxels at a time are looked at for those that still may be tips."""


@dataclass(frozen=True, slots=True, eq=False)
class Skeleton:
    """Centrelines of a vessel, each from where it leaves an earlier one to its tip.

    Parameters
    ----------
    paths : tuple of (m,) int64 ndarray
        Voxels of each centreline. It begins with a voxel of an earlier one, or at a root.
    nearest : (n,) int64 ndarray
        For each voxel of the graph the voxel of a centreline that it belongs to; -1 in parts without a root.
    """

    paths: tuple[Index, ...] = field(repr=False)
    nearest: Index = field(repr=False)


def skeletonize(graph: VoxelGraph, roots: Index) -> Skeleton:
    """Find the centrelines of a vessel.

    Parameters
    ----------
    graph : VoxelGraph
        Of the vessel.
    roots : (m,) int64 ndarray
        Where its trees begin, at most one voxel for each part.

    Returns
    -------
    Skeleton
        Trees: loops are cut where the ways from both sides meet.

    Notes
    -----
    Of the ways to the root the longest is taken first. Each is followed until it enters the tube around
    a centreline taken before, the balls that touch the wall, and joins it there; one that is too short
    is a spur and left out.
    """
    ways = ways_to(graph, roots)
    tracer = _Tracer(graph, ways)
    for root in roots.tolist():
        tracer.take([root])
    furthest = np.argsort(-ways.length_mm, kind="stable")
    left = furthest[: np.count_nonzero(ways.length_mm > 0)]
    state = np.frombuffer(tracer.state, dtype=np.uint8)
    while len(left):
        tips, left = left[:TIPS], left[TIPS:]
        for tip in tips[state[tips] == FREE].tolist():
            if tracer.state[tip] == FREE:
                tracer.follow(tip)
    nearest = np.array(tracer.nearest)
    owner = nearest[first_along(ways.before, nearest >= 0)]
    return Skeleton(tuple(np.array(path) for path in tracer.paths), owner)


class _Tracer:
    """Takes centrelines one after the other."""

    def __init__(self, graph: VoxelGraph, ways: Ways) -> None:
        from scipy.spatial import cKDTree

        self.graph = graph
        self.slack_mm = max(SLACK_MM, graph.coarse_mm)
        self.spur_mm = max(SPUR_MM, graph.coarse_mm)
        self.before = ways.before.tolist()
        self.length = ways.length_mm
        self.state = bytearray(len(graph.index))
        self.nearest = np.full(len(graph.index), -1, dtype=np.int64)
        self.beyond = np.full(len(graph.index), np.inf)
        self.least = self.beyond.copy()
        self.voxels = cKDTree(graph.points, balanced_tree=False)
        self.paths: list[list[int]] = []

    def follow(self, tip: int) -> None:
        """Follow the way from a voxel to the tube it comes from; take it, or refuse all of it."""
        at = tip
        way = []
        while self.state[at] == FREE:
            way.append(at)
            at = self.before[at]
        if self.state[at] == TUBE:
            attached = int(self.nearest[at])
            if self.length[tip] - self.length[at] > self.graph.depth_mm[attached] + self.spur_mm:
                self.take([attached, *self._without_tip(way[::-1])])
        # What is in the new tube has been marked; the rest of the way belongs to a spur or a tip.
        for voxel in way:
            if self.state[voxel] == FREE:
                self.state[voxel] = REFUSED

    def take(self, path: list[int]) -> None:
        """Add a centreline, and mark the tube around it."""
        graph = self.graph
        if len(path) > 1:
            self.paths.append(path)
        nodes = self._spread(path[1:] if len(path) > 1 else path)
        inside = self.voxels.query_ball_point(
            graph.points[nodes], graph.depth_mm[nodes] + self.slack_mm, return_sorted=False
        )
        counts = np.fromiter(map(len, inside), dtype=np.int64, count=len(inside))
        node = np.repeat(nodes, counts)
        voxel = np.fromiter(chain.from_iterable(inside), dtype=np.int64, count=int(counts.sum()))
        reached = voxel
        away = np.take(graph.points, voxel, axis=0) - np.repeat(graph.points[nodes], counts, axis=0)
        beyond = np.sqrt(np.einsum("ij,ij->i", away, away)) - np.repeat(graph.depth_mm[nodes], counts)
        np.minimum.at(self.least, voxel, beyond)
        # Of several that are as close, the one with the lowest number; what was there before stays.
        closest = np.flatnonzero(beyond <= self.least[voxel])
        voxel, node, beyond = voxel[closest], node[closest], beyond[closest]
        order = np.lexsort((node, voxel))
        voxel, node, beyond = voxel[order], node[order], beyond[order]
        first = np.append(True, voxel[1:] != voxel[:-1]) & (beyond < self.beyond[voxel])
        voxel, node, beyond = voxel[first], node[first], beyond[first]
        self.nearest[voxel], self.beyond[voxel] = node, beyond
        np.frombuffer(self.state, dtype=np.uint8)[reached] = TUBE

    def _spread(self, path: list[int]) -> Index:
        """Leave out voxels of a wide path whose balls all but coincide."""
        points, enough = self.graph.points[path].tolist(), (self.graph.depth_mm[path] / 4).tolist()
        kept = [0]
        for n in range(1, len(path)):
            if math.dist(points[n], points[kept[-1]]) >= enough[n] or path[n] == path[-1]:
                kept.append(n)
        return np.array(path)[kept]

    def _without_tip(self, path: list[int]) -> list[int]:
        """Leave out what lies between the last ball that fills the vessel and its end."""
        depth, along = self.graph.depth_mm[path], self.length[path]
        end = len(path) - 1
        near = along >= along[end] - depth.max()
        enough = TIP_SHARE * float(depth[near].max())
        while end > 0 and depth[end] < enough:
            end -= 1
        return path[: end + 1]


def tips_of(skeleton: Skeleton) -> Bool:
    """Tell which paths end freely.

    Parameters
    ----------
    skeleton : Skeleton
        Centrelines.

    Returns
    -------
    (n,) ndarray of bool
        One for each path.
    """
    starts = {int(path[0]) for path in skeleton.paths}
    return np.array([int(path[-1]) not in starts for path in skeleton.paths], dtype=np.bool_)


def end_depth(graph: VoxelGraph, path: Index) -> float:
    """Return how deep a path lies towards its end, mm.

    Parameters
    ----------
    graph : VoxelGraph
        Of the vessel.
    path : (m,) int64 ndarray
        Voxels, towards the end that is meant; the first, which may lie in another vessel, is left out.

    Returns
    -------
    float
        The median over the last centimetre.
    """
    points = graph.points[path[1:]]
    behind = np.linalg.norm(np.diff(points, axis=0), axis=1)[::-1].cumsum()[::-1]
    return float(np.median(graph.depth_mm[path[1:]][np.append(behind, 0.0) <= END_MM]))
