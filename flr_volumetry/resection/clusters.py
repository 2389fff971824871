"""Faces taken together, and what lies around a point."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flr_volumetry.resection.faces import blocks, numbered

if TYPE_CHECKING:
    from flr_volumetry.images import Grid
    from flr_volumetry.resection.faces import Faces

Points = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.intp]

PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
"""Of coordinates, for covariances."""
FEW = 6000
"""Among so many points the distances of all are taken; among more, a tree is asked (measured)."""
AT_ONCE = 50_000
"""So many distances fit a processor's cache, and are too few for a linear algebra library to start threads
for, which costs more than it gains, and on a busy machine many times as much (measured)."""


@dataclass(frozen=True, slots=True)
class Clusters:
    """Faces of one direction close together, each as one."""

    points: Points
    sides: Numbers
    """Which way out, as of `Faces`."""
    counts: Points
    spreads: Points
    """Covariances, in the order of `PAIRS`."""


@dataclass(frozen=True, slots=True)
class Around:
    """What lies around each of some points, one row a pair, ordered by the points."""

    of: Numbers
    which: Numbers
    starts: Numbers
    offsets: Points

    def total(self, values: Points) -> Points:
        """Sum over what lies around each point."""
        return np.asarray(np.add.reduceat(values, self.starts))


def clustered(faces: Faces, edge_mm: float, grid: Grid) -> Clusters:
    """Take faces of one direction together that lie in one block of the grid.

    Parameters
    ----------
    faces : Faces
        At least one.
    edge_mm : float
        Of the blocks.
    grid : Grid
        Their grid.

    Returns
    -------
    Clusters
        In a fixed order.
    """
    points = faces.middles_mm
    unique, of = numbered(blocks(faces, edge_mm, grid) * 6 + faces.sides)
    counts = np.bincount(of).astype(np.float64)
    means = np.stack([np.bincount(of, points[:, a]) / counts for a in range(3)], axis=1)
    off = points - means[of]
    spreads = np.stack([np.bincount(of, off[:, a] * off[:, b]) / counts for a, b in PAIRS], axis=1)
    return Clusters(means, unique % 6, counts, spreads)


def around(points: Points, within_mm: float, middles: Points) -> Around:
    """Find which of some points lie around others.

    Parameters
    ----------
    points : (n, 3) float64 ndarray
        The points, mm.
    within_mm : float
        How far.
    middles : (m, 3) float64 ndarray
        At least one; each has some of the points around it.

    Returns
    -------
    Around
        One row for each pair.
    """
    found = _by_product if len(points) <= FEW else _by_tree
    which, counts = found(points, within_mm, middles)
    of = np.repeat(np.arange(len(middles)), counts)
    offsets = np.take(points, which, axis=0)
    offsets -= np.repeat(middles, counts, axis=0)
    return Around(of, which, np.cumsum(counts) - counts, offsets)


def _by_tree(points: Points, within_mm: float, middles: Points) -> tuple[Numbers, Numbers]:
    """Find what lies around each of the middles, one after the other, and how many that is."""
    from scipy.spatial import cKDTree

    # The stubs know the answer for one middle only.
    lists: Any = cKDTree(points).query_ball_point(middles, within_mm, return_sorted=False)
    counts = np.array([len(some) for some in lists], dtype=np.intp)
    flat = itertools.chain.from_iterable(lists)
    return np.fromiter(flat, dtype=np.intp, count=int(counts.sum())), counts


def _by_product(points: Points, within_mm: float, middles: Points) -> tuple[Numbers, Numbers]:
    """Find the same from the squares of all distances: sooner, where a good part of the points is around."""
    centre = points.mean(axis=0)
    points, middles = points - centre, middles - centre
    square = np.einsum("ij,ij->i", points, points) - within_mm**2
    theirs = np.concatenate([-2 * points, np.ones((len(points), 1)), square[:, None]], axis=1).T
    square = np.einsum("ij,ij->i", middles, middles)
    mine = np.concatenate([middles, square[:, None], np.ones((len(middles), 1))], axis=1)
    rows = max(1, AT_ONCE // len(points))
    which, counts = [], []
    for start in range(0, len(mine), rows):
        near = mine[start : start + rows] @ theirs <= 0
        counts.append(np.count_nonzero(near, axis=1))
        which.append(np.flatnonzero(near) - np.repeat(np.arange(len(near)) * len(points), counts[-1]))
    return np.concatenate(which), np.concatenate(counts)
