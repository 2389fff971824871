"""Carries a plan out on a liver, voxel by voxel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.anatomy import SEGMENTS
from flr_volumetry.errors import Caveat
from flr_volumetry.images import Box, Grid, bounding_box, to_grid
from flr_volumetry.liver.checks import NEGLIGIBLE_ML, part_sizes_ml
from flr_volumetry.resection.feeding import branches_of, with_branches
from flr_volumetry.resection.mesh_cut import beyond_surface
from flr_volumetry.resection.named import futile, in_order, require_segments, segments_for, territories_for
from flr_volumetry.resection.partition import REMNANT, Partition, Piece
from flr_volumetry.resection.plan import (
    Ablation,
    Combine,
    PieceKind,
    Plane,
    PlaneResection,
    RemnantResection,
    Resection,
    ResectionPlan,
    SegmentResection,
    SurfaceResection,
    TerritoryResection,
    WedgeResection,
)
from flr_volumetry.resection.wedge import around_lesions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flr_volumetry.liver import Liver
    from flr_volumetry.resection.quadrics import Patches

ON_PLANE_MM = 1e-6
"""A voxel centre no further beyond a plane than this lies on it, and stays."""

Voxels = npt.NDArray[np.bool_]


def resect(liver: Liver, plan: ResectionPlan, *, surfaces: Mapping[int, Patches] | None = None) -> Partition:
    """Divide a liver by a plan.

    Every resection takes from what the ones before it left, so that each liver voxel
    is in exactly one piece.

    Parameters
    ----------
    liver : Liver
        The liver, with its lesions and segments as far as the plan names them.
    plan : ResectionPlan
        Stages in order.
    surfaces : mapping of int to Patches or None
        Surfaces of lesions, by number, as far as they are at hand (`lesion_surface`); the pieces are the
        same, found sooner.

    Returns
    -------
    Partition
        The remnant and one piece for each resection, on the liver's grid.

    Raises
    ------
    PlanError
        If a resection removes nothing or leaves nothing, or names a segment or lesion
        that is not there.

    Notes
    -----
    A voxel belongs wholly to the side its centre is on. A centre on a plane stays. A
    wedge or an ablation takes the voxels of the lesion and every voxel whose centre is at
    most the margin away from the lesion's surface, which runs between the voxels
    (`flr_volumetry.resection.lesion_surface`).

    Examples
    --------
    >>> import numpy as np
    >>> from flr_volumetry.images import Grid, Mask
    >>> from flr_volumetry.liver import Masks, crop_liver
    >>> from flr_volumetry.resection import Plane, PlaneResection, Stage
    >>> grid = Grid((60, 60, 60), np.diag([2.0, 2.0, 2.0, 1.0]))
    >>> block = np.zeros(grid.shape, dtype=bool)
    >>> block[5:55, 5:55, 5:55] = True
    >>> liver = crop_liver(Masks(Mask(grid, block)))
    >>> cut = PlaneResection((Plane((29.0, 0.0, 0.0), (-1.0, 0.0, 0.0)),))
    >>> partition = resect(liver, ResectionPlan((Stage("right side", (cut,)),)))
    >>> [(piece.kind.value, round(piece.count * grid.voxel_ml)) for piece in partition.pieces]
    [('remnant', 800), ('resected', 200)]
    """
    plan, chosen = with_branches(liver, plan)
    labels = liver.voxels.astype(np.uint8, order="F")
    pieces: list[Piece] = []
    left = int(np.count_nonzero(liver.voxels))
    for label, (number, resection, where) in enumerate(in_order(plan), start=REMNANT + 1):
        box, goes = taken_by(liver, resection, where, surfaces=surfaces)
        part = labels[box]
        goes &= part == REMNANT
        count = int(np.count_nonzero(goes))
        left -= count
        problem = futile(where, count, left)
        if problem:
            raise problem
        part[goes] = label
        pieces.append(Piece(label, resection.title, kind_of(resection), number, count))
    remnant = Piece(REMNANT, "remnant", PieceKind.REMNANT, 0, left)
    return Partition(
        liver.grid,
        labels,
        (remnant, *pieces),
        plan,
        (*_caveats(liver, labels, plan), *chosen),
        tuple(_methods(plan)),
    )


def kind_of(resection: Resection) -> PieceKind:
    """Return what becomes of what a resection takes."""
    if isinstance(resection, RemnantResection):
        return resection.kind
    return PieceKind.ABLATED if isinstance(resection, Ablation) else PieceKind.RESECTED


def taken_by(
    liver: Liver, resection: Resection, where: str, *, surfaces: Mapping[int, Patches] | None = None
) -> tuple[Box, Voxels]:
    """Find which voxels one resection takes from a whole liver.

    Parameters
    ----------
    liver : Liver
        The liver, with what the resection names.
    resection : Resection
        One cut of a plan.
    where : str
        Which one, for the messages.
    surfaces : mapping of int to Patches or None
        Surfaces of lesions, by number, as far as they are at hand (`lesion_surface`).

    Returns
    -------
    tuple of slice
        A box of the liver's grid, with explicit bounds.
    ndarray of bool
        Of the box's shape: what the resection takes in it, liver or not; outside the box it takes nothing.

    Raises
    ------
    PlanError
        If it names a segment, lesion or branch that is not there.
    """
    whole: Box = (slice(0, liver.grid.shape[0]), slice(0, liver.grid.shape[1]), slice(0, liver.grid.shape[2]))
    match resection:
        case PlaneResection():
            box = bounding_box(liver.voxels) or whole
            sides = [beyond(plane, liver.grid.crop(box)) for plane in resection.planes]
            goes = sides[0]
            for side in sides[1:]:
                goes = goes & side if resection.combine is Combine.ALL else goes | side
            return box, goes
        case SegmentResection():
            return whole, _in_segments(liver, resection, where)
        case SurfaceResection():
            return whole, beyond_surface(resection.surface, liver)
        case TerritoryResection():
            return whole, _in_territory(liver, resection, where)
        case RemnantResection():
            return whole, ~to_grid(resection.mask, liver.grid).voxels
        case WedgeResection() | Ablation():
            return around_lesions(liver, resection, where, surfaces or {})


def beyond(plane: Plane, grid: Grid) -> Voxels:
    """Which voxel centres of a grid lie beyond a plane.

    Parameters
    ----------
    plane : Plane
        Its normal points to what lies beyond.
    grid : Grid
        Of any orientation, sheared ones too.

    Returns
    -------
    ndarray of bool
        Of the grid's shape, columns fastest in memory.

    Notes
    -----
    With the voxel centre ``x = A (i, j, k, 1)`` (DICOM PS3.3, Equation C.7.6.2.1-1)
    the distance ``n . (x - p)`` is linear in the index, one term an axis.
    """
    i, j, limit = plane_terms(plane, grid)
    rows = j[:, None] + i[None, :]
    slices_first = rows[None, :, :] > limit[:, None, None]
    return np.asarray(slices_first.transpose(2, 1, 0))


def plane_terms(
    plane: Plane, grid: Grid
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Take the distance from a plane apart: voxel (i, j, k) lies beyond it where ``b[j] + a[i] > limit[k]``.

    Parameters
    ----------
    plane : Plane
        Its normal points to what lies beyond.
    grid : Grid
        Of any orientation, sheared ones too.

    Returns
    -------
    a, b, limit : (n,) float64 ndarray
        One number for each column, row and slice, mm. Whoever adds and compares them in this order
        finds the same voxels, rounding included.
    """
    steps = plane.normal @ grid.affine[:3, :3]
    offset = float(plane.normal @ (grid.affine[:3, 3] - plane.point_mm))
    i, j, k = (step * np.arange(n) for step, n in zip(steps, grid.shape, strict=True))
    return i, j, ON_PLANE_MM - offset - k


def _in_segments(liver: Liver, cut: SegmentResection, where: str) -> Voxels:
    segments = segments_for(cut, liver, where)
    labels = segments.ravel(order="F")
    require_segments(cut, [n for n in SEGMENTS if (labels == n).any()], where)
    wanted = np.zeros(256, dtype=bool)
    wanted[list(cut.segments)] = True
    return np.asarray(wanted[labels].reshape(segments.shape, order="F"))


def _in_territory(liver: Liver, cut: TerritoryResection, where: str) -> Voxels:
    territories = territories_for(cut.structure, liver, where)
    goes = np.zeros(len(territories.branches) + 1, dtype=bool)
    goes[list(territories.behind(branches_of(cut, liver)))] = True
    labels = territories.labels.ravel(order="F")
    return np.asarray(goes[labels].reshape(territories.labels.shape, order="F"))


def _caveats(liver: Liver, labels: npt.NDArray[np.uint8], plan: ResectionPlan) -> list[Caveat]:
    cuts = [cut for stage in plan.stages for cut in stage.resections]
    caveats = [c for cut in cuts if isinstance(cut, RemnantResection) for c in _imported(liver, cut)]
    caveats += [c for cut in cuts if isinstance(cut, PlaneResection) for c in cut.caveats]
    sizes = part_sizes_ml(labels == REMNANT, liver.grid)
    if len(sizes) > 1 and sizes[1] > NEGLIGIBLE_ML:
        caveats.append(
            Caveat(
                "remnant_in_parts",
                f"The remnant is in {len(sizes)} separate parts: {sizes[0]:.1f} mL and "
                f"{sum(sizes[1:]):.1f} mL beside it. All are counted, whether or not they keep "
                "inflow, outflow and bile drainage.",
            )
        )
    return caveats


def _imported(liver: Liver, resection: RemnantResection) -> list[Caveat]:
    placed = to_grid(resection.mask, liver.grid)
    outside = resection.mask.ml - int(np.count_nonzero(placed.voxels & liver.voxels)) * liver.grid.voxel_ml
    caveats = [c for c in placed.caveats if c.code != "mask_outside_scan"]
    if outside > NEGLIGIBLE_ML:
        caveats.append(
            Caveat(
                "remnant_outside_liver",
                f"{outside:.1f} of the {resection.mask.ml:.1f} mL of the imported remnant lie outside the "
                "liver mask and are not counted.",
            )
        )
    return caveats


def _methods(plan: ResectionPlan) -> list[str]:
    kinds = {type(resection) for stage in plan.stages for resection in stage.resections}
    sentences = [
        "The plan was carried out voxel by voxel: each liver voxel went, whole, to the side on which its "
        "centre lies, and each resection took from what the ones before it had left, so that the pieces sum "
        "to the liver exactly."
    ]
    sentences += [
        cut.method
        for stage in plan.stages
        for cut in stage.resections
        if isinstance(cut, PlaneResection) and cut.method
    ]
    if kinds & {WedgeResection, Ablation}:
        sentences.append(
            "Wedges and ablations took the lesion and every liver voxel whose centre lies within the stated "
            "margin of the lesion's surface, a smooth surface between the voxels of its mask."
        )
    if any(isinstance(r, RemnantResection) and not r.name for s in plan.stages for r in s.resections):
        sentences.append(
            "The remnant was imported as a mask; every liver voxel whose centre lies outside it was removed."
        )
    if SegmentResection in kinds:
        sentences.append(
            "Segmental resections removed the Couinaud segments of the given segment map (Brisbane 2000 "
            "names; borders between segments V/VIII and VI/VII are the least certain)."
        )
    return sentences
