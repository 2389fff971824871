"""Faces taken together, and what lies around a point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.resection.faces import blocks, numbered, steps_out_mm

if TYPE_CHECKING:
    from flr_volumetry.images import Grid
    from flr_volumetry.resection.faces import Faces

Points = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.intp]

PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
"""Of coordinates, for covariances."""


@dataclass(frozen=True, slots=True)
class Clusters:
    """Faces of one direction close together, each as one."""

    points: Points
    steps: Points
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
    return Clusters(means, steps_out_mm(grid)[unique % 6], counts, spreads)


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
    from scipy.spatial import cKDTree

    lists = cKDTree(points).query_ball_point(middles, within_mm, return_sorted=False)
    found = [np.asarray(some, dtype=np.intp) for some in lists]
    counts = np.array([some.size for some in found], dtype=np.intp)
    which = np.concatenate(found)
    of = np.repeat(np.arange(len(middles)), counts)
    return Around(of, which, np.cumsum(counts) - counts, points[which] - middles[of])
