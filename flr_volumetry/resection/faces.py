"""Where the edges of a grid leave a mask."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from flr_volumetry.images import Grid

Points = npt.NDArray[np.float64]
Voxels = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.intp]

SAMPLE_STEPS = 2.0
"""Distance between faces that stand for a whole surface, in the mean step."""
DENSE = 1_000_000
FEW = 250
"""So many faces are not thinned out."""


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Where the edges of the grid leave a mask.

    Parameters
    ----------
    inside : (n, 3) ndarray of int
        The voxel inside, as an index of the grid.
    sides : (n,) ndarray of int
        Which way out: the axis times two, plus one towards higher indices.
    middles_mm : (n, 3) float64 ndarray
        Half-way to the voxel outside, LPS mm.
    """

    inside: Numbers = field(repr=False)
    sides: Numbers = field(repr=False)
    middles_mm: Points = field(repr=False)

    def __len__(self) -> int:
        return len(self.sides)

    def take(self, which: npt.NDArray[Any]) -> Faces:
        """Return some of the faces.

        Parameters
        ----------
        which : ndarray of int or bool
            Which ones.

        Returns
        -------
        Faces
            Those.
        """
        return Faces(self.inside[which], self.sides[which], self.middles_mm[which])


def steps_out_mm(grid: Grid) -> Points:
    """Return the six steps from a voxel to its neighbours, LPS mm, in the order of `Faces.sides`."""
    return np.asarray([sign * grid.affine[:3, axis] for axis, sign in itertools.product(range(3), (-1, 1))])


def areas_out_mm2(grid: Grid) -> Points:
    """Return the six faces of a voxel as vectors pointing out, mm2, in the order of `Faces.sides`."""
    area = np.linalg.inv(grid.affine[:3, :3]) * grid.voxel_mm3
    return np.asarray([sign * area[axis] for axis, sign in itertools.product(range(3), (-1, 1))])


def faces_of(voxels: Voxels, grid: Grid, start: tuple[int, int, int], *, closed: bool = True) -> Faces:
    """Find where the edges of a grid leave a mask.

    Parameters
    ----------
    voxels : (i, j, k) ndarray of bool
        A box of the grid.
    grid : Grid
        Of any orientation, sheared ones too.
    start : tuple of int
        Where the box begins in the grid.
    closed : bool
        Whether what lies beyond the box counts as outside; else nothing is known of it, and no
        face lies there.

    Returns
    -------
    Faces
        In a fixed order: by axis, then as the voxels lie in memory.
    """
    if closed:
        voxels = np.pad(voxels, 1)
        start = (start[0] - 1, start[1] - 1, start[2] - 1)
    inside, sides = [], []
    for axis in range(3):
        low: list[slice] = [slice(None)] * 3
        high: list[slice] = [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        first = np.ascontiguousarray(voxels[tuple(low)].T)
        # Few of many: sooner found in the array laid out flat.
        at = np.flatnonzero(first ^ voxels[tuple(high)].T)
        leaves = first.ravel().take(at)
        index = np.stack(np.unravel_index(at, first.shape)[::-1], axis=1) + np.asarray(start)
        index[:, axis] += ~leaves
        inside.append(index)
        sides.append(2 * axis + leaves)
    found, out = np.concatenate(inside), np.concatenate(sides).astype(np.intp)
    return Faces(found, out, grid.centres_mm(found) + steps_out_mm(grid)[out] / 2)


def together(*parts: Faces) -> Faces:
    """Join faces.

    Parameters
    ----------
    *parts : Faces
        At least one.

    Returns
    -------
    Faces
        All of them, in order.
    """
    return Faces(
        np.concatenate([part.inside for part in parts]),
        np.concatenate([part.sides for part in parts]),
        np.concatenate([part.middles_mm for part in parts]),
    )


def beyond(faces: Faces, labels: npt.NDArray[Any]) -> Numbers:
    """Return what the voxels outside some faces belong to.

    Parameters
    ----------
    faces : Faces
        None of them at the border of the grid.
    labels : (i, j, k) ndarray of unsigned integers
        On the whole grid.

    Returns
    -------
    (n,) ndarray of int
        Of the labels.
    """
    outside = faces.inside.copy()
    outside[np.arange(len(faces)), faces.sides // 2] += 2 * (faces.sides % 2) - 1
    return np.asarray(labels[tuple(outside.T)], dtype=np.intp)


def blocks(faces: Faces, edge_mm: float, grid: Grid) -> Numbers:
    """Return a number for the block of the grid that each face lies in.

    Parameters
    ----------
    faces : Faces
        At least one.
    edge_mm : float
        Of the blocks, along the steps of the grid.
    grid : Grid
        Their grid.

    Returns
    -------
    (n,) ndarray of int
        From 0; not without gaps. Laid out from the middle of the faces, so that it does not matter where
        the patient lies.
    """
    at = faces.inside.astype(np.float64)
    at[np.arange(len(faces)), faces.sides // 2] += faces.sides % 2 - 0.5
    number = np.rint((at - at.mean(axis=0)) * (np.asarray(grid.spacing_mm) / edge_mm)).astype(np.intp)
    number -= number.min(axis=0)
    extent = number.max(axis=0) + 1
    return np.asarray((number[:, 0] * extent[1] + number[:, 1]) * extent[2] + number[:, 2])


def numbered(values: Numbers) -> tuple[Numbers, Numbers]:
    """Return the distinct values in order, and for each value which of them it is.

    Parameters
    ----------
    values : (n,) ndarray of int
        0 or more.

    Returns
    -------
    (m,) ndarray of int
        Ascending.
    (n,) ndarray of int
        From 0 to m - 1.
    """
    if values.max(initial=0) > DENSE:
        unique, of = np.unique(values, return_inverse=True)
        return unique, of.ravel()
    there = np.zeros(values.max(initial=0) + 1, dtype=bool)
    there[values] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[values]


def thinned(faces: Faces, grid: Grid) -> Numbers:
    """Choose faces that stand for all: of those in a block the one nearest to their mean, of few all.

    Parameters
    ----------
    faces : Faces
        All of them.
    grid : Grid
        Their grid.

    Returns
    -------
    (n,) ndarray of int
        Which ones, sorted.
    """
    if len(faces) <= FEW:
        return np.arange(len(faces))
    block = blocks(faces, SAMPLE_STEPS * grid.voxel_mm3 ** (1 / 3), grid)
    block = numbered(block)[1]
    count = np.bincount(block)
    middle = np.stack([np.bincount(block, faces.middles_mm[:, a]) / count for a in range(3)], axis=1)
    off = np.linalg.norm(faces.middles_mm - middle[block], axis=1)
    order = np.lexsort((np.round(off, 6), block))
    first = np.ones(len(order), dtype=bool)
    first[1:] = block[order][1:] != block[order][:-1]
    return np.sort(order[first])
