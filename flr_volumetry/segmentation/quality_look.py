"""What the checks of a mask look at: a thinned copy of liver and scan, distances, and its surface."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from flr_volumetry.images import Grid

if TYPE_CHECKING:
    from flr_volumetry.liver import Liver

FINEST_MM: Final = 1.5
"""Voxels finer than this are thinned out: the checks are after errors of millimetres (assumed)."""
SMOOTH_MM: Final = 1.5
"""Width (standard deviation) of the Gaussian that takes noise out of the scan (assumed)."""
NORMAL_MM: Final = 2.5
"""Width of the Gaussian that takes voxel steps out of the distance map, before normals are taken."""
POINTS: Final = 4000
CORE_MM: Final = 6.0
"""Voxels deeper in the liver than this are liver even if its outline is somewhat off (assumed)."""
MAD_TO_SD: Final = 1.4826
LEAST_SD: Final = 4.0
"""Smoothed CT liver is never taken to vary by less, HU (assumed); on other scans a 50th of its median."""
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A liver as the checks see it.

    Parameters
    ----------
    grid : Grid
        Of the thinned arrays.
    liver : ndarray of bool
        The mask.
    marked : ndarray of bool
        Lesions and vessels: what may look like anything.
    sdf : ndarray of float32
        Distance to the mask's surface, mm, positive inside.
    smooth : ndarray of float32 or None
        The scan, smoothed; None if there is none.
    median, sd : float
        Of the smoothed scan deep in the liver, lesions and vessels left out; NaN without a scan.
    points, normals : (n, 3) ndarray
        Places on the surface and unit vectors outwards, LPS mm.
    """

    grid: Grid
    liver: npt.NDArray[np.bool_] = field(repr=False)
    marked: npt.NDArray[np.bool_] = field(repr=False)
    sdf: npt.NDArray[np.float32] = field(repr=False)
    smooth: npt.NDArray[np.float32] | None = field(repr=False)
    median: float
    sd: float
    points: Vector = field(repr=False)
    normals: Vector = field(repr=False)

    @property
    def area_cm2(self) -> float:
        """Surface of the mask that one of its points stands for, summed over all: a rough area."""
        return surface_cm2(self.sdf, self.grid)


def look_at(liver: Liver) -> Look:
    """Prepare a liver for the checks.

    Parameters
    ----------
    liver : Liver
        Cropped.

    Returns
    -------
    Look
        Thinned to 1.5 mm where the scan is finer.
    """
    steps = [max(1, int(FINEST_MM / s)) for s in liver.grid.spacing_mm]
    thin = tuple(slice(None, None, n) for n in steps)
    affine = liver.grid.affine.copy()
    affine[:3, :3] = affine[:3, :3] * steps
    mask = np.ascontiguousarray(liver.voxels[thin])
    grid = Grid(mask.shape, affine)
    marked = _marked(liver)[thin]
    sdf = signed_distance(mask, grid)
    smooth, median, sd = None, float("nan"), float("nan")
    if liver.image is not None:
        smooth = _smoothed(liver.image.voxels[thin], grid)
        core = smooth[(sdf > CORE_MM) & ~marked]
        core = core if core.size else smooth[mask]
        median = float(np.median(core))
        sd = MAD_TO_SD * float(np.median(np.abs(core - median)))
        least = LEAST_SD if liver.image.source.modality == "CT" else abs(median) / 50
        sd = max(sd, least, 1e-6)
    points, normals = _surface(mask, sdf, grid)
    return Look(grid, mask, np.ascontiguousarray(marked), sdf, smooth, median, sd, points, normals)


def _marked(liver: Liver) -> npt.NDArray[np.bool_]:
    marked = np.zeros(liver.grid.shape, dtype=bool)
    for lesion in liver.lesions:
        marked[lesion.box] |= lesion.voxels
    for vessel in liver.vessels:
        marked |= vessel.voxels
    return marked


def _smoothed(voxels: npt.NDArray[np.generic], grid: Grid) -> npt.NDArray[np.float32]:
    from scipy.ndimage import gaussian_filter

    sigma = [SMOOTH_MM / s for s in grid.spacing_mm]
    values = np.nan_to_num(np.ascontiguousarray(voxels, dtype=np.float32))
    return np.asarray(gaussian_filter(values, sigma, truncate=2.0))


def signed_distance(mask: npt.NDArray[np.bool_], grid: Grid) -> npt.NDArray[np.float32]:
    """Return how far each voxel lies from a mask's surface, mm, positive inside.

    Parameters
    ----------
    mask : ndarray of bool
        Of the grid's shape.
    grid : Grid
        Whose steps are taken to be at right angles: on a sheared grid distances are rough.

    Returns
    -------
    ndarray of float32
        The surface is taken halfway between voxels inside and outside.
    """
    import edt

    spacing = grid.spacing_mm
    half = min(spacing) / 2
    # edt takes no read-only array.
    own = np.array(mask)
    inside = edt.edt(own, anisotropy=spacing, black_border=False)
    outside = edt.edt(~own, anisotropy=spacing, black_border=False)
    distance = np.where(own, inside - half, half - outside)
    return np.asarray(np.clip(distance, -1e3, 1e3), dtype=np.float32)


def surface_cm2(sdf: npt.NDArray[np.float32], grid: Grid) -> float:
    """Return the area of a surface from its distance map: the volume of the shell within 2 mm, over 4 mm."""
    shell = int(np.count_nonzero(np.abs(sdf) < 2.0))
    return shell * grid.voxel_mm3 / 4.0 / 100


def _surface(mask: npt.NDArray[np.bool_], sdf: npt.NDArray[np.float32], grid: Grid) -> tuple[Vector, Vector]:
    """Return places spread evenly over the mask's surface, and unit vectors outwards there."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    rim = np.argwhere(mask & (sdf <= max(grid.spacing_mm)))
    index = rim[:: max(1, len(rim) // POINTS)].astype(np.float64)
    if not len(index):
        return np.zeros((0, 3)), np.zeros((0, 3))
    even = gaussian_filter(sdf, [NORMAL_MM / s for s in grid.spacing_mm], truncate=2.0)
    slope = np.stack(
        [
            map_coordinates(even, (index + e).T, order=1, mode="nearest")
            - map_coordinates(even, (index - e).T, order=1, mode="nearest")
            for e in np.eye(3)
        ],
        axis=1,
    )
    normals = -slope @ np.linalg.inv(grid.affine[:3, :3])
    length = np.linalg.norm(normals, axis=1)
    good = length > 1e-6
    points = grid.centres_mm(index[good])
    normals = normals[good] / length[good, None]
    depth = sdf[tuple(index[good].astype(np.intp).T)].astype(np.float64)
    return points + normals * depth[:, None], normals
