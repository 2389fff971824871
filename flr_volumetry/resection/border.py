"""The border of what stays, between the voxels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flr_volumetry.images import read_only
from flr_volumetry.resection.blades import crossings, deepest
from flr_volumetry.resection.faces import beyond, faces_of, steps_out_mm
from flr_volumetry.resection.fitting import fit_patches, reach_mm, widest_look_mm
from flr_volumetry.resection.quadrics import Patches, frames, together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flr_volumetry.images import Grid
    from flr_volumetry.resection.blades import Blade
    from flr_volumetry.resection.faces import Faces

Points = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.intp]

ON_CUT_MM = 1e-3
ROUNDS = 6
"""How often points are moved to the cut they are deepest in; edges between two cuts take more than one."""
BLOCK = 4
STRIDES = (0.5, 0.25, 0.125)
"""How far of the way to the nearest point of a cut, ever less, so as not to overshoot its edges."""
LOOK_STEPS = 4
"""More than the voxels that rounding outwards, and the voxel beyond a face, add to a look."""
BORDER_RADIUS_MM = 20.0
"""How curved the liver's surface and the borders of segments are taken to be."""


@dataclass(frozen=True, slots=True, eq=False)
class Other:
    """What a lesion is measured against.

    Parameters
    ----------
    voxels : ndarray of bool
        On the grid; it shares no voxel with the lesion.
    kinds : ndarray of unsigned integers
        On the grid: what lies beyond a border, 0 outside everything. Borders towards different kinds
        meet in edges.
    grid : Grid
        The liver's, or a part of it that holds all that can be the closest, and `looked_at_mm` around it.
    blades : sequence of Blade
        Cuts that bound it, as far as their place is known.

    Attributes
    ----------
    blocks : (n, 3) ndarray of int
        The blocks of the grid, `BLOCK` voxels along each axis, that hold some of it.
    """

    voxels: npt.NDArray[np.bool_] = field(repr=False)
    kinds: npt.NDArray[np.unsignedinteger[Any]] = field(repr=False)
    grid: Grid
    blades: Sequence[Blade] = ()
    blocks: Numbers = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", read_only(_blocks(self.voxels)))


def _blocks(voxels: npt.NDArray[np.bool_]) -> Numbers:
    """Which blocks of a grid hold some voxel of a mask."""
    slices_first = voxels.T
    for axis in range(3):
        first: list[slice] = [slice(None)] * 3
        first[axis] = slice(None, None, BLOCK)
        some = slices_first[tuple(first)].copy()
        for n in range(1, BLOCK):
            first[axis] = slice(n, None, BLOCK)
            part = slices_first[tuple(first)]
            first[axis] = slice(None, part.shape[axis])
            some[tuple(first)] |= part
        slices_first = some
    return np.asarray(np.argwhere(slices_first)[:, ::-1])


def border_patches(faces: Faces, other: Other) -> tuple[Patches, int]:
    """Place the border of a mask between the voxels.

    Parameters
    ----------
    faces : Faces
        Where, of those of the mask.
    other : Other
        The mask.

    Returns
    -------
    Patches
        Exact, and flat, where one of the known cuts runs; else laid through the faces around, of the
        same kind alone, so that edges stay sharp.
    int
        How many of them are exact; those come first.
    """
    grid = other.grid
    kinds = beyond(faces, other.kinds)
    steps = steps_out_mm(grid)[faces.sides]
    stays = faces.middles_mm - steps / 2
    fraction = np.full(len(faces), np.inf)
    outward = np.zeros((len(faces), 3))
    cut = np.flatnonzero(kinds)
    for blade in other.blades:
        here, normal = crossings(blade, stays[cut], stays[cut] + steps[cut])
        nearer = here < fraction[cut]
        fraction[cut[nearer]], outward[cut[nearer]] = here[nearer], normal[nearer]
    known = np.isfinite(fraction)
    points = stays[known] + fraction[known, None] * steps[known]
    normals = outward[known]
    reaches = np.full(len(points), reach_mm(grid))
    parts = [Patches(points, normals, frames(normals), np.zeros((len(points), 2, 2)), reaches)]
    for kind in np.unique(kinds[~known]):
        parts.append(_laid(faces.take(~known & (kinds == kind)), kind, other))
    return together(parts), len(points)


def _laid(wanted: Faces, kind: int, other: Other) -> Patches:
    """Patches through the faces towards one kind of voxel, where they are wanted."""
    grid = other.grid
    look = widest_look_mm(BORDER_RADIUS_MM, grid) * np.linalg.norm(np.linalg.inv(grid.affine[:3, :3]), axis=1)
    low = np.maximum(np.floor(wanted.inside.min(axis=0) - look).astype(int) - 1, 0)
    high = np.minimum(np.ceil(wanted.inside.max(axis=0) + look).astype(int) + 2, grid.shape)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    around = faces_of(other.voxels[box], grid, (int(low[0]), int(low[1]), int(low[2])), closed=False)
    around = around.take(beyond(around, other.kinds) == kind)
    number, sought = (
        np.ravel_multi_index(tuple(some.inside.T), grid.shape) * 6 + some.sides for some in (around, wanted)
    )
    order = np.argsort(number)
    at = order[np.searchsorted(number, sought, sorter=order)]
    laid = fit_patches(around, at, grid, BORDER_RADIUS_MM)
    # No further than half a step: edges of the border lie no closer to the faces.
    return replace(laid, reach_mm=np.full(len(at), max(grid.spacing_mm) / 2))


def looked_at_mm(grid: Grid) -> float:
    """Return how far from a face `border_patches` looks at most.

    Parameters
    ----------
    grid : Grid
        The grid.

    Returns
    -------
    float
        Millimetres.
    """
    return widest_look_mm(BORDER_RADIUS_MM, grid) + LOOK_STEPS * max(grid.spacing_mm)


def on_cut(points_mm: Points, towards_mm: Points, blades: Sequence[Blade]) -> Points:
    """Find the points of the cuts that are nearest to given ones.

    Parameters
    ----------
    points_mm : (n, 3) float64 ndarray
        Close to where they are, LPS mm.
    towards_mm : (n, 3) float64 ndarray
        The given ones.
    blades : sequence of Blade
        All cuts, at least one.

    Returns
    -------
    (n, 3) float64 ndarray
        LPS mm; on edges between two cuts too.
    """
    found, outward = _settled(points_mm, blades)
    for part in STRIDES:
        way = towards_mm - found
        way -= np.einsum("ij,ij->i", way, outward)[:, None] * outward
        tried, there = _settled(found + part * way, blades)
        nearer = np.linalg.norm(towards_mm - tried, axis=1) < np.linalg.norm(towards_mm - found, axis=1)
        found, outward = np.where(nearer[:, None], tried, found), np.where(nearer[:, None], there, outward)
    return found


def _settled(points_mm: Points, blades: Sequence[Blade]) -> tuple[Points, Points]:
    """Points moved onto the nearest cut, out of everything that goes, and the way out of what stays."""
    outward = np.zeros_like(points_mm)
    for _ in range(ROUNDS):
        depth, outward = deepest(blades, points_mm)
        points_mm = points_mm - depth[:, None] * outward
        if np.abs(depth).max(initial=0) < ON_CUT_MM:
            break
    return points_mm, outward
