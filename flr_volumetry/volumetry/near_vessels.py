"""How far lesions lie from large vessels, where heat is carried away (W14)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import KDTree

from flr_volumetry.anatomy import Structure

if TYPE_CHECKING:
    from flr_volumetry.images import Grid
    from flr_volumetry.liver import Lesion, Liver, Vessel

HEAT_SINK_DIAMETER_MM = 3.0
"""Vessels of 3 mm and more carry heat away from an ablation (clinical base W14, GK-H)."""
CARRIERS = (Structure.PORTAL_VEIN, Structure.HEPATIC_VEINS, Structure.IVC)

Points = npt.NDArray[np.float64]


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
        Between the centres of the nearest voxels of both, mm; 0 if they overlap.
    """

    lesion: int
    structure: Structure
    distance_mm: float


def near_vessels(liver: Liver) -> tuple[NearVessel, ...]:
    """Measure how far each lesion lies from each vessel where it is 3 mm wide or more.

    Parameters
    ----------
    liver : Liver
        With lesions and vessels.

    Returns
    -------
    tuple of NearVessel
        By vessel, then by lesion; none for a vessel that is nowhere that wide.

    Notes
    -----
    A vessel is wide where a ball of 3 mm, placed on voxel centres, fits into its mask. Centres are
    compared, so that a distance is uncertain by about a voxel. Evidence of the width: GK-H.
    """
    found = []
    for vessel in liver.vessels:
        if vessel.structure not in CARRIERS or not vessel.voxels.any():
            continue
        wide = _wide(vessel, liver.grid)
        if not len(wide):
            continue
        tree = KDTree(wide)
        for lesion in liver.lesions:
            centres = _centres(
                np.argwhere(_nearest_part(lesion, vessel)) + np.array(lesion.start), liver.grid
            )
            distance = float(np.min(tree.query(centres)[0]))
            found.append(NearVessel(lesion.number, vessel.structure, distance))
    return tuple(found)


def _nearest_part(lesion: Lesion, vessel: Vessel) -> npt.NDArray[np.bool_]:
    """Return the lesion's rim, which is nearest to what lies outside; all of it where the vessel enters."""
    if (lesion.voxels & vessel.voxels[lesion.box]).any():
        return lesion.voxels
    return np.asarray(lesion.voxels & ~ndimage.binary_erosion(lesion.voxels))


def _wide(vessel: Vessel, grid: Grid) -> Points:
    """Centres of the vessel's voxels that lie in its part of 3 mm and more."""
    box = ndimage.find_objects(vessel.voxels.astype(np.uint8))[0]
    start = np.array([s.start for s in box])
    inside = np.pad(vessel.voxels[box], 1)
    rim = ndimage.binary_dilation(inside, np.ones((3, 3, 3), dtype=bool)) & ~inside
    voxels = _centres(np.argwhere(inside) + start - 1, grid)
    outside = _centres(np.argwhere(rim) + start - 1, grid)
    radius = HEAT_SINK_DIAMETER_MM / 2
    core = voxels[KDTree(outside).query(voxels, distance_upper_bound=radius)[0] >= radius]
    if not len(core):
        return core
    return voxels[np.isfinite(KDTree(core).query(voxels, distance_upper_bound=radius)[0])]


def _centres(indices: npt.NDArray[np.intp], grid: Grid) -> Points:
    return np.asarray(indices @ grid.affine[:3, :3].T + grid.affine[:3, 3], dtype=np.float64)
