"""The nearest vessel branch for every voxel of a liver, exactly, on any grid."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.images import bounding_box
from flr_volumetry.territories.lattice import facets

if TYPE_CHECKING:
    from flr_volumetry.images import Box
    from flr_volumetry.territories.lattice import Bool, Index, Points

Labels = npt.NDArray[np.uint16]

ORTHOGONAL = 1e-9
"""Steps whose products are smaller than this, against the square of the shortest, stand at right angles."""
TIE = 1e-9
"""Squares of distances that differ by less than this share are taken for equal."""


class Weighting(Enum):
    """What "nearest" means when the liver is divided between the branches of a vessel."""

    WALL = "wall"
    """Distance to the vessel itself, that is to its centreline less its radius."""


@dataclass(frozen=True, slots=True, eq=False)
class NearestSeeds:
    """The nearest of a set of seeds for each voxel of a liver.

    Parameters
    ----------
    box : tuple of slice
        Holds the liver and all seeds.
    at : (i, j, k) int64 ndarray
        For each voxel of the box the flat index, in the box, of its nearest seed; outside the liver that
        of some seed.
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
        Exactly, by the distance between voxel centres.
    """
    # Told of the transposed arrays: they lie in memory the other way about.
    boxes = [b[::-1] for b in (bounding_box(liver.T), bounding_box(seeds.T)) if b is not None]
    i, j, k = (
        slice(min(s.start for s in axis), max(s.stop for s in axis)) for axis in zip(*boxes, strict=True)
    )
    box = (i, j, k)
    if _stand_at_right_angles(steps):
        return NearestSeeds(box, _by_transform(seeds[box], np.linalg.norm(steps, axis=0)))
    return NearestSeeds(box, _by_tree(liver[box], seeds[box], steps))


def labels_of(nearest: NearestSeeds, liver: Bool, seed_labels: Labels, steps: Points) -> Labels:
    """Label every voxel of a liver with the label of its nearest seed.

    Parameters
    ----------
    nearest : NearestSeeds
        Of that liver.
    liver : (i, j, k) ndarray of bool
        The liver.
    seed_labels : (i, j, k) ndarray of uint16
        Labels from 1 at the seeds.
    steps : (3, 3) ndarray
        Columns: the steps of the grid, mm.

    Returns
    -------
    (i, j, k) ndarray of uint16
        0 outside the liver; of labels at the same distance the lowest.
    """
    marked = np.ascontiguousarray(seed_labels[nearest.box]).ravel()
    found = marked[nearest.at.ravel()].reshape(nearest.at.shape)
    found *= liver[nearest.box]
    _settle_ties(found, nearest.at, marked, steps)
    labels = np.zeros(liver.shape, dtype=np.uint16)
    labels[nearest.box] = found
    return labels


def _stand_at_right_angles(steps: Points) -> bool:
    gram = steps.T @ steps
    square = np.diag(gram)
    return bool(np.abs(gram - np.diag(square)).max() <= ORTHOGONAL * square.min())


def _by_transform(seeds: Bool, spacing: Points) -> Index:
    """For each voxel of a box the flat index of the nearest seed."""
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(~seeds, sampling=spacing, return_distances=False, return_indices=True)
    at: Index = nearest[0].astype(np.int64)
    for axis in (1, 2):
        at *= seeds.shape[axis]
        at += nearest[axis]
    return at


def _by_tree(liver: Bool, seeds: Bool, steps: Points) -> Index:
    """For each voxel of a liver and around it the flat index of the nearest seed; elsewhere that of any."""
    from scipy.ndimage import binary_dilation
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
    at = np.full(seeds.shape, source[0])
    asked = np.argwhere(binary_dilation(liver) & ~seeds)
    found = cKDTree(index[bare] @ steps.T).query(asked @ steps.T, workers=-1)[1]
    at[tuple(asked.T)] = source[found]
    at[tuple(index.T)] = np.ravel_multi_index(tuple(index.T), seeds.shape)
    return at


def _settle_ties(labels: Labels, at: Index, seed_labels: Labels, steps: Points) -> None:
    """Give voxels as near to the seed of a neighbour as to their own the lower label of both.

    A voxel as near to two labels borders on one that is nearer to the other, so looking across the borders
    between the labels is enough.
    """
    shape = labels.shape
    strides = np.array([shape[1] * shape[2], shape[2], 1])
    pairs = []
    for axis in range(3):
        one, other = (
            tuple(part if a == axis else slice(None) for a in range(3))
            for part in (slice(None, -1), slice(1, None))
        )
        for mine, theirs, step in ((one, other, 1), (other, one, -1)):
            # Of two labels side by side only the voxel with the higher one can change; 0 is no liver.
            here = np.argwhere(labels[mine] > seed_labels[at[theirs]]) @ strides
            voxel = here + (strides[axis] if step < 0 else 0)
            pairs.append(np.stack([voxel, voxel + step * strides[axis]]))
    voxel, beside = np.concatenate(pairs, axis=1)
    rival = at.ravel()[beside]
    own_mm2, rival_mm2 = (_square_mm(voxel, seed, shape, steps) for seed in (at.ravel()[voxel], rival))
    tied = rival_mm2 <= own_mm2 * (1 + TIE)
    np.minimum.at(labels.ravel(), voxel[tied], seed_labels[rival[tied]])


def _square_mm(one: Index, other: Index, shape: tuple[int, ...], steps: Points) -> Points:
    apart = np.stack(np.unravel_index(one, shape), axis=1) - np.stack(np.unravel_index(other, shape), axis=1)
    square: Points = ((apart @ steps.T) ** 2).sum(axis=1)
    return square
