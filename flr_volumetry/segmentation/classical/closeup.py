"""The liver alone on a finer upright grid, where lesions and vessels are looked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from flr_volumetry.segmentation.classical.model import denoised
from flr_volumetry.segmentation.classical.working import Bools, Values, distance_mm, onto, upright

if TYPE_CHECKING:
    from flr_volumetry.images import Box, Grid, Image

STEP_MM = 1.5
MARGIN_MM = 18.0
"""Around the liver, so that the portal vein is seen down to the hilum."""
WIDE_MM = 25.0


@dataclass(frozen=True, slots=True, eq=False)
class CloseUp:
    """The liver on a fine upright grid.

    Parameters
    ----------
    grid : Grid
        Steps of 1.5 mm.
    box : tuple of slice
        What part of the scan it covers.
    smooth : (i, j, k) float32 ndarray
        The scan without noise, HU.
    liver : (i, j, k) bool ndarray
        The liver.
    depth_mm : (i, j, k) float32 ndarray
        Depth under the liver's surface, and under fat in its fissures, mm.
    mean : (i, j, k) float32 ndarray
        Grey value of healthy liver around each voxel.
    spread : float
        How far healthy liver strays from it, HU.
    """

    grid: Grid
    box: Box
    smooth: Values = field(repr=False)
    liver: Bools = field(repr=False)
    depth_mm: Values = field(repr=False)
    mean: Values = field(repr=False)
    spread: float

    @property
    def step(self) -> float:
        """Of the grid, mm."""
        return float(self.grid.affine[0, 0])


def close_up(image: Image, inside: Bools, box: Box) -> CloseUp:
    """Look closer at the liver.

    Parameters
    ----------
    image : Image
        The scan, HU.
    inside : bool ndarray of the scan's shape
        The liver.
    box : tuple of slice
        Of the scan, around the liver with a margin.

    Returns
    -------
    CloseUp
        What is there.
    """
    part = image.crop(box)
    work = upright(part, STEP_MM)
    liver = onto(inside[box], part.grid, work.grid) > 0.5
    core = distance_mm(liver, STEP_MM) > 6.0
    core = core if core.any() else liver
    v = np.clip(work.values, -200, 400)
    mean = ndimage.uniform_filter(v, 5)
    sd = np.sqrt(np.maximum(ndimage.uniform_filter(v * v, 5) - mean * mean, 0))
    smooth = denoised(work.values, float(np.percentile(sd[core], 30)))
    healthy, spread = _healthy(smooth, core)
    fissure = ndimage.binary_opening(smooth < -10)
    depth = distance_mm(liver & ~fissure, STEP_MM)
    return CloseUp(work.grid, box, smooth, liver, depth, healthy, spread)


def _healthy(smooth: Values, core: Bools) -> tuple[Values, float]:
    """Mean of healthy liver around each voxel: of what is like the commonest value of all the liver."""
    counts, edges = np.histogram(smooth[core], np.arange(-50, 300, 1.0))
    top = float(edges[int(ndimage.gaussian_filter1d(counts.astype(np.float64), 3).argmax())])
    near = core & (np.abs(smooth - top) < 40)
    spread = _stray(smooth[near] - top)
    mean = around(smooth, core & (np.abs(smooth - top) < 2.5 * spread), WIDE_MM / STEP_MM, top)
    return mean, _stray((smooth - mean)[near])


def around(smooth: Values, use: Bools, sigma: float, otherwise: float) -> Values:
    """Gaussian mean over some voxels; far from any, a value given."""
    weight = ndimage.gaussian_filter(use.astype(np.float32), sigma, truncate=2.5)
    total = ndimage.gaussian_filter(np.where(use, smooth, 0).astype(np.float32), sigma, truncate=2.5)
    return np.asarray((total + 0.02 * otherwise) / (weight + 0.02), dtype=np.float32)


def _stray(off: Values) -> float:
    return max(1.4826 * float(np.median(np.abs(off))), 3.0)


def back_on(scan: Grid, close: CloseUp, inside: Bools) -> Bools:
    """Bring a mask from the close-up to the scan's voxels."""
    out = np.zeros(scan.shape, dtype=bool, order="F")
    soft = np.asarray(ndimage.gaussian_filter(inside.astype(np.float32), 0.5), dtype=np.float32)
    out[close.box] = onto(soft, close.grid, scan.crop(close.box)) > 0.5
    return out
