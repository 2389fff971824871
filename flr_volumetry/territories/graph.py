"""Branches of a vessel: its centrelines from fork to fork."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from flr_volumetry.territories.lattice import Bool, Index, Points
    from flr_volumetry.territories.skeleton import Skeleton
    from flr_volumetry.territories.voxel_graph import VoxelGraph

TRIBUTARY_MM = 20.0
"""A trunk begins where the last vessel at least so long joins it from outside (assumed)."""
TIP_SHARE = 0.7
"""A root begins where it is so deep, against the depth within one radius of the end."""
WINDOW, WINDOW_MM = 1.0, 1.5
"""Radii are averaged over so many depths of the vessel up and down a branch, at least over 1.5 mm."""
SMOOTH_STEPS = 1.0
"""Centrelines are smoothed over half the vessel's depth, at least over so many steps of the grid."""
STEP_MM = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A branch, before it has a number.

    Parameters
    ----------
    parent : int
        Which of the pieces it comes from; -1 for a root.
    points : (n, 3) float64 ndarray
        Its smoothed centreline, mm, from the parent's end to its own.
    radius_mm : (n,) float64 ndarray
        Of the vessel at each point.
    """

    parent: int
    points: Points = field(repr=False)
    radius_mm: Points = field(repr=False)

    @property
    def length_mm(self) -> float:
        """Length of its centreline, mm."""
        return float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum())


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """The branches of a vessel, and which voxels belong to each.

    Parameters
    ----------
    pieces : tuple of Piece
        Parents before their children.
    owner : (n,) int64 ndarray
        For each voxel of the graph its piece; -1 for what has no part in the liver.
    """

    pieces: tuple[Piece, ...]
    owner: Index = field(repr=False)


def branch_pieces(graph: VoxelGraph, skeleton: Skeleton, roots: Index, touching: Bool) -> Pieces:
    """Divide centrelines at their forks.

    Parameters
    ----------
    graph : VoxelGraph
        Of the vessel.
    skeleton : Skeleton
        Its centrelines.
    roots : (m,) int64 ndarray
        Where they begin.
    touching : (n,) ndarray of bool
        Which voxels lie in the liver or beside it.

    Returns
    -------
    Pieces
        Without what leads nowhere in the liver. Forks closer to each other than the vessel is deep are
        one.
    """
    tree = _Tree(graph, skeleton)
    kept, reach = tree.kept_and_reach(touching)
    chains: list[_Chain] = []
    for root in roots.tolist():
        if kept[root]:
            chains += tree.chains(tree.top(root, kept, reach), kept, len(chains))
    owner_of_node = np.full(len(graph.index), -1, dtype=np.int64)
    for number, (_, nodes) in enumerate(chains):
        fresh = [node for node in nodes if owner_of_node[node] < 0]
        owner_of_node[fresh] = number
    chains, became = _contracted(chains, graph, tree.smooth)
    owner_of_node = np.where(owner_of_node >= 0, np.array([*became, -1])[owner_of_node], -1)
    owner = np.where(skeleton.nearest >= 0, owner_of_node[skeleton.nearest], -1)
    pieces = []
    beside = owner[graph.beside_wall]
    order = np.argsort(beside, kind="stable")
    ends = np.searchsorted(beside[order], np.arange(len(chains) + 1))
    for number, (parent, nodes) in enumerate(chains):
        points = tree.smooth[nodes]
        wall = graph.wall[order[ends[number] : ends[number + 1]]]
        radius = _radius(points, graph.depth_mm[nodes], wall)
        pieces.append(Piece(parent, *_evenly(points, radius)))
    return Pieces(tuple(pieces), owner)


_Chain = tuple[int, list[int]]
"""The chain it comes from, -1 for a root; voxels from the parent's end to its own."""


class _Tree:
    """Centrelines as a tree of voxels."""

    def __init__(self, graph: VoxelGraph, skeleton: Skeleton) -> None:
        self.graph, self.skeleton = graph, skeleton
        self.children: dict[int, list[int]] = {}
        self.smooth = graph.points.copy()
        for path in skeleton.paths:
            nodes = path.tolist()
            for node, child in pairwise(nodes):
                self.children.setdefault(node, []).append(child)
            self.smooth[path] = _smoothed(self.smooth[path], graph.depth_mm[path], graph.coarse_mm)

    def kept_and_reach(self, touching: Bool) -> tuple[Bool, Points]:
        """Which voxels lead to the liver, and how far the tree runs on from each, mm."""
        kept = np.zeros(len(self.graph.index), dtype=np.bool_)
        near = self.skeleton.nearest
        kept[near[touching & (near >= 0)]] = True
        reach = np.zeros(len(kept))
        for path in reversed(self.skeleton.paths):
            step = np.linalg.norm(np.diff(self.smooth[path], axis=0), axis=1)
            for n in range(len(path) - 1, 0, -1):
                kept[path[n - 1]] |= kept[path[n]]
                reach[path[n - 1]] = max(reach[path[n - 1]], reach[path[n]] + step[n - 1])
        return kept, reach

    def top(self, root: int, kept: Bool, reach: Points) -> int:
        """Where the trunk begins: after the last tributary, and not in the corner of its end."""
        trunk = [root]
        top = 0
        while True:
            children = self.children.get(trunk[-1], [])
            on = [child for child in children if kept[child]]
            step = max((self._between(trunk[-1], c) + reach[c] for c in children if not kept[c]), default=0.0)
            if step >= TRIBUTARY_MM:
                top = len(trunk) - 1
            if len(on) != 1:
                break
            trunk.append(on[0])
        return trunk[top] if top else trunk[_first_deep(self.graph.depth_mm[trunk], self.smooth[trunk])]

    def _between(self, one: int, other: int) -> float:
        return float(np.linalg.norm(self.smooth[one] - self.smooth[other]))

    def chains(self, top: int, kept: Bool, first: int) -> list[_Chain]:
        """Divide a tree at its forks, parents before their children."""
        chains: list[_Chain] = []
        waiting: list[tuple[int, list[int]]] = [(-1, [top])]
        while waiting:
            parent, nodes = waiting.pop(0)
            on = [child for child in self.children.get(nodes[-1], []) if kept[child]]
            while len(on) == 1:
                nodes.append(on[0])
                on = [child for child in self.children.get(nodes[-1], []) if kept[child]]
            chains.append((parent, nodes))
            waiting += [(first + len(chains) - 1, [nodes[-1], child]) for child in on]
        return chains


def _first_deep(depth: Points, points: Points) -> int:
    along = np.append(0.0, np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum())
    enough = TIP_SHARE * float(depth[along <= depth.max()].max())
    return int(np.argmax(depth >= enough))


def _smoothed(points: Points, depth: Points, coarse_mm: float) -> Points:
    """Smooth a line of voxels over half the vessel's depth; both ends stay."""
    if len(points) < 3:
        return points
    step = np.linalg.norm(np.diff(points, axis=0), axis=1)
    along = np.append(0.0, step.cumsum())
    width = np.maximum(depth / 2, SMOOTH_STEPS * coarse_mm)
    share = (np.append(step, 0.0) + np.append(0.0, step)) / 2
    total = along[-1]
    # The line is carried on beyond its ends, turned half about them, so that they stay where they are.
    away = np.concatenate([along, -along, 2 * total - along])
    course = np.concatenate([points, 2 * points[0] - points, 2 * points[-1] - points])
    weight = np.exp(-(((along[:, None] - away[None]) / width[:, None]) ** 2) / 2) * np.tile(share, 3)
    smooth: Points = weight @ course / weight.sum(axis=1, keepdims=True)
    smooth[0], smooth[-1] = points[0], points[-1]
    return smooth


def _contracted(chains: list[_Chain], graph: VoxelGraph, points: Points) -> tuple[list[_Chain], list[int]]:
    """Make one fork of forks that lie closer together than the vessel is deep."""
    has_children = {parent for parent, _ in chains}
    kept: list[_Chain] = []
    became: list[int] = []
    lead: list[list[int]] = []
    for number, (parent, nodes) in enumerate(chains):
        above = became[parent] if parent >= 0 else -1
        # A parent that was made part of its own fork leaves its voxels in front of its children's.
        whole = [*lead[parent], *nodes[1:]] if parent >= 0 else nodes
        length = float(np.linalg.norm(np.diff(points[whole], axis=0), axis=1).sum())
        if parent >= 0 and number in has_children and length < graph.depth_mm[whole[0]]:
            became.append(above)
            lead.append(whole)
        else:
            became.append(len(kept))
            lead.append(whole[-1:])
            kept.append((above, whole))
    return kept, became


def _radius(points: Points, depth: Points, wall: Points) -> Points:
    """Mean distance of the wall from a centreline, along it."""
    from scipy.spatial import cKDTree

    away, at = cKDTree(points).query(wall)
    count = np.bincount(at, minlength=len(points)).astype(np.float64)
    total = np.bincount(at, away, minlength=len(points))
    along = np.append(0.0, np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum())
    near = np.abs(along[:, None] - along[None]) <= np.maximum(WINDOW * depth, WINDOW_MM)[:, None]
    seen = near @ count
    return np.where(seen > 0, near @ total / np.maximum(seen, 1.0), depth)


def _evenly(points: Points, radius: Points) -> tuple[Points, Points]:
    """Lay points along a line at steps of one millimetre or a little less."""
    along = np.append(0.0, np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum())
    even = np.linspace(0.0, along[-1], max(2, int(np.ceil(along[-1] / STEP_MM)) + 1))
    course = np.stack([np.interp(even, along, points[:, axis]) for axis in range(3)], axis=1)
    return course, np.interp(even, along, radius)
