"""Masks and label maps from one grid onto another, by geometry."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import Caveat, GridError
from flr_volumetry.images.arrays import LabelMap, Mask
from flr_volumetry.images.grid import AFFINE_ATOL_MM, Box, Grid, require_same_frame

Array = npt.NDArray[Any]
MaskOrLabels = TypeVar("MaskOrLabels", Mask, LabelMap)
TIE = 0.5 + 1e-6
"""Centres halfway between two voxels all take the later one, whatever rounding does to them."""
CHUNK_VOXELS = 4_000_000
SMALL_ML = 1e-9


def to_grid(mask: MaskOrLabels, grid: Grid) -> MaskOrLabels:
    """Put a mask or label map onto another grid: each voxel takes what lies at its centre.

    Where both grids share one lattice of points (the same axes in another order or
    direction, or another field of view), voxels are moved, not resampled, and the
    result is exact. Otherwise each voxel of the new grid takes the nearest old one,
    and a caveat says by how much the volume moved.

    Parameters
    ----------
    mask : Mask or LabelMap
        On its own grid.
    grid : Grid
        The scan's.

    Returns
    -------
    Mask or LabelMap
        On `grid`.

    Raises
    ------
    FrameError
        If both grids name a frame of reference, and not the same one.
    GridError
        If the mask has voxels and none of them falls onto the grid.
    """
    what = _title(mask)
    require_same_frame(grid, mask.grid, what)
    if grid.matches(mask.grid):
        return _replace(mask, grid, mask.voxels, ())
    step = np.linalg.solve(mask.grid.affine, grid.affine)
    exact = _whole_step(step, grid, mask.grid)
    if exact is not None:
        voxels = _moved(mask.voxels, exact, grid.shape)
    else:
        voxels = _nearest(mask.voxels, step, grid.shape)
    return _replace(mask, grid, voxels, _caveats(mask, voxels, grid, moved_only=exact is not None))


def _title(mask: Mask | LabelMap) -> str:
    name = getattr(mask, "name", "") or "label map"
    return f"mask {name!r} ({mask.source.path})" if mask.source.path else f"mask {name!r}"


def _replace(mask: MaskOrLabels, grid: Grid, voxels: Array, caveats: tuple[Caveat, ...]) -> MaskOrLabels:
    if isinstance(mask, Mask):
        return Mask(grid, voxels, mask.name, mask.source, mask.caveats + caveats)
    return LabelMap(grid, voxels, mask.names, mask.source, mask.caveats + caveats)


def _whole_step(step: Array, grid: Grid, source: Grid) -> npt.NDArray[np.int64] | None:
    """Return the index map if it sends every voxel of `grid` onto a lattice point of `source`."""
    whole = np.rint(step).astype(np.int64)
    linear = np.abs(whole[:3, :3])
    if not (linear.sum(axis=0) == 1).all() or not (linear.sum(axis=1) == 1).all():
        return None
    corners = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=np.float64)
    corners[:, :3] *= np.asarray(grid.shape) - 1
    off_mm = (corners @ (step - whole).T)[:, :3] @ source.affine[:3, :3].T
    return whole if float(np.abs(off_mm).max()) <= AFFINE_ATOL_MM else None


def _moved(voxels: Array, whole: npt.NDArray[np.int64], shape: tuple[int, int, int]) -> Array:
    """Copy by slices: each axis of the new grid runs along one axis of the old."""
    axes = [int(np.flatnonzero(whole[:3, axis])[0]) for axis in range(3)]
    out = np.zeros(shape, dtype=voxels.dtype, order="F")
    target: list[slice] = []
    picked: list[slice] = [slice(None)] * 3
    for axis, old_axis in enumerate(axes):
        sign, first = int(whole[old_axis, axis]), int(whole[old_axis, 3])
        size = voxels.shape[old_axis]
        low, high = (-first, size - first) if sign > 0 else (first - size + 1, first + 1)
        low, high = max(low, 0), min(high, shape[axis])
        if low >= high:
            return out
        target.append(slice(low, high))
        begin, end = first + sign * low, first + sign * high
        picked[old_axis] = slice(begin, end if end >= 0 else None, sign)
    out[tuple(target)] = voxels[tuple(picked)].transpose(axes)
    return out


def bounding_box(voxels: Array) -> Box | None:
    """Return the smallest box that holds every voxel that is not nought, or None if there is none.

    Parameters
    ----------
    voxels : (i, j, k) ndarray
        A mask or a label map.

    Returns
    -------
    tuple of slice, or None
        With explicit bounds.
    """
    slices_first = voxels.transpose(2, 1, 0)
    hit = np.array([bool(plane.any()) for plane in slices_first])
    if not hit.any():
        return None
    slow = _span(hit)
    inner = slices_first[slow]
    rows = np.zeros(inner.shape[1], dtype=bool)
    columns = np.zeros(inner.shape[2], dtype=bool)
    for plane in inner:
        rows |= plane.any(axis=1)
        columns |= plane.any(axis=0)
    return _span(columns), _span(rows), slow


def _span(hit: npt.NDArray[np.bool_]) -> slice:
    where = np.flatnonzero(hit)
    return slice(int(where[0]), int(where[-1]) + 1)


def _nearest(voxels: Array, step: Array, shape: tuple[int, int, int]) -> Array:
    out = np.zeros(shape, dtype=voxels.dtype, order="F")
    box = _reach(voxels, step, shape)
    if box is None:
        return out
    i, j = (np.arange(s.start, s.stop, dtype=np.float64) for s in box[:2])
    thickness = max(1, CHUNK_VOXELS // (len(i) * len(j)))
    for first in range(box[2].start, box[2].stop, thickness):
        k = np.arange(first, min(first + thickness, box[2].stop), dtype=np.float64)
        index = []
        inside = np.ones((len(i), len(j), len(k)), dtype=bool)
        for axis in range(3):
            a, b, c, d = step[axis]
            at = (a * i)[:, None, None] + (b * j)[None, :, None] + (c * k + (d + TIE))[None, None, :]
            nearest = np.floor(at).astype(np.intp)
            inside &= (nearest >= 0) & (nearest < voxels.shape[axis])
            index.append(np.clip(nearest, 0, voxels.shape[axis] - 1))
        values = voxels[index[0], index[1], index[2]]
        values[~inside] = 0
        out[box[0], box[1], first : first + len(k)] = values
    return out


def _reach(voxels: Array, step: Array, shape: tuple[int, int, int]) -> Box | None:
    """Box of the new grid that can hold anything of the mask."""
    filled = bounding_box(voxels)
    if filled is None:
        return None
    low = np.array([s.start for s in filled], dtype=np.float64) - 1
    high = np.array([s.stop for s in filled], dtype=np.float64)
    corners = np.array([[x, y, z, 1] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float64)
    corners[:, :3] = low + corners[:, :3] * (high - low)
    there = corners @ np.linalg.inv(step).T
    first = np.maximum(np.floor(there.min(axis=0))[:3].astype(int), 0)
    last = np.minimum(np.ceil(there.max(axis=0))[:3].astype(int) + 1, np.asarray(shape))
    if (first >= last).any():
        return None
    return (
        slice(int(first[0]), int(last[0])),
        slice(int(first[1]), int(last[1])),
        slice(int(first[2]), int(last[2])),
    )


def _caveats(mask: Mask | LabelMap, voxels: Array, grid: Grid, *, moved_only: bool) -> tuple[Caveat, ...]:
    what = _title(mask)
    before = int(np.count_nonzero(mask.voxels)) * mask.grid.voxel_ml
    after = int(np.count_nonzero(voxels)) * grid.voxel_ml
    if before > 0 and after == 0:
        raise GridError(
            f"{what} does not meet the scan anywhere: none of its {before:.1f} mL lies in the scan's "
            "field of view, or all of it between the scan's voxels. Is it another patient's, has its "
            "geometry been lost, or is it finer than the scan?",
            reason="no_overlap",
        )
    caveats = []
    if moved_only:
        if before - after > SMALL_ML:
            caveats.append(
                Caveat(
                    "mask_outside_scan",
                    f"{before - after:.1f} of the {before:.1f} mL of {what} lie outside the scan "
                    "and are left out.",
                )
            )
        return tuple(caveats)
    return (
        Caveat(
            "mask_resampled",
            f"{what} lies on another grid ({_words(mask.grid)}) than the scan ({_words(grid)}) "
            f"and was resampled by nearest neighbour: {before:.1f} mL became {after:.1f} mL.",
        ),
    )


def _words(grid: Grid) -> str:
    shape = " x ".join(str(n) for n in grid.shape)
    spacing = " x ".join(f"{s:.3f}" for s in grid.spacing_mm)
    return f"{shape} voxels of {spacing} mm"
