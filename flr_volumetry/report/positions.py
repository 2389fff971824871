"""Where to take pictures: the box to show, and the planes that show most of the cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.resection.partition import REMNANT

if TYPE_CHECKING:
    from flr_volumetry.images import Grid
    from flr_volumetry.liver import Lesion, Liver
    from flr_volumetry.resection import Partition

MARGIN_MM = 12.0
"""How much is shown around the liver."""
SAMPLE_VOXELS = 400_000
"""About so many voxels are looked at to choose a plane; a plane between two others is as good."""

Vector = npt.NDArray[np.float64]


def shown_box(liver: Liver) -> tuple[Vector, Vector]:
    """Return the corners of the box around the liver that pictures show.

    Parameters
    ----------
    liver : Liver
        The liver.

    Returns
    -------
    low_mm, high_mm : (3,) ndarray
        LPS mm.
    """
    # Along any direction the outermost voxel of each (column, row) line is its first or its last.
    columns = np.argwhere(liver.voxels.any(axis=2))
    lines = liver.voxels[columns[:, 0], columns[:, 1]]
    first = lines.argmax(axis=1)
    last = lines.shape[1] - 1 - lines[:, ::-1].argmax(axis=1)
    ends = np.concatenate([np.column_stack([columns, first]), np.column_stack([columns, last])])
    points = liver.grid.centres_mm(ends)
    return points.min(axis=0) - MARGIN_MM, points.max(axis=0) + MARGIN_MM


def plan_centre(partition: Partition) -> Vector:
    """Return the point whose three planes show most of what stays and of what goes.

    Along each patient axis it lies where the remnant's cross-section times the specimen's is
    largest; where no plane meets both, where the remnant's is.

    Parameters
    ----------
    partition : Partition
        The divided liver.

    Returns
    -------
    (3,) ndarray
        LPS mm; each coordinate is that of a voxel centre.
    """
    inside = int(np.count_nonzero(partition.labels))
    stride = max(1, round((inside / SAMPLE_VOXELS) ** (1 / 3)))
    labels = partition.labels[::stride, ::stride, ::stride]
    index = np.argwhere(labels)
    stays = labels[tuple(index.T)] == REMNANT
    points = partition.grid.centres_mm(index * stride)
    width = max(partition.grid.spacing_mm) * stride
    return np.array([_best_position(points[:, axis], stays, width) for axis in range(3)])


def _best_position(coordinates: Vector, stays: npt.NDArray[np.bool_], width: float) -> float:
    bins = np.floor((coordinates - coordinates.min()) / width + 0.5).astype(np.intp)
    n_bins = int(bins.max()) + 1
    kept = np.bincount(bins[stays], minlength=n_bins)
    gone = np.bincount(bins[~stays], minlength=n_bins)
    both = kept * gone
    score = both if both.any() else (kept if kept.any() else gone)
    members = np.sort(coordinates[bins == int(score.argmax())])
    return float(members[len(members) // 2])


def lesion_centre(lesion: Lesion, grid: Grid) -> Vector:
    """Return the lesion voxel nearest to the lesion's centroid, LPS mm: never a point beside it."""
    return _middle(np.argwhere(lesion.voxels) + np.asarray(lesion.start), grid)


def staying_point(lesion: Lesion, partition: Partition) -> Vector | None:
    """Return the middle of what stays of a lesion, LPS mm, or None if nothing of it stays."""
    stays = lesion.voxels & (partition.labels[lesion.box] == REMNANT)
    if not stays.any():
        return None
    return _middle(np.argwhere(stays) + np.asarray(lesion.start), partition.grid)


def _middle(indices: npt.NDArray[np.intp], grid: Grid) -> Vector:
    points = grid.centres_mm(indices)
    distance = np.linalg.norm(points - points.mean(axis=0), axis=1)
    return np.asarray(points[int(distance.argmin())])
