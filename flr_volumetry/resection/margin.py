"""How far each lesion lies from the tissue that stays."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from flr_volumetry.resection.blades import blades_of
from flr_volumetry.resection.border import Other
from flr_volumetry.resection.gap import gap
from flr_volumetry.resection.partition import REMNANT, require_partition_of
from flr_volumetry.resection.plan import Ablation, WedgeResection
from flr_volumetry.resection.points import diameter
from flr_volumetry.resection.subvoxel import with_zones

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flr_volumetry.images import Grid
    from flr_volumetry.liver import Lesion, Liver
    from flr_volumetry.resection.partition import Partition, Piece
    from flr_volumetry.resection.plan import ResectionPlan
    from flr_volumetry.resection.quadrics import Patches

Voxels = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LesionMargin:
    """The margin of one lesion under one plan.

    Parameters
    ----------
    lesion : int
        Its number.
    margin_mm : float
        Smallest distance from the lesion's surface to the tissue that stays; 0 if part of the lesion
        stays, infinite if no tissue does.
    closest_mm : tuple of float or None
        Where that is on the lesion's surface, LPS mm; None if part of it stays.
    remaining : int
        How many of its voxels stay.
    cleared_in_stage : int
        The stage after which none of it is left, from 1; 0 if some stays.
    cut_mm : tuple of float or None
        Where the tissue that stays is closest, LPS mm; None if part of the lesion stays.
    """

    lesion: int
    margin_mm: float
    closest_mm: tuple[float, float, float] | None
    remaining: int
    cleared_in_stage: int
    cut_mm: tuple[float, float, float] | None = None


def margins(
    liver: Liver, partition: Partition, *, surfaces: Mapping[int, Patches] | None = None
) -> tuple[LesionMargin, ...]:
    """Measure how far each lesion lies from the tissue that stays after the last stage.

    Parameters
    ----------
    liver : Liver
        The liver with its lesions.
    partition : Partition
        Of that liver.
    surfaces : mapping of int to Patches or None
        Surfaces of lesions, by number, as far as they are at hand (`lesion_surface`); the margins are the
        same, found sooner.

    Returns
    -------
    tuple of LesionMargin
        In order of the lesions.

    Raises
    ------
    GridError
        If the partition is of another liver.

    Notes
    -----
    The distance is Euclidean, in patient millimetres, between surfaces that run between the voxels, and
    right on sheared grids too. Planes, drawn surfaces, wedges and ablation zones cut where they say.
    The surfaces of the lesion and of the liver, and the borders of segments, territories and imported
    masks, are smooth patches through the faces of the voxels (`lesion_surface`): right to 0.1 mm for
    balls and ellipsoids of 5 mm radius or more at steps of 1 mm, 0.15 mm at worst. Of a flat surface
    parallel to the grid the voxels tell the place to half a step only. Ablated tissue does not count
    as staying.
    """
    require_partition_of(liver, partition)
    if not liver.lesions:
        return ()
    stage_of = stages_of(partition.pieces)
    given = with_zones(liver, partition.plan, surfaces or {})
    other = Other(
        partition.labels == REMNANT,
        partition.labels,
        liver.grid,
        tuple(itertools.chain(*blades_of(partition.plan, liver, given).values())),
    )
    least = own_zones(partition.plan)
    return tuple(
        margin_to(
            lesion,
            np.bincount(partition.labels[lesion.box][lesion.voxels]),
            other,
            stage_of,
            surface=given.get(lesion.number),
            least_mm=least.get(lesion.number, 0.0),
        )
        for lesion in liver.lesions
    )


def stages_of(pieces: Sequence[Piece]) -> npt.NDArray[np.int64]:
    """Return the stage of each label that a partition may have.

    Parameters
    ----------
    pieces : sequence of Piece
        Of the partition.

    Returns
    -------
    (256,) int64 ndarray
        0 for the remnant, and for labels that no piece has.
    """
    stage_of = np.zeros(256, dtype=np.int64)
    for piece in pieces:
        stage_of[piece.label] = piece.stage
    return stage_of


def margin_to(
    lesion: Lesion,
    held: npt.NDArray[np.int64],
    other: Other | None,
    stage_of: npt.NDArray[np.int64],
    *,
    surface: Patches | None,
    least_mm: float,
) -> LesionMargin:
    """Measure how far a lesion lies from what stays.

    Parameters
    ----------
    lesion : Lesion
        In its own box.
    held : (n,) int64 ndarray
        How many of its voxels have each label of the partition, from 0 on.
    other : Other or None
        What stays, and as its kinds the labels of the partition, on the grid of the lesion's box; None if
        nothing does.
    stage_of : (256,) int64 ndarray
        The stage of each label.
    surface : Patches or None
        Of the lesion, if it is at hand.
    least_mm : float
        The margin within which nothing stays, as of `own_zones`.

    Returns
    -------
    LesionMargin
        Infinite if nothing stays.
    """
    remaining = int(held[REMNANT]) if len(held) > REMNANT else 0
    if remaining:
        return LesionMargin(lesion.number, 0.0, None, remaining, 0)
    stage = int(stage_of[np.flatnonzero(held)].max())
    at = gap(lesion, other, surface=surface) if other else None
    if at is None:
        return LesionMargin(lesion.number, math.inf, None, 0, stage)
    return LesionMargin(lesion.number, max(at.mm, least_mm), at.lesion_mm, 0, stage, at.other_mm)


def own_zones(plan: ResectionPlan) -> dict[int, float]:
    """Return the margins within which nothing stays by definition: of wedges and ablations.

    Parameters
    ----------
    plan : ResectionPlan
        The plan.

    Returns
    -------
    dict of int to float
        By the lesion's number, mm.

    Notes
    -----
    On a rough lesion neighbouring patches of the surface do not quite agree, and would tell less.
    """
    least: dict[int, float] = {}
    for stage in plan.stages:
        for cut in stage.resections:
            if isinstance(cut, WedgeResection | Ablation):
                for number in cut.lesions:
                    least[number] = max(least.get(number, 0.0), cut.margin_mm)
    return least


def longest_diameter_mm(lesion: Lesion, grid: Grid) -> float:
    """Largest distance between two voxel centres of a lesion, in three dimensions.

    Parameters
    ----------
    lesion : Lesion
        In its own box.
    grid : Grid
        The liver's.

    Returns
    -------
    float
        Millimetres; 0 for a single voxel.
    """
    return diameter(grid.centres_mm(np.argwhere(_ends_of_rows(lesion.voxels))))


def _ends_of_rows(voxels: Voxels) -> Voxels:
    """Keep the first and last voxels of rows along all three axes: all that can be furthest apart."""
    ends = voxels
    for axis in range(3):
        count = np.cumsum(voxels, axis=axis, dtype=np.int32)
        ends = ends & ((count == 1) | (count == count.max(axis=axis, keepdims=True)))
    return ends
