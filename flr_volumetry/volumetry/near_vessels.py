"""How far lesions lie from large vessels, where heat is carried away (W14)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import KDTree

from flr_volumetry.anatomy import Structure
from flr_volumetry.resection import distance_to, lesion_surface

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flr_volumetry.images import Grid
    from flr_volumetry.liver import Liver, Vessel
    from flr_volumetry.resection import Patches

HEAT_SINK_DIAMETER_MM = 3.0
"""Vessels of 3 mm and more carry heat away from an ablation (clinical base W14, GK-H)."""
CARRIERS = (Structure.PORTAL_VEIN, Structure.HEPATIC_VEINS, Structure.IVC)

Points = npt.NDArray[np.float64]
Voxels = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class NearVessel:
    """The distance of one lesion from the large part of one vessel.

    Parameters
    ----------
    lesion : int
        Its number.
    structure : Structure
        The vessel.
    distance_mm : float
        Between their surfaces, mm; 0 if they meet.
    """

    lesion: int
    structure: Structure
    distance_mm: float


def near_vessels(liver: Liver, *, surfaces: Mapping[int, Patches] | None = None) -> tuple[NearVessel, ...]:
    """Measure how far each lesion lies from each vessel where it is 3 mm wide or more.

    Parameters
    ----------
    liver : Liver
        With lesions and vessels.
    surfaces : mapping of int to Patches or None
        Surfaces of lesions, by number, as far as they are at hand (`lesion_surface`).

    Returns
    -------
    tuple of NearVessel
        By vessel, then by lesion; none for a vessel that is nowhere that wide.

    Notes
    -----
    A vessel is wide where a ball of 3 mm, placed on voxel centres, fits into its mask. Distances run
    between smooth surfaces, as those of `flr_volumetry.volumetry.nearby` do: to a vessel that is wide where
    it comes closest, both are the same but for hundredths of a millimetre. Evidence of the width: GK-H.
    """
    given = dict(surfaces or {})
    found = []
    for vessel in liver.vessels:
        if vessel.structure not in CARRIERS or not vessel.voxels.any():
            continue
        wide = _wide(vessel, liver.grid)
        if not wide.any():
            continue
        for lesion in liver.lesions:
            if lesion.number not in given:
                given[lesion.number] = lesion_surface(lesion, liver.grid)
            gap = distance_to(lesion, wide, liver.grid, surface=given[lesion.number])
            if gap is not None:
                found.append(NearVessel(lesion.number, vessel.structure, gap.mm))
    return tuple(found)


def _wide(vessel: Vessel, grid: Grid) -> Voxels:
    """Voxels of the vessel that lie in its part of 3 mm and more."""
    box = ndimage.find_objects(vessel.voxels.astype(np.uint8))[0]
    start = np.array([s.start for s in box])
    inside = np.pad(vessel.voxels[box], 1)
    rim = ndimage.binary_dilation(inside, np.ones((3, 3, 3), dtype=bool)) & ~inside
    index = np.argwhere(inside) + start - 1
    voxels = _centres(index, grid)
    outside = _centres(np.argwhere(rim) + start - 1, grid)
    radius = HEAT_SINK_DIAMETER_MM / 2
    core = voxels[KDTree(outside).query(voxels, distance_upper_bound=radius)[0] >= radius]
    wide = np.zeros_like(vessel.voxels)
    if len(core):
        near = np.isfinite(KDTree(core).query(voxels, distance_upper_bound=radius)[0])
        wide[tuple(index[near].T)] = True
    return wide


def _centres(indices: npt.NDArray[np.intp], grid: Grid) -> Points:
    return np.asarray(indices @ grid.affine[:3, :3].T + grid.affine[:3, 3], dtype=np.float64)
