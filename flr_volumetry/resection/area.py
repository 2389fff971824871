"""How large the cut is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.images import bounding_box
from flr_volumetry.resection.blades import blades_of, deepest
from flr_volumetry.resection.faces import beyond, faces_of, together
from flr_volumetry.resection.fitting import mean_normals
from flr_volumetry.resection.nearest import Nearest
from flr_volumetry.resection.partition import REMNANT, require_partition_of
from flr_volumetry.resection.subvoxel import with_zones

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flr_volumetry.liver import Liver
    from flr_volumetry.resection.blades import Blade
    from flr_volumetry.resection.faces import Faces
    from flr_volumetry.resection.partition import Partition
    from flr_volumetry.resection.quadrics import Patches

OUTSIDE = 0


@dataclass(frozen=True, slots=True)
class CutArea:
    """The surface between a piece and what stays.

    Parameters
    ----------
    label : int
        The piece's number in the label map.
    mm2 : float
        Its area; 0 if it does not border on what stays after the last stage.
    """

    label: int
    mm2: float


def cut_surface(
    liver: Liver, partition: Partition, *, surfaces: Mapping[int, Patches] | None = None
) -> tuple[CutArea, ...]:
    """Measure the surface along which each piece is cut off what stays.

    Parameters
    ----------
    liver : Liver
        The liver.
    partition : Partition
        Of that liver.
    surfaces : mapping of int to Patches or None
        Surfaces of lesions, by number, as far as they are at hand (`lesion_surface`).

    Returns
    -------
    tuple of CutArea
        One for each piece but the remnant, in order. An ablation zone is not cut off; its area is that of
        its border.

    Raises
    ------
    GridError
        If the partition is of another liver.

    Notes
    -----
    The lines through the voxel centres, along the three steps ``u`` of the grid, meet a surface with
    normal n ``sum |n . u| / V`` times a unit of area, V the volume of a voxel (Cauchy-Crofton);
    each crossing therefore counts as ``V / sum |n . u|``. Normals are those of the
    plane or the zone, and of the faces around for segments, territories and imported masks. Where a line
    leaves the liver it is taken to do so half-way between two centres; along the rim of a border known to the
    voxel only, lines that leave the liver before they meet another piece are lost: about 1 % of the area
    at 1 mm.
    """
    require_partition_of(liver, partition)
    blades = blades_of(partition.plan, liver, with_zones(liver, partition.plan, surfaces or {}))
    faces, kinds = _faces(partition, partition.labels == REMNANT)
    areas = []
    for piece in partition.pieces[1:]:
        mine = faces.take(kinds == piece.label)
        normals = mean_normals(mine, np.arange(len(mine)), liver.grid)
        if piece.label in blades:
            mine = _with_rim(mine, faces.take(kinds == OUTSIDE), partition, piece.label, blades)
            normals = deepest(blades[piece.label], mine.middles_mm)[1]
        across = np.abs(normals @ liver.grid.affine[:3, :3]).sum(axis=1)
        areas.append(CutArea(piece.label, float((liver.grid.voxel_mm3 / across).sum())))
    return tuple(areas)


def _faces(partition: Partition, voxels: npt.NDArray[np.bool_]) -> tuple[Faces, npt.NDArray[np.intp]]:
    """Faces of some voxels, and what lies beyond them."""
    box = bounding_box(voxels)
    if box is None:
        return faces_of(voxels[:0], partition.grid, (0, 0, 0)), np.zeros(0, dtype=np.intp)
    i, j, k = (slice(max(s.start - 1, 0), s.stop + 1) for s in box)
    faces = faces_of(voxels[i, j, k], partition.grid, (i.start, j.start, k.start), closed=False)
    return faces, beyond(faces, partition.labels)


def _with_rim(
    cut: Faces, capsule: Faces, partition: Partition, label: int, blades: Mapping[int, Sequence[Blade]]
) -> Faces:
    """Add the lines that meet the cut inside the liver, half-way out of it, on the way to a voxel outside."""
    every = [blade for some in blades.values() for blade in some]
    others, kinds = _faces(partition, partition.labels == label)
    others = _within_reach(others.take(kinds == OUTSIDE), every, partition)
    capsule = _within_reach(capsule, blades[label], partition)
    stays = deepest(every, others.middles_mm)[0] <= 0
    goes = deepest(blades[label], capsule.middles_mm)[0] > 0
    return together(cut, capsule.take(goes), others.take(stays))


def _within_reach(faces: Faces, blades: Sequence[Blade], partition: Partition) -> Faces:
    """Leave out faces so far from every cut that none can lie between them and their voxels."""
    step = max(partition.grid.spacing_mm)
    near = np.zeros(len(faces), dtype=bool)
    for blade in blades:
        if isinstance(blade, Nearest):
            near |= blade.reaches(faces.middles_mm, step)
        else:
            near |= np.abs(blade.depth_mm(faces.middles_mm)[0]) <= step
    return faces.take(near)
