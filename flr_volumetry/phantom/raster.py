"""Walks a grid slice by slice, in the order the phantom's own axes give.

Whatever order and direction an array's axes have, slices are taken from feet to
head, rows from front to back and columns from right to left, as nearly as the
grid's directions allow. So the same voxel centres give the same values, noise
included, however the array lies in memory.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flr_volumetry.images import Grid
    from flr_volumetry.phantom.pose import Pose
    from flr_volumetry.phantom.shapes import Part, Values

FAR_MM = 1.0e3
"""The distance reported where a shape is too far away to matter."""
LARGE = 96 * 96
"""Rectangles with more points are looked over with a stride first."""
STRIDE = 8
STEEPEST = 2.0
"""No distance changes by more than this for each mm, the warp included."""
Rect = tuple[slice, slice]
"""Rows and columns of a slice."""


@dataclass(frozen=True, slots=True, eq=False)
class Raster:
    """A grid seen from the phantom.

    Parameters
    ----------
    shape : tuple of int
        Columns, rows and slices in the order they are walked.
    affine : (4, 4) ndarray
        From a walked index to the phantom's place, before its own warp, mm.
    pose : Pose
        Where the phantom lies, and its warp.
    axes, flips : tuple
        Which array axis is walked as column, row and slice, and which of them backwards.
    """

    shape: tuple[int, int, int]
    affine: npt.NDArray[np.float64] = field(repr=False)
    pose: Pose
    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    @classmethod
    def of(cls, grid: Grid, pose: Pose) -> Raster:
        """Return a grid's raster for a phantom that lies in some pose."""
        local = pose.from_patient @ grid.affine
        axes = _walking_axes(local[:3, :3] / np.linalg.norm(local[:3, :3], axis=0))
        shape = (grid.shape[axes[0]], grid.shape[axes[1]], grid.shape[axes[2]])
        flips = tuple(bool(local[row, axis] < 0) for row, axis in enumerate(axes))
        affine = np.eye(4)
        affine[:3, 3] = local[:3, 3]
        for n, (axis, flip) in enumerate(zip(axes, flips, strict=True)):
            affine[:3, n] = -local[:3, axis] if flip else local[:3, axis]
            affine[:3, 3] += local[:3, axis] * (shape[n] - 1) * flip
        return cls(shape, affine, pose, axes, (flips[0], flips[1], flips[2]))

    @property
    def width_mm(self) -> float:
        """Edge of a cube as large as a voxel, mm."""
        return float(abs(np.linalg.det(self.affine[:3, :3])) ** (1 / 3))

    def walked(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """View an array of the grid in walking order."""
        view = array.transpose(self.axes)
        steps = tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flips)
        return view[steps]

    def boxes(self, parts: Sequence[Part], *, beyond_mm: float = 0.0) -> npt.NDArray[np.int64]:
        """Return which columns, rows and slices each part can reach.

        Parameters
        ----------
        parts : sequence of Part
            n of them.
        beyond_mm : float
            Add so much around each.

        Returns
        -------
        (n, 3, 2) ndarray of int
            First, and one after the last; clipped to the grid, empty ones included.
        """
        bounds = np.array([part.bounds for part in parts]).reshape(-1, 2, 3)
        low, high = self.pose.warp.reach(bounds[:, 0] - beyond_mm, bounds[:, 1] + beyond_mm)
        choose = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(8, 1, 3)
        corners = np.where(choose == 0, low, high) - self.affine[:3, 3]
        index = corners @ np.linalg.inv(self.affine[:3, :3]).T
        box = np.stack([np.floor(index.min(axis=0)), np.ceil(index.max(axis=0)) + 1], axis=-1)
        limits = np.asarray(self.shape, dtype=np.float64)[:, None]
        return np.asarray(np.clip(box, 0, limits), dtype=np.int64)

    def points(self, k: int, rect: Rect) -> tuple[Values, Values, Values]:
        """Return where the voxel centres of a rectangle of slice k lie in the phantom, mm."""
        rows = np.arange(rect[0].start, rect[0].stop, dtype=np.float64)[:, None]
        columns = np.arange(rect[1].start, rect[1].stop, dtype=np.float64)[None, :]
        A = self.affine
        x, y, z = (
            ((A[n, 3] + A[n, 2] * k + A[n, 1] * rows) + A[n, 0] * columns).astype(np.float32)
            for n in range(3)
        )
        return self.pose.warp.to_phantom(x, y, z)

    def each_slice(self, work: Callable[[int], None], slices: Sequence[int]) -> None:
        """Do some work for each slice, on all processors; no two slices may touch the same memory."""
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            for _ in pool.map(work, slices):
                pass


@dataclass(frozen=True, slots=True, eq=False)
class Slab:
    """The points of one slice, or of a rectangle of it.

    Parameters
    ----------
    raster : Raster
        The grid it belongs to.
    k : int
        Which slice.
    rect : tuple of slice
        Its rows and columns.
    points : tuple of ndarray
        x, y and z in the phantom, mm, (rows, columns) each.
    """

    raster: Raster
    k: int
    rect: Rect
    points: tuple[Values, Values, Values] = field(repr=False)

    @classmethod
    def at(cls, raster: Raster, k: int, rect: Rect) -> Slab:
        """Return the points of a rectangle of slice k."""
        return cls(raster, k, rect, raster.points(k, rect))

    def nearest(self, placed: PlacedParts) -> tuple[Rect, Values] | None:
        """Return the distance to a union of parts, and where in this slab it was computed.

        Parameters
        ----------
        placed : PlacedParts
            The parts and their boxes on this grid.

        Returns
        -------
        tuple or None
            Rows and columns within the slab, and distances there, `FAR_MM` where no part is
            near; None if none reaches this slice.
        """
        found = placed.in_slice(self.k, self.rect)
        if not found:
            return None
        rects = np.array([[r.start, r.stop, c.start, c.stop] for _, (r, c) in found])
        top, left = int(rects[:, 0].min()), int(rects[:, 2].min())
        bottom, right = int(rects[:, 1].max()), int(rects[:, 3].max())
        if len(found) == 1:
            part, rect = found[0]
            rect = self._near(part, rect)
            return rect, part.distance(*(p[rect] for p in self.points))
        field_mm = np.full((bottom - top, right - left), FAR_MM, dtype=np.float32)
        for part, rect in found:
            inner = (
                slice(rect[0].start - top, rect[0].stop - top),
                slice(rect[1].start - left, rect[1].stop - left),
            )
            here = part.distance(*(p[rect] for p in self.points))
            np.minimum(field_mm[inner], here, out=field_mm[inner])
        return (slice(top, bottom), slice(left, right)), field_mm

    def _near(self, part: Part, rect: Rect) -> Rect:
        """Shrink a rectangle around a large part, after a look at few of its points."""
        rows, columns = rect
        if (rows.stop - rows.start) * (columns.stop - columns.start) < LARGE:
            return rect
        coarse = part.distance(*(p[rect][::STRIDE, ::STRIDE] for p in self.points))
        step = float(np.linalg.norm(self.raster.affine[:3, :2], axis=0).max())
        hit = coarse <= STEEPEST * STRIDE * step + self.raster.width_mm
        if not hit.any():
            return slice(rows.start, rows.start + 1), slice(columns.start, columns.start + 1)
        j, i = np.flatnonzero(hit.any(axis=1)), np.flatnonzero(hit.any(axis=0))
        return (
            _span(rows, int(j[0]), int(j[-1])),
            _span(columns, int(i[0]), int(i[-1])),
        )


@dataclass(frozen=True, slots=True, eq=False)
class PlacedParts:
    """Parts, and the boxes of a grid that they can reach.

    Parameters
    ----------
    parts : tuple of Part
        n of them.
    boxes : (n, 3, 2) ndarray of int
        As `Raster.boxes` gives them.
    """

    parts: tuple[Part, ...]
    boxes: npt.NDArray[np.int64] = field(repr=False)

    @classmethod
    def on(cls, raster: Raster, parts: tuple[Part, ...], *, beyond_mm: float = 0.0) -> PlacedParts:
        """Place parts on a grid."""
        return cls(parts, raster.boxes(parts, beyond_mm=beyond_mm))

    @property
    def hull(self) -> tuple[slice, slice, slice]:
        """Columns, rows and slices that hold all parts; empty ones if none is on the grid."""
        full = (self.boxes[:, :, 1] > self.boxes[:, :, 0]).all(axis=1)
        if not full.any():
            return slice(0, 0), slice(0, 0), slice(0, 0)
        low, high = self.boxes[full, :, 0].min(axis=0), self.boxes[full, :, 1].max(axis=0)
        i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        return i, j, k

    def in_slice(self, k: int, rect: Rect) -> list[tuple[Part, Rect]]:
        """Return the parts that reach into a rectangle of slice k, each with its rows and columns there."""
        (rows, columns), boxes = rect, self.boxes
        found: list[tuple[Part, Rect]] = []
        for n in np.flatnonzero((boxes[:, 2, 0] <= k) & (k < boxes[:, 2, 1])):
            (i0, i1), (j0, j1) = boxes[n, 0].tolist(), boxes[n, 1].tolist()
            j0, j1 = max(j0, rows.start) - rows.start, min(j1, rows.stop) - rows.start
            i0, i1 = max(i0, columns.start) - columns.start, min(i1, columns.stop) - columns.start
            if j1 > j0 and i1 > i0:
                found.append((self.parts[n], (slice(j0, j1), slice(i0, i1))))
        return found


def _span(whole: slice, first: int, last: int) -> slice:
    """Return the part of a range between two of its coarse points, one more on each side."""
    start = whole.start + max(first - 1, 0) * STRIDE
    return slice(start, min(whole.start + (last + 1) * STRIDE + 1, whole.stop))


def _walking_axes(directions: npt.NDArray[np.float64]) -> tuple[int, int, int]:
    """Return which array axis runs most nearly along x, along y and along z; best match first."""
    weight = np.abs(directions).copy()
    axes = [0, 0, 0]
    for _ in range(3):
        row, axis = np.unravel_index(int(np.argmax(weight.round(9))), (3, 3))
        axes[int(row)] = int(axis)
        weight[row, :] = -1
        weight[:, axis] = -1
    return axes[0], axes[1], axes[2]
