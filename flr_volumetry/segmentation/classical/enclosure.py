"""How far the liver, the lung and the wall of the trunk enclose what lies between them."""

from __future__ import annotations

import itertools

import numpy as np

from flr_volumetry.segmentation.classical.working import Bools, Values

DIRECTIONS = tuple(d for d in itertools.product((-1, 0, 1), repeat=3) if d != (0, 0, 0))


def enclosed_share(free: Bools, worth: Values, reach: int) -> Values:
    """Return, for each free voxel, the mean worth of what is seen first in 26 directions.

    Parameters
    ----------
    free : (i, j, k) bool ndarray
        Voxels to look from and through.
    worth : (i, j, k) float32 ndarray
        What it is worth to see a voxel that is not free, 0 to 1.
    reach : int
        Voxels to look ahead; what lies further is worth nothing, nor is what lies off the grid.

    Returns
    -------
    (i, j, k) float32 ndarray
        0 to 1; 0 where not free.
    """
    total = np.zeros(free.shape, dtype=np.float32)
    stop = np.pad(np.where(free, np.float32(-1), worth), 1, constant_values=0)
    inner = (slice(1, -1), slice(1, -1), slice(1, -1))
    for direction in DIRECTIONS:
        ahead = tuple(slice(1 + d, n - 1 + d) for d, n in zip(direction, stop.shape, strict=True))
        seen = stop.copy()
        for _ in range(max(1, round(reach / float(np.linalg.norm(direction))))):
            found = seen[ahead].copy()
            here = seen[inner]
            np.copyto(here, found, where=(here < 0) & (found >= 0))
        total += np.maximum(seen[inner], 0)
    return np.where(free, total / len(DIRECTIONS), 0).astype(np.float32)
