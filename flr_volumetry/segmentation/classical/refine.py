"""From the working grid to the voxels of the scan: the border is put where the scan's own edge is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cc3d
import numpy as np
from scipy import ndimage

from flr_volumetry.segmentation.classical.working import Bools, Values, box_of, distance_mm, onto

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flr_volumetry.images import Box, Grid, Image
    from flr_volumetry.segmentation.classical.model import Model

BAND_MM = 4.0
"""How far from the border of the working grid the edge is looked for."""
SMOOTH_MM = 1.0
EVEN_MM = 1.2
"""Standard deviation of the smoothing of the border (assumed)."""
SLAB = 48
DIAPHRAGM_HU = 50.0
"""The diaphragm is this much darker than muscle, being thinner than the blur (assumed)."""


def signed_depth(inside: Bools, step: float) -> Values:
    """Distance to the border of a mask, mm, positive inside."""
    within, beyond = distance_mm(inside, step), distance_mm(~inside, step)
    return np.where(inside, within - step / 2, step / 2 - beyond).astype(np.float32)


def refine(image: Image, grid: Grid, inside: Bools, model: Model, untold: Bools) -> Bools:
    """Bring a mask from the working grid to the scan's voxels.

    Parameters
    ----------
    image : Image
        The scan, HU.
    grid : Grid
        The working grid.
    inside : (i, j, k) bool ndarray
        The liver on it.
    model : Model
        The liver's look.
    untold : (i, j, k) bool ndarray
        Bone and the vena cava: told apart by their place, so no edge is looked for there.

    Returns
    -------
    bool ndarray of the scan's shape
        Within 4 mm of the border, voxels nearer to the liver's grey value than to that of what lies
        outside, weighed against their distance; further off as on the working grid.
    """
    step, v = float(grid.affine[0, 0]), model.smooth
    depth = np.asarray(ndimage.gaussian_filter(signed_depth(inside, step), 0.6), dtype=np.float32)
    here = _spread(v, (depth > 2.0) & (depth < 12.0), 8.0 / step)
    there = _spread(v, (depth < -2.0) & (depth > -7.0) & ~untold, 4.0 / step)
    half = (here + np.maximum(there, np.minimum(model.muscle - DIAPHRAGM_HU, here - 10.0 - DIAPHRAGM_HU))) / 2
    gain = np.clip((np.abs(here - there) - 25.0) / 50.0, 0, 1) * np.sign(here - there)
    gain = np.where(ndimage.binary_dilation(untold, iterations=2), 0, gain)
    contrast = np.maximum(np.abs(here - there), 20.0)
    out = np.zeros(image.grid.shape, dtype=bool, order="F")
    for part in _slabs(box_of(inside, grid, image.grid, 2 * BAND_MM)):
        target = image.grid.crop(part)
        at = onto(depth, grid, target)
        band = np.abs(at) < BAND_MM
        got = at > 0
        if band.any():
            h, g, c = (onto(f, grid, target) for f in (half, gain, contrast))
            edge = np.clip((_smoothed(image, part) - h) / c, -0.6, 0.6) * g
            got = np.where(band, at / BAND_MM * 0.5 + edge > 0, got)
        out[part] = got
    return _whole(out, box_of(inside, grid, image.grid, 2 * BAND_MM), image.grid)


def _whole(inside: Bools, box: Box, grid: Grid) -> Bools:
    """Smooth a border that follows noise from voxel to voxel, and keep the largest piece."""
    sigma = EVEN_MM / np.asarray(grid.spacing_mm)
    sigma[sigma < 0.3] = 0
    even = ndimage.gaussian_filter(inside[box].astype(np.float32), sigma, truncate=3.0) > 0.5
    inside[box] = cc3d.largest_k(even, k=1, connectivity=6) > 0
    return inside


def _spread(v: Values, where: Bools, sigma: float) -> Values:
    """Mean over a shell around each voxel."""
    weight = ndimage.gaussian_filter(where.astype(np.float32), sigma)
    total = ndimage.gaussian_filter(np.where(where, v, 0).astype(np.float32), sigma)
    return np.asarray(total / np.maximum(weight, 1e-4), dtype=np.float32)


def _slabs(box: Box) -> Iterator[Box]:
    for first in range(box[2].start, box[2].stop, SLAB):
        yield box[0], box[1], slice(first, min(first + SLAB, box[2].stop))


def _smoothed(image: Image, part: Box) -> Values:
    sigma = SMOOTH_MM / np.asarray(image.grid.spacing_mm)
    sigma[sigma < 0.3] = 0
    pad = np.ceil(4 * sigma).astype(int)
    margin, inner = [], []
    for s, p, n in zip(part, pad, image.grid.shape, strict=True):
        first, last = max(s.start - int(p), 0), min(s.stop + int(p), n)
        margin.append(slice(first, last))
        inner.append(slice(s.start - first, s.stop - first))
    raw = np.clip(image.voxels[tuple(margin)].astype(np.float32), -200, 400)
    return np.asarray(ndimage.gaussian_filter(raw, sigma)[tuple(inner)], dtype=np.float32)
