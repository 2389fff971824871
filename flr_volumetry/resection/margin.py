"""How far each lesion lies from the tissue that stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.resection.partition import REMNANT
from flr_volumetry.resection.points import closest, diameter, not_further_than

if TYPE_CHECKING:
    from flr_volumetry.images import Box, Grid
    from flr_volumetry.liver import Lesion, Liver
    from flr_volumetry.resection.partition import Partition

Voxels = npt.NDArray[np.bool_]
THIN = 4
"""Every how manyth voxel along each axis a first look at the remnant takes."""


@dataclass(frozen=True, slots=True)
class LesionMargin:
    """The margin of one lesion under one plan.

    Parameters
    ----------
    lesion : int
        Its number.
    margin_mm : float
        Smallest distance from a voxel centre of the lesion to one of the remnant;
        0 if part of the lesion stays.
    closest_mm : tuple of float or None
        The lesion's voxel centre where that is, LPS mm; None if part of it stays.
    remaining : int
        How many of its voxels stay.
    cleared_in_stage : int
        The stage after which none of it is left, from 1; 0 if some stays.
    """

    lesion: int
    margin_mm: float
    closest_mm: tuple[float, float, float] | None
    remaining: int
    cleared_in_stage: int


def margins(liver: Liver, partition: Partition) -> tuple[LesionMargin, ...]:
    """Measure how far each lesion lies from the tissue that stays after the last stage.

    Parameters
    ----------
    liver : Liver
        The liver with its lesions.
    partition : Partition
        Of that liver.

    Returns
    -------
    tuple of LesionMargin
        In order of the lesions.

    Notes
    -----
    The distance is Euclidean, in patient millimetres, between voxel centres; it is
    exact on sheared grids too, and by up to one voxel step larger than the gap between
    the surfaces: neighbouring voxels, whose surfaces touch, have a margin of one step.
    Ablated tissue does not count as staying.
    """
    if not liver.lesions:
        return ()
    stage_of = np.zeros(256, dtype=np.int64)
    for piece in partition.pieces:
        stage_of[piece.label] = piece.stage
    stays = partition.labels == REMNANT
    found = []
    for lesion in liver.lesions:
        labels = partition.labels[lesion.box][lesion.voxels]
        remaining = int(np.count_nonzero(labels == REMNANT))
        if remaining:
            found.append(LesionMargin(lesion.number, 0.0, None, remaining, 0))
            continue
        distance, (x, y, z) = _to_remnant(lesion, stays, liver.grid)
        found.append(
            LesionMargin(
                lesion.number, distance, (float(x), float(y), float(z)), 0, int(stage_of[labels].max())
            )
        )
    return tuple(found)


def _to_remnant(lesion: Lesion, stays: Voxels, grid: Grid) -> tuple[float, npt.NDArray[np.float64]]:
    """Smallest distance from a lesion to the remnant, and the lesion's point where it is.

    A thinned-out remnant bounds the distance from above, so that only what lies within
    that bound of the lesion needs to be looked at voxel by voxel.
    """
    points = surface_points_mm(lesion, grid)
    coarse = _indices(stays[::THIN, ::THIN, ::THIN]) * THIN
    box: Box = (slice(0, grid.shape[0]), slice(0, grid.shape[1]), slice(0, grid.shape[2]))
    if len(coarse):
        box = reach(lesion, not_further_than(points, grid.centres_mm(coarse)), grid)
    near = _indices(surface(stays[box])) + [s.start for s in box]
    distance, at = closest(points, grid.centres_mm(near))
    return distance, points[at]


def reach(lesion: Lesion, distance_mm: float, grid: Grid) -> Box:
    """Return the box of everything within a distance of a lesion, cut to the grid.

    Parameters
    ----------
    lesion : Lesion
        In its own box.
    distance_mm : float
        How far.
    grid : Grid
        The liver's; sheared ones too.

    Returns
    -------
    tuple of slice
        With explicit bounds.
    """
    per_mm = np.linalg.norm(np.linalg.inv(grid.affine[:3, :3]), axis=1)
    steps = np.minimum(np.ceil(distance_mm * per_mm), max(grid.shape)).astype(int) + 1
    i, j, k = (
        slice(max(s.start - int(r), 0), min(s.stop + int(r), n))
        for s, r, n in zip(lesion.box, steps, grid.shape, strict=True)
    )
    return i, j, k


def _indices(voxels: Voxels) -> npt.NDArray[np.int64]:
    """Return the indices of a mask's voxels, (n, 3), in the order in which they lie in memory."""
    return np.asarray(np.argwhere(np.ascontiguousarray(voxels.T))[:, ::-1])


def surface(voxels: Voxels) -> Voxels:
    """Which voxels of a mask have a neighbour outside it, corners counted.

    The voxel of a mask nearest to any point outside it is one of these, on sheared
    lattices too.

    Parameters
    ----------
    voxels : (i, j, k) ndarray of bool
        The mask; what lies beyond the array counts as outside.

    Returns
    -------
    ndarray of bool
        Of the same shape.
    """
    core = voxels
    for axis in range(3):
        core = _eroded(core, axis)
    return voxels & ~core


def _eroded(voxels: Voxels, axis: int) -> Voxels:
    out = np.zeros_like(voxels)
    if voxels.shape[axis] > 2:
        before, here, after = ([slice(None)] * 3 for _ in range(3))
        before[axis], here[axis], after[axis] = slice(None, -2), slice(1, -1), slice(2, None)
        out[tuple(here)] = voxels[tuple(before)] & voxels[tuple(here)] & voxels[tuple(after)]
    return out


def surface_points_mm(lesion: Lesion, grid: Grid) -> npt.NDArray[np.float64]:
    """Centres of a lesion's surface voxels.

    Parameters
    ----------
    lesion : Lesion
        In its own box.
    grid : Grid
        The liver's.

    Returns
    -------
    (n, 3) float64 ndarray
        LPS mm.
    """
    return grid.centres_mm(_indices(surface(lesion.voxels)) + np.asarray(lesion.start))


def longest_diameter_mm(lesion: Lesion, grid: Grid) -> float:
    """Largest distance between two voxel centres of a lesion, in three dimensions.

    Parameters
    ----------
    lesion : Lesion
        In its own box.
    grid : Grid
        The liver's.

    Returns
    -------
    float
        Millimetres; 0 for a single voxel.
    """
    return diameter(grid.centres_mm(_indices(_ends_of_rows(lesion.voxels))))


def _ends_of_rows(voxels: Voxels) -> Voxels:
    """Keep the first and last voxels of rows along all three axes: all that can be furthest apart."""
    ends = voxels
    for axis in range(3):
        count = np.cumsum(voxels, axis=axis, dtype=np.int32)
        ends = ends & ((count == 1) | (count == count.max(axis=axis, keepdims=True)))
    return ends
