"""The liver and what lies in it, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import Caveat, LiverError
from flr_volumetry.images import Box, Grid, Image, Origin, read_only

if TYPE_CHECKING:
    from flr_volumetry.anatomy import Structure
    from flr_volumetry.liver.territory import Territories


@dataclass(frozen=True, slots=True, eq=False)
class Lesion:
    """One lesion, kept in its own bounding box.

    Parameters
    ----------
    number : int
        From 1, as plans name it.
    name : str
        What its file calls it.
    start : tuple of int
        Where its box begins in the liver's grid.
    voxels : ndarray of bool, read-only
        The box, tight around the lesion; parts of the lesion outside the liver are in it too.
    mask_ml : float
        Volume of the mask as it was given, mL, parts outside the liver included.
    """

    number: int
    name: str
    start: tuple[int, int, int]
    voxels: npt.NDArray[np.bool_] = field(repr=False)
    mask_ml: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "voxels", read_only(self.voxels))

    @property
    def box(self) -> Box:
        """Its box, as slices of the liver's grid."""
        (i, j, k), (a, b, c) = self.start, self.voxels.shape
        return (slice(i, i + a), slice(j, j + b), slice(k, k + c))


@dataclass(frozen=True, slots=True, eq=False)
class Vessel:
    """A vessel mask on the liver's grid.

    Parameters
    ----------
    structure : Structure
        Which one.
    voxels : ndarray of bool, read-only, of the liver grid's shape
        True inside, as far as it lies in the crop.
    mask_ml : float
        Volume of the mask as it was given, mL, the part outside the crop included.
    """

    structure: Structure
    voxels: npt.NDArray[np.bool_] = field(repr=False)
    mask_ml: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "voxels", read_only(self.voxels))


@dataclass(frozen=True, slots=True, eq=False)
class Liver:
    """One patient's liver, cropped, with all that lies in it.

    Made by `crop_liver`, which checks the masks against each other.

    Parameters
    ----------
    grid : Grid
        The crop: the liver's bounding box plus a margin.
    voxels : ndarray of bool, read-only, of the grid's shape
        The whole liver, lesions included.
    scan_grid : Grid
        The grid it was cropped from.
    start : tuple of int
        Where the crop begins in the scan's grid.
    lesions : tuple of Lesion
        Numbered from 1.
    segments : ndarray of uint8 or None, read-only, of the grid's shape
        Couinaud segment of each liver voxel, 0 outside and where none is given.
    vessels : tuple of Vessel
        Portal vein, hepatic veins and so on, as far as given.
    image : Image or None
        The scan, cropped the same way.
    caveats : tuple of Caveat
        What the checks found.
    territories : tuple of Territories
        What the branches of the vessels feed or drain, at most one for each vessel; added by
        `flr_volumetry.territories.find_territories`.
    origin : Origin or None
        The back-end that made the mask of the liver, where that is known.

    Raises
    ------
    LiverError
        If the liver is empty, or an array has another shape than the grid.
    """

    grid: Grid
    voxels: npt.NDArray[np.bool_] = field(repr=False)
    scan_grid: Grid
    start: tuple[int, int, int]
    lesions: tuple[Lesion, ...] = ()
    segments: npt.NDArray[np.uint8] | None = field(default=None, repr=False)
    vessels: tuple[Vessel, ...] = ()
    image: Image | None = None
    caveats: tuple[Caveat, ...] = ()
    territories: tuple[Territories, ...] = ()
    origin: Origin | None = None

    def __post_init__(self) -> None:
        arrays: list[npt.NDArray[Any]] = [
            self.voxels,
            *(v.voxels for v in self.vessels),
            *(t.labels for t in self.territories),
        ]
        if self.segments is not None:
            arrays.append(self.segments)
            object.__setattr__(self, "segments", read_only(self.segments))
        for array in arrays:
            if array.shape != self.grid.shape:
                raise LiverError(f"an array is {array.shape}, the liver's grid {self.grid.shape}")
        if not self.voxels.any():
            raise LiverError("the liver mask is empty", reason="empty_liver")
        object.__setattr__(self, "voxels", read_only(self.voxels))

    def territories_of(self, structure: Structure) -> Territories | None:
        """Return what the branches of a vessel feed or drain, if it is known.

        Parameters
        ----------
        structure : Structure
            The vessel.

        Returns
        -------
        Territories or None
            Its territories.
        """
        return next((t for t in self.territories if t.structure is structure), None)

    @property
    def ml(self) -> float:
        """Total liver volume, lesions included, mL (D1)."""
        return int(np.count_nonzero(self.voxels)) * self.grid.voxel_ml
