"""Flat pictures of a patient, taken by geometry.

A display plane lies along the patient's own axes, whatever the array's axes are: flipped, sagittal,
oblique and sheared grids all give the same picture of the same patient. Radiological orientation:
the patient's right is on the left of axial and coronal pictures; sagittal ones look from the left.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from flr_volumetry.images import Grid, Image

Vector = npt.NDArray[np.float64]


class View(Enum):
    """Which way a picture is taken."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a view lies in the patient (LPS: +x left, +y posterior, +z head).

    Parameters
    ----------
    across, down : int
        The patient axis along the picture's rows and columns: 0 for x, 1 for y, 2 for z.
    across_sign, down_sign : int
        1 if the coordinate grows to the right, or downwards; else -1.
    through : int
        The patient axis at right angles to the picture.
    letters : tuple of str
        At the left, right, upper and lower edge: R, L, A, P, H, F.
    """

    across: int
    down: int
    across_sign: int
    down_sign: int
    through: int
    letters: tuple[str, str, str, str]


MEASURED = 0.5
"""Least share of measured voxels among those interpolated for a value to be shown (assumed)."""
ORIENTATIONS = {
    View.AXIAL: Orientation(0, 1, 1, 1, 2, ("R", "L", "A", "P")),
    View.CORONAL: Orientation(0, 2, 1, -1, 1, ("R", "L", "H", "F")),
    View.SAGITTAL: Orientation(1, 2, 1, -1, 0, ("A", "P", "H", "F")),
}


@dataclass(frozen=True, slots=True, eq=False)
class DisplayPlane:
    """Where the pixels of one picture lie in the patient.

    Parameters
    ----------
    view : View
        Which way it is taken.
    origin_mm : (3,) float64 ndarray
        Centre of the upper left pixel, LPS mm.
    pixel_mm : float
        Edge of a pixel; pixels are square.
    shape : tuple of int
        Rows and columns.
    """

    view: View
    origin_mm: Vector
    pixel_mm: float
    shape: tuple[int, int]

    @classmethod
    def through(
        cls, view: View, point_mm: npt.ArrayLike, *, low_mm: Vector, high_mm: Vector, pixel_mm: float
    ) -> DisplayPlane:
        """Return the plane of a view through a point, as large as a box in the patient.

        Parameters
        ----------
        view : View
            Which way it is taken.
        point_mm : (3,) array_like
            A point of the plane, LPS mm.
        low_mm, high_mm : (3,) ndarray
            Corners of the box to show, LPS mm.
        pixel_mm : float
            Edge of a pixel.

        Returns
        -------
        DisplayPlane
            At least one pixel in each direction.
        """
        way = ORIENTATIONS[view]
        origin = np.array(point_mm, dtype=np.float64)
        origin[way.across] = low_mm[way.across] if way.across_sign > 0 else high_mm[way.across]
        origin[way.down] = low_mm[way.down] if way.down_sign > 0 else high_mm[way.down]
        size = (high_mm - low_mm) / pixel_mm
        shape = (int(np.ceil(size[way.down])) + 1, int(np.ceil(size[way.across])) + 1)
        return cls(view, origin, pixel_mm, shape)

    @property
    def position_mm(self) -> float:
        """The patient coordinate that all its pixels share, mm."""
        return float(self.origin_mm[ORIENTATIONS[self.view].through])

    def points_mm(self) -> Vector:
        """Centres of all pixels, LPS mm, as an (rows * columns, 3) array, row by row."""
        way = ORIENTATIONS[self.view]
        rows, columns = self.shape
        points = np.empty((rows, columns, 3))
        points[:] = self.origin_mm
        points[..., way.across] += way.across_sign * self.pixel_mm * np.arange(columns)
        points[..., way.down] += way.down_sign * self.pixel_mm * np.arange(rows)[:, np.newaxis]
        return points.reshape(-1, 3)

    def pixel_at(self, point_mm: npt.ArrayLike) -> tuple[float, float]:
        """Return the fractional column and row of the picture at which a point of the patient is seen."""
        way = ORIENTATIONS[self.view]
        offset = (np.asarray(point_mm, dtype=np.float64) - self.origin_mm) / self.pixel_mm
        return float(way.across_sign * offset[way.across]), float(way.down_sign * offset[way.down])


def nearest(
    plane: DisplayPlane, grid: Grid, voxels: npt.NDArray[Any], *, start: tuple[int, int, int] = (0, 0, 0)
) -> npt.NDArray[Any]:
    """Return what a label array shows on a plane: at each pixel the voxel it lies in.

    Parameters
    ----------
    plane : DisplayPlane
        Where to look.
    grid : Grid
        Of the array that `voxels` is, or is a box of.
    voxels : ndarray
        Labels or a mask.
    start : tuple of int
        Where the box begins in the grid.

    Returns
    -------
    ndarray of the plane's shape
        0 outside the array.
    """
    index = np.rint(grid.indices_at(plane.points_mm())).astype(np.intp) - np.asarray(start)
    inside = ((index >= 0) & (index < voxels.shape)).all(axis=1)
    result = np.zeros(len(index), dtype=voxels.dtype)
    i, j, k = index[inside].T
    result[inside] = voxels[i, j, k]
    return result.reshape(plane.shape)


def linear(plane: DisplayPlane, image: Image) -> npt.NDArray[np.float32]:
    """Return what a scan shows on a plane, interpolated linearly between voxel centres.

    Parameters
    ----------
    plane : DisplayPlane
        Where to look.
    image : Image
        The scan.

    Returns
    -------
    float32 ndarray of the plane's shape
        NaN further than half a voxel outside the scan, and where most of what would be
        interpolated is padding; padding takes no part in the rest.
    """
    from scipy.ndimage import map_coordinates

    index = image.grid.indices_at(plane.points_mm())
    last = np.asarray(image.grid.shape) - 1
    outside = ((index < -0.5) | (index > last + 0.5)).any(axis=1)
    at = np.clip(index, 0, last).T
    padded = None if image.padding is None else image.voxels == image.padding
    if padded is None or not padded.any():
        values = map_coordinates(image.voxels, at, output=np.float32, order=1, mode="nearest")
    else:
        known = np.where(padded, 0, image.voxels)
        values = map_coordinates(known, at, output=np.float32, order=1, mode="nearest")
        share = map_coordinates((~padded).astype(np.float32), at, order=1, mode="nearest")
        values = np.where(share >= MEASURED, values / np.maximum(share, MEASURED), np.nan)
    values[outside] = np.nan
    return np.asarray(values, dtype=np.float32).reshape(plane.shape)
