"""The surface of a lesion, between its voxels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from flr_volumetry.resection.faces import faces_of, thinned
from flr_volumetry.resection.fitting import fit_patches
from flr_volumetry.resection.plan import Ablation, WedgeResection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flr_volumetry.images import Box, Grid
    from flr_volumetry.liver import Lesion, Liver
    from flr_volumetry.resection.plan import ResectionPlan
    from flr_volumetry.resection.quadrics import Patches


def lesion_surface(lesion: Lesion, grid: Grid) -> Patches:
    """Return the surface of a lesion, between its voxels, as patches about a voxel apart.

    Parameters
    ----------
    lesion : Lesion
        In its own box.
    grid : Grid
        The liver's; sheared ones too.

    Returns
    -------
    Patches
        All around it; parts of it outside the liver included.
    """
    faces = faces_of(lesion.voxels, grid, lesion.start)
    return fit_patches(faces, thinned(faces, grid), grid, equal_radius_mm(lesion, grid))


def equal_radius_mm(lesion: Lesion, grid: Grid) -> float:
    """Return the radius of the ball that holds as much as a lesion.

    Parameters
    ----------
    lesion : Lesion
        In its own box.
    grid : Grid
        The liver's.

    Returns
    -------
    float
        Millimetres.
    """
    ml = np.count_nonzero(lesion.voxels) * grid.voxel_mm3
    return float((3 * ml / (4 * math.pi)) ** (1 / 3))


def reach(lesion: Lesion, distance_mm: float, grid: Grid) -> Box:
    """Return the box of everything within a distance of a lesion, cut to the grid.

    Parameters
    ----------
    lesion : Lesion
        In its own box.
    distance_mm : float
        How far.
    grid : Grid
        The liver's; sheared ones too.

    Returns
    -------
    tuple of slice
        With explicit bounds.
    """
    per_mm = np.linalg.norm(np.linalg.inv(grid.affine[:3, :3]), axis=1)
    steps = np.minimum(np.ceil(distance_mm * per_mm), max(grid.shape)).astype(int) + 1
    i, j, k = (
        slice(max(s.start - int(r), 0), min(s.stop + int(r), n))
        for s, r, n in zip(lesion.box, steps, grid.shape, strict=True)
    )
    return i, j, k


def with_zones(liver: Liver, plan: ResectionPlan, given: Mapping[int, Patches]) -> dict[int, Patches]:
    """Add the surfaces of all lesions that a plan cuts around.

    Parameters
    ----------
    liver : Liver
        With the lesions.
    plan : ResectionPlan
        The plan.
    given : mapping of int to Patches
        Surfaces that are at hand, by the lesion's number.

    Returns
    -------
    dict of int to Patches
        Those and the others, by number.
    """
    cuts = [cut for stage in plan.stages for cut in stage.resections]
    around = {n for cut in cuts if isinstance(cut, WedgeResection | Ablation) for n in cut.lesions}
    found = {
        x.number: lesion_surface(x, liver.grid) for x in liver.lesions if x.number in around - set(given)
    }
    return {**given, **found}
