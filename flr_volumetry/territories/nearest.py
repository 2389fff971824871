"""The nearest vessel branch for every voxel of a liver, exactly, on any grid."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from flr_volumetry.images import bounding_box
from flr_volumetry.territories.lattice import facets

if TYPE_CHECKING:
    from flr_volumetry.images import Box
    from flr_volumetry.territories.lattice import Bool, Index, Points

ORTHOGONAL = 1e-9
"""Steps whose products are smaller than this, against the square of the shortest, stand at right angles."""


class Weighting(Enum):
    """What "nearest" means when the liver is divided between the branches of a vessel."""

    WALL = "wall"
    """Distance to the vessel's own voxels, that is to its centreline less its radius: wide branches reach
    further."""
    CENTRELINE = "centreline"
    """Distance to the voxels that its centreline runs through, whatever its radius."""


@dataclass(frozen=True, slots=True, eq=False)
class NearestSeeds:
    """The nearest of a set of seeds for each voxel of a liver.

    Parameters
    ----------
    box : tuple of slice
        Holds the liver and all seeds.
    at : (n,) int64 ndarray
        For each voxel of the liver, in the order of the array, the flat index of its nearest seed in the
        box.
    """

    box: Box
    at: Index = field(repr=False)


def nearest_seeds(liver: Bool, seeds: Bool, steps: Points) -> NearestSeeds:
    """Find the nearest seed for every voxel of a liver.

    Parameters
    ----------
    liver : (i, j, k) ndarray of bool
        The liver.
    seeds : (i, j, k) ndarray of bool
        Not empty; they may lie outside the liver.
    steps : (3, 3) ndarray
        Columns: the steps of the grid, mm; sheared grids too.

    Returns
    -------
    NearestSeeds
        Exactly, by the distance between voxel centres; of several as near always the same one, told the
        same arrays.
    """
    # Told of the transposed arrays: they lie in memory the other way about.
    boxes = [b[::-1] for b in (bounding_box(liver.T), bounding_box(seeds.T)) if b is not None]
    i, j, k = (
        slice(min(s.start for s in axis), max(s.stop for s in axis)) for axis in zip(*boxes, strict=True)
    )
    box = (i, j, k)
    if _stand_at_right_angles(steps):
        return NearestSeeds(box, _by_transform(liver[box], seeds[box], np.linalg.norm(steps, axis=0)))
    return NearestSeeds(box, _by_tree(liver[box], seeds[box], steps))


def _stand_at_right_angles(steps: Points) -> bool:
    gram = steps.T @ steps
    square = np.diag(gram)
    return bool(np.abs(gram - np.diag(square)).max() <= ORTHOGONAL * square.min())


def _by_transform(liver: Bool, seeds: Bool, spacing: Points) -> Index:
    """For each voxel of a liver the flat index of the nearest seed."""
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(~seeds, sampling=spacing, return_distances=False, return_indices=True)
    inside = np.flatnonzero(liver)
    at = nearest[0].ravel().take(inside)
    if seeds.size > np.iinfo(at.dtype).max:
        at = at.astype(np.int64)
    for axis in (1, 2):
        at *= seeds.shape[axis]
        at += nearest[axis].ravel().take(inside)
    return np.asarray(at, dtype=np.int64)


def _by_tree(liver: Bool, seeds: Bool, steps: Points) -> Index:
    """For each voxel of a liver the flat index of the nearest seed."""
    from scipy.spatial import cKDTree

    around = facets(steps)
    reach = int(np.abs(around).max())
    taken = np.pad(seeds, reach)
    index = np.argwhere(seeds)
    bare = np.zeros(len(index), dtype=np.bool_)
    for step in around:
        i, j, k = (index + step + reach).T
        bare |= ~taken[i, j, k]
    source = np.ravel_multi_index(tuple(index[bare].T), seeds.shape)
    at = np.flatnonzero(liver)
    asked = np.flatnonzero(~seeds.ravel()[at])
    points = np.stack(np.unravel_index(at[asked], seeds.shape), axis=1) @ steps.T
    # The nearest seed of a seed is itself.
    at[asked] = source[cKDTree(index[bare] @ steps.T).query(points, workers=-1)[1]]
    return at
