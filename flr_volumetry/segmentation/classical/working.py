"""An upright working copy of a scan: patient axes, equal steps, noise averaged away."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import edt
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from flr_volumetry.images import Box, Grid

if TYPE_CHECKING:
    from flr_volumetry.images import Image

Values = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

STEP_MM = 2.5
"""Of the grid the liver is found on: finer ones cost time by the cube and gain nothing there (measured)."""
OUTSIDE = -1024.0
ENDS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Working:
    """A scan on an upright grid: array axes run to the left, to the back and to the head.

    Parameters
    ----------
    grid : Grid
        Equal steps along the LPS axes.
    values : (i, j, k) float32 ndarray
        Averaged over about one step.
    seen : (i, j, k) bool ndarray
        Whether the scan reaches there.
    """

    grid: Grid
    values: Values = field(repr=False)
    seen: Bools = field(repr=False)

    @property
    def step_mm(self) -> float:
        """Length of a step, mm."""
        return float(self.grid.affine[0, 0])

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel, mL."""
        return self.grid.voxel_ml


def upright(image: Image, step_mm: float = STEP_MM, *, lowest: float = OUTSIDE) -> Working:
    """Bring a scan onto an upright grid of equal steps; values below `lowest` count as that."""
    coarse, affine = averaged(image, step_mm, lowest)
    low, high = _extent(image.grid)
    shape = np.maximum(np.round((high - low) / step_mm), 1).astype(int)
    to_patient = np.diag([step_mm, step_mm, step_mm, 1.0])
    to_patient[:3, 3] = (low + high) / 2 - step_mm * (shape - 1) / 2
    grid = Grid((int(shape[0]), int(shape[1]), int(shape[2])), to_patient, image.grid.frame_of_reference_uid)
    values = onto(coarse, Grid(_shape(coarse), affine), grid)
    seen = _inside(np.asarray(np.linalg.solve(image.grid.affine, to_patient)), grid.shape, image.grid.shape)
    return Working(grid, values, seen)


def averaged(image: Image, step_mm: float, lowest: float) -> tuple[Values, Floats]:
    """Average blocks of voxels about one step wide; return them and their affine."""
    factors = np.maximum(np.round(step_mm / np.asarray(image.grid.spacing_mm)).astype(int), 1)
    factors = np.minimum(factors, image.grid.shape)
    a, b, c = (int(f) for f in factors)
    i, j, k = (n // f for n, f in zip(image.grid.shape, (a, b, c), strict=True))
    out = np.empty((i, j, k), dtype=np.float32)
    for n in range(k):
        slab = image.voxels[: i * a, : j * b, n * c : (n + 1) * c]
        flat = np.maximum(slab, lowest).astype(np.float32).sum(axis=2)
        out[:, :, n] = flat.reshape(i, a, j, b).sum(axis=(1, 3)) / (a * b * c)
    affine = image.grid.affine.copy()
    affine[:3, :3] = affine[:3, :3] * factors
    affine[:3, 3] = image.grid.centres_mm([(factors - 1) / 2])[0]
    return out, affine


def onto(values: npt.NDArray[Any], grid: Grid, target: Grid) -> Values:
    """Interpolate a field at the voxel centres of another grid, linearly; beyond its border as at it."""
    there = np.linalg.solve(grid.affine, target.affine)
    linear, shift = there[:3, :3], there[:3, 3]
    if np.abs(linear - np.diag(np.diag(linear))).max() < 1e-12:
        # A diagonal matrix given as a vector is done axis by axis, several times faster.
        linear = np.diag(linear)
    out = np.empty(target.shape, dtype=np.float32)
    given = values.astype(np.float32, copy=False)
    ndimage.affine_transform(given, linear, shift, output=out, order=1, mode="nearest")
    return out


def box_of(inside: Bools, grid: Grid, target: Grid, margin_mm: float) -> Box:
    """Return the box of `target` that holds a mask of `grid` and a margin around it."""
    where = np.argwhere(inside)
    pad = margin_mm / np.asarray(grid.spacing_mm)
    low, high = where.min(axis=0) - 0.5 - pad, where.max(axis=0) + 0.5 + pad
    index = target.indices_at(grid.centres_mm(low + ENDS * (high - low)))
    first = np.clip(np.floor(index.min(axis=0)).astype(int), 0, np.asarray(target.shape) - 1)
    last = np.clip(np.ceil(index.max(axis=0)).astype(int) + 1, first + 1, target.shape)
    i, j, k = (slice(int(f), int(n)) for f, n in zip(first, last, strict=True))
    return i, j, k


def distance_mm(inside: Bools, step_mm: float) -> Values:
    """Distance of each voxel inside to the nearest one outside, mm; what leaves the grid counts as inside."""
    if inside.all():
        return np.full(inside.shape, np.inf, dtype=np.float32)
    return np.asarray(edt.edt(inside, anisotropy=(step_mm,) * 3, black_border=False), dtype=np.float32)


def doubled(small: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Repeat each voxel of every second row, column and slice, back to a shape."""
    index = np.ix_(*(np.minimum(np.arange(n) // 2, m - 1) for n, m in zip(shape, small.shape, strict=True)))
    return np.asarray(small[index])


def _shape(array: npt.NDArray[Any]) -> tuple[int, int, int]:
    i, j, k = array.shape
    return i, j, k


def _extent(grid: Grid) -> tuple[Floats, Floats]:
    corners = grid.centres_mm(ENDS * np.asarray(grid.shape) - 0.5)
    return corners.min(axis=0), corners.max(axis=0)


def _inside(step: Floats, shape: tuple[int, int, int], scan: tuple[int, int, int]) -> Bools:
    inside = np.ones(shape, dtype=bool)
    i, j, k = (np.arange(n, dtype=np.float64) for n in shape)
    for axis in range(3):
        a, b, c, d = step[axis]
        at = (a * i)[:, None, None] + (b * j)[None, :, None] + (c * k + d)[None, None, :]
        inside &= (at >= -0.5) & (at <= scan[axis] - 0.5)
    return inside
