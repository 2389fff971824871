"""A vessel mask as a graph of neighbouring voxels, and the ways through it that keep to the middle."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.images import bounding_box
from flr_volumetry.territories.lattice import SAME_LENGTH, Bool, Index, Points, neighbours, wall

if TYPE_CHECKING:
    from scipy.sparse import csr_array

BRIDGED_MM = 5.0
"""Gaps in a vessel up to this are bridged, from voxel centre to voxel centre (assumed)."""
LEAF = 32
"""Points in a leaf of the tree of wall points: so near the wall, fewer gain nothing (measured)."""
MOUTH_MM = 10.0
"""Hepatic veins begin no further than this from the vena cava, centre to centre of voxels (assumed)."""


@dataclass(frozen=True, slots=True, eq=False)
class VoxelGraph:
    """A vessel mask as a graph.

    Parameters
    ----------
    index : (n, 3) int64 ndarray
        Its voxels, in the order of the array.
    points : (n, 3) float64 ndarray
        Their centres, mm from the centre of the array's first voxel.
    depth_mm : (n,) float64 ndarray
        How far each lies from the wall, mm.
    edges : (m, 2) int64 ndarray
        Pairs of neighbours, and the ends of bridged gaps.
    part : (n,) int64 ndarray
        Which connected part each belongs to, gaps bridged; 0 is the one with the most voxels.
    wall : (k, 3) float64 ndarray
        Points of the wall, mm.
    beside_wall : (k,) int64 ndarray
        The voxel inside of each.
    coarse_mm : float
        Longest step of its grid, mm: what is finer cannot be told.
    bridges : int
        How many gaps were bridged.

    Attributes
    ----------
    costs : (n, n) csr_array
        For each edge what a step along it costs: its length divided by the square of the depth.
    """

    index: Index = field(repr=False)
    points: Points = field(repr=False)
    depth_mm: Points = field(repr=False)
    edges: Index = field(repr=False)
    part: Index = field(repr=False)
    wall: Points = field(repr=False)
    beside_wall: Index = field(repr=False)
    coarse_mm: float
    bridges: int = 0
    costs: csr_array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        one, other = self.edges.T
        length = np.sqrt(sum((x.take(one) - x.take(other)) ** 2 for x in self.points.T))
        cost = length * (self.depth_mm[one] ** -2 + self.depth_mm[other] ** -2) / 2
        object.__setattr__(self, "costs", _matrix(len(self.index), self.edges, cost))


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """The way from every voxel to a root that keeps to the middle of the vessel.

    Parameters
    ----------
    before : (n,) int64 ndarray
        The next voxel on the way to the root; roots, and voxels without a way, name themselves.
    length_mm : (n,) float64 ndarray
        Length of the way, mm; -1 where there is none.
    """

    before: Index = field(repr=False)
    length_mm: Points = field(repr=False)


def voxel_graph(voxels: Bool, steps: Points, mouth_mm: Points | None = None) -> VoxelGraph:
    """Make the graph of a vessel mask.

    Parameters
    ----------
    voxels : (i, j, k) ndarray of bool
        The mask, not empty.
    steps : (3, 3) ndarray
        Columns: the steps of its grid, mm; sheared grids too.
    mouth_mm : (m, 3) ndarray or None
        Points of the vessel that it opens into, in the frame of the graph's points, where that has a mask
        of its own. Parts that both come near it are vessels of their own: no gap between them is bridged.

    Returns
    -------
    VoxelGraph
        Of all its parts.
    """
    from scipy.spatial import cKDTree

    # Told of the transposed array: it lies in memory the other way about.
    box = (bounding_box(voxels.T) or ())[::-1]
    start = np.array([s.start for s in box])
    voxels = voxels[box]
    index = np.stack(np.unravel_index(np.flatnonzero(voxels), voxels.shape), axis=1)
    points = (index + start) @ steps.T
    inner, wall_points = wall(voxels, steps)
    wall_points = wall_points + start @ steps.T
    depth = np.asarray(cKDTree(wall_points, leafsize=LEAF).query(points, workers=-1)[0])
    edges = _touching(voxels, index, steps)
    part = _parts(len(index), edges)
    bridges = _bridges(points, part, _opening(points, part, mouth_mm))
    if len(bridges):
        edges = np.concatenate([edges, bridges])
        part = _parts(len(index), edges)
    shape = voxels.shape
    beside = np.searchsorted(
        np.ravel_multi_index(tuple(index.T), shape), np.ravel_multi_index(tuple(inner.T), shape)
    )
    coarse = float(np.linalg.norm(steps, axis=0).max())
    return VoxelGraph(index + start, points, depth, edges, part, wall_points, beside, coarse, len(bridges))


def ways_to(graph: VoxelGraph, roots: Index) -> Ways:
    """Find the way from every voxel to the root of its part.

    Parameters
    ----------
    graph : VoxelGraph
        Of the vessel.
    roots : (m,) int64 ndarray
        Voxels, at most one for each part; parts without a root have no ways.

    Returns
    -------
    Ways
        The cheapest ones, where a step costs its length divided by the square of the depth: at every
        calibre, the middle of the vessel is the cheapest way.

    Notes
    -----
    As the centrelines of Antiga et al. (IEEE Trans Med Imaging 2003;22:674) and the skeletons of Sato et
    al. (TEASAR, Pacific Graphics 2000), with the cost of a step free of scale.
    """
    from scipy.sparse.csgraph import dijkstra

    _, before, _ = dijkstra(
        graph.costs,
        directed=False,
        indices=roots,
        return_predecessors=True,
        min_only=True,
    )
    own = np.arange(len(graph.index))
    reached = before >= 0
    reached[roots] = True
    next_one = np.where(before >= 0, before, own)
    total = np.sqrt(sum((x - x.take(next_one)) ** 2 for x in graph.points.T))
    far = next_one.copy()
    # Each round doubles how far the way has been followed.
    while (far != far[far]).any():
        total = total + total[far]
        far = far[far]
    return Ways(next_one, np.where(reached, total, -1.0))


def first_along(before: Index, stop: Bool) -> Index:
    """Follow every voxel's way to the first one that is marked.

    Parameters
    ----------
    before : (n,) int64 ndarray
        The next voxel on each way.
    stop : (n,) ndarray of bool
        Where to stop.

    Returns
    -------
    (n,) int64 ndarray
        The marked voxel, or the end of the way.
    """
    found = np.where(stop, np.arange(len(before)), before)
    while (found != found[found]).any():
        found = found[found]
    return found


def _touching(voxels: Bool, index: Index, steps: Points) -> Index:
    around = neighbours(steps)
    around = around[: len(around) // 2]
    reach = int(np.abs(around).max())
    numbers = np.full([n + 2 * reach for n in voxels.shape], -1, dtype=np.int64)
    i, j, k = (index + reach).T
    numbers[i, j, k] = np.arange(len(index))
    pairs = []
    for step in around:
        beside = numbers[i + step[0], j + step[1], k + step[2]]
        here = np.flatnonzero(beside >= 0)
        pairs.append(np.stack([here, beside[here]], axis=1))
    return np.concatenate(pairs)


def _matrix(n: int, edges: Index, weight: npt.NDArray[np.float64]) -> csr_array:
    from scipy.sparse import csr_array

    return csr_array((weight, (edges[:, 0], edges[:, 1])), shape=(n, n))


def _parts(n: int, edges: Index) -> Index:
    """Return the connected part of each, numbered from the one with the most voxels on."""
    from scipy.sparse.csgraph import connected_components

    count, labels = connected_components(_matrix(n, edges, np.ones(len(edges))), directed=False)
    order = np.argsort(-np.bincount(labels, minlength=count), kind="stable")
    rank = np.empty(count, dtype=np.int64)
    rank[order] = np.arange(count)
    return rank[labels]


def _opening(points: Points, part: Index, mouth_mm: Points | None) -> Bool:
    """Tell which parts come near the vessel that they open into."""
    from scipy.spatial import cKDTree

    opening = np.zeros(int(part.max()) + 1, dtype=np.bool_)
    if mouth_mm is not None:
        near = cKDTree(mouth_mm).query(points, distance_upper_bound=MOUTH_MM * (1 + SAME_LENGTH))[0]
        opening[part[np.isfinite(near)]] = True
    return opening


def _bridges(points: Points, part: Index, opening: Bool) -> Index:
    """Pairs of voxels across the gaps between parts, the narrowest gaps first, no part twice connected."""
    from scipy.spatial import cKDTree

    gaps = []
    for number in range(1, int(part.max()) + 1):
        mine, others = np.flatnonzero(part == number), np.flatnonzero(part < number)
        found = cKDTree(points[others]).query(
            points[mine], distance_upper_bound=BRIDGED_MM * (1 + SAME_LENGTH)
        )
        near, at = np.asarray(found[0]), np.asarray(found[1])
        for group in np.unique(part[others[at[np.isfinite(near)]]]):
            chosen = np.flatnonzero(np.isfinite(near))
            chosen = chosen[part[others[at[chosen]]] == group]
            best = chosen[np.argmin(near[chosen])]
            gaps.append((float(near[best]), int(mine[best]), int(others[at[best]])))
    joined = np.arange(int(part.max()) + 1)
    kept = []
    for _, one, other in sorted(gaps):
        a, b = joined[part[one]], joined[part[other]]
        if a != b and not (opening[a] and opening[b]):
            joined[joined == a] = b
            opening[b] |= opening[a]
            kept.append((one, other))
    return np.array(kept, dtype=np.int64).reshape(-1, 2)
