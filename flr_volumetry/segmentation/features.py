"""What of a liver can be matched with another scan of it: outline, vessels and tissue on one plain grid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.anatomy import Structure
from flr_volumetry.images import Grid

if TYPE_CHECKING:
    from flr_volumetry.images import Image
    from flr_volumetry.liver import Liver

Array = npt.NDArray[np.float32]

FINE_MM = 2.5
"""Step of the grid that features are held on: below it the outline of a scan says nothing more."""
ROOM_MM = 16.0
"""Around the liver, so that what lies outside pulls too."""
TISSUE_SPAN = 40.0
"""Hounsfield units, or for other modalities spreads of the liver's values times ten, that count as one."""
AIR_HU = -500.0
"""No other modality has values below it (assumed)."""
TISSUE_LIMIT = 3.0
TISSUE_BLUR_MM = 2.0


INSIDE = (Structure.PORTAL_VEIN, Structure.HEPATIC_VEINS)
"""Vessels that run inside the liver, and so say where its inside has gone."""


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """One liver, ready to be matched.

    Parameters
    ----------
    grid : Grid
        Of all arrays: steps of `FINE_MM` along the patient's axes, around the liver.
    outline_mm : (i, j, k) float32 ndarray
        Signed distance to the liver's surface, negative inside.
    vessels : dict of Structure to (i, j, k) float32 ndarray
        Signed distance to each vessel known.
    tissue : (i, j, k) float32 ndarray or None
        The scan inside the liver, lesions left out: how far from the liver's own median; None without one.
    modality : str
        Of the scan.
    """

    grid: Grid
    outline_mm: Array = field(repr=False)
    vessels: dict[Structure, Array] = field(repr=False)
    tissue: Array | None = field(repr=False)
    modality: str

    def outline_at(self, points_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Signed distances of (n, 3) points, mm; beyond the grid those of its border and the way there."""
        from scipy.ndimage import map_coordinates

        at = self.grid.indices_at(points_mm)
        inside = np.clip(at, 0, np.asarray(self.grid.shape) - 1)
        beyond = np.linalg.norm(at - inside, axis=1) * self.grid.spacing_mm[0]
        return np.asarray(map_coordinates(self.outline_mm, inside.T, order=1, mode="nearest") + beyond)


def features_of(liver: Liver) -> Features:
    """Take from a liver what can be matched.

    Parameters
    ----------
    liver : Liver
        With its vessels and its scan, as far as there are any.

    Returns
    -------
    Features
        On a grid of their own.
    """
    points = liver.grid.centres_mm(np.argwhere(liver.voxels))
    grid = _plain(points.min(axis=0) - ROOM_MM, points.max(axis=0) + ROOM_MM, FINE_MM)
    vessels = {}
    for vessel in liver.vessels:
        if vessel.structure in INSIDE and vessel.voxels.any():
            # A thin branch fills a voxel by half at most; a quarter is enough to see it.
            vessels[vessel.structure] = _distance(2 * _sampled(vessel.voxels, liver.grid, grid), grid)
    return Features(
        grid,
        _distance(_sampled(liver.voxels, liver.grid, grid), grid),
        vessels,
        _tissue(liver, liver.image, grid) if liver.image is not None else None,
        _modality(liver.image) if liver.image is not None else "",
    )


def work_grid(features: Features, step_mm: float) -> Grid:
    """Return a grid of another step over the same box.

    Parameters
    ----------
    features : Features
        With their box.
    step_mm : float
        Between its points.

    Returns
    -------
    Grid
        Along the patient's axes.
    """
    low = features.grid.affine[:3, 3]
    high = features.grid.centres_mm([np.asarray(features.grid.shape) - 1])[0]
    return _plain(low, high, step_mm)


def _plain(low: npt.NDArray[np.float64], high: npt.NDArray[np.float64], step: float) -> Grid:
    i, j, k = (int(n) for n in np.ceil((high - low) / step) + 1)
    affine = np.diag([step, step, step, 1.0])
    affine[:3, 3] = low
    return Grid((i, j, k), affine)


def _sampled(voxels: npt.NDArray[np.bool_] | Array, source: Grid, grid: Grid, blur_mm: float = 0.0) -> Array:
    """Take an array to a grid: averaged over about a step of it, then interpolated."""
    from scipy.ndimage import affine_transform, gaussian_filter

    spacing = np.asarray(source.spacing_mm)
    wide = np.maximum(0.42 * grid.spacing_mm[0], blur_mm)
    blurred = gaussian_filter(voxels.astype(np.float32), np.where(spacing < 2 * wide, wide / spacing, 0.0))
    step = np.linalg.inv(source.affine) @ grid.affine
    return np.asarray(
        affine_transform(blurred, step[:3, :3], step[:3, 3], output_shape=grid.shape, order=1),
        dtype=np.float32,
    )


def _distance(filled: Array, grid: Grid) -> Array:
    import edt

    inside = filled >= 0.5
    size = grid.spacing_mm[0]
    step = (size, size, size)
    away, deep = edt.edt(~inside, anisotropy=step), edt.edt(inside, anisotropy=step)
    # Distances count from voxel centres; the border runs where the filling passes a half.
    between = np.clip(0.5 - filled, -0.5, 0.5) * size
    rough = np.where(inside, size / 2 - deep, away - size / 2)
    return np.asarray(np.where(np.abs(rough) <= 0.5 * size, between, rough), dtype=np.float32)


def _modality(image: Image) -> str:
    """Return what a scan is; where the file does not say, values of air tell a CT."""
    if image.source.modality or float(image.voxels.min()) > AIR_HU:
        return image.source.modality
    return "CT"


def _tissue(liver: Liver, image: Image, grid: Grid) -> Array:
    from scipy.ndimage import affine_transform

    healthy = liver.voxels.copy()
    for lesion in liver.lesions:
        healthy[lesion.box] &= ~lesion.voxels
    step = np.linalg.inv(liver.grid.affine) @ image.grid.affine
    inside = affine_transform(
        healthy.astype(np.float32), step[:3, :3], step[:3, 3], output_shape=image.grid.shape, order=1
    )
    values = image.voxels[inside >= 0.5].astype(np.float32)
    if not values.size:
        return np.zeros(grid.shape, dtype=np.float32)
    middle = float(np.median(values))
    span = TISSUE_SPAN
    if _modality(image) != "CT":
        span = max(10 * float(np.median(np.abs(values - middle))) / 4, 1e-6)
    scaled = np.clip((image.voxels - middle) / span, -TISSUE_LIMIT, TISSUE_LIMIT) * inside
    return _sampled(scaled.astype(np.float32), image.grid, grid, TISSUE_BLUR_MM)
