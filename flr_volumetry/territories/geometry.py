"""Fitted planes, distances from the vena cava and the liver, the rim and the wide parts of masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import PlanError

if TYPE_CHECKING:
    from flr_volumetry.images import Grid
    from flr_volumetry.liver import Liver

Points = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

MIN_SPREAD_MM = 2.0
"""Points that keep closer than this to one line, root mean square, give no plane (assumed)."""


def rim(voxels: Bool) -> Bool:
    """Find the voxels of a mask that miss a neighbour across a face.

    Parameters
    ----------
    voxels : (i, j, k) ndarray of bool
        The mask.

    Returns
    -------
    (i, j, k) ndarray of bool
        Its outermost voxels.
    """
    from scipy.ndimage import binary_erosion

    return np.asarray(voxels & ~binary_erosion(voxels))


def wide_parts(voxels: Bool, grid: Grid, radius_mm: float) -> Bool:
    """Find the voxels of a mask around which a whole ball is in the mask.

    Parameters
    ----------
    voxels : (i, j, k) ndarray of bool
        The mask; outside the grid there is nothing.
    grid : Grid
        Its grid, of any shear.
    radius_mm : float
        Of the ball.

    Returns
    -------
    (i, j, k) ndarray of bool
        What an erosion by that ball leaves.
    """
    steps = grid.affine[:3, :3]
    reach = np.ceil(radius_mm * np.linalg.norm(np.linalg.inv(steps), axis=1)).astype(np.int64)
    offsets = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), axis=-1)
    offsets = offsets.reshape(-1, 3)
    far = np.linalg.norm(offsets @ steps.T, axis=1)
    keep = far <= radius_mm
    # The far ones first: they rule most voxels out.
    offsets = offsets[keep][np.argsort(-far[keep], kind="stable")]
    padded = np.pad(voxels, [(r, r) for r in reach.tolist()])
    index = np.argwhere(voxels) + reach
    for offset in offsets:
        i, j, k = (index + offset).T
        index = index[padded[i, j, k]]
    left = np.zeros(voxels.shape, dtype=np.bool_)
    i, j, k = (index - reach).T
    left[i, j, k] = True
    return left


def distance_to_liver_mm(points: Points, liver: Liver) -> Points:
    """Measure how far points lie from the nearest voxel centre of a liver.

    Parameters
    ----------
    points : (n, 3) ndarray
        LPS mm.
    liver : Liver
        The liver.

    Returns
    -------
    (n,) float64 ndarray
        In mm; 0 for points in a liver voxel.
    """
    from scipy.spatial import cKDTree

    far = np.asarray(cKDTree(liver.grid.centres_mm(np.argwhere(rim(liver.voxels)))).query(points)[0])
    index = np.rint(liver.grid.indices_at(points)).astype(np.int64)
    shape = np.asarray(liver.grid.shape)
    on_grid = ((index >= 0) & (index < shape)).all(axis=1)
    i, j, k = np.clip(index, 0, shape - 1).T
    far[on_grid & liver.voxels[i, j, k]] = 0.0
    return far


def beside_cava_mm(cava: Points, points: Points) -> Points:
    """Return the distance of (n, 3) points from the vena cava at their own height, (n,) mm.

    Parameters
    ----------
    cava : (m, 3) ndarray
        Points of its centre line; between them it runs straight, beyond them straight up or down.
    points : (n, 3) ndarray
        LPS mm.

    Returns
    -------
    (n,) float64 ndarray
        At right angles to the patient's long axis, mm.
    """
    away = points - cava_at(cava, points[:, 2])
    return np.asarray(np.hypot(away[:, 0], away[:, 1]))


def cava_at(cava: Points, heights_mm: Points) -> Points:
    """Return where the vena cava runs at given heights, (n, 3) LPS mm.

    Parameters
    ----------
    cava : (m, 3) ndarray
        Points of its centre line, as for `beside_cava_mm`.
    heights_mm : (n,) ndarray
        z, mm.

    Returns
    -------
    (n, 3) float64 ndarray
        LPS mm.
    """
    order = np.lexsort((cava[:, 1], cava[:, 0], cava[:, 2]))
    x, y = (np.interp(heights_mm, cava[order, 2], cava[order, axis]) for axis in (0, 1))
    return np.stack([x, y, heights_mm], axis=1)


def nearest_plane(
    points: Points, weight: Points | None = None, *, upright: bool = False
) -> tuple[Points, Points]:
    """Fit a plane by least squares.

    Parameters
    ----------
    points : (n, 3) ndarray
        LPS mm.
    weight : (n,) ndarray or None
        How much each counts; None for all the same.
    upright : bool
        Keep it parallel to the patient's long axis.

    Returns
    -------
    point : (3,) ndarray
        The weighted mean.
    normal : (3,) ndarray
        Of length one, to either side.

    Raises
    ------
    PlanError
        If the points lie on one line, or all above each other for an upright plane.
    """
    share = np.full(len(points), 1.0 / len(points)) if weight is None else weight / weight.sum()
    centre = share @ points
    used = 2 if upright else 3
    away = (points - centre)[:, :used]
    spread, axes = np.linalg.eigh((away * share[:, None]).T @ away)
    if spread[1] < MIN_SPREAD_MM**2:
        raise PlanError(
            f"its {len(points)} points around {np.round(centre, 1).tolist()} mm "
            f"{'all lie above each other' if upright else 'lie on one line'} and give no plane. "
            "Give points further apart.",
            reason="collinear_points",
        )
    normal = np.zeros(3)
    normal[:used] = axes[:, 0]
    return centre, normal
