"""Closed contours to voxels: a voxel is inside where its centre is, by the even-odd rule.

Polygons are given in array indices, so that voxel centres are whole numbers. On each
row of centres every edge that crosses it toggles all voxels from the crossing on;
toggles of all contours of a plane add up, which is the exclusive or that cuts holes,
and makes a keyhole's two coincident edges cancel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

INDEX_DECIMALS: Final = 6
"""Indices are rounded to a millionth of a voxel, so that a vertex on a centre lies on it exactly."""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """Part of a plane of voxels.

    Parameters
    ----------
    column, row : int
        Where it begins.
    inside : (rows, columns) ndarray of bool
        Which voxels are inside.
    """

    column: int
    row: int
    inside: npt.NDArray[np.bool_]


def fill(polygons: Sequence[npt.NDArray[np.float64]], shape: tuple[int, int]) -> Patch | None:
    """Return the voxels of a plane that lie inside an odd number of polygons.

    A centre on an edge belongs to the polygon on the side of smaller indices: it is inside if
    it lies on the high edge of a polygon and outside if on the low one, so that polygons that
    share an edge share no voxel, and areas are right on average.

    Parameters
    ----------
    polygons : sequence of (n, 2) ndarray
        Vertices as column and row index; the last joins the first.
    shape : tuple of int
        Columns and rows of the plane; what lies beyond is left out.

    Returns
    -------
    Patch or None
        The smallest part that holds all polygons; None if no centre lies inside.
    """
    edges = [_edges(polygon) for polygon in polygons]
    a, b = np.concatenate([e[0] for e in edges]), np.concatenate([e[1] for e in edges])
    level = a[:, 1] == b[:, 1]
    low, high = np.where((a[:, 1] < b[:, 1])[:, None], a, b), np.where((a[:, 1] < b[:, 1])[:, None], b, a)
    low, high = low[~level], high[~level]
    if not len(low):
        return None
    # An edge crosses the rows from its lower end, excluded, to its upper end, included.
    first = np.maximum(np.floor(low[:, 1]) + 1, 0).astype(np.int64)
    stop = np.minimum(np.floor(high[:, 1]) + 1, shape[1]).astype(np.int64)
    counts = np.maximum(stop - first, 0)
    if not counts.sum():
        return None
    edge = np.repeat(np.arange(len(counts)), counts)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    along = (row - low[edge, 1]) / (high[edge, 1] - low[edge, 1])
    at = np.round(low[edge, 0] + along * (high[edge, 0] - low[edge, 0]), INDEX_DECIMALS)
    column = np.clip(np.floor(at) + 1, 0, shape[0]).astype(np.int64)
    return _toggled(column, row)


def _edges(polygon: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    points = np.round(polygon, INDEX_DECIMALS)
    return points, np.roll(points, -1, axis=0)


def _toggled(column: npt.NDArray[np.int64], row: npt.NDArray[np.int64]) -> Patch | None:
    left, top = int(column.min()), int(row.min())
    width, height = int(column.max()) - left, int(row.max()) - top + 1
    if width == 0:
        return None
    flat = (row - top) * (width + 1) + (column - left)
    toggles = np.bincount(flat, minlength=height * (width + 1)).reshape(height, width + 1)
    inside = (np.cumsum(toggles, axis=1)[:, :width] & 1).astype(np.bool_)
    return Patch(left, top, inside)


def shared(first: Patch, second: Patch) -> int:
    """Return how many voxels two patches have in common.

    Parameters
    ----------
    first, second : Patch
        Of one plane.

    Returns
    -------
    int
        Voxels inside both.
    """
    left, top = max(first.column, second.column), max(first.row, second.row)
    right = min(first.column + first.inside.shape[1], second.column + second.inside.shape[1])
    bottom = min(first.row + first.inside.shape[0], second.row + second.inside.shape[0])
    if left >= right or top >= bottom:
        return 0

    def part(patch: Patch) -> npt.NDArray[np.bool_]:
        return patch.inside[top - patch.row : bottom - patch.row, left - patch.column : right - patch.column]

    return int(np.count_nonzero(part(first) & part(second)))
