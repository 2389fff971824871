"""The margin to a flat cut, where the cut itself is what is closest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.resection.gap import TURNS, Gap
from flr_volumetry.resection.plan import Combine

if TYPE_CHECKING:
    from flr_volumetry.liver import Liver
    from flr_volumetry.resection.plan import Plane, PlaneResection
    from flr_volumetry.resection.quadrics import Patches

Points = npt.NDArray[np.float64]

CONTENDERS = 64
"""How many patches, those with their middles closest to a plane, are looked at closely."""


def gap_to_planes(surface: Patches, cut: PlaneResection, liver: Liver) -> Gap | None:
    """Measure how far a lesion that goes is from what stays, if a flat cut is what is closest.

    Parameters
    ----------
    surface : Patches
        Of the lesion, all of which lies beyond the cut.
    cut : PlaneResection
        The only cut of the plan.
    liver : Liver
        The liver.

    Returns
    -------
    Gap or None
        None if the point of the cut that is closest may lie outside the liver, so that something else is
        closest.

    Notes
    -----
    Nothing that stays is closer to a point than the nearest of the planes, if what goes lies beyond all of
    them, or than the furthest, if beyond any: each half-space that the remnant lies in is a bound.
    Where the foot on that plane lies in the liver, and in front of the other planes, the bound is met.
    """
    lowest = [_lowest(surface, plane) for plane in cut.planes]
    heights = [height for height, _ in lowest]
    every = cut.combine is Combine.ALL
    nearest = int(np.argmin(heights) if every else np.argmax(heights))
    height, point = lowest[nearest]
    plane = cut.planes[nearest]
    foot = point - height * plane.normal
    others = [p for n, p in enumerate(cut.planes) if n != nearest]
    if not every and any(float(p.normal @ (foot - p.point_mm)) > 0 for p in others):
        return None
    if not _within(foot, liver):
        return None
    (x, y, z), (u, v, w) = point.tolist(), foot.tolist()
    return Gap(max(height, 0.0), (x, y, z), (u, v, w))


def _lowest(surface: Patches, plane: Plane) -> tuple[float, Points]:
    """Least distance of a surface beyond a plane, negative if it reaches through, and its point there."""
    heights = (surface.points_mm - plane.point_mm) @ plane.normal
    points = surface.points_mm[np.argsort(heights, kind="stable")[:CONTENDERS]]
    for _ in range(1 + TURNS):
        heights = (points - plane.point_mm) @ plane.normal
        points = surface.nearest_mm(points - heights[:, None] * plane.normal)[1]
    heights = (points - plane.point_mm) @ plane.normal
    at = int(np.argmin(heights))
    return float(heights[at]), np.asarray(points[at])


def _within(point: Points, liver: Liver) -> bool:
    """Whether a point is in the liver for certain: the eight voxel centres around it are."""
    low = np.floor(liver.grid.indices_at(point[None])[0]).astype(int)
    if (low < 0).any() or (low + 2 > liver.grid.shape).any():
        return False
    i, j, k = (slice(int(n), int(n) + 2) for n in low)
    return bool(liver.voxels[i, j, k].all())
