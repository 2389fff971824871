"""The smallest distance from a lesion to what stays, surface to surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.errors import GridError
from flr_volumetry.resection.border import BLOCK, Other, border_patches, on_cut
from flr_volumetry.resection.faces import faces_of, thinned
from flr_volumetry.resection.fitting import fit_patches
from flr_volumetry.resection.points import closest, excess, not_further_than
from flr_volumetry.resection.quadrics import Patches
from flr_volumetry.resection.subvoxel import equal_radius_mm

if TYPE_CHECKING:
    from flr_volumetry.images import Box, Grid
    from flr_volumetry.liver import Lesion

Points = npt.NDArray[np.float64]
Voxels = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.intp]

MOST_FACES = 400
"""How many faces of the other mask are placed, the closest; around a wedge nearly all are as close."""
CONTENDERS = 64
"""How many patches of the other mask, the closest, are looked at closely."""
FAR_REACHES = 1.5
TURNS = 3
"""How often the nearest point is sought from one surface to the other and back."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Where a lesion and another mask come closest.

    Parameters
    ----------
    mm : float
        Smallest distance between their surfaces; 0 if they touch.
    lesion_mm : tuple of float
        Where that is on the lesion's surface, LPS mm.
    other_mm : tuple of float
        And on the other's.
    """

    mm: float
    lesion_mm: tuple[float, float, float]
    other_mm: tuple[float, float, float]


def gap(lesion: Lesion, other: Other, *, surface: Patches | None = None) -> Gap | None:
    """Measure how far a lesion is from a mask, surface to surface.

    Parameters
    ----------
    lesion : Lesion
        In its own box.
    other : Other
        The mask.
    surface : Patches or None
        Of the lesion, if it is at hand.

    Returns
    -------
    Gap or None
        None if the mask is empty.

    Notes
    -----
    Of the faces of both, only those are placed between the voxels that can be the closest, whatever
    their place; blocks of voxels bound the distance, so that only the nearest are looked at.
    """
    grid = other.grid
    mine = faces_of(lesion.voxels, grid, lesion.start)
    slack = 1.2 * max(grid.spacing_mm)
    if not len(other.blocks):
        return None
    box = _surroundings(mine.middles_mm, other, slack)
    theirs = faces_of(other.voxels[box], grid, (box[0].start, box[1].start, box[2].start), closed=False)
    if not len(theirs):
        return None
    nearest = closest(mine.middles_mm, theirs.middles_mm)[0]
    at = thinned(mine, grid) if surface is None else np.arange(0)
    points = mine.middles_mm[at] if surface is None else surface.points_mm
    some, near = _hopeful(points, mine.middles_mm, theirs.middles_mm, nearest + slack)
    if surface is None:
        surface = fit_patches(mine, at[some], grid, equal_radius_mm(lesion, grid))
    else:
        surface = surface.take(some)
    border, exact = border_patches(theirs.take(near), other)
    return _between(surface, border, exact, other)


def distance_to(lesion: Lesion, voxels: Voxels, grid: Grid, *, surface: Patches | None = None) -> Gap | None:
    """Measure how far a lesion is from a structure: a vessel, or what lies beyond the border of a segment.

    Parameters
    ----------
    lesion : Lesion
        In its own box.
    voxels : ndarray of bool
        The structure, on the liver's grid.
    grid : Grid
        The liver's.
    surface : Patches or None
        Of the lesion, if it is at hand (`lesion_surface`).

    Returns
    -------
    Gap or None
        None if the structure is empty; 0 mm, at one of the voxels that both hold, if they overlap.

    Raises
    ------
    GridError
        If the structure is not on the grid.
    """
    if voxels.shape != grid.shape:
        raise GridError(f"the structure is {voxels.shape}, the liver's grid {grid.shape}")
    shared = np.argwhere(voxels[lesion.box] & lesion.voxels)
    if len(shared):
        x, y, z = grid.centres_mm(shared[:1] + np.asarray(lesion.start))[0].tolist()
        return Gap(0.0, (x, y, z), (x, y, z))
    return gap(lesion, Other(voxels, voxels.view(np.uint8), grid), surface=surface)


def _surroundings(points: Points, other: Other, slack: float) -> Box:
    """Box of the grid with all voxels of the other mask that may be the closest."""
    grid = other.grid
    centres = grid.centres_mm(other.blocks * BLOCK + (BLOCK - 1) / 2)
    # Half a block's diagonal, of the longer ones on a sheared grid.
    half = BLOCK * float(np.sum(grid.spacing_mm)) / 2
    bound = excess(points, centres) - half
    within = not_further_than(points, centres) + half + slack
    low = other.blocks[bound <= within].min(axis=0) * BLOCK - 1
    high = (other.blocks[bound <= within].max(axis=0) + 1) * BLOCK + 1
    i, j, k = (slice(max(int(a), 0), min(int(b), n)) for a, b, n in zip(low, high, grid.shape, strict=True))
    return i, j, k


def _hopeful(points: Points, mine: Points, theirs: Points, within: float) -> tuple[Numbers, Numbers]:
    """Which points of one side, and which faces of the other, are within a distance of the other side."""
    from scipy.spatial import cKDTree

    near = np.flatnonzero(excess(mine, theirs) <= within)
    far = cKDTree(mine).query(theirs[near], distance_upper_bound=within)[0]
    near = near[np.argsort(far, kind="stable")[: min(MOST_FACES, np.count_nonzero(far < np.inf))]]
    some = cKDTree(theirs[near]).query(points, distance_upper_bound=within)[0] < np.inf
    return np.flatnonzero(some), near


def _between(surface: Patches, border: Patches, exact: int, other: Other) -> Gap:
    """Closest points of two surfaces."""
    distance = surface.nearest_mm(border.points_mm)[0]
    which = np.argsort(distance, kind="stable")[:CONTENDERS]
    theirs = border.points_mm[which]
    for _ in range(TURNS):
        mine = surface.nearest_mm(theirs)[1]
        theirs = _on_border(border, which, exact, mine, other)
    distance, mine = surface.nearest_mm(theirs)
    apart = mine - theirs
    behind = np.einsum("ij,ij->i", apart, border.normals[which]) < 0
    distance[behind & (distance <= max(other.grid.spacing_mm))] = 0
    first = int(np.argmin(distance))
    (x, y, z), (u, v, w) = mine[first].tolist(), theirs[first].tolist()
    return Gap(float(distance[first]), (x, y, z), (u, v, w))


def _on_border(border: Patches, which: Numbers, exact: int, points: Points, other: Other) -> Points:
    """Nearest points of patches of the border; those of a cut whose place is known, on that cut."""
    feet = border.feet_mm(which, points)
    known = np.flatnonzero(which < exact)
    if len(known):
        middles = border.points_mm[which[known]]
        placed = on_cut(feet[known], points[known], other.blades)
        index = np.rint(other.grid.indices_at(placed)).astype(np.intp)
        index = np.clip(index, 0, np.asarray(other.grid.shape) - 1)
        # Beyond the edge of the liver there is no cut, and far from a patch perhaps not either; the
        # middle of the patch is on it for certain.
        off = (other.kinds[tuple(index.T)] == 0) & ~other.voxels[tuple(index.T)]
        off |= np.linalg.norm(placed - middles, axis=1) > FAR_REACHES * border.reach_mm[which[known]]
        feet[known] = np.where(off[:, None], middles, placed)
    return feet
