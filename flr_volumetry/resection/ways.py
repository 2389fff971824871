"""Where ways from one point to another cross a surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.resection.nearest import Pieces

if TYPE_CHECKING:
    from flr_volumetry.resection.sheet import Sheet

Points = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

AT_ONCE = 20_000
ROUNDING = 1e-9
"""Hits this far outside a triangle, or an end of the way, count: none is lost between two triangles."""


def crossings(sheet: Sheet, starts_mm: npt.ArrayLike, ends_mm: npt.ArrayLike) -> Points:
    """Find where straight ways first cross a surface.

    Parameters
    ----------
    sheet : Sheet
        The surface, as it cuts the liver (`flr_volumetry.resection.sheet.sheet_of`).
    starts_mm, ends_mm : (n, 3) array_like
        LPS mm.

    Returns
    -------
    (n,) float64 ndarray
        Which part of the way lies before the surface, from 0 to 1; NaN where the way does not cross it.
    """
    from scipy.spatial import cKDTree

    starts = np.asarray(starts_mm, dtype=np.float64).reshape(-1, 3)
    ends = np.asarray(ends_mm, dtype=np.float64).reshape(-1, 3)
    first = np.full(len(starts), np.inf)
    if not len(starts):
        return first
    pieces = Pieces(sheet.vertices_mm[sheet.triangles])
    half = float(np.linalg.norm(ends - starts, axis=1).max()) / 2
    for begin in range(0, len(starts), AT_ONCE):
        some = slice(begin, begin + AT_ONCE)
        near = cKDTree((starts[some] + ends[some]) / 2).sparse_distance_matrix(
            pieces.tree, (pieces.radius_mm + half) * (1 + ROUNDING), output_type="ndarray"
        )
        way = near["i"] + begin
        at = _hits(starts[way], ends[way], sheet.vertices_mm[sheet.triangles[pieces.triangle[near["j"]]]])
        np.minimum.at(first, way, at)
    return np.where(np.isfinite(first), first, np.nan)


def _hits(starts: Points, ends: Points, corners: Points) -> Points:
    """Where each way meets one triangle; infinite where it does not."""
    base = corners[:, 0]
    u, v = corners[:, 1] - base, corners[:, 2] - base
    across = np.cross(u, v)
    before = np.einsum("ij,ij->i", starts - base, across)
    passed = before - np.einsum("ij,ij->i", ends - base, across)
    level = passed == 0
    at = np.where(level, np.inf, before / np.where(level, 1, passed))
    within = (at >= -ROUNDING) & (at <= 1 + ROUNDING)
    at = np.where(within, np.clip(at, 0, 1), np.inf)
    offset = starts + np.where(within, at, 0)[:, None] * (ends - starts) - base
    area = np.einsum("ij,ij->i", across, across)
    area = np.where(area > 0, area, 1)
    s = np.einsum("ij,ij->i", np.cross(offset, v), across) / area
    t = np.einsum("ij,ij->i", np.cross(u, offset), across) / area
    hit = (s >= -ROUNDING) & (t >= -ROUNDING) & (s + t <= 1 + ROUNDING)
    return np.where(hit, at, np.inf)
