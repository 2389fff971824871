"""The lattice of a grid: which voxels are neighbours, and where the wall of a mask runs, in patient mm."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from flr_volumetry.images import Grid

Points = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

SAME_LENGTH = 1e-9
"""Two squares of lengths closer than this share of them are taken for equal."""


@dataclass(frozen=True, slots=True, eq=False)
class Upright:
    """A grid's arrays turned so that their axes run head, back and left, whatever way the file stores them.

    What is found on turned arrays does not depend on how the scan was stored, ties included.

    Parameters
    ----------
    axes : tuple of int
        Which array axis runs along the patient's z, y and x.
    flips : tuple of bool
        Which of these run the other way.
    steps : (3, 3) float64 ndarray
        Columns: the step along each turned axis, mm.
    origin_mm : (3,) float64 ndarray
        Centre of the turned array's first voxel, LPS mm.
    """

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    steps: Points = field(repr=False)
    origin_mm: Points = field(repr=False)

    @classmethod
    def of(cls, grid: Grid) -> Upright:
        """Choose for each patient axis, head first, the array axis nearest to it.

        Parameters
        ----------
        grid : Grid
            Any.

        Returns
        -------
        Upright
            How to turn its arrays.
        """
        steps = grid.affine[:3, :3]
        along = np.abs(steps / np.linalg.norm(steps, axis=0))
        axes: list[int] = []
        for patient_axis in (2, 1, 0):
            left = [axis for axis in range(3) if axis not in axes]
            axes.append(max(left, key=lambda axis: float(along[patient_axis, axis])))
        flips = [bool(steps[p, axis] < 0) for p, axis in zip((2, 1, 0), axes, strict=True)]
        last = np.zeros(3)
        for axis, flip in zip(axes, flips, strict=True):
            last[axis] = grid.shape[axis] - 1 if flip else 0
        turned = steps[:, axes] * np.where(flips, -1.0, 1.0)
        i, j, k = axes
        a, b, c = flips
        return cls((i, j, k), (a, b, c), turned, grid.centres_mm(last[None])[0])

    def turn(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return an array of the grid as a turned view."""
        return array.transpose(self.axes)[self._slices]

    def turn_back(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a turned array as a view that lies as the grid does."""
        back = np.argsort(self.axes)
        return array[self._slices].transpose([int(axis) for axis in back])

    @property
    def _slices(self) -> tuple[slice, slice, slice]:
        i, j, k = (slice(None, None, -1 if flip else 1) for flip in self.flips)
        return i, j, k


def superbase(steps: Points) -> tuple[Index, Index, Index]:
    """Find three steps that span a lattice and, with minus their sum, are nowhere at acute angles.

    Parameters
    ----------
    steps : (3, 3) ndarray
        Columns: the steps of the grid, mm.

    Returns
    -------
    tuple of (3,) int64 ndarray
        In steps along the array axes; on an orthogonal grid the array axes themselves.

    Notes
    -----
    Selling's reduction (Conway and Sloane, Proc R Soc Lond A 1992;436:55).
    """
    base = [np.eye(3, dtype=np.int64)[axis] for axis in range(3)]
    base.append(-(base[0] + base[1] + base[2]))
    limit = SAME_LENGTH * float((steps**2).sum())
    acute = True
    while acute:
        acute = False
        for one in range(4):
            for other in range(one + 1, 4):
                if float((steps @ base[one]) @ (steps @ base[other])) > limit:
                    turned = base[one]
                    base = [
                        vector if n == other else -turned if n == one else vector + turned
                        for n, vector in enumerate(base)
                    ]
                    acute = True
    return base[0], base[1], base[2]


def neighbours(steps: Points) -> Index:
    """Return the 26 steps to the voxels around a voxel, as the patient sees them.

    Parameters
    ----------
    steps : (3, 3) ndarray
        Columns: the steps of the grid, mm.

    Returns
    -------
    (26, 3) int64 ndarray
        Opposite steps stand at opposite ends of the list. On a sheared grid they follow the patient, not
        the array.
    """
    base = np.stack(superbase(steps))
    signs = np.array([s for s in product((-1, 0, 1), repeat=3) if any(s)], dtype=np.int64)
    return np.asarray(signs @ base)


def facets(steps: Points) -> Index:
    """Return the steps to the voxels whose cells share a face with a voxel's cell.

    Parameters
    ----------
    steps : (3, 3) ndarray
        Columns: the steps of the grid, mm.

    Returns
    -------
    (n, 3) int64 ndarray
        6 on an orthogonal grid, up to 14 on a sheared one.

    Notes
    -----
    The cell of a voxel is what lies nearer to its centre than to any other. A voxel that is not nearest to
    a point has a neighbour across such a face that is nearer, so the nearest voxel of a mask is the voxel
    itself or one that misses a neighbour across a face.
    """
    around = neighbours(steps)
    length = np.sum((around @ steps.T) ** 2, axis=1)
    parity = np.abs(around) % 2 @ np.array([1, 2, 4])
    keep = []
    for n in range(len(around)):
        rivals = (parity == parity[n]) & (length <= length[n] * (1 + SAME_LENGTH))
        keep.append(np.count_nonzero(rivals) == 2)
    return np.asarray(around[np.array(keep)])


def wall(voxels: Bool, steps: Points) -> tuple[Index, Points]:
    """Find where the wall of a mask runs.

    Parameters
    ----------
    voxels : (i, j, k) ndarray of bool
        The mask; outside the array there is nothing.
    steps : (3, 3) ndarray
        Columns: the steps of the grid, mm.

    Returns
    -------
    inner : (n, 3) int64 ndarray
        The voxels that miss a neighbour across a face, once for each such face.
    points : (n, 3) float64 ndarray
        The middles of these faces, mm from the centre of the array's first voxel.
    """
    around = facets(steps)
    reach = int(np.abs(around).max())
    padded = np.pad(voxels, reach)
    index = np.argwhere(voxels)
    inner, points = [], []
    for step in around:
        i, j, k = (index + step + reach).T
        bare = index[~padded[i, j, k]]
        inner.append(bare)
        points.append((bare + step / 2) @ steps.T)
    return np.concatenate(inner), np.concatenate(points)
