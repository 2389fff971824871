"""MR brought to a scale on which air, fat, muscle and liver lie where CT has them.

MR has no units, so the scan itself gives them: the background, and the commonest value of flat bright
tissue on the patient's right, which after contrast is the liver.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from flr_volumetry.errors import SegmentationError
from flr_volumetry.segmentation.classical.working import Values, Working, upright

if TYPE_CHECKING:
    from flr_volumetry.images import Image

COARSE_MM = 4.0
SHARES = (0.0, 0.06, 0.12, 0.32, 0.42, 0.55, 1.0, 1.6, 3.0)
HOUNSFIELD = (-1000.0, -850.0, -200.0, -60.0, 20.0, 50.0, 110.0, 180.0, 300.0)
"""Share of the liver's signal above the background, and the value of CT in its place: fat suppressed, T1
weighted, after contrast (assumed; muscle has about half the liver's signal)."""


def as_hounsfield(image: Image) -> Image:
    """Return an MR scan on the scale of CT.

    Parameters
    ----------
    image : Image
        T1 weighted, after contrast, fat suppressed or not.

    Returns
    -------
    Image
        The same voxels, float32, in place of Hounsfield units.

    Raises
    ------
    SegmentationError
        If nothing in it is as bright as a liver should be.
    """
    work = upright(image, COARSE_MM, lowest=0.0)
    dark, level = _levels(work)
    share = (image.voxels.astype(np.float32) - dark) / (level - dark)
    voxels = np.interp(share, SHARES, HOUNSFIELD).astype(np.float32)
    return replace(image, voxels=voxels, padding=None)


def _levels(work: Working) -> tuple[float, float]:
    """Value of the background and of the liver."""
    v = work.values
    dark = float(np.percentile(v[work.seen], 1))
    threshold = _otsu(v[work.seen])
    bright = ndimage.binary_opening(v > threshold, iterations=1)
    if not bright.any():
        raise SegmentationError(
            "no tissue stands out from the background of this MR scan.", reason="no_liver"
        )
    mean = ndimage.uniform_filter(v, 3)
    sd = np.sqrt(np.maximum(ndimage.uniform_filter(v * v, 3) - mean * mean, 0))
    x = np.arange(v.shape[0])[:, None, None]
    middle = float(np.argwhere(bright)[:, 0].mean())
    flat = bright & (x < middle) & (sd < np.percentile(sd[bright], 40))
    if np.count_nonzero(flat) * work.voxel_ml < 100.0:
        raise SegmentationError("no large piece of even tissue is in this MR scan.", reason="no_liver")
    counts, edges = np.histogram(mean[flat], 128)
    smooth = ndimage.gaussian_filter1d(counts.astype(np.float64) * edges[1:], 2)
    return dark, float(edges[int(smooth.argmax())])


def _otsu(values: Values) -> float:
    """Otsu's threshold (IEEE Trans Syst Man Cybern 1979;9:62)."""
    counts, edges = np.histogram(values, 256)
    centres = (edges[:-1] + edges[1:]) / 2
    below, total = np.cumsum(counts), np.cumsum(counts * centres)
    above = below[-1] - below
    between = below * above * (total / np.maximum(below, 1) - (total[-1] - total) / np.maximum(above, 1)) ** 2
    return float(centres[int(between[:-1].argmax())])
